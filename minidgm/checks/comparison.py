"""Two sides of an equation, and how far apart they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidgm.backend import is_array, to_numpy

FALSE_ALARM = 1e-6


@dataclass(frozen=True)
class Comparison:
    """What an identity yields: a label, two sides and their distance.

    ``tolerance`` replaces the identity's own where this comparison needs another (differences instead of
    autograd).
    """

    label: str
    left: Any
    right: Any
    error: float
    tolerance: float | None = None
    note: str = ""


def host(x: Any) -> np.ndarray:
    """Bring a result to the host as float64."""
    return np.asarray(to_numpy(x), dtype=np.float64)


def mean_of(conditional: Any) -> Any:
    """Mean of a conditional: its attribute ``mean``, or the array itself."""
    return conditional if is_array(conditional) else getattr(conditional, "mean", conditional)


def distance(left: Any, right: Any) -> float:
    """Largest difference: absolute where both arrays stay below 1, relative to the largest entry above.

    Equal infinities agree; a NaN, or an infinity on one side only, is infinitely far; so are different
    shapes.

    >>> distance([1.0, 100.0], [1.0, 101.0]), distance(0.25, 0.5), distance([0.0], [float("nan")])
    (0.009900990099009901, 0.25, inf)
    """
    left, right = host(left), host(right)
    if left.shape != right.shape:
        return math.inf
    if left.size == 0:
        return 0.0
    if np.isnan(left).any() or np.isnan(right).any():
        return math.inf
    same = left == right
    if (np.isinf(left) | np.isinf(right))[~same].any():
        return math.inf
    difference = np.abs(np.where(same, 0.0, left) - np.where(same, 0.0, right)).max()
    finite = np.abs(np.concatenate([left[np.isfinite(left)], right[np.isfinite(right)], [1.0]]))
    return float(difference / finite.max())


def equal(
    left: Any, right: Any, label: str = "", tolerance: float | None = None, note: str = ""
) -> Comparison:
    """Require two arrays of the same shape to agree."""
    return Comparison(label, host(left), host(right), distance(left, right), tolerance, note)


def identical(left: Any, right: Any, label: str = "") -> Comparison:
    """Require two arrays to agree to the bit (the tolerance is 0)."""
    return Comparison(label, left, right, distance(left, right), 0.0)


def at_most(left: Any, right: Any, label: str = "", tolerance: float | None = None) -> Comparison:
    """Require ``left <= right`` elementwise; the error is the largest excess, as :func:`distance` has it."""
    left, right = host(left), host(right)
    return Comparison(label, left, right, distance(np.maximum(left, right), right), tolerance)


def gradients(left: Any, right: Any, label: str = "", tolerance: float | None = None) -> list[Comparison]:
    """Require two mappings of gradients to agree, name by name, with the shape of each parameter.

    A right side made by :func:`minidgm.checks.oracle.gradient` brings its own tolerance when it had to fall
    back to differences.
    """
    method = getattr(right, "method", "")
    tolerance = getattr(right, "tolerance", None) or tolerance
    note = f"the oracle used {method}" if method and method != "autograd" else ""
    missing = [name for name in right if name not in left]
    if missing:
        return [
            Comparison(
                f"{label} names",
                sorted(left),
                sorted(right),
                math.inf,
                tolerance,
                f"no gradient for {missing}",
            )
        ]
    return [equal(left[name], right[name], f"{label} d/d{name}".strip(), tolerance, note) for name in right]


def chi_square(counts: Any, probabilities: Any, label: str = "") -> Comparison:
    """Require counts of independent draws to follow known probabilities.

    Pearson's statistic over cells whose expectation is at least 10 (the others are pooled), against the point
    beyond which a chi-square variable falls with probability at most 1e-6 (Chernoff bound
    P(X >= k t) <= (t e^{1-t})^{k/2}). The error is statistic / threshold, so the tolerance is 1. A draw in a
    cell of probability 0 is an infinite error.
    """
    counts, probabilities = host(counts), host(probabilities)
    total = counts.sum()
    expected = total * probabilities
    if (counts[probabilities <= 0.0] > 0).any():
        return Comparison(label, counts, expected, math.inf, 1.0, "a state of probability 0 was drawn")
    order = np.argsort(expected)
    small = order[np.cumsum(expected[order]) < 10.0]
    if small.size < expected.size:
        small = order[: small.size + 1]
    large = np.setdiff1d(order, small)
    observed = np.append(counts[large], counts[small].sum())
    mean = np.append(expected[large], expected[small].sum())
    freedom = max(len(mean) - 1, 1)
    statistic = float(((observed - mean) ** 2 / np.maximum(mean, 1e-300)).sum())
    return Comparison(label, counts, expected, statistic / _chi_square_threshold(freedom), 1.0)


def _chi_square_threshold(freedom: int) -> float:
    """Smallest x with P(chi-square > x) provably at most the false-alarm rate."""
    low, high = 1.0, 1e3
    while high - low > 1e-6 * high:
        t = 0.5 * (low + high)
        if 0.5 * freedom * (math.log(t) + 1.0 - t) > math.log(FALSE_ALARM):
            low = t
        else:
            high = t
    return freedom * high


def kolmogorov_smirnov(draws: Any, cdf_at_sorted: Any, label: str = "") -> Comparison:
    """Require one-dimensional draws to follow a distribution, through its exact cdf at the sorted draws.

    P(sup |F_n - F| > e) <= 2 exp(-2 n e^2) (Dvoretzky-Kiefer-Wolfowitz with Massart's constant); error = sup
    / e.
    """
    draws, cdf = np.sort(host(draws)), host(cdf_at_sorted)
    n = len(draws)
    steps = np.arange(n + 1) / n
    gap = max(np.abs(steps[1:] - cdf).max(), np.abs(steps[:-1] - cdf).max())
    threshold = math.sqrt(math.log(2.0 / FALSE_ALARM) / (2 * n))
    return Comparison(label, gap, threshold, float(gap / threshold), 1.0)


def mean_of_bounded(draws_mean: Any, expected: Any, width: Any, n: int, label: str = "") -> Comparison:
    """Require a mean of ``n`` independent draws, each in an interval of the given width, to be near its
    expectation.

    Hoeffding's bound over all entries together; error = deviation / allowed deviation, tolerance 1.
    """
    left, right, width = host(draws_mean), host(expected), host(width)
    allowed = np.broadcast_to(
        width * math.sqrt(math.log(2.0 * max(left.size, 1) / FALSE_ALARM) / (2 * n)), left.shape
    )
    ratio = np.abs(left - right) / np.maximum(allowed, 1e-12)
    error = float(ratio.max()) if ratio.size else 0.0
    return Comparison(label, left, right, math.inf if math.isnan(error) else error, 1.0)
