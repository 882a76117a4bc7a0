"""Prove a model: identities that hold for every parameter, checked on drawn ones.

>>> from minidgm import RBM
>>> from minidgm.checks import check_model
>>> report = check_model(RBM, identities=["free energy", "conditionals"], max_examples=3)
>>> report.ok
True

``check_model`` runs what a model's methods make checkable, on classes of this library and on a user's own;
``identities()`` lists the catalogue, ``@identity`` adds to it, ``parametrize_with_identities`` puts it into a
pytest suite. Below them: ``oracle`` (gradients of densities by autograd, guarded by differences),
``enumerate_states``, ``transition_matrix``, ``exhaustive`` (sampling code run over every outcome),
``strategies`` (hypothesis draws of parameters, batches, seeds) and ``strict`` (a fake device).
"""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {
    "Comparison": "comparison",
    "Identity": "registry",
    "Report": "report",
    "Result": "report",
    "check_model": "runner",
    "enumerate_states": "subject",
    "identities": "registry",
    "identity": "registry",
    "parametrize_with_identities": "suite",
    "transition_matrix": "enumeration",
}
_MODULES = ("comparison", "exhaustive", "oracle", "strategies", "strict")

__all__ = [*_LAZY, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"minidgm.checks.{_LAZY[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"minidgm.checks.{name}")
    raise AttributeError(f"module 'minidgm.checks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
