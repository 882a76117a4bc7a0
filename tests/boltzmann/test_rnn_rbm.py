"""The RNN-RBM: padding changes nothing, time runs forward, and runs resume to the same bits."""

import numpy as np
import pytest

import minidgm
from minidgm import RBM, RNNRBM, evaluation
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.errors import DataError
from minidgm.training.sequences import pad
from tests.boltzmann.sequence_helpers import drawn, sequences


def test_padding_changes_nothing():
    model = drawn("recurrent")
    X = sequences(model, (5, 2, 4))
    objective = minidgm.objectives.ConditionalLikelihood()
    together = {k: g.copy() for k, g in objective.gradient(model, pad(X), None)[0].items()}
    apart = dict.fromkeys(together, 0.0)
    for x in X:
        for name, value in objective.gradient(model, pad([x]), None)[0].items():
            apart[name] = apart[name] + len(x) / 11 * value
    longer = np.concatenate([pad(X), np.zeros((3, 2, 4))], axis=1)
    padded = objective.gradient(model, longer, None)[0]
    for name in together:
        np.testing.assert_allclose(together[name], apart[name], atol=1e-12)
        np.testing.assert_allclose(together[name], padded[name], atol=1e-12)


def test_the_past_alone_moves_a_frame():
    """The RBM of frame t depends on the frames before t and on nothing else."""
    model = drawn("recurrent")
    x = sequences(model, (6,))[0]
    other = x.copy()
    other[3] = 1.0 - other[3]
    a, b = (model.frames(pad([s])).rbms for s in (x, other))
    np.testing.assert_array_equal(a.b[:4], b.b[:4])
    assert (a.b[4:] != b.b[4:]).all()


def test_truncation_beyond_the_sequence_is_none():
    model = drawn("recurrent")
    X = sequences(model)
    grads = []
    for truncation in (None, 5, 2):
        objective = minidgm.objectives.ConditionalLikelihood(truncation=truncation)
        grads.append({k: g.copy() for k, g in objective.gradient(model, pad(X), None)[0].items()})
    for name in ("R", "F", "u0"):
        np.testing.assert_array_equal(grads[0][name], grads[1][name])
        assert (grads[0][name] != grads[2][name]).any()
    for name in ("W", "A", "B", "b", "c"):
        np.testing.assert_array_equal(grads[0][name], grads[2][name])


def test_a_single_frame():
    model = drawn("recurrent")
    grads, _ = minidgm.objectives.ConditionalLikelihood().gradient(model, pad([np.ones((1, 3))]), None)
    assert not grads["R"].any()
    assert not grads["F"].any()
    assert grads["u0"].any()


@pytest.mark.parametrize("kind", ["recurrent", "recurrent, softmax"])
def test_backends_and_precisions_agree(kind, backend):
    exact = drawn(kind)
    X = sequences(exact, (4, 3))
    batch = pad(X)
    objective = minidgm.objectives.ConditionalContrastiveDivergence
    right = {k: g.copy() for k, g in objective(2).gradient(exact, batch, Replay(5))[0].items()}
    for dtype, tolerance in (("float64", 1e-10), ("float32", 2e-4)):
        model = exact.to(backend, dtype)
        on = [asarray(x, backend, dtype) for x in X]
        np.testing.assert_allclose(to_numpy(model.log_prob(on)), exact.log_prob(X), rtol=tolerance)
        found, _ = objective(2).gradient(model, asarray(batch, backend, dtype), Replay(5, backend))
        for name, value in right.items():
            np.testing.assert_allclose(to_numpy(found[name]), value, rtol=tolerance, atol=tolerance)
    both = (exact, exact.to(backend))
    ends = [m.generate(asarray(X[0], m.backend), 6, Replay(3, m.backend), 2) for m in both]
    np.testing.assert_array_equal(to_numpy(ends[0]), to_numpy(ends[1]))


def test_methods_read_only():
    model, X = drawn("recurrent"), None
    X = sequences(model)
    batch = pad(X)
    kept = [model.params.buffer.copy(), batch.copy(), *(x.copy() for x in X)]
    frames = model.frames(batch)
    row = frames.rbms.gradient(frames.v, frames.rbms.hidden_given_visible(frames.v).mean, frames.weights)
    held = [row.W.copy(), row.b.copy(), row.c.copy(), frames.past.u.copy()]
    model.pull_back(frames, row)
    model.log_prob(X)
    model.generate(X[0], 3, 0, 2)
    model.pseudo_log_likelihood_of(X)
    for before, now in zip(kept, [model.params.buffer, batch, *X], strict=True):
        np.testing.assert_array_equal(before, now)
    for before, now in zip(held, [row.W, row.b, row.c, frames.past.u], strict=True):
        np.testing.assert_array_equal(before, now)


def test_the_state_remembers():
    """A pulse three frames ago decides the present: no RBM of single frames can know it."""
    rng = np.random.default_rng(0)
    pieces = []
    for _ in range(60):
        x = np.zeros((4, 2))
        x[0, 0] = rng.integers(2)
        x[3, 1] = x[0, 0]
        pieces.append(x)
    model = RNNRBM(2, 4, 6, seed=0).initialize(pieces)
    options = {"optimizer": minidgm.optim.Adam(0.03, clip=1.0), "epochs": 120, "batch_size": 30}
    model.fit(pieces, objective="ConditionalLikelihood", **options)
    p = np.mean([x[0, 0] for x in pieces])
    best = (p * np.log(p) + (1 - p) * np.log(1 - p)) / 4  # one coin in four frames
    assert best - 0.05 < evaluation.frame_log_likelihood(model, pieces).value <= best + 1e-6
    for x in (0.0, 1.0):
        start = np.zeros((3, 2))
        start[0, 0] = x
        assert np.mean([model.generate(start, 1, seed, 20)[0, 1] for seed in range(20)]) == x


def test_generated_frames_become_past():
    """A bit that inverts itself: the state is the sign of the last bit, and turns the next one over."""
    model = RNNRBM(1, 1, 1, dtype="float64")
    model.params.buffer[...] = 0.0
    model.params["F"][...], model.params["d"][...] = 10.0, -5.0
    model.params["A"][...], model.params["u0"][...] = -60.0, -1.0
    assert model.generate(None, 4, 0, 1).reshape(-1).tolist() == [1, 0, 1, 0]
    assert model.generate(np.ones((1, 1)), 3, 0, 1).reshape(-1).tolist() == [0, 1, 0]
    assert model.sample(2, 0, steps=1).reshape(-1).tolist() == [1, 0]


def test_resumed_runs_agree_to_the_bit(tmp_path):
    options = {"batch_size": 2, "seed": 3, "objective": "ConditionalCD"}

    def fresh():
        return RNNRBM(3, 2, 4, seed=0)

    X = sequences(fresh(), (5, 3, 4, 6, 2))
    whole = fresh()
    whole.fit(X, epochs=4, **options)
    parts = fresh()
    parts.fit(X, epochs=2, checkpoint=tmp_path / "run", **options)
    parts = fresh()
    history = parts.fit(X, epochs=4, checkpoint=tmp_path / "run", resume=True, validation=X[:2], **options)
    assert (parts.params.buffer == whole.params.buffer).all()
    assert "validation_pseudo_log_likelihood" in history.records[-1]


def test_pretraining():
    rbm = RBM(3, 2, seed=4)
    model = RNNRBM(3, 2, 5, seed=0).start_from(rbm)
    for name in rbm.params:
        assert (model.params[name] == rbm.params[name]).all()
    with pytest.raises(ValueError, match="expected"):
        model.start_from(RBM(4, 2))


def test_save_and_load(tmp_path):
    model = drawn("recurrent, softmax", dtype="float32")
    model.save(tmp_path / "m.safetensors")
    loaded = minidgm.load(tmp_path / "m.safetensors")
    X = sequences(model)
    assert loaded.config() == model.config()
    assert (loaded.log_prob(X) == model.log_prob(X)).all()


def test_bad_input():
    model = RNNRBM(3, 2, 4)
    with pytest.raises(DataError, match="sequence 1 of X has 0 frames; expected at least one"):
        model.fit([np.zeros((2, 3)), np.zeros((0, 3))])
    with pytest.raises(DataError, match="has 0 frames"):
        model.generate(np.zeros((0, 3)), 2, 0)
    with pytest.raises(DataError, match="sequence 0 of validation has dtype"):
        model.fit([np.zeros((2, 3))], validation=[np.zeros((2, 3)) + 1j, np.zeros((2, 3))])
    with pytest.raises(ValueError, match=r"expected \(n, T, 4\)"):
        model.frames(np.zeros((2, 5, 3)))
    with pytest.raises(ValueError, match="larger than the data of 1 sequences"):
        model.fit(np.zeros((4, 3)), batch_size=2)
    with pytest.raises(ValueError, match="n_recurrent must be an"):
        RNNRBM(3, 2, 0)
    with pytest.raises(TypeError, match=r"depends on the past|has no"):
        model.fit([np.zeros((2, 3))], objective="CD")
