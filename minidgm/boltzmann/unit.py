"""What a type of units has to say, so that every machine, sampler and objective works with it.

Units x in a field a are an exponential family with base measure log_base(x),

    p(x | a) = exp(x . a + log_base(x) - cgf(a)),   cgf' = mean,   cgf'' = variance.

Free energies, conditionals, Gibbs sampling, contrastive divergence, annealing and centring need no more
than this, so they are written once for all units (Deep Learning, section 20.5). The types:
`minidgm.boltzmann.units`.
"""

from __future__ import annotations

import math
from typing import Any

from minidgm import distributions
from minidgm.backend import get_xp
from minidgm.errors import DataError


class Unit:
    """One unit type. ``own`` in the signatures is the unit's own parameters (Gaussian: ``log_precision``)."""

    name = ""
    bounded = True  # a finite set of values: the other side's enumeration can sum it out
    k = 1  # columns a unit

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unit) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def check_width(self, n: int, side: str) -> None:
        """Refuse a number of columns that does not divide into units."""
        if n % self.k:
            raise ValueError(
                f"n_{side}={n} columns do not divide into {self.name} units of {self.k}; "
                f"use a multiple of {self.k}"
            )

    def parameter_shapes(self, n: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the unit's own parameters for ``n`` columns."""
        return {}

    def distribution(self, a: Any, **own: Any) -> distributions.Distribution:
        """p(x | a) for a field ``a`` [n, d]."""
        raise NotImplementedError

    def log_base(self, x: Any, **own: Any) -> Any:
        """Logarithm of the base measure of each column, [n, d]."""
        return get_xp(x).zeros_like(x)

    def base_gradient(self, x: Any, weights: Any, **own: Any) -> dict[str, Any]:
        """Gradient of sum_i w_i (-sum log_base(x_i)) in the unit's own parameters."""
        return {}

    def mean_base_gradient(self, a: Any, weights: Any, **own: Any) -> dict[str, Any]:
        """Expectation of `base_gradient` under p(x | a)."""
        return {}

    def cgf(self, a: Any, **own: Any) -> Any:
        """Cumulant generating function of each unit, [n, d / k]."""
        return self.distribution(a, **own).cgf()

    def mean(self, a: Any, **own: Any) -> Any:
        """First cumulant, cgf'(a), [n, d]."""
        return self.distribution(a, **own).mean

    def variance(self, a: Any, **own: Any) -> Any:
        """Second cumulant, cgf''(a), [n, d]."""
        return self.distribution(a, **own).variance

    def third(self, a: Any, **own: Any) -> Any:
        """Third cumulant, cgf'''(a), [n, d]."""
        raise TypeError(f"{self.name} units have no diagonal third cumulant; use bernoulli or spin units")

    def mean_jvp(self, a: Any, direction: Any, **own: Any) -> Any:
        """Derivative of the mean along ``direction`` [n, d]."""
        return self.distribution(a, **own).mean_jvp(direction)

    def sample(self, a: Any, rng: Any, out: Any = None, **own: Any) -> Any:
        """Draw from p(x | a), [n, d]."""
        return self.distribution(a, **own).sample(rng, out=out)

    def fill(
        self, x: Any, bias: Any, rng: Any = None, draw: Any = None, mean: Any = None, **own: Any
    ) -> None:
        """Write the mean of p(. | x + bias) and a draw from it into given arrays [n, d], either or both.

        The hot twin of `distribution`: sweeps reuse their arrays. ``x`` may be one of the two.
        """
        given = self.distribution(x + bias, **own)
        if mean is not None:
            mean[...] = given.mean
        if draw is not None:
            given.sample(rng, out=draw)

    def n_states(self, n: int) -> float:
        """Number of configurations of ``n`` columns, infinite where they cannot be counted."""
        return math.inf

    def states(
        self, n: int, start: int = 0, stop: int | None = None, xp: Any = None, dtype: Any = "float64"
    ) -> Any:
        """Configurations ``start`` to ``stop`` of ``n`` columns, [stop - start, n]; unit 0 is fastest."""
        raise TypeError(f"{self.name} units take infinitely many values and cannot be enumerated")

    def alternatives(self, x: Any, i: int) -> list[Any]:
        """Copies of ``x`` [n, d] in which unit ``i`` takes each of its other values, in turn."""
        raise TypeError(f"{self.name} units take infinitely many values: they have no list of alternatives")

    def check(self, x: Any, what: str) -> None:
        """Raise `DataError` where a value lies outside the unit's domain."""
        raise NotImplementedError

    def logit(self, mean: Any, **own: Any) -> Any:
        """A field whose mean is ``mean`` (kept away from the ends of the domain)."""
        raise NotImplementedError


def refuse_outside(low: float, high: float, x: Any, what: str, expected: str) -> None:
    """Raise for the first value outside [low, high]; two passes that allocate nothing where there is none."""
    if x.size and not bool((x.min() >= low) & (x.max() <= high)):
        refuse((x < low) | (x > high), x, what, expected)


def refuse(bad: Any, x: Any, what: str, expected: str) -> None:
    """Raise for the first value that the mask ``bad`` marks."""
    xp = get_xp(bad)
    if bool(xp.any(bad)):
        first = int(xp.argmax(bad.reshape(-1)))
        value = float(x.reshape(-1)[first])
        raise DataError(
            f"{what} holds {value:g} (row {first // x.shape[-1]}, column {first % x.shape[-1]}); {expected}"
        )
