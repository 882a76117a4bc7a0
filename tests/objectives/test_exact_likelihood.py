"""Exact likelihood: equal to autograd of the enumerated log-likelihood."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from minidgm import RBM, BoltzmannMachine, IntractableError, datasets, optim
from minidgm.checks import oracle
from minidgm.objectives import ExactLikelihood, exact_likelihood
from tests.objectives.helpers import (
    DISCRETE,
    GAUSSIAN,
    assert_gradients,
    drawn,
    negative_log_likelihood,
    rows,
)


@pytest.mark.parametrize("kind", [*DISCRETE, *GAUSSIAN])
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5))
@hypothesis_settings(max_examples=8)
def test_gradient_of_the_enumerated_likelihood(kind, seed, n):
    model = drawn(kind, seed)
    v = rows(model, n, seed)
    expected = oracle.gradient(model, lambda m: negative_log_likelihood(m, v))
    grads, metrics = ExactLikelihood().gradient(model, v, None)
    assert_gradients(grads, expected, rtol=1e-8, atol=1e-10)
    assert metrics["log_likelihood"] == pytest.approx(-negative_log_likelihood(model, v), rel=1e-10)


@pytest.mark.parametrize("kind", ["bernoulli", "bernoulli, wide", "machine"])
def test_blocks_add_up(kind, monkeypatch):
    model = drawn(kind, seed=3)
    v = rows(model, 4)
    whole = ExactLikelihood().gradient(model, v, None)[0].copy()
    monkeypatch.setattr(exact_likelihood, "BLOCK", 3)
    np.testing.assert_allclose(ExactLikelihood().gradient(model, v, None)[0].buffer, whole.buffer, atol=1e-13)


def test_zero_where_the_data_are_the_model():
    """A fair model and every state once."""
    model = RBM(3, 2, dtype="float64")
    model.params.buffer[...] = 0.0
    grads, _ = ExactLikelihood().gradient(model, model.visible.states(3), None)
    np.testing.assert_allclose(grads.buffer, 0.0, atol=1e-15)


def test_refuses_what_cannot_be_enumerated():
    with pytest.raises(IntractableError, match="ais"):
        ExactLikelihood().gradient(RBM(40, 40), np.zeros((1, 40), dtype="float32"), None)
    with pytest.raises(IntractableError):
        ExactLikelihood().gradient(BoltzmannMachine(3, 13), np.zeros((1, 3), dtype="float32"), None)


def test_bars_and_stripes():
    """Four hidden units reach -3.44 (the published exact run); the likelihood never exceeds -log 14."""
    X = datasets.bars_and_stripes(3).train.astype("float64")
    model = RBM(9, 4, dtype="float64", seed=0)
    model.params["W"][...] *= 10
    objective, optimizer = ExactLikelihood(), optim.Adam(0.05)
    optimizer.init(model.params)
    for _ in range(600):
        grads, metrics = objective.gradient(model, X, None)
        optimizer.step(model.params, grads)
    assert -3.7 < metrics["log_likelihood"] <= -np.log(14)
