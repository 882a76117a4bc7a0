r"""REBAR: a score-function estimate whose noise a relaxed twin takes away (Tucker et al. 2017).

Let y relax z = hard(a + g) at a temperature, and y~ the same with noise drawn anew *given* z. Then

    dE[f(z)]/da = E[(f(z) - c f(y~)) d log q(z)/da + c df(y)/da - c df(y~)/da]       for every c and tau,

for E[f(y)] = E_z E[f(y~) | z], whose derivative has a score part and a path part; d log q(z)/da = z - m with
the means m of q. Where f(y~) follows f(z), little is left of the signal; the last two terms are paths, whose
noise grows as tau falls. How much c and tau help depends on f between the codes:
`minidgm.evaluation.gradient_moments` measures it. The noise given z, and its derivative in a, for bits and
one-hot groups: `minidgm.objectives.relaxations`.

| configurations | weights |
|---|---|
| (x, z_s) for log p | 1/(n k) |
| fields of q (score) | (f(z_s) - c f(y~_s)) (z_s - m)/(n k) |
| fields of q (pathwise) | c (f'(y_s) dy_s/da - f'(y~_s) dy~_s/da)/(n k) |
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import real
from minidgm.objectives.relaxations import noise_for
from minidgm.objectives.relaxed_codes import RelaxedCodes, slopes

__all__ = ["Rebar"]


class Rebar(RelaxedCodes):
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
        c, tau, noise = self.strength, self.temperature, noise_for(model.latent)
        noisy = noise.noisy(a, rng)
        z = noise.hard(noisy)
        again, cache = noise.again(a, z, rng)
        y, twin = noise.relaxed(noisy, tau), noise.relaxed(again, tau)
        f, (at_twin, down) = model.log_joint(x, z), slopes(model, x, twin)
        path = noise.backward(slopes(model, x, y)[1], y, tau)
        path = path - noise.again_backward(noise.backward(down, twin, tau), cache)
        score = z - model.latent.distribution(a).mean
        return z, (f - c * at_twin)[:, None] * score + c * path, f
