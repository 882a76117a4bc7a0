import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.checks import comparison as c

sides = st.floats(-1e3, 1e3)


@given(sides, sides)
def test_distance_is_symmetric_and_not_one_sided(a, b):
    """Bug s: `(a - b) < tolerance` without the absolute value (pylearn2's test of AIS) passes any small a."""
    assert c.distance([a], [b]) == c.distance([b], [a])
    assert c.distance([a], [b]) == pytest.approx(abs(a - b) / max(1.0, abs(a), abs(b)))


@pytest.mark.parametrize("shift", [-2.5, 2.5])
def test_every_two_sided_comparison_fails_on_both_sides(shift):
    """Bug s, for each kind of comparison: too low must fail as too high does."""
    rng = np.random.Generator(np.random.SFC64(0))
    assert c.equal([10.0 + shift], [10.0]).error > 0.1
    assert c.mean_of_bounded([0.5 + 0.1 * shift], [0.5], 1.0, 10_000).error > 1.0
    draws = rng.random(5000)
    assert c.kolmogorov_smirnov(draws + 0.1 * shift, np.clip(np.sort(draws + 0.1 * shift), 0, 1)).error > 1.0
    counts = np.array([5000.0 + 200 * shift, 5000.0 - 200 * shift])
    assert c.chi_square(counts, [0.5, 0.5]).error > 1.0


def test_distance_of_what_is_not_finite():
    assert c.distance([math.inf, 1.0], [math.inf, 1.0]) == 0.0
    assert c.distance([math.inf], [-math.inf]) == math.inf
    assert c.distance([math.inf], [1.0]) == math.inf
    assert c.distance([math.nan], [math.nan]) == math.inf


def test_shapes_must_agree():
    assert c.distance(np.zeros((2, 1)), np.zeros(2)) == math.inf
    assert c.distance(np.zeros((0, 3)), np.zeros((0, 3))) == 0.0


def test_at_most_counts_the_excess_only():
    assert c.at_most([1.0, 2.0], [1.5, 2.0]).error == 0.0
    assert c.at_most([2.0], [1.5]).error == pytest.approx(0.25)


def test_identical_allows_nothing():
    assert c.identical([1.0], [1.0 + 1e-15]).error > 0.0
    assert c.identical([1.0], [1.0]).tolerance == 0.0


def test_gradients_name_what_is_missing():
    (found,) = c.gradients({"W": [1.0]}, {"W": [1.0], "b": [0.0]})
    assert found.error == math.inf
    assert "b" in found.note


@pytest.mark.parametrize("cells", [2, 8, 40])
def test_chi_square_accepts_the_truth_and_rejects_a_shift(cells):
    rng = np.random.Generator(np.random.SFC64(1))
    p = np.arange(1.0, cells + 1.0) / np.arange(1.0, cells + 1.0).sum()
    counts = rng.multinomial(20_000, p)
    assert c.chi_square(counts, p).error < 1.0
    assert c.chi_square(counts, p[::-1]).error > 1.0


def test_chi_square_refuses_an_impossible_state():
    assert c.chi_square([999, 1], [1.0, 0.0]).error == math.inf
    assert c.chi_square([1000, 0], [1.0, 0.0]).error == 0.0


@pytest.mark.parametrize("freedom", [1, 2, 7, 30])
def test_chi_square_threshold_keeps_the_false_alarm_rate(freedom):
    from scipy.stats import chi2

    beyond = chi2.sf(c._chi_square_threshold(freedom), freedom)
    assert 1e-9 < beyond <= c.FALSE_ALARM


def test_kolmogorov_smirnov_accepts_the_truth():
    draws = np.random.Generator(np.random.SFC64(2)).random(4000)
    assert c.kolmogorov_smirnov(draws, np.sort(draws)).error < 1.0


def test_mean_of_a_conditional_or_an_array():
    class Conditional:
        mean = np.array([0.25])

    assert c.mean_of(Conditional()).tolist() == [0.25]
    assert c.mean_of(np.array([0.5, 0.75])).tolist() == [0.5, 0.75]
