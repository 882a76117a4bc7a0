"""The catalogue: what each identity says, where it comes from, which methods make it checkable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from minidgm.errors import unknown

_CATALOGUE: dict[str, Identity] = {}


@dataclass(frozen=True)
class Identity:
    """One property that holds for every parameter of a correct model.

    Attributes
    ----------
    name : str
        What a report calls it, and what ``check_model(model, identities=[name])`` selects.
    equation : str
        The identity in one line, in the symbols of the code.
    function : callable
        ``function(case)`` returns ``(left, right)`` or yields comparisons (:mod:`minidgm.checks.comparison`).
    source : str
        Paper or book equation.
    requires : tuple of str
        Methods (or attributes) that the model must have.
    tolerance : float
        Largest error in float64: absolute below 1, relative above. Statistical identities have tolerance 1:
        the error is then the statistic divided by its threshold at a false-alarm rate of 1e-6.
    tolerance_float32 : float
        The same for a model with float32 parameters.
    likely_cause : str
        What a failure usually means.
    number : str
        Number in the catalogue of the documentation ("8").
    largest : float
        Largest absolute parameter drawn. Samplers that must mix ask for a small one.
    examples : int
        Upper limit on examples, for the costly identities.
    applies : callable or None
        ``applies(subject)`` returns ``""`` when the identity applies, else the reason why it does not.
    """

    name: str
    equation: str
    function: Callable[[Any], Any]
    source: str = ""
    requires: tuple[str, ...] = ()
    tolerance: float = 1e-9
    tolerance_float32: float = 5e-4
    likely_cause: str = ""
    number: str = ""
    largest: float = 30.0
    examples: int = 1_000_000
    applies: Callable[[Any], str] | None = None

    def reason_not_applicable(self, subject: Any) -> str:
        """Say why this identity cannot be checked on a subject, or ``""`` when it can."""
        missing = [name for name in self.requires if not subject.has(name)]
        if missing:
            return "needs " + ", ".join(missing)
        return self.applies(subject) if self.applies else ""


def identity(
    *,
    name: str,
    equation: str,
    source: str = "",
    requires: Iterable[str] = (),
    tolerance: float = 1e-9,
    likely_cause: str = "",
    number: str = "",
    **options: Any,
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register an identity; the decorated function stays an ordinary function.

    Parameters are the attributes of :class:`Identity`. A name that is taken by another function is refused.

    Returns
    -------
    callable
        The decorator.

    Examples
    --------
    >>> from minidgm.checks import identities, identity
    >>> @identity(name="energy of nothing", equation="E(0, 0) = 0", requires=("energy",))
    ... def energy_of_nothing(case):
    ...     zero = case.zeros(1)
    ...     return case.call("energy", *zero), [0.0]
    >>> identities()[-1].name
    'energy of nothing'
    >>> forget("energy of nothing")
    """

    def register(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        known = _CATALOGUE.get(name)
        if known is not None and _place(known.function) != _place(function):
            raise ValueError(
                f"an identity named {name!r} is registered by {known.function.__module__}; choose another"
            )
        _CATALOGUE[name] = Identity(
            name=name,
            equation=equation,
            function=function,
            source=source,
            requires=(requires,) if isinstance(requires, str) else tuple(requires),
            tolerance=tolerance,
            likely_cause=likely_cause,
            number=number,
            **options,
        )
        return function

    return register


def _place(function: Any) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def _order(number: str) -> tuple[float, str]:
    digits = re.match(r"\d+", number)
    return (float(digits[0]) if digits else float("inf"), number)


def forget(name: str) -> None:
    """Take an identity out of the catalogue."""
    _CATALOGUE.pop(name, None)


def identities() -> list[Identity]:
    """List the catalogue by number; identities without one come last.

    Examples
    --------
    >>> "free energy" in [i.name for i in identities()]
    True
    """
    import minidgm.checks.catalogue  # noqa: F401  (registers the library's own)

    return sorted(_CATALOGUE.values(), key=lambda i: _order(i.number))


def select(chosen: Any) -> list[Identity]:
    """Turn names, numbers, :class:`Identity` objects, or None for all, into identities.

    A number selects every identity that carries it or a part of it: ``"11"`` selects 11, 11a, 11b.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest one.
    """
    catalogue = identities()
    if chosen is None:
        return catalogue
    if isinstance(chosen, (str, Identity, int)):
        chosen = [chosen]
    found: list[Identity] = []
    for item in chosen:
        if isinstance(item, Identity):
            matches = [item]
        else:
            matches = [i for i in catalogue if i.name == str(item)] or [
                i for i in catalogue if i.number.rstrip("abcdefgh") == str(item) or i.number == str(item)
            ]
        if not matches:
            raise unknown("identity", item, [i.name for i in catalogue])
        found += [i for i in matches if i not in found]
    return found
