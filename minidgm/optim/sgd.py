"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidgm.arguments import real
from minidgm.backend import get_xp
from minidgm.optim.base import Optimizer
from minidgm.optim.schedules import Rate


class SGD(Optimizer):
    r"""Gradient descent on mini-batches, plain, with momentum, or with Nesterov's momentum.

    With :math:`g` the gradient (clipped, plus ``weight_decay`` times the parameters that decay: an L2
    penalty of half that strength), :math:`\epsilon` the rate and :math:`\alpha` the momentum::

        u     <- alpha u + g
        theta <- theta - epsilon u                  momentum
        theta <- theta - epsilon (g + alpha u)      Nesterov

    which, at a constant rate, is the velocity form v = -epsilon u of Goodfellow, Bengio & Courville
    (2016), eqs. 8.15-8.16; Nesterov's is the usual restatement of eqs. 8.21-8.22 at the looked-ahead
    parameters (Sutskever et al. 2013).

    Parameters
    ----------
    learning_rate : float or schedule
    momentum : float
        In [0, 1).
    nesterov : bool
    weight_decay, decayed, clip
        See :class:`~minidgm.optim.base.Optimizer`.

    Examples
    --------
    >>> from minidgm.parameters import Parameters
    >>> theta = Parameters({"w": (2,)}, dtype="float64")
    >>> gradient = theta.copy()
    >>> gradient["w"] = [1.0, -2.0]
    >>> sgd = SGD(0.1)
    >>> sgd.init(theta)
    >>> sgd.step(theta, gradient)
    >>> theta["w"]
    array([-0.1,  0.2])
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        decayed: Sequence[str] | None = None,
        clip: float | None = None,
    ):
        super().__init__(learning_rate, weight_decay, decayed, clip)
        self.momentum = real("momentum", momentum, below=1.0)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov=True needs a momentum in (0, 1), got 0")
        self.slots = ("velocity",) if self.momentum else ()
        self.patience = 1 if self.momentum else 4  # two short passes are done before another core wakes

    def _plain_update(self, p: Any, g: Any, *rest: Any) -> None:
        *states, rate, decay, scale = rest
        g = scale * g
        if decay:
            g = g + decay * p
        if states:
            (u,) = states
            u[...] = self.momentum * u + g
            g = g + self.momentum * u if self.nesterov else u
        p[...] = p - rate * g

    def _host_update(self, p: Any, g: Any, *rest: Any) -> None:
        # NumPy passes, not SciPy's BLAS: its threads are others than those of NumPy's products, and the
        # two pools would wait for each other's spinning threads.
        *states, rate, decay, scale, scratch = rest
        xp = get_xp(p, g)
        add, multiply, subtract = xp.add, xp.multiply, xp.subtract
        for start in range(0, p.size, scratch.size):
            block = slice(start, start + scratch.size)
            theta, t = p[block], scratch[: p[block].size]
            multiply(g[block], scale if states or decay else scale * rate, out=t)
            if decay:
                add(t, decay * theta, out=t)
            if states:
                u = states[0][block]
                multiply(u, self.momentum, out=u)
                add(u, t, out=u)
                if self.nesterov:
                    add(t, self.momentum * u, out=t)
                else:
                    t[...] = u
            if states or decay:
                multiply(t, rate, out=t)
            subtract(theta, t, out=theta)

    def _device_update(self, backend: str) -> Any:
        return self._cuda_update if backend == "cupy" else self._plain_update

    def _cuda_update(self, p: Any, g: Any, *rest: Any) -> None:
        from minidgm.kernels import cuda

        *states, rate, decay, scale = rest
        velocity = states[0] if states else None
        cuda.sgd_update(p, g, velocity, rate, self.momentum, self.nesterov, decay, scale)

    def config(self) -> dict[str, Any]:
        """Return name and hyperparameters as JSON."""
        return {**super().config(), "momentum": self.momentum, "nesterov": self.nesterov}


class Momentum(SGD):
    """:class:`SGD` with momentum 0.9 unless told otherwise.

    >>> Momentum(0.1).momentum
    0.9
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        decayed: Sequence[str] | None = None,
        clip: float | None = None,
    ):
        super().__init__(learning_rate, momentum, nesterov, weight_decay, decayed, clip)


class Nesterov(SGD):
    """:class:`SGD` with Nesterov's momentum, 0.9 unless told otherwise.

    >>> Nesterov(0.1).nesterov
    True
    """

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        decayed: Sequence[str] | None = None,
        clip: float | None = None,
    ):
        super().__init__(learning_rate, momentum, nesterov, weight_decay, decayed, clip)
