"""Objectives: explicit gradient estimators, one a file, each a choice of configurations and weights.

| objective | configurations | weights |
|---|---|---|
| `ExactLikelihood` | data; every state | 1/n; -p(state) |
| `ContrastiveDivergence` | data; k sweeps from the data | 1/n; -1/n |
| `PersistentContrastiveDivergence` | data; chains that persist | 1/n; -1/m |

``gradient(model, batch, rng) -> (grads, metrics)``: see `minidgm.objectives.base`.
"""

from __future__ import annotations

from typing import Any

from minidgm.objectives.base import Objective
from minidgm.objectives.contrastive_divergence import ContrastiveDivergence
from minidgm.objectives.exact_likelihood import ExactLikelihood
from minidgm.objectives.persistent import PersistentContrastiveDivergence, StochasticMaximumLikelihood

__all__ = [
    "ContrastiveDivergence",
    "ExactLikelihood",
    "Objective",
    "PersistentContrastiveDivergence",
    "StochasticMaximumLikelihood",
    "fitting",
]

ALL: tuple[type[Objective], ...] = (
    ExactLikelihood,
    ContrastiveDivergence,
    PersistentContrastiveDivergence,
)


def fitting(model: Any) -> list[str]:
    """Names of the objectives that a model's methods and units allow.

    >>> from minidgm import RBM
    >>> "ContrastiveDivergence" in fitting(RBM(3, 2))
    True
    """
    return [objective.__name__ for objective in ALL if objective.obstacle(model) is None]
