"""Identities in a user's own pytest suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from minidgm.checks.registry import select
from minidgm.checks.subject import Subject


def parametrize_with_identities(models: Iterable[Any], identities: Any = None) -> Callable[[Any], Any]:
    """Parametrize a test over every (model, identity) pair that applies.

    Parameters
    ----------
    models : iterable of classes or instances
    identities : optional
        As in :func:`minidgm.checks.check_model`.

    Returns
    -------
    decorator
        For a test with the arguments ``model`` and ``identity``.

    Examples
    --------
    >>> from minidgm import RBM
    >>> from minidgm.checks import check_model
    >>> @parametrize_with_identities([RBM])
    ... def test_identities(model, identity):
    ...     check_model(model, identity)
    """
    import pytest

    pairs = []
    for model in models:
        subject = Subject(model)
        label = subject.name if isinstance(model, type) else repr(model)
        for identity in select(identities):
            if not identity.reason_not_applicable(subject):
                pairs.append(pytest.param(model, identity, id=f"{label}-{identity.name}"))
    return pytest.mark.parametrize(("model", "identity"), pairs)
