r"""REBAR: a score-function estimate whose noise a relaxed twin takes away (Tucker et al. 2017).

Let y = sigmoid((a + g)/tau) relax z = 1[a + g > 0], and y~ the same with noise drawn anew *given* z. Then

    dE[f(z)]/da = E[(f(z) - c f(y~)) d log q(z)/da + c df(y)/da - c df(y~)/da]       for every c and tau,

for E[f(y)] = E_z E[f(y~) | z], whose derivative has a score part and a path part. Where f(y~) follows f(z),
little is left of the signal; the last two terms are paths, whose noise grows as tau falls. How much c and tau
help depends on f between the bits: `minidgm.evaluation.gradient_moments` measures it.

Given z, u is uniform on its side of 1 - s, s = sigmoid(a). With v ~ U(0, 1),

    u~ = 1 - s (1 - v) if z = 1,  v (1 - s) if z = 0,      a + g~ = a + log u~ - log(1 - u~)
    d(a + g~)/da = 1 - (1 - s)/u~ if z = 1,  1 - s/(1 - u~) if z = 0

| configurations | weights |
|---|---|
| (x, z_s) for log p | 1/(n k) |
| fields of q (score) | (f(z_s) - c f(y~_s)) (z_s - s)/(n k) |
| fields of q (pathwise) | c (f'(y_s) dy_s/da - f'(y~_s) dy~_s/da)/(n k) |
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import real
from minidgm.backend import get_xp
from minidgm.numerics import sigmoid
from minidgm.objectives.relaxed_bits import SMALLEST, RelaxedBits, logistic

__all__ = ["Rebar"]


class Rebar(RelaxedBits):
    """Unbiased at any temperature, with the noise of a relaxation.

    Parameters
    ----------
    temperature : float
        Positive; of the control variate.
    k : int
        Draws a row.
    strength : float
        c, the control variate's factor; 0 is REINFORCE without a baseline.
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
    >>> grads, metrics = Rebar().gradient(net, np.eye(4, dtype="float32"), Generator(0))
    >>> sorted(metrics)
    ['loss']
    """

    def __init__(
        self, temperature: float = 0.5, k: int = 1, strength: float = 1.0, *, weight_decay: float = 0.0
    ):
        super().__init__(k, weight_decay=weight_decay)
        self.temperature = real("temperature", temperature, positive=True)
        self.strength = real("strength", strength)

    def slope(self, model: Any, x: Any, a: Any, rng: Any) -> tuple[Any, Any, Any]:
        xp, c, rate = get_xp(a), self.strength, 1.0 / self.temperature
        noisy = a + logistic(rng, a.shape, a.dtype)[1]
        on = noisy > 0.0
        z, s = xp.where(on, 1.0, 0.0).astype(a.dtype), sigmoid(a)
        v, _ = logistic(rng, a.shape, a.dtype)
        off = sigmoid(-a)
        u = xp.maximum(xp.where(on, 1.0 - s * (1.0 - v), v * off), SMALLEST)
        rest = xp.maximum(xp.where(on, s * (1.0 - v), 1.0 - v * off), SMALLEST)
        again = a + xp.log(u) - xp.log(rest)
        moved = 1.0 - xp.where(on, off / u, s / rest)  # d again/da
        y, twin = sigmoid(noisy * rate), sigmoid(again * rate)
        f = model.log_joint(x, z)
        signal = f - c * model.log_joint(x, twin)
        path = model.log_joint_input_gradient(x, y) * y * (1.0 - y)
        path = path - model.log_joint_input_gradient(x, twin) * twin * (1.0 - twin) * moved
        return z, signal[:, None] * (z - s) + c * rate * path, f
