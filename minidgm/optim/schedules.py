"""Learning rates that change with the step.

A schedule is any callable from the global step (0 before the first update) to a rate. The ones here can
leave out their length: ``steps=None`` means the whole training, which ``fit`` knows as epochs x batches.

======== ====================================================== =======================================
schedule rate at step t of T                                    use
======== ====================================================== =======================================
Constant r
Linear   r + (s - r) t/T, then s                                annealing (PCD: Tieleman 2008)
Cosine   s + (r - s) (1 + cos(pi t/T)) / 2, then s              Loshchilov & Hutter 2017, eq. 5
Step     r f^floor(t / every)                                   drops by a factor
Warmup   r(0) t/m before step m, the inner schedule r after it  large rates at the start
======== ====================================================== =======================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from minidgm.arguments import count, real
from minidgm.errors import unknown

Rate = float | Callable[[int], float]


@dataclass(frozen=True)
class Schedule:
    """Base of the schedules: a rate as a function of the step."""

    def __call__(self, step: int) -> float:
        raise NotImplementedError

    def over(self, total_steps: int | None) -> Schedule:
        """Return the schedule with its open length, if any, set to ``total_steps``."""
        if getattr(self, "steps", 0) is not None:
            return self
        if total_steps is None:
            raise ValueError(
                f"{type(self).__name__} without steps= needs a training of known length; "
                "the batches come from an iterator, so pass steps="
            )
        return replace(self, steps=max(total_steps, 1))  # type: ignore[call-arg]

    def config(self) -> dict[str, Any]:
        """Return the JSON form that :func:`from_config` reads."""
        return {"name": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    >>> Constant(0.1)(5)
    0.1
    """

    rate: float

    def __post_init__(self) -> None:
        real("rate", self.rate)

    def __call__(self, step: int) -> float:
        return self.rate


@dataclass(frozen=True)
class Linear(Schedule):
    """From ``start`` in a straight line to ``stop``, reached after ``steps`` steps and kept.

    >>> [Linear(1.0, 0.0, steps=4)(t) for t in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    start: float
    stop: float = 0.0
    steps: int | None = None

    def __post_init__(self) -> None:
        _check_ramp(self.start, self.stop, self.steps)

    def __call__(self, step: int) -> float:
        done = min(step / _length(self.steps), 1.0)
        return self.start + (self.stop - self.start) * done


@dataclass(frozen=True)
class Cosine(Schedule):
    """From ``start`` along half a cosine to ``stop``, reached after ``steps`` steps and kept.

    >>> [round(Cosine(1.0, steps=4)(t), 3) for t in (0, 2, 4, 9)]
    [1.0, 0.5, 0.0, 0.0]
    """

    start: float
    stop: float = 0.0
    steps: int | None = None

    def __post_init__(self) -> None:
        _check_ramp(self.start, self.stop, self.steps)

    def __call__(self, step: int) -> float:
        done = min(step / _length(self.steps), 1.0)
        return self.stop + (self.start - self.stop) * 0.5 * (1.0 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Step(Schedule):
    """Multiply by ``factor`` after every ``every`` steps.

    >>> [Step(1.0, factor=0.5, every=10)(t) for t in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """

    start: float
    factor: float = 0.1
    every: int = 1000

    def __post_init__(self) -> None:
        real("start", self.start)
        real("factor", self.factor)
        count("every", self.every)

    def __call__(self, step: int) -> float:
        return self.start * self.factor ** (step // self.every)


@dataclass(frozen=True)
class Warmup(Schedule):
    """Rise in a straight line during ``warmup_steps`` steps, then follow ``then`` from its beginning.

    The step is counted from 1 in the rise, so that the first update is not wasted on a zero rate.

    >>> [Warmup(4, Linear(1.0, 0.0, steps=10))(t) for t in (0, 1, 3, 4, 9)]
    [0.25, 0.5, 1.0, 1.0, 0.5]
    """

    warmup_steps: int
    then: float | Schedule

    def __post_init__(self) -> None:
        count("warmup_steps", self.warmup_steps)
        if not isinstance(self.then, Schedule):
            object.__setattr__(self, "then", Constant(real("then", self.then)))

    def __call__(self, step: int) -> float:
        assert isinstance(self.then, Schedule)
        if step < self.warmup_steps:
            return self.then(0) * (step + 1) / self.warmup_steps
        return self.then(step - self.warmup_steps)

    def over(self, total_steps: int | None) -> Warmup:
        """Give what is left of the training after the rise to the inner schedule."""
        assert isinstance(self.then, Schedule)
        left = None if total_steps is None else total_steps - self.warmup_steps
        return replace(self, then=self.then.over(left))

    def config(self) -> dict[str, Any]:
        """Return the JSON form that :func:`from_config` reads."""
        assert isinstance(self.then, Schedule)
        return {"name": "Warmup", "warmup_steps": self.warmup_steps, "then": self.then.config()}


SCHEDULES: dict[str, type[Schedule]] = {c.__name__: c for c in (Constant, Linear, Cosine, Step, Warmup)}


def from_config(config: dict[str, Any]) -> Schedule:
    """Build a schedule from its :meth:`Schedule.config`.

    >>> from_config({"name": "Warmup", "warmup_steps": 10, "then": {"name": "Constant", "rate": 0.1}})
    Warmup(warmup_steps=10, then=Constant(rate=0.1))
    """
    settings = dict(config)
    name = settings.pop("name", None)
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    if isinstance(settings.get("then"), dict):
        settings["then"] = from_config(settings["then"])
    return SCHEDULES[name](**settings)


def _check_ramp(start: float, stop: float, steps: int | None) -> None:
    real("start", start)
    real("stop", stop)
    if steps is not None:
        count("steps", steps)


def _length(steps: int | None) -> int:
    if steps is None:
        raise ValueError("the schedule has no length: pass steps=, or bind it with .over(total_steps)")
    return steps
