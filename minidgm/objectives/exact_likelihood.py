r"""Exact maximum likelihood: the model's expectation by enumeration (Deep Learning, equation 18.4).

    d/dtheta [-1/n sum_i log p(v_i)]  =  1/n sum_i dF(v_i)/dtheta  -  sum_s p(s) dF(s)/dtheta

Derivation: -log p(v) = F(v) + log Z and dlog Z/dtheta = -sum_s p(s) dF(s)/dtheta, since Z = sum_s exp(-F(s)).

| configurations | weights |
|---|---|
| (v, E[h given v]), the batch | 1/n |
| every visible state s (its hidden units summed out) | -p(s) |
| or: every hidden state h (its visible units summed out) | -p(h) |

The smaller enumerable side is the one enumerated, in blocks: 784 visible and 16 hidden units cost 2^16 rows.
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.objectives.base import Objective

__all__ = ["ExactLikelihood"]

BLOCK = 2**13


class ExactLikelihood(Objective):
    """The likelihood's own gradient, for models with at most 2^25 states on one side.

    Parameters
    ----------
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Raises
    ------
    IntractableError
        From ``model.log_partition()``, when no side can be enumerated.

    Notes
    -----
    Metric ``log_likelihood``: mean of log p(v) over the batch, exact, nats, before the step. The generator is
    not used.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import RBM
    >>> rbm = RBM(3, 2, dtype="float64")
    >>> states = rbm.visible.states(3)
    >>> rbm.params.buffer[...] = 0.0
    >>> grads, metrics = ExactLikelihood().gradient(rbm, states, None)
    >>> bool(abs(grads["b"]).max() < 1e-15), round(float(metrics["log_likelihood"] / np.log(2)), 12)
    (True, -3.0)
    """

    needs = ("free_energy", "free_energy_gradient", "log_partition")

    def __init__(
        self,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )

    @classmethod
    def obstacle(cls, model: Any) -> str | None:
        reason = super().obstacle(model)
        if reason is None and not hasattr(model, "visible"):
            return "its visible states cannot be listed (no `visible` unit)"
        if reason is None:
            unit, width, _, _ = _smaller_side(model)
            if math.isinf(unit.n_states(width)):
                return "neither side's states can be listed"
        return reason

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, n = get_xp(batch), batch.shape[0]
        log_z = model.log_partition()
        model.free_energy_gradient(batch, xp.full(n, 1.0 / n, dtype=batch.dtype), grads)
        part = model.params.like()
        unit, width, free_energy, gradient = _smaller_side(model)
        total = int(unit.n_states(width))
        for start in range(0, total, BLOCK):
            states = unit.states(width, start, min(start + BLOCK, total), xp, batch.dtype)
            p = xp.exp(-free_energy(states) - log_z).astype(batch.dtype)
            grads.buffer += gradient(states, -p, part).buffer
        return {"log_likelihood": -model.free_energy(batch).mean() - log_z}


def _smaller_side(model: Any) -> tuple[Any, int, Any, Any]:
    """Unit, columns, free energy and its gradient of the side with fewer states."""
    unit, width = getattr(model, "row_unit", model.visible), getattr(model, "n_columns", model.n_visible)
    visible = unit, width, model.free_energy, model.free_energy_gradient
    if not hasattr(model, "hidden_free_energy_gradient"):
        return visible
    hidden = model.hidden, model.n_hidden, model.hidden_free_energy, model.hidden_free_energy_gradient
    return min(hidden, visible, key=lambda side: side[0].n_states(side[1]))
