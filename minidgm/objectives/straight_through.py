r"""Straight-through: the slope of f at a drawn code, as if the code were its mean (Bengio et al. 2013).

    E[estimate of dE[f]/da] = C E_q[f'(z)],    C = dm/da, the covariance of q: s (1 - s) for a bit

where, for bits, dE[f]/da = s (1 - s) E_q[f(z, 1) - f(z, 0)] with f(z, b) the value when bit j is b. For a
linear f both agree, for groups too. Otherwise the slope at the ends stands for the difference between them,
and no temperature cures that.

| configurations | weights |
|---|---|
| (x, z_s), z_s ~ q, for log p | 1/(n k) |
| fields of q (pathwise) | C f'(z_s)/(n k) |
"""

from __future__ import annotations

from typing import Any

from minidgm.errors import unknown
from minidgm.objectives.relaxed_codes import RelaxedCodes

__all__ = ["StraightThrough"]

SLOPES = ("mean", "identity")


class StraightThrough(RelaxedCodes):
    """Biased, of little noise, without a parameter.

    Parameters
    ----------
    k : int
        Draws a row.
    through : {"mean", "identity"}
        Slope of the code in its field: that of its mean, for a bit s (1 - s), or 1.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics: ``loss``, minus the mean of f less the entropy of q, an estimate of minus the bound, nats.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import Generator, SigmoidBeliefNet
    >>> net = SigmoidBeliefNet([4, 2], seed=0)
    >>> grads, metrics = StraightThrough().gradient(net, np.eye(4, dtype="float32"), Generator(0))
    >>> sorted(metrics)
    ['loss']
    """

    def __init__(self, k: int = 1, through: str = "mean", *, weight_decay: float = 0.0):
        super().__init__(k, weight_decay=weight_decay)
        if through not in SLOPES:
            raise unknown("slope", through, SLOPES)
        self.through = through

    def slope(self, model: Any, x: Any, a: Any, rng: Any) -> tuple[Any, Any, Any]:
        q = model.latent.distribution(a)
        z = q.sample(rng)
        f, d = self.value_and_slope(model, x, z)
        return z, q.mean_jvp(d) if self.through == "mean" else d, f
