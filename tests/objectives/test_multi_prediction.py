"""Multi-prediction: the unrolled net against mean field, its gradient, and what it is for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import DBM, Generator, datasets, optim
from minidgm.checks import oracle
from minidgm.objectives.multi_prediction import MultiPrediction, order, score, unroll


def drawn(sizes, visible, seed):
    dbm = DBM(list(sizes), visible, dtype="float64")
    dbm.params.buffer[...] = 0.6 * np.random.default_rng(seed).normal(size=dbm.params.size)
    return dbm


@given(
    sizes=st.sampled_from([(3, 2), (3, 2, 3), (2, 3, 1, 2), (2, 2, 1, 2, 1)]),
    visible=st.sampled_from(["bernoulli", "gaussian"]),
    sweeps=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=20)
def test_back_propagation_through_the_sweeps(sizes, visible, sweeps, seed):
    dbm = drawn(sizes, visible, seed)
    v = np.random.default_rng(seed).integers(0, 2, size=(4, sizes[0])).astype("float64")
    grads, metrics = MultiPrediction(sweeps).gradient(dbm, v, Generator(seed))
    known = 1.0 - Generator(seed).bernoulli(np.full(v.shape, 0.5))

    def loss(model):
        return score(model, v, known, unroll(model, v, known, sweeps)[-1][0][0])

    assert float(metrics["loss"]) == pytest.approx(float(loss(dbm)))
    expected = oracle.gradient(dbm, loss)
    for name, value in expected.items():
        np.testing.assert_allclose(grads[name], value, atol=1e-9)


def test_the_unrolled_net_ends_at_the_mean_field():
    """Many sweeps reach the fixed point that `infer` finds; with all pixels known, that of `mean_field`."""
    dbm = drawn((4, 3, 2), "bernoulli", 0)
    v = dbm.visible.states(4)
    known = np.broadcast_to([1.0, 0.0, 1.0, 0.0], v.shape)
    end = unroll(dbm, v, known, 300)[-1][1]
    np.testing.assert_allclose(end[0], dbm.infer(v, known).visible, atol=1e-5)
    end = unroll(dbm, v, np.ones_like(v), 300)[-1][1]
    np.testing.assert_allclose(np.concatenate(end[1:], axis=1), dbm.mean_field(v).mean, atol=1e-5)
    assert order(3) == [1, 3, 0, 2]


def test_trained_to_fill_in_it_fills_in():
    """Bars and stripes of 3 x 3: missing pixels are told better than by their frequencies."""
    X = np.asarray(datasets.bars_and_stripes(3).train, dtype="float32")
    dbm = DBM([9, 12, 6], seed=0)
    objective, optimizer = MultiPrediction(5, missing=0.4), optim.Adam(optim.Linear(0.03))
    dbm.fit(X, objective=objective, optimizer=optimizer, epochs=800, seed=0)
    known = np.ones(9)
    known[[4, 8]] = 0.0
    error = np.abs(dbm.infer(X, known).visible - X)[:, [4, 8]].mean()
    assert error < 0.3


def test_everything_missing_and_the_empty_loss():
    dbm = drawn((3, 2, 2), "bernoulli", 1)
    v = np.eye(3)
    _, metrics = MultiPrediction(3, missing=1.0).gradient(dbm, v, Generator(0))
    field = unroll(dbm, v, np.zeros_like(v), 3)[-1][0][0]
    expected = (np.logaddexp(0.0, field) - v * field).sum() / 3
    assert float(metrics["loss"]) == pytest.approx(expected)
