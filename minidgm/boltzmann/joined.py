"""Sides made of parts: bits beside a one-hot label make one row, one field, one distribution.

A harmonium does not mind of which types its visible units are, as long as each is drawn in its own field. So
a row [v | y] of an image and its label is a state of one side, and everything that is written for one unit
type (conditionals, annealing, enumeration) works on the joint row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.units import Unit
from minidgm.distributions import Distribution
from minidgm.errors import DataError


class JoinedDistribution(Distribution):
    """Independent factorial distributions side by side.

    Parameters
    ----------
    parts : sequence of Distribution
        Each over its own columns, in order.
    """

    def __init__(self, parts: Sequence[Any]):
        self.parts = tuple(parts)
        super().__init__(_beside([part.field for part in self.parts]))

    def _split(self, x: Any) -> list[Any]:
        return _cut(x, [part.field.shape[-1] for part in self.parts])

    @property
    def mean(self) -> Any:
        return _beside([part.mean for part in self.parts])

    @property
    def variance(self) -> Any:
        return _beside([part.variance for part in self.parts])

    @property
    def mode(self) -> Any:
        return _beside([part.mode for part in self.parts])

    def mean_jvp(self, direction: Any) -> Any:
        pairs = zip(self.parts, self._split(direction), strict=True)
        return _beside([part.mean_jvp(u) for part, u in pairs])

    def cgf(self) -> Any:
        """Log-partition of each unit, [n, units]: a group of columns that is one unit counts once."""
        return _beside([part.cgf() for part in self.parts])

    def entropy(self) -> Any:
        return sum(part.entropy() for part in self.parts)

    def kl(self, other: Any) -> Any:
        return sum(part.kl(of) for part, of in zip(self.parts, other.parts, strict=True))

    def sample(self, rng: Any, out: Any = None) -> Any:
        draw = _beside([part.sample(rng) for part in self.parts])
        if out is None:
            return draw
        out[...] = draw
        return out

    def log_prob(self, x: Any) -> Any:
        return sum(part.log_prob(block) for part, block in zip(self.parts, self._split(x), strict=True))


class Joined(Unit):
    """Units of several types on one side.

    Parameters
    ----------
    units : sequence of Unit
        One type a part. Only the first may have parameters of its own (Gaussian precisions).
    widths : sequence of int
        Columns of each part.

    Examples
    --------
    >>> from minidgm.boltzmann.units import Bernoulli, Softmax
    >>> side = Joined([Bernoulli(), Softmax(2)], [1, 2])
    >>> side.name, side.states(3).tolist()
    ('1 bernoulli + 2 softmax(2)', [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 1.0]])
    """

    def __init__(self, units: Sequence[Unit], widths: Sequence[int]):
        self.units, self.widths = tuple(units), tuple(widths)
        self.bounded = all(unit.bounded for unit in self.units)
        self.name = " + ".join(
            f"{width} {unit.name}" for unit, width in zip(self.units, self.widths, strict=True)
        )

    def _parts(self, x: Any) -> Any:
        return zip(self.units, _cut(x, self.widths), self._owners(), strict=True)

    def groups(self) -> list[slice]:
        """The columns of each unit, in order."""
        found: list[slice] = []
        start = 0
        for unit, width in zip(self.units, self.widths, strict=True):
            found += [slice(start + i, start + i + unit.k) for i in range(0, width, unit.k)]
            start += width
        return found

    def _owners(self) -> list[bool]:
        return [i == 0 for i in range(len(self.units))]

    def check_width(self, n: int, side: str) -> None:
        if n != sum(self.widths):
            raise ValueError(f"n_{side}={n}, but the parts {self.name} have {sum(self.widths)} columns")

    def parameter_shapes(self, n: int) -> dict[str, tuple[int, ...]]:
        return self.units[0].parameter_shapes(self.widths[0])

    def distribution(self, a: Any, **own: Any) -> JoinedDistribution:
        return JoinedDistribution([u.distribution(x, **(own if o else {})) for u, x, o in self._parts(a)])

    def log_base(self, x: Any, **own: Any) -> Any:
        return _beside([u.log_base(part, **(own if o else {})) for u, part, o in self._parts(x)])

    def base_gradient(self, x: Any, weights: Any, **own: Any) -> dict[str, Any]:
        return self.units[0].base_gradient(x[:, : self.widths[0]], weights, **own)

    def mean_base_gradient(self, a: Any, weights: Any, **own: Any) -> dict[str, Any]:
        return self.units[0].mean_base_gradient(a[:, : self.widths[0]], weights, **own)

    def n_states(self, n: int) -> float:
        return math.prod(u.n_states(width) for u, width in zip(self.units, self.widths, strict=True))

    def states(
        self, n: int, start: int = 0, stop: int | None = None, xp: Any = None, dtype: Any = "float64"
    ) -> Any:
        if not self.bounded:
            raise TypeError(f"{self.name} take infinitely many values and cannot be enumerated")
        xp = xp or get_xp()
        index = xp.arange(start, int(self.n_states(n)) if stop is None else stop)
        blocks: list[Any] = []
        for unit, width in zip(self.units, self.widths, strict=True):
            total = int(unit.n_states(width))
            low = int(start) if not blocks else 0
            # The first part runs fastest: only the states that can occur in this range are listed.
            if not blocks and index.shape[0] < total and low % total + index.shape[0] <= total:
                blocks.append(unit.states(width, low % total, low % total + index.shape[0], xp, dtype))
            else:
                blocks.append(unit.states(width, 0, total, xp, dtype)[index % total])
            index = index // total
        return _beside(blocks)

    def check(self, x: Any, what: str) -> None:
        for unit, part, _ in self._parts(x):
            unit.check(part, what)

    def logit(self, mean: Any, **own: Any) -> Any:
        return _beside([u.logit(part, **(own if o else {})) for u, part, o in self._parts(mean)])


def _cut(x: Any, widths: Sequence[int]) -> list[Any]:
    """Split the last axis into parts of these widths."""
    if x.shape[-1] != sum(widths):
        expected = " + ".join(map(str, widths))
        raise DataError(f"a row has {x.shape[-1]} columns; expected {sum(widths)} = {expected}")
    found, start = [], 0
    for width in widths:
        found.append(x[..., start : start + width])
        start += width
    return found


def _beside(parts: Sequence[Any]) -> Any:
    return get_xp(*parts).concatenate(list(parts), axis=-1)
