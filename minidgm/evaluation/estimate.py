"""A number that says what it is: exact, a bound or an estimate, in which unit, how sure, and how made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, TypeVar

from minidgm.backend import is_array
from minidgm.errors import unknown

KINDS = ("exact", "lower bound", "upper bound", "estimate")
_OPPOSITE = {"lower bound": "upper bound", "upper bound": "lower bound"}
_SIGN = {"lower bound": ">= ", "upper bound": "<= ", "estimate": "~ ", "exact": ""}
# What one nat is in each unit; per dimension the sign turns, for bits/dim measures a negative log-likelihood.
_PER_NAT = {"nats": 1.0, "bits": 1.0 / math.log(2.0)}

E = TypeVar("E", bound="Estimate")


@dataclass(frozen=True)
class Estimate:
    """A value with its kind, standard error and unit.

    Parameters
    ----------
    value : float
    kind : {"exact", "lower bound", "upper bound", "estimate"}
        What the value is to the quantity it stands for.
    stderr : float or None
        Standard error of ``value``; None where there is none (exact) or none is known.
    unit : str
        "nats", "bits", "bits/dim" or a unit of one's own.
    how : str
        The method, in words.
    ess : float or None
        Effective sample size behind the value.
    settings : mapping
        What the method was run with.

    Raises
    ------
    ValueError
        An unknown kind; a negative standard error; an exact value with a standard error.

    Notes
    -----
    Sums and differences combine kinds: minus a lower bound is an upper bound, bounds on the same side add
    up to a bound, bounds on opposite sides to a mere estimate. Standard errors add in quadrature, as for
    independent values; one estimate without an error leaves the sum without one. Units must agree.

    Examples
    --------
    >>> log_z = Estimate(10.0, "lower bound", stderr=0.25)
    >>> print(3.0 - log_z)
    <= -7.00 +- 0.25 nats (upper bound)
    >>> print(Estimate(-692.0, "exact").to("bits/dim", dimensions=1000))
    0.9983 bits/dim (exact)
    """

    value: float
    kind: str = "estimate"
    stderr: float | None = None
    unit: str = "nats"
    how: str = ""
    ess: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        if self.kind not in KINDS:
            raise unknown("kind", self.kind, KINDS)
        if not isinstance(self.unit, str) or not self.unit:
            raise ValueError(f"unit={self.unit!r}; expected a name, such as 'nats' or 'bits/dim'")
        if self.stderr is not None:
            object.__setattr__(self, "stderr", float(self.stderr))
            if self.stderr < 0.0:
                raise ValueError(f"stderr={self.stderr!r}; a standard error is not negative")
            if self.kind == "exact" and self.stderr > 0.0:
                raise ValueError(f"an exact value has no standard error, got stderr={self.stderr!r}")

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        text = f"{_SIGN[self.kind]}{self.value:.4f}"
        if self.stderr is not None and math.isfinite(self.stderr) and self.stderr > 0.0:
            digits = max(0, 1 - math.floor(math.log10(self.stderr)))
            text = f"{_SIGN[self.kind]}{self.value:.{digits}f} +- {self.stderr:.{digits}f}"
        details = [self.kind, *([self.how] if self.how else [])]
        if self.ess is not None:
            details.append(f"effective sample size {self.ess:.1f}")
        return f"{text} {self.unit} ({'; '.join(details)})"

    def to(self: E, unit: str, dimensions: int | None = None) -> E:
        """Convert between "nats", "bits" and "bits/dim".

        A figure in bits/dim is a *negative* log-likelihood divided by ``dimensions``: the sign turns, and a
        lower bound becomes an upper bound.

        Raises
        ------
        ValueError
            For another unit, or "bits/dim" without ``dimensions``.
        """
        for name in (unit, self.unit):
            if name not in (*_PER_NAT, "bits/dim"):
                raise unknown("unit of information", name, (*_PER_NAT, "bits/dim"))
        if unit == self.unit:
            return self
        if "bits/dim" not in (unit, self.unit):
            return replace(self * (_PER_NAT[unit] / _PER_NAT[self.unit]), unit=unit)
        if isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1:
            raise ValueError(f"bits/dim needs dimensions, a positive integer; got {dimensions!r}")
        if unit == "bits/dim":
            return replace(-self.to("bits") / dimensions, unit=unit)
        return replace(-self * dimensions, unit="bits").to(unit)

    def __neg__(self: E) -> E:
        return replace(self, value=-self.value, kind=_OPPOSITE.get(self.kind, self.kind))

    def __mul__(self: E, factor: float) -> E:
        if not isinstance(factor, Real):
            return NotImplemented
        factor = float(factor)
        scaled = replace(
            self,
            value=self.value * abs(factor),
            stderr=None if self.stderr is None else self.stderr * abs(factor),
        )
        return -scaled if factor < 0 else scaled

    __rmul__ = __mul__

    def __truediv__(self: E, divisor: float) -> E:
        if not isinstance(divisor, Real):
            return NotImplemented
        return self * (1.0 / float(divisor))

    # An array would otherwise make a copy of this object of every element.
    __array_ufunc__ = None

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Real):  # NumPy's scalars too
            return replace(self, value=self.value + float(other))
        if is_array(other):
            return other + self.value
        if not isinstance(other, Estimate):
            return NotImplemented
        if other.unit != self.unit:
            raise ValueError(f"cannot add {other.unit} to {self.unit}; convert one with .to({self.unit!r})")
        kinds = {self.kind, other.kind} - {"exact"} or {"exact"}
        errors = [e.stderr for e in (self, other) if e.stderr is not None]
        unknown = any(e.kind == "estimate" and e.stderr is None for e in (self, other))
        known = [e.ess for e in (self, other) if e.ess is not None]
        return Estimate(
            self.value + other.value,
            kinds.pop() if len(kinds) == 1 else "estimate",
            math.hypot(*errors) if errors and not unknown else None,
            self.unit,
            "; ".join(dict.fromkeys(e.how for e in (self, other) if e.how)),
            min(known) if known else None,
            {**other.settings, **self.settings},
        )

    def __radd__(self, other: Any) -> Any:
        return self + other

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other


@dataclass(frozen=True)
class AnnealedEstimate(Estimate):
    """An `Estimate` that keeps the chains it came from.

    Attributes
    ----------
    log_weights : numpy array [n_chains], float64
        One log-weight a chain, so that another average than log-mean-exp can be taken.
    samples : array [n_chains, n_visible]
        Final visible states, on the model's device.
    """

    log_weights: Any = field(default=None, repr=False, compare=False)
    samples: Any = field(default=None, repr=False, compare=False)
