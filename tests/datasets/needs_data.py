"""A mark for tests that need the public files in MINIDGM_DATA."""

import os

import pytest

needs_data = pytest.mark.skipif(
    not os.environ.get("MINIDGM_DATA"), reason="needs the public files: set MINIDGM_DATA to their folder"
)
