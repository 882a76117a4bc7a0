"""Failures are expected here: spend no seconds on making each as small as can be."""

import pytest

from minidgm.checks import runner


@pytest.fixture(autouse=True)
def _brief_shrinking(monkeypatch):
    monkeypatch.setattr(runner, "SHRINK_SECONDS", 0.3)
