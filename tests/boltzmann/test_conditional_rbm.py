"""The conditional RBM beside the RBM of each of its contexts; sequences in, sequences out."""

import numpy as np
import pytest

import minidgm
from minidgm import ConditionalRBM, Generator, evaluation
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.errors import DataError
from tests.boltzmann.sequence_helpers import drawn, one_batch, sequences


def test_rows_and_frames_after_silence():
    model = drawn("conditional")
    v = model.visible.states(3)
    silent = np.concatenate([np.zeros((8, 6)), v], axis=1)
    np.testing.assert_allclose(model.log_prob(silent), model.log_prob(v), rtol=1e-13)
    pseudo = model.pseudo_log_likelihood
    np.testing.assert_allclose(pseudo(silent), pseudo(v), rtol=1e-13)
    assert float(model.log_partition(np.zeros((1, 6)))[0]) == pytest.approx(float(model.log_partition()))


def test_each_context_has_a_model_of_its_own():
    model = drawn("conditional")
    y = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    rbm = model.given(y)
    v = model.visible.states(3)
    rows = np.concatenate([np.tile(y.reshape(-1), (8, 1)), v], axis=1)
    np.testing.assert_allclose(model.log_prob(rows), rbm.log_prob(v), rtol=1e-13)
    exact = float(model.log_partition(y.reshape(1, -1))[0])
    estimate = evaluation.ais(rbm, n_temperatures=100, rng=0)
    assert abs(estimate.value - exact) < 6 * estimate.stderr + 1e-3


def test_rows_of_training_are_windows():
    model = ConditionalRBM(1, 2, 2, visible="gaussian", dtype="float64")
    source = model.source([np.arange(4.0)[:, None], np.arange(10.0, 13.0)[:, None]], 3)
    batch = one_batch(model, [np.arange(4.0)[:, None], np.arange(10.0, 13.0)[:, None]])
    assert source.n_rows == 3
    found = sorted(map(tuple, batch.tolist()))
    assert found == [(0.0, 1.0, 2.0), (1.0, 2.0, 3.0), (10.0, 11.0, 12.0)]


@pytest.mark.parametrize("kind", ["conditional", "conditional, gaussian"])
def test_backends_and_precisions_agree(kind, backend):
    exact = drawn(kind)
    X = sequences(exact, (6, 4))
    rows = one_batch(exact, X)
    weights = np.linspace(-1.0, 1.0, len(rows))
    g = exact.free_energy_gradient(rows, weights)
    for dtype, tolerance in (("float64", 1e-10), ("float32", 2e-4)):
        model = exact.to(backend, dtype)
        x, w = (asarray(a, backend, dtype) for a in (rows, weights))
        for method in ("free_energy", "log_prob"):
            if method == "log_prob" or exact.visible.bounded:
                left = to_numpy(getattr(model, method)(x))
                np.testing.assert_allclose(left, getattr(exact, method)(rows), rtol=tolerance, atol=tolerance)
        found = model.free_energy_gradient(x, w)
        for name in g:
            assert str(found[name].dtype) == dtype
            np.testing.assert_allclose(to_numpy(found[name]), g[name], rtol=tolerance, atol=tolerance)
    if exact.visible.bounded:
        ends = [m.generate(None, 5, Replay(3, m.backend), 2) for m in (exact, exact.to(backend))]
        np.testing.assert_array_equal(to_numpy(ends[0]), to_numpy(ends[1]))


def test_generation_follows_the_context():
    """Strong autoregressive weights copy the frame of two steps before."""
    model = ConditionalRBM(2, 1, 2, dtype="float64")
    model.params.buffer[...] = 0.0
    model.params["A"][:2] = 60.0 * np.eye(2)
    model.params["b"][...] = -30.0
    seed = np.array([[9.0, 9.0], [1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(DataError, match="seed_frames holds 9"):
        model.generate(seed, 3, 0)
    seed[0] = 0.0
    np.testing.assert_array_equal(model.generate(seed, 4, 0), [[1, 0], [0, 1], [1, 0], [0, 1]])
    again = np.asarray(model.generate(None, 2, Generator(0)))
    assert again.shape == (2, 2)


def test_learning_raises_the_likelihood():
    """A period of three frames is found by the exact gradient and by CD."""
    frames = np.tile(np.eye(3), (20, 1))
    for name in ("ConditionalLikelihood", "ConditionalCD"):
        model = ConditionalRBM(3, 4, 1, seed=0).initialize(frames)
        before = evaluation.frame_log_likelihood(model, frames).value
        model.fit(frames, objective=name, optimizer=minidgm.optim.Adam(0.05), epochs=40, batch_size=20)
        after = evaluation.frame_log_likelihood(model, frames).value
        assert before < -1.5 < -0.3 < after


def test_save_and_load(tmp_path):
    model = drawn("conditional, gaussian", dtype="float32")
    model.save(tmp_path / "m.safetensors")
    loaded = minidgm.load(tmp_path / "m.safetensors")
    assert loaded.config() == model.config()
    x = one_batch(model, sequences(model)).astype("float32")
    assert (loaded.free_energy(x) == model.free_energy(x)).all()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "has no sequences"),
        ([np.zeros((0, 3))], "X has 0 frames; expected at least 3: a context of n_context=2"),
        ([np.zeros((5, 3)), np.zeros((2, 3))], "sequence 1 of X has 2 frames"),
        ([np.zeros((5, 4))], r"shape \(5, 4\); expected \[n, 3\]"),
        ([np.full((5, 3), np.nan)], "NaN or infinity"),
        ([np.full((5, 3), 2.0)], "holds 2"),
        ("sequences", "is a str"),
        (np.zeros(5), r"of shape \(5,\)"),
    ],
)
def test_bad_sequences(X, message):
    with pytest.raises(DataError, match=message):
        ConditionalRBM(3, 2, 2).fit(X)


def test_bad_arguments():
    with pytest.raises(ValueError, match="n_context must be an integer of at least 1"):
        ConditionalRBM(3, 2, 0)
    model = ConditionalRBM(3, 2, 2)
    with pytest.raises(DataError, match="context has 3 values; expected n_context=2 frames of 3"):
        model.given(np.zeros(3))
    with pytest.raises(DataError, match="expected n_context=2 or more"):
        model.generate(np.zeros((1, 3)), 4, 0)
    with pytest.raises(DataError, match=r"expected \[n, 9\]"):
        model.log_prob(np.zeros((1, 5)))
    with pytest.raises(TypeError, match=r"depends on the past.*ConditionalContrastiveDivergence"):
        model.fit(np.zeros((9, 3)), objective="PCD")
    with pytest.raises(ValueError, match="larger than the data"):
        model.fit(np.zeros((9, 3)), batch_size=8)


def test_sampling_keeps_the_contexts():
    model = drawn("conditional")
    rows = one_batch(model, sequences(model))
    drawn_rows = model.sample(len(rows), 0, steps=3, init=rows)
    np.testing.assert_array_equal(drawn_rows[:, :6], rows[:, :6])
    assert model.sample(5, 0, steps=2).shape == (5, 3)
    assert model.reconstruct(rows).shape == rows.shape
    assert model.transform(rows).shape == (len(rows), 2)
