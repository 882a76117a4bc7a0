r"""Ratio matching: score matching's counterpart for bits (Hyvärinen 2007; Deep Learning, section 18.4).

    loss  =  1/n sum_n sum_i g(p(v)/p(v with unit i flipped))^2,      g(u) = 1/(1 + u).

With gap = F(v) - F(flipped), the value of g is q = sigmoid(gap), the conditional probability of the flipped
value, so Z cancels and the loss asks the model not to believe in what it did not see. dq^2/dgap = 2 q . q
(1 - q) gives

    gradient  =  1/n sum_n sum_i 2 q_i^2 (1 - q_i) [dF(v)/dtheta - dF(flipped_i)/dtheta].

| configurations | weights |
|---|---|
| (v, E[h given v]), the batch | 1/n sum_i 2 q_i^2 (1 - q_i) |
| (v with unit i flipped, E[h given it]), every i | -2 q_i^2 (1 - q_i)/n |

Consistent: given the other units, let q be the model's and r the data's probability of the flipped value.
The pair contributes (1 - r) q^2 + r (1 - q)^2 = (q - r)^2 + r (1 - r), least, and flat, at the generating
parameters.
"""

from __future__ import annotations

from typing import Any

from minidgm.numerics import sigmoid
from minidgm.objectives.alternatives import AlternativesObjective

__all__ = ["RatioMatching"]


class RatioMatching(AlternativesObjective):
    """Ratio matching for models with binary (Bernoulli or spin) visible units, full or stochastic.

    Parameters
    ----------
    n_units : int, optional
        Visible units a step; all if not given. See `AlternativesObjective`.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Metric ``loss``: the mean of the objective over the batch; between 0 and n_visible.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import BoltzmannMachine
    >>> machine = BoltzmannMachine(4, dtype="float64")
    >>> float(RatioMatching().gradient(machine, np.eye(4), None)[1]["loss"])
    1.0
    """

    @classmethod
    def obstacle(cls, model: Any) -> str | None:
        reason = super().obstacle(model)
        if reason is None and model.visible.n_states(model.n_visible) != 2**model.n_visible:
            return f"ratio matching flips bits and its visible units are {model.visible.name}"
        return reason

    def rule(self, gaps: Any) -> tuple[Any, Any]:
        q = sigmoid(gaps)
        return (q * q).sum(axis=0), 2.0 * q * q * sigmoid(-gaps)
