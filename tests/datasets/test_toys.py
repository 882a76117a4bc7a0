"""Two-dimensional toys: densities integrate to one, agree with independent integrals, and fit the samples."""

import itertools
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from minidgm import datasets
from minidgm.checks.strict import xp as strict_xp
from minidgm.errors import DataError

FALSE_ALARM = 1e-6
TOYS = ["two_moons", "rings", "eight_gaussians", "pinwheel", "spiral", "checkerboard"]
CELLS, FINE = 60, 4  # cells a side, points a cell and side


def grid(low, high, count):
    edges = np.linspace(low, high, count + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    return edges, np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1).reshape(-1, 2)


@cache
def probabilities(name):
    """Middles of fine cells [m, 2] (none across an edge of the board), log-density there, probability."""
    _, points = grid(-4, 4, FINE * CELLS)
    log_density = datasets.get(name, n=1).log_density(points)
    return points, log_density, np.exp(log_density) * (8 / (FINE * CELLS)) ** 2


@pytest.mark.parametrize("name", TOYS)
def test_density_integrates_to_one_and_the_samples_follow_it(name):
    """Chi-square over cells with at least 10 expected examples; false alarm 1e-6."""
    data = datasets.get(name, n=20_000, seed=11)
    mass = probabilities(name)[2]
    assert mass.sum() == pytest.approx(1, abs=1e-7)

    expected = len(data.train) * mass.reshape(CELLS, FINE, CELLS, FINE).sum(axis=(1, 3)).ravel()
    edges, _ = grid(-4, 4, CELLS)
    observed = np.histogram2d(*data.train.T, bins=[edges, edges])[0].ravel()
    full = expected >= 10
    rest_expected, rest_observed = (
        len(data.train) - expected[full].sum(),
        len(data.train) - observed[full].sum(),
    )
    statistic = ((observed - expected)[full] ** 2 / expected[full]).sum()
    if rest_expected > 1:
        statistic += (rest_observed - rest_expected) ** 2 / rest_expected
    assert stats.chi2.sf(statistic, full.sum()) > FALSE_ALARM


@pytest.mark.parametrize("name", TOYS)
def test_moments_of_the_samples_are_those_of_the_density(name):
    """Each sample mean lies within 5.6 standard errors of the integral; false alarm 1e-6 for all of them."""
    data = datasets.get(name, n=20_000, seed=5)
    points, log_density, mass = probabilities(name)
    x, y = points.T
    a, b = data.train.astype(np.float64).T
    pairs = [
        (x, a),
        (y, b),
        (x * x, a * a),
        (y * y, b * b),
        (x * y, a * b),
        (np.hypot(x, y), np.hypot(a, b)),
        (np.where(mass > 0, log_density, 0), data.log_density(data.train)),
    ]
    for i, (values, drawn) in enumerate(pairs):
        bound = 5.6 * drawn.std() / np.sqrt(len(drawn)) + 1e-4  # and the grid
        assert abs(drawn.mean() - mass @ values) < bound, f"moment {i}"


@pytest.mark.parametrize("name", TOYS)
def test_parts_are_float32_labelled_and_drawn_apart(name):
    data = datasets.get(name, n=95)
    assert [part.shape for part in (data.train, data.validation, data.test)] == [(95, 2), (10, 2), (10, 2)]
    assert data.train.dtype == np.float32
    assert data.train_labels.shape == (95,)
    assert not np.array_equal(data.validation, data.test)
    assert np.array_equal(data.train, datasets.get(name, n=95).train)
    assert not np.array_equal(data.train, datasets.get(name, n=95, seed=1).train)
    assert np.all(np.isfinite(data.log_density(data.train)))


@settings(max_examples=20, deadline=None)
@given(x=st.floats(-2.5, 2.5), y=st.floats(-2.5, 2.5), noise=st.floats(0.05, 0.5))
def test_two_moons_against_an_adaptive_integral(x, y, noise):
    def integrand(angle):
        upper = (x - math.cos(angle)) ** 2 + (y - math.sin(angle)) ** 2
        lower = (x - 1 + math.cos(angle)) ** 2 + (y - 0.5 + math.sin(angle)) ** 2
        return math.exp(-upper / 2 / noise**2) + math.exp(-lower / 2 / noise**2)

    pieces = np.linspace(0, math.pi, 33)
    total = sum(
        integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-11)[0] for a, b in itertools.pairwise(pieces)
    )
    if total < 1e-280:
        return
    expected = math.log(total) - math.log(2 * math.pi * 2 * math.pi * noise**2)
    assert datasets.two_moons(1, noise=noise).log_density([[x, y]])[0] == pytest.approx(expected, abs=1e-8)


@settings(max_examples=10, deadline=None)
@given(x=st.floats(-2, 2), y=st.floats(-2, 2), noise=st.floats(0.05, 0.5), arms=st.integers(1, 3))
def test_spiral_against_an_adaptive_integral(x, y, noise, arms):
    def integrand(t):
        angles = [3 * math.pi * t + 2 * math.pi * k / arms for k in range(arms)]
        squares = [(x - 2 * t * math.cos(a)) ** 2 + (y - 2 * t * math.sin(a)) ** 2 for a in angles]
        return 2 * t / arms * sum(math.exp(-s / 2 / noise**2) for s in squares)

    pieces = np.linspace(0, 1, 65)
    total = sum(
        integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-11)[0] for a, b in itertools.pairwise(pieces)
    )
    if total < 1e-280:
        return
    expected = math.log(total) - math.log(2 * math.pi * noise**2)
    data = datasets.spiral(1, noise=noise, arms=arms)
    assert data.log_density([[x, y]])[0] == pytest.approx(expected, abs=1e-8)


@settings(max_examples=20, deadline=None)
@given(x=st.floats(-3, 3), y=st.floats(-3, 3), noise=st.floats(0.05, 0.5))
def test_rings_against_the_integral_around_a_ring(x, y, noise):
    """The periodic trapezoid rule, which converges geometrically, of the Gaussians along one ring."""
    angle = np.linspace(0, 2 * np.pi, 4097)[:-1]
    squares = (x - 1.5 * np.cos(angle)) ** 2 + (y - 1.5 * np.sin(angle)) ** 2
    terms = -squares / (2 * noise**2)
    expected = terms.max() + np.log(np.exp(terms - terms.max()).mean()) - np.log(2 * np.pi * noise**2)
    data = datasets.rings(1, noise=noise, radii=(1.5,))
    assert data.log_density([[x, y]])[0] == pytest.approx(expected, abs=1e-9, rel=1e-12)


def test_labels_say_which_component():
    gaussians = datasets.eight_gaussians(2000)
    angle = np.arctan2(*gaussians.train.T[::-1])
    nearest = np.rint(angle / (np.pi / 4)).astype(int) % 8
    assert np.mean(nearest == gaussians.train_labels) > 0.99
    rings = datasets.rings(2000)
    radius = np.hypot(*rings.train.T)
    assert np.mean(np.rint(radius / 0.5 - 1) == rings.train_labels) > 0.99
    board = datasets.checkerboard(2000)
    assert (
        len(
            {(label, *np.floor(x)) for label, x in zip(board.train_labels.tolist(), board.train, strict=True)}
        )
        == 8
    )


def test_far_points_keep_a_finite_density():
    for name in TOYS[:-1]:
        assert np.all(np.isfinite(datasets.get(name, n=1).log_density([[50.0, -50.0], [0.0, 0.0]]))), name


def test_density_takes_device_arrays_float32_and_no_rows():
    data = datasets.rings(10)
    expected = data.log_density(data.train.astype(np.float64))
    assert np.allclose(data.log_density(strict_xp.asarray(data.train)), expected)
    assert data.log_density(np.empty((0, 2))).shape == (0,)
    assert datasets.two_moons(1).log_density(np.empty((0, 2))).shape == (0,)


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 2, 2)])
def test_density_refuses_other_shapes(shape):
    with pytest.raises(DataError, match=r"expected \[n, 2\]"):
        datasets.spiral(5).log_density(np.zeros(shape))


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (datasets.rings, {"n": 0}, "n=0; expected a whole number"),
        (datasets.rings, {"n": 2.5}, "n=2.5; expected a whole number"),
        (datasets.rings, {"noise": 0}, "noise=0; expected a positive number"),
        (datasets.rings, {"radii": (1.0, -1.0)}, r"radii\[1\]=-1.0; expected a positive number"),
        (datasets.rings, {"radii": ()}, r"len\(radii\)=0"),
        (datasets.two_moons, {"noise": float("nan")}, "expected a positive number"),
        (datasets.spiral, {"noise": 1e-6}, "too small for quadrature"),
        (datasets.spiral, {"arms": 1.5}, "arms=1.5"),
        (datasets.pinwheel, {"blades": 0}, "blades=0"),
    ],
)
def test_parameters_that_cannot_be_are_refused(make, options, message):
    with pytest.raises(DataError, match=message):
        make(**options)
