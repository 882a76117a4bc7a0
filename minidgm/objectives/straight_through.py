r"""Straight-through: the slope of f at a drawn bit, as if the bit were its mean (Bengio et al. 2013).

    E[estimate of dE[f]/da] = s (1 - s) E_q[f'(z)],        where   dE[f]/da = s (1 - s) E_q[f(z, 1) - f(z, 0)]

with f(z, b) the value when bit j is b. For a linear f both agree. Otherwise the slope at the ends stands for
the difference between them, and no temperature cures that.

| configurations | weights |
|---|---|
| (x, z_s), z_s ~ q, for log p | 1/(n k) |
| fields of q (pathwise) | f'(z_s) s (1 - s)/(n k) |
"""

from __future__ import annotations

from typing import Any

from minidgm.errors import unknown
from minidgm.numerics import sigmoid
from minidgm.objectives.relaxed_bits import RelaxedBits

__all__ = ["StraightThrough"]

SLOPES = ("sigmoid", "identity")


class StraightThrough(RelaxedBits):
    """Biased, of little noise, without a parameter.

    Parameters
    ----------
    k : int
        Draws a row.
    through : {"sigmoid", "identity"}
        Slope of the bit in its field: that of its mean, s (1 - s), or 1.
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

    def __init__(self, k: int = 1, through: str = "sigmoid", *, weight_decay: float = 0.0):
        super().__init__(k, weight_decay=weight_decay)
        if through not in SLOPES:
            raise unknown("slope", through, SLOPES)
        self.through = through

    def slope(self, model: Any, x: Any, a: Any, rng: Any) -> tuple[Any, Any, Any]:
        z = rng.bernoulli_from_logits(a)
        d = model.log_joint_input_gradient(x, z)
        s = sigmoid(a)
        return z, d * s * (1.0 - s) if self.through == "sigmoid" else d, model.log_joint(x, z)
