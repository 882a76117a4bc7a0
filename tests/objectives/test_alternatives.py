"""Pseudo-likelihood and ratio matching: equal to autograd of their text by enumeration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from minidgm import RBM, Generator
from minidgm.backend import asarray, get_xp, to_numpy
from minidgm.checks import oracle
from minidgm.errors import DataError
from minidgm.numerics import logsumexp
from minidgm.objectives import PseudoLikelihood, RatioMatching, alternatives
from tests.objectives.helpers import DISCRETE, assert_gradients, drawn, log_visible, plain_only, rows

BINARY = [kind for kind in DISCRETE if "softmax" not in kind]
CASES = [(PseudoLikelihood, kind) for kind in DISCRETE] + [(RatioMatching, kind) for kind in BINARY]


def neighbours(model, v):
    """For each unit: indices of the states that agree with ``v`` everywhere else, its own first."""
    V, k = model.visible.states(model.n_visible), model.visible.k
    own = int((V == v).all(axis=1).argmax())
    for i in range(model.n_visible // k):
        same = (np.delete(V, range(i * k, (i + 1) * k), 1) == np.delete(v, range(i * k, (i + 1) * k))).all(
            axis=1
        )
        yield [own, *(int(s) for s in np.flatnonzero(same) if s != own)]


def negative_pseudo_likelihood(model, v):
    """-mean_n sum_i log p(v_i | v_-i), traceable."""
    log_p = log_visible(model)
    terms = [
        logsumexp(log_p[np.array(near)]) - log_p[near[0]] for row in v for near in neighbours(model, row)
    ]
    return sum(terms) / len(v)


def ratio_objective(model, v):
    """mean_n sum_i g(p(v)/p(flipped))^2 with g(u) = 1/(1 + u), traceable (Hyvarinen 2007, equation 17)."""
    p = get_xp(model.params["b"]).exp(log_visible(model))
    return sum((1 / (1 + p[a] / p[b])) ** 2 for row in v for a, b in neighbours(model, row)) / len(v)


WRITTEN_OUT = {PseudoLikelihood: negative_pseudo_likelihood, RatioMatching: ratio_objective}


@pytest.mark.parametrize(("objective", "kind"), CASES)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4))
@hypothesis_settings(max_examples=6)
def test_gradient_of_the_objective(objective, kind, seed, n):
    model = drawn(kind, seed)
    v = rows(model, n, seed)
    written = WRITTEN_OUT[objective]
    grads, metrics = objective().gradient(model, v, None)
    assert metrics["loss"] == pytest.approx(float(written(model, v)), rel=1e-10)
    assert_gradients(grads, oracle.gradient(model, lambda m: written(m, v)), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("objective", "kind"), CASES)
def test_consistent(objective, kind):
    """At the parameters that generate the data the mean gradient is 0, but that of other data is not."""
    model = drawn(kind, seed=1)
    V = model.visible.states(model.n_visible)
    p = np.exp(log_visible(model))
    each = np.stack([objective().gradient(model, v[None], None)[0].buffer.copy() for v in V])
    np.testing.assert_allclose(p @ each, 0.0, atol=1e-14)
    assert abs(each.mean(axis=0)).max() > 1e-3


@pytest.mark.parametrize("objective", [PseudoLikelihood, RatioMatching])
@pytest.mark.parametrize("kind", ["bernoulli", "spin", "bernoulli-spin", "bernoulli-rectified"])
@pytest.mark.parametrize("n_units", [None, 2])
@pytest.mark.parametrize("block", [1, 2**20])
def test_rank_one_equals_plain(objective, kind, n_units, block, monkeypatch):
    model = drawn(kind, seed=2)
    v = rows(model, 5)
    monkeypatch.setattr(alternatives, "HOST_BLOCK", block)
    grads, metrics = objective(n_units).gradient(model, v, Generator(0))
    fast = grads.copy()
    plain_only(monkeypatch)
    grads, expected = objective(n_units).gradient(model, v, Generator(0))
    np.testing.assert_allclose(fast.buffer, grads.buffer, rtol=1e-10, atol=1e-12)
    assert metrics["loss"] == pytest.approx(expected["loss"], rel=1e-12)


@pytest.mark.parametrize("objective", [PseudoLikelihood, RatioMatching])
@pytest.mark.parametrize(("kind", "total"), [("bernoulli", 3), ("machine", 3)])
def test_a_pass_of_single_units_is_the_full_objective(objective, kind, total):
    """Subsets follow a random order, so a pass averages to the full gradient exactly; orders change."""
    model = drawn(kind, seed=3)
    v = rows(model, 4)
    full = objective().gradient(model, v, None)[0].buffer.copy()
    stochastic, rng = objective(n_units=1), Generator(5)
    passes = [
        np.stack([stochastic.gradient(model, v, rng)[0].buffer.copy() for _ in range(total)])
        for _ in range(8)
    ]
    for steps in passes:
        np.testing.assert_allclose(steps.mean(axis=0), full, rtol=1e-10, atol=1e-12)
    assert any(not np.allclose(steps, passes[0]) for steps in passes[1:])


def test_ragged_passes_are_unbiased():
    """3 units, 2 a step: steps of 2 and of 1 units, each scaled by its own size."""
    model = drawn("bernoulli", seed=3)
    v = rows(model, 4)
    full = PseudoLikelihood().gradient(model, v, None)[0].buffer.copy()
    singles = {}
    sums = {1: 0.0, 2: 0.0}
    stochastic = PseudoLikelihood(n_units=2)
    for step in range(40):
        units = stochastic._subset(2, 3, Generator(9))
        grads = model.params.like()
        alternatives.plain(model, v, units, stochastic.rule, 3 / (len(units) * 4), grads)
        singles[tuple(units)] = grads.buffer.copy()
        assert len(units) == 2 - step % 2
    for size in (1, 2):
        sets = [units for units in singles if len(units) == size]
        assert len(sets) == 3
        sums[size] = sum(singles[units] for units in sets) / 3
        np.testing.assert_allclose(sums[size], full, rtol=1e-10, atol=1e-12)


def test_order_of_units_is_state():
    model = drawn("bernoulli", seed=4)
    v = rows(model, 2)
    first, rng = PseudoLikelihood(n_units=1), Generator(1)
    first.gradient(model, v, rng)
    second = PseudoLikelihood(n_units=1)
    second.set_state(first.state)
    for _ in range(7):
        np.testing.assert_array_equal(
            first.gradient(model, v, rng)[0].buffer, second.gradient(model, v, Generator(99))[0].buffer
        )


def test_probabilities_as_data():
    """A grey value v counts as a state with its alternative 1 - v on every path."""
    model = drawn("bernoulli", seed=5)
    v = np.random.default_rng(0).uniform(size=(3, 3))
    _, metrics = PseudoLikelihood().gradient(model, v, None)
    assert metrics["loss"] == pytest.approx(-model.pseudo_log_likelihood(v).mean())


@pytest.mark.parametrize("objective", [PseudoLikelihood, RatioMatching])
def test_extreme_fields_stay_finite(objective, backend):
    model = RBM(3, 2, backend=backend)
    model.params["W"][...] = 1e4
    model.params["b"][...] = -1e4
    grads, metrics = objective().gradient(model, model.check_data(np.eye(3)), Generator(0, backend))
    assert np.isfinite(to_numpy(grads.buffer)).all()
    assert np.isfinite(to_numpy(metrics["loss"]))


def test_refusals():
    with pytest.raises(ValueError, match="n_units=4"):
        PseudoLikelihood(n_units=4).gradient(drawn("bernoulli"), np.zeros((1, 3)), Generator(0))
    with pytest.raises(TypeError, match=r"infinitely many values.*ScoreMatching"):
        PseudoLikelihood().gradient(drawn("gaussian"), np.zeros((1, 2)), Generator(0))
    with pytest.raises(TypeError, match=r"softmax.*PseudoLikelihood"):
        RatioMatching().gradient(drawn("softmax"), np.zeros((1, 4)), Generator(0))


@pytest.mark.parametrize("objective", [PseudoLikelihood, RatioMatching])
@pytest.mark.parametrize(("kind", "states"), [("bernoulli", "0 or 1"), ("spin", "-1 or 1")])
def test_fit_refuses_gray_levels(objective, kind, states, backend, monkeypatch):
    """Once, before the first step, and in every block of rows."""
    monkeypatch.setattr("minidgm.training.data.SCAN", 6)  # two rows of three
    model = drawn(kind, backend=backend)
    X = to_numpy(rows(model, 5)).copy()
    X[3, 1] = 0.25
    before = to_numpy(model.params.buffer).copy()
    with pytest.raises(DataError) as caught:
        model.fit(asarray(X, backend), objective=objective(), epochs=1)
    assert str(caught.value) == (
        f"X[2:4] holds 0.25 (row 1, column 1); {objective.__name__} compares states of {kind} units, "
        f"{states}: binarize the data first (minidgm.datasets.binarized)"
    )
    assert (to_numpy(model.params.buffer) == before).all()
    model.fit(asarray(X, backend), objective="CD", epochs=1)  # there it is a probability


def test_fit_takes_states_and_streams():
    for kind in ("bernoulli", "spin", "softmax"):
        model = drawn(kind)
        for X in (rows(model, 5), [rows(model, 2), rows(model, 3)]):
            assert len(model.fit(X, objective=PseudoLikelihood(), epochs=1)["epoch"]) == 1
