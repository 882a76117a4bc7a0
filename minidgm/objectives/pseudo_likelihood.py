r"""Pseudo-likelihood: every visible unit predicted from all others (Besag 1975; Deep Learning, section 18.3).

    loss  =  -1/n sum_n sum_i log p(v_i | v_-i),      p(v_i | v_-i) = 1 / (1 + sum_a exp(gap_a)),

where a runs over the other values of unit i and gap_a = F(v) - F(a), so Z cancels. With p_a = p(unit i
takes its value in a | v_-i), the derivative of log(1 + sum_a exp(gap_a)) is w_a = p_a:

    gradient  =  1/n sum_n sum_i sum_a p_a [dF(v)/dtheta - dF(a)/dtheta].

| configurations | weights |
|---|---|
| (v, E[h given v]), the batch | 1/n sum of all p_a |
| (a, E[h given a]), every alternative of every unit | -p_a/n |

Consistent: at the parameters that generate the data every conditional is right, and the mean gradient is 0.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.numerics import logsumexp
from minidgm.objectives.alternatives import AlternativesObjective

__all__ = ["PseudoLikelihood"]


class PseudoLikelihood(AlternativesObjective):
    """Negative pseudo-log-likelihood of models with enumerable visible units, full or stochastic.

    Parameters
    ----------
    n_units : int, optional
        Visible units a step; all if not given. See `AlternativesObjective`.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Metric ``loss``: the negative pseudo-log-likelihood of the batch, mean over rows, nats.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import BoltzmannMachine
    >>> machine = BoltzmannMachine(4, dtype="float64")
    >>> _, metrics = PseudoLikelihood().gradient(machine, np.eye(4), None)
    >>> round(float(metrics["loss"] / np.log(2)), 12)
    4.0
    """

    def rule(self, gaps: Any) -> tuple[Any, Any]:
        xp = get_xp(gaps)
        log_odds = xp.concatenate([xp.zeros_like(gaps[:1]), gaps])
        loss = logsumexp(log_odds, axis=0)
        return loss, xp.exp(gaps - loss)
