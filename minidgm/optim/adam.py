"""Adam and AdamW: steps scaled by running moments of the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidgm.arguments import real
from minidgm.backend import get_xp
from minidgm.optim.base import Optimizer
from minidgm.optim.schedules import Rate


class Adam(Optimizer):
    r"""Adaptive moments (Kingma & Ba 2015, algorithm 1).

    The moments are kept as plain decayed sums, which saves two passes over memory; with
    :math:`g` the gradient (clipped, plus ``weight_decay`` times the parameters that decay)::

        m     <- beta1 m + g                    m_hat = (1 - beta1) m / (1 - beta1^t)
        s     <- beta2 s + g^2                  s_hat = (1 - beta2) s / (1 - beta2^t)
        theta <- theta - epsilon m_hat / (sqrt(s_hat) + eps)

    which is the algorithm of the paper with m and s divided by the constants 1 - beta1, 1 - beta2.

    Parameters
    ----------
    learning_rate : float or schedule
    betas : tuple of float
        Decay rates of the first and second moment, each in [0, 1).
    eps : float
        Added to the root of the second moment.
    weight_decay, decayed, clip
        See :class:`~minidgm.optim.base.Optimizer`. In :class:`AdamW` the decay acts on the parameters.

    Examples
    --------
    The first step moves every parameter by the rate, whatever the size of its gradient:

    >>> from minidgm.parameters import Parameters
    >>> theta = Parameters({"w": (2,)}, dtype="float64")
    >>> gradient = theta.copy()
    >>> gradient["w"] = [1e-3, -50.0]
    >>> adam = Adam(0.1)
    >>> adam.init(theta)
    >>> adam.step(theta, gradient)
    >>> theta["w"].round(4)
    array([-0.1,  0.1])
    """

    slots = ("first_moment", "second_moment")
    decoupled = False

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decayed: Sequence[str] | None = None,
        clip: float | None = None,
    ):
        super().__init__(learning_rate, weight_decay, decayed, clip)
        if len(betas) != 2:
            raise ValueError(f"betas must be two numbers in [0, 1), got {betas!r}")
        self.betas = (real("betas[0]", betas[0], below=1.0), real("betas[1]", betas[1], below=1.0))
        self.eps = real("eps", eps, positive=True)

    def _corrections(self, rate: float) -> tuple[float, float]:
        """Return a, e such that epsilon m_hat / (sqrt(s_hat) + eps) = a m / (sqrt(s) + e)."""
        beta1, beta2 = self.betas
        first = (1.0 - beta1) / (1.0 - beta1**self.n_steps)
        root = math.sqrt((1.0 - beta2) / (1.0 - beta2**self.n_steps))
        return rate * first / root, self.eps / root

    def _plain_update(self, p: Any, g: Any, *rest: Any) -> None:
        m, s, rate, decay, scale = rest
        xp = get_xp(p, g)
        beta1, beta2 = self.betas
        g = scale * g
        if decay and self.decoupled:
            p[...] = (1.0 - rate * decay) * p
        elif decay:
            g = g + decay * p
        m[...] = beta1 * m + g
        s[...] = beta2 * s + g * g
        a, e = self._corrections(rate)
        p[...] = p - a * m / (xp.sqrt(s) + e)

    def _host_update(self, p: Any, g: Any, *rest: Any) -> None:
        m, s, rate, decay, scale, scratch = rest
        xp = get_xp(p, g)
        add, multiply = xp.add, xp.multiply
        beta1, beta2 = self.betas
        a, e = self._corrections(rate)
        for start in range(0, p.size, scratch.size):
            block = slice(start, start + scratch.size)
            theta, first, second, raw = p[block], m[block], s[block], g[block]
            t = scratch[: theta.size]
            if decay and self.decoupled:
                multiply(theta, 1.0 - rate * decay, out=theta)
            multiply(first, beta1, out=first)
            multiply(second, beta2, out=second)
            if scale != 1.0:
                raw = multiply(raw, scale, out=t)
            if decay and not self.decoupled:
                raw = add(raw, decay * theta, out=t)
            add(first, raw, out=first)
            multiply(raw, raw, out=t)
            add(second, t, out=second)
            xp.sqrt(second, out=t)
            add(t, e, out=t)
            xp.divide(first, t, out=t)
            multiply(t, a, out=t)
            xp.subtract(theta, t, out=theta)

    def _device_update(self, backend: str) -> Any:
        return self._cuda_update if backend == "cupy" else self._plain_update

    def _cuda_update(self, p: Any, g: Any, *rest: Any) -> None:
        from minidgm.kernels import cuda

        m, s, rate, decay, scale = rest
        a, e = self._corrections(rate)
        added, shrink = (0.0, 1.0 - rate * decay) if self.decoupled else (decay, 1.0)
        cuda.adam_update(p, g, m, s, self.betas, a, e, added, shrink, scale)

    def config(self) -> dict[str, Any]:
        """Return name and hyperparameters as JSON."""
        return {**super().config(), "betas": list(self.betas), "eps": self.eps}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    The decay multiplies the parameters by 1 - epsilon x ``weight_decay`` and stays out of the moments.

    >>> AdamW(1e-3).weight_decay
    0.01
    """

    decoupled = True

    def __init__(
        self,
        learning_rate: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        decayed: Sequence[str] | None = None,
        clip: float | None = None,
    ):
        super().__init__(learning_rate, betas, eps, weight_decay, decayed, clip)
