"""What the optimizers share: rates, decay, clipping, state, and the walk over the buffer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidgm.arguments import real
from minidgm.backend import asarray, get_backend, get_xp, to_numpy
from minidgm.errors import CheckpointError, nearest
from minidgm.optim import cores
from minidgm.optim.schedules import Rate, Schedule
from minidgm.parameters import Parameters

BLOCK = 32768  # values a pass: parameters, gradient, two moments and scratch of a block share the L2 cache
SHARED = 2**19  # values a pass where cores share the work: few passes, see `minidgm.optim.cores`


class Optimizer:
    """Base of the optimizers: ``init(params)`` once, then ``step(params, grads)``.

    Parameters
    ----------
    learning_rate : float or callable
        A rate, or a schedule: a callable from the global step to a rate.
    weight_decay : float
        Strength of the decay; what it decays, and how, is said by the subclass.
    decayed : sequence of str, optional
        Names that decay. By default those of two or more axes: weights, not biases or log-precisions. What
        no gradient moves (``params.fixed``) never does.
    clip : float, optional
        Largest global Euclidean norm of the gradient; a longer one is scaled down to it.

    Attributes
    ----------
    n_steps : int
        Updates done since :meth:`init`.
    rate, last_rate : float
        Learning rate of the next step and of the last one.
    """

    patience = 1  # times `cores.LONG` values before a second core is woken
    slots: tuple[str, ...] = ()  # names of the state arrays, each in the layout of the parameters

    def __init__(
        self,
        learning_rate: Rate,
        weight_decay: float = 0.0,
        decayed: Sequence[str] | None = None,
        clip: float | None = None,
    ):
        if not callable(learning_rate):
            learning_rate = real("learning_rate", learning_rate)
        self.learning_rate = learning_rate
        self.weight_decay = real("weight_decay", weight_decay)
        self.decayed = None if decayed is None else tuple(decayed)
        self.clip = None if clip is None else real("clip", clip, positive=True)
        self.n_steps = 0
        self._slots: dict[str, Parameters] = {}

    def init(self, params: Parameters, total_steps: int | None = None) -> None:
        """Forget the past and prepare to step these parameters.

        Parameters
        ----------
        params : Parameters
        total_steps : int, optional
            Length of the training, for schedules that were given none.
        """
        self.n_steps = 0
        self.last_rate: float | None = None
        rate = self.learning_rate
        self._rate = rate.over(total_steps) if isinstance(rate, Schedule) else rate
        self._slots = {slot: params.like() for slot in self.slots}
        self._segments = self._split(params)
        self._layout = params.shapes
        if params.backend == "numpy":
            self._cores = cores.available() if params.size >= self.patience * cores.LONG else 1
            block = min(BLOCK if self._cores == 1 else SHARED, -(-params.size // self._cores))
            self._scratch = get_xp(params.buffer).empty((self._cores, block), dtype=params.dtype)
        self._fast = self._on_host if params.backend == "numpy" else self._device_update(params.backend)

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        rate = getattr(self, "_rate", self.learning_rate)
        return float(rate(self.n_steps)) if callable(rate) else rate

    def step(self, params: Parameters, grads: Parameters) -> None:
        """Move ``params`` against ``grads``, in place; read nothing back from a device.

        Raises
        ------
        ValueError
            When :meth:`init` has not seen this layout, or a schedule returns a negative rate or NaN.
        """
        if grads.shapes != params.shapes or params.shapes != getattr(self, "_layout", None):
            raise ValueError(
                f"init saw {getattr(self, '_layout', 'nothing')}; got parameters {params.shapes} and "
                f"gradients {grads.shapes}"
            )
        rate = self.rate
        if not rate >= 0.0:
            raise ValueError(f"the learning-rate schedule returned {rate!r} at step {self.n_steps}")
        self.n_steps += 1
        self.last_rate = rate
        scale = 1.0 if self.clip is None else clip_scale(grads.buffer, self.clip)
        for part, decay in self._segments:
            states = [slot.buffer[part] for slot in self._slots.values()]
            self._fast(params.buffer[part], grads.buffer[part], *states, rate, decay, scale)

    def _split(self, params: Parameters) -> list[tuple[slice, float]]:
        """Cut the buffer into the longest stretches of one decay."""
        names: Sequence[str] | None = self.decayed
        if names is None:
            names = [n for n, shape in params.shapes.items() if len(shape) >= 2 and n not in params.fixed]
        for name in names:
            if name not in params:
                raise ValueError(f"decayed names {name!r}, which is no parameter{nearest(name, params)}")
            if name in params.fixed:
                raise ValueError(f"decayed names {name!r}, which is not learned; leave it out")
        cuts: list[tuple[slice, float]] = []
        for name in params:
            start = params.offset(name)
            stop = start + math.prod(params.shapes[name])
            decay = self.weight_decay if name in names else 0.0
            if start == stop:
                continue
            if cuts and cuts[-1][1] == decay:
                start = cuts.pop()[0].start
            cuts.append((slice(start, stop), decay))
        return cuts

    def _plain_update(self, p: Any, g: Any, *states_rate_decay_scale: Any) -> None:
        """Update one stretch with the formulas as written: any backend, and the twin of the fast ones."""
        raise NotImplementedError

    def _on_host(self, p: Any, g: Any, *rest: Any) -> None:
        """Update one stretch on the cores of the host."""
        *states, rate, decay, scale = rest

        def part(i: int, cut: slice) -> None:
            mine = (state[cut] for state in states)
            self._host_update(p[cut], g[cut], *mine, rate, decay, scale, self._scratch[i])

        cores.share(part, p.size, self._cores if p.size >= self.patience * cores.LONG else 1)

    def _host_update(self, p: Any, g: Any, *states_rate_decay_scale_scratch: Any) -> None:
        """Update a part of a stretch on one core, in passes as long as the scratch array."""
        raise NotImplementedError

    def _device_update(self, backend: str) -> Any:
        """Return the update for a device: a fused kernel where there is one."""
        return self._plain_update

    def config(self) -> dict[str, Any]:
        """Return name and hyperparameters as JSON; a rate that is a plain callable gives its name."""
        rate = self.learning_rate
        if isinstance(rate, Schedule):
            rate = rate.config()  # type: ignore[assignment]
        elif callable(rate):
            rate = f"callable {getattr(rate, '__qualname__', type(rate).__qualname__)}"  # type: ignore[assignment]
        decayed = None if self.decayed is None else list(self.decayed)
        return {
            "name": type(self).__name__,
            "learning_rate": rate,
            "weight_decay": self.weight_decay,
            "decayed": decayed,
            "clip": self.clip,
        }

    def state(self) -> dict[str, Any]:
        """Return the step count and host copies of the state arrays, for a checkpoint."""
        arrays = {slot: to_numpy(values.buffer).copy() for slot, values in self._slots.items()}
        return {"n_steps": self.n_steps, **arrays}

    def set_state(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state` returned; :meth:`init` comes first.

        Raises
        ------
        CheckpointError
            When names or lengths are not those of this optimizer.
        """
        expected = {"n_steps", *self._slots}
        if set(state) != expected:
            raise CheckpointError(f"{type(self).__name__} has state {sorted(expected)}, got {sorted(state)}")
        for slot, values in self._slots.items():
            if state[slot].shape != values.buffer.shape:
                raise CheckpointError(f"{slot} has {values.size} values, got shape {state[slot].shape}")
            values.buffer[...] = asarray(state[slot], values.backend, values.dtype)
        self.n_steps = int(state["n_steps"])

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in self.config().items() if k != "name" and v is not None)
        return f"{type(self).__name__}({settings})"


def clip_scale(gradient: Any, largest: float) -> Any:
    """Return min(1, largest / ||gradient||): a float on the host, an array without axes on a device.

    Pascanu et al. 2013, algorithm 1: the direction is kept.

    >>> import numpy as np
    >>> clip_scale(np.array([3.0, 4.0]), 1.0)
    0.2
    """
    xp = get_xp(gradient)
    if get_backend(gradient) != "numpy":
        norm = xp.sqrt(xp.dot(gradient, gradient))
        return xp.minimum(largest / xp.maximum(norm, 1e-30), 1.0)
    with xp.errstate(over="ignore"):
        norm = math.sqrt(xp.dot(gradient, gradient))
    if math.isinf(norm):  # the squares overflowed: take the largest value out first
        peak = float(xp.max(xp.abs(gradient)))
        norm = peak * float(xp.linalg.norm(gradient / peak))
    return min(1.0, largest / norm) if norm > 0.0 else 1.0
