"""The toys: every estimator's mean and variance in closed form, against sums, integrals and draws."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import expit

from minidgm import Generator
from minidgm.evaluation import BernoulliToy, PathToy, gradient_moments
from minidgm.objectives import (
    GumbelSoftmax,
    Rebar,
    Reinforce,
    Reparameterization,
    StraightThrough,
    Vimco,
    fitting,
)

ROW = np.zeros((1, 1))
POINTS = ((0.0, 0.45), (0.7, 0.3), (-2.0, 0.8))
RELAXED = (
    GumbelSoftmax(0.5),
    GumbelSoftmax(2.0),
    GumbelSoftmax(0.1),
    GumbelSoftmax(0.5, hard=True),
    Rebar(0.5),
    Rebar(2.0, 1, 0.7),
    Rebar(0.1, 1, 0.5),
)


def bit(theta, target):
    made = BernoulliToy(target, dtype="float64")
    made.params["theta"][...] = theta
    return made


def number(family, y=(0.3, -0.4), target=0.45):
    made = PathToy(family, target, dtype="float64")
    made.params["y"][...] = y
    return made


@given(theta=st.integers(-30, 30), target=st.integers(0, 10), k=st.integers(1, 3))
@settings(max_examples=15)
def test_discrete_estimators_are_sums_over_outcomes(theta, target, k):
    model = bit(theta / 10.0, target / 10.0)
    listed = [Reinforce(None, k), Reinforce(-0.3, k), Reinforce("leave_one_out", k + 1)]
    listed += [StraightThrough(k), StraightThrough(k, "identity")]
    for objective, found in zip(listed, gradient_moments(model, listed, ROW), strict=True):
        exact = model.moments(objective)
        np.testing.assert_allclose(found.mean, exact.mean, atol=1e-12)
        np.testing.assert_allclose(found.variance, exact.variance, atol=1e-12)
        np.testing.assert_allclose(exact.exact, model.exact_gradient(), atol=1e-12)


@pytest.mark.parametrize(("theta", "target"), POINTS)
@pytest.mark.parametrize("tau", [0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax_is_an_integral(theta, target, tau, hard):
    def moment(power):
        def h(x):
            y = expit(x / tau)
            slope = 2.0 * ((x > 0.0 if hard else y) - target) * y * expit(-x / tau) / tau
            return slope**power * expit(x - theta) * expit(theta - x)

        ends = (-60.0, -5.0, -1.0, 0.0, 1.0, 5.0, 60.0)
        options = {"epsabs": 1e-13, "epsrel": 1e-12, "limit": 300}
        return sum(integrate.quad(h, *piece, **options)[0] for piece in itertools.pairwise(ends))

    found = bit(theta, target).moments(GumbelSoftmax(tau, lowest=tau, hard=hard))
    mean, square = moment(1), moment(2)
    assert found.mean[0] == pytest.approx(mean, abs=1e-9)
    assert found.variance[0] == pytest.approx(square - mean * mean, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize(("theta", "target"), POINTS)
def test_rebar_is_unbiased_and_contains_reinforce(theta, target):
    model = bit(theta, target)
    for tau in (0.05, 0.3, 1.0, 5.0):
        for c in (0.0, 0.5, 1.0, 1.7):
            assert model.moments(Rebar(tau, 1, c)).bias < 1e-10
        plain = model.moments(Reinforce(None)).variance
        np.testing.assert_allclose(model.moments(Rebar(tau, 1, 0.0)).variance, plain, atol=1e-10)
        np.testing.assert_allclose(
            model.moments(Rebar(tau, 4, 0.7)).variance, model.moments(Rebar(tau, 1, 0.7)).variance / 4.0
        )


@pytest.mark.parametrize(("theta", "target"), POINTS[1:])
def test_rebar_by_a_double_integral(theta, target):
    """E[g^2] over both noises at once, z with the first: an even lattice of 2^20 points, to 1e-3."""
    tau, c, n = 0.7, 0.8, 2**20
    root = 1.32471795724474602596
    i = np.arange(1, n + 1)
    u, v = ((0.5 + i * root**-power) % 1.0 for power in (1.0, 2.0))
    s = expit(theta)
    x = theta + np.log(u / (1.0 - u))
    z = (x > 0.0).astype(float)
    again = np.where(z > 0.5, 1.0 - s * (1.0 - v), v * (1.0 - s))
    twin = expit((theta + np.log(again / (1.0 - again))) / tau)
    moved = np.where(z > 0.5, 1.0 - (1.0 - s) / again, 1.0 - s / (1.0 - again))
    y = expit(x / tau)
    g = ((z - target) ** 2 - c * (twin - target) ** 2) * (z - s)
    g += c * 2.0 / tau * ((y - target) * y * (1.0 - y) - (twin - target) * twin * (1.0 - twin) * moved)
    found = bit(theta, target).moments(Rebar(tau, 1, c))
    assert found.mean[0] == pytest.approx(g.mean(), abs=1e-4)
    assert found.variance[0] == pytest.approx(g.var(), rel=1e-3)


@pytest.mark.parametrize("objective", RELAXED, ids=repr)
def test_draws_of_relaxed_estimators_have_these_moments(objective):
    """200000 rows at once; 5.5 standard errors of mean and variance, 14 tests: false alarms below 1e-6."""
    model, n = bit(0.7, 0.3), 200000
    x = np.zeros((n, 1))
    g = -objective.slope(model, x, model.latent_field(x), Generator(1))[1][:, 0]
    exact = model.moments(objective)
    check_draws(g[:, None], exact)


def check_draws(g, exact):
    n, centered = len(g), g - g.mean(axis=0)
    assert (abs(g.mean(axis=0) - exact.mean) < 5.5 * g.std(axis=0) / n**0.5 + 1e-12).all()
    fourth = (centered**4).mean(axis=0) - g.var(axis=0) ** 2
    assert (abs(g.var(axis=0) - exact.variance) < 5.5 * np.sqrt(fourth / n) + 1e-12).all()


def test_the_laboratory_and_the_closed_form_agree():
    """The objective itself, run 2000 times; 5.5 standard errors: false alarms below 1e-6."""
    model = bit(0.7, 0.3)
    for objective in (GumbelSoftmax(0.5, 2), Rebar(1.0)):
        found = gradient_moments(model, [objective], ROW, n_samples=2000)[0]
        exact = model.moments(objective, "here")
        assert exact.name == "here"
        assert abs(found.mean - exact.mean) < 5.5 * math.sqrt(exact.total_variance / 2000)


def test_the_temperature_is_that_of_the_next_step():
    objective, model = GumbelSoftmax(2.0, lowest=0.5, decay=0.5), bit(0.7, 0.3)
    for _ in range(3):
        objective.gradient(model, ROW, Generator(0))
    tau = objective.at(3)
    assert model.moments(objective).mean == model.moments(GumbelSoftmax(tau, lowest=tau)).mean


@pytest.mark.parametrize("family", ["normal", "full", "logistic", "gamma"])
def test_paths_and_scores_of_numbers(family):
    model = number(family)
    start, h = model.params["y"].copy(), 1e-5
    exact = []
    for i in range(2):
        ends = []
        for side in (h, -h):
            model.params["y"][...] = start
            model.params["y"][i] += side
            ends.append(-float(model.elbo(ROW)[0]))
        exact.append((ends[0] - ends[1]) / (2 * h))
    model.params["y"][...] = start
    np.testing.assert_allclose(model.exact_gradient(), exact, atol=1e-8)
    listed = (Reparameterization(), Reinforce(None), Reinforce(-0.5))
    path, score, centered = (model.moments(objective) for objective in listed)
    assert max(path.bias, score.bias, centered.bias) < 1e-8
    assert path.total_variance < min(score.total_variance, centered.total_variance)
    np.testing.assert_allclose(model.moments(Reparameterization(4)).variance, path.variance / 4.0)
    if family == "normal":
        mu, variance = start[0], math.exp(start[1])
        known = [4.0 * variance, (mu - 0.45) ** 2 * variance + 2.0 * variance**2]
        np.testing.assert_allclose(path.variance, known, rtol=1e-9)


@pytest.mark.parametrize("family", ["normal", "full", "logistic", "gamma"])
def test_draws_of_numbers_have_these_moments(family):
    """The objectives, run 3000 times each: as above; false alarms below 1e-6."""
    model, rng = number(family), Generator(3)
    for objective in (Reparameterization(), Reinforce(None), Reparameterization(2, "sampled")):
        g = [objective.gradient(model, ROW, rng)[0]["y"].copy() for _ in range(3000)]
        check_draws(np.stack(g), model.moments(objective))
    lab = gradient_moments(model, [Reparameterization()], ROW, n_samples=200)[0]
    np.testing.assert_allclose(lab.exact, model.exact_gradient(), atol=1e-8)


def test_number_toys_train_and_know_their_objectives(backend):
    model = PathToy("gamma", 2.0, backend=backend)
    assert {"Reparameterization", "Reinforce"} <= set(fitting(model))
    assert isinstance(model.default_objective(), Reparameterization)
    before = float(model.elbo(np.zeros((1, 1)))[0])
    model.fit(np.zeros((50, 1)), epochs=60, batch_size=10, seed=0)
    assert float(model.elbo(np.zeros((1, 1)))[0]) > before
    assert model.elbo(np.zeros((2, 1)), 0, 3).shape == (2,)
    assert model.to().config() == {"family": "gamma", "target": 2.0}


def test_a_score_may_beat_the_path():
    """Of shape a -> 0 and rate b, E[(b z)^n] = a (n - 1)!: of w = b z each variance is a sum of factorials.

    With b = 20, t = 0.2 the path -2 (z - t) z has 1.5e-4 a, the score (f - 0.015)(a - b z) 1.25e-4 a.
    """
    toy = number("gamma", target=0.2, y=(math.log(1e-4), math.log(20.0)))
    path, score = (toy.moments(o).variance[1] for o in (Reparameterization(), Reinforce(-0.015)))
    np.testing.assert_allclose((path, score), (1.5e-8, 1.25e-8), rtol=1e-3)


def test_bad_input_says_what_to_do():
    for objective, message in (
        (Reinforce("mean"), "steps before"),
        (Reinforce(None, normalize=True), "steps before"),
        (Vimco(2), "gradient_moments lists"),
    ):
        with pytest.raises(TypeError, match=message):
            bit(0.0, 0.4).moments(objective)
    with pytest.raises(ValueError, match="one bit"):
        BernoulliToy(0.4, 2).moments(StraightThrough())
    with pytest.raises(TypeError, match="pass Reparameterization"):
        number("normal").moments(Reinforce("leave_one_out", 2))
    with pytest.raises(ValueError, match="unknown family 'beta'"):
        PathToy("beta")
    with pytest.raises(ValueError, match="unknown baseline 'mean'"):
        bit(0.0, 0.4).variance("mean")
