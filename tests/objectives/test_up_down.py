"""Up-down training: exact expectation of every part, hot-loop discipline, state, learning."""

import numpy as np
import pytest

from minidgm import DBN, RBM, check_model
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.checks.strict import count_host_reads
from minidgm.objectives import UpDown, fitting
from minidgm.optim import SGD

X = np.random.default_rng(0).integers(0, 2, (6, 3)).astype("float64")


def drawn(sizes=(3, 2, 2), seed=0, **options):
    dbn = DBN(sizes, **{"dtype": "float64", **options})
    values = 0.7 * np.random.default_rng(seed).normal(size=dbn.params.size)
    dbn.params.buffer[...] = asarray(values, dbn.backend, dbn.dtype)
    return dbn


def test_expected_gradient():
    assert check_model(DBN, "up-down gradient", max_examples=5).ok


@pytest.mark.parametrize("n_chains", [None, 4])
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_backends_agree_with_noise_replayed(visible, n_chains):
    found = []
    for where in ("numpy", "strict"):
        model = drawn(visible=visible, backend=where)
        objective = UpDown(2, n_chains, weight_decay=0.1)
        for seed in (0, 1):
            grads, metrics = objective.gradient(model, asarray(X, where), Replay(seed, where))
        found.append(({k: to_numpy(g).copy() for k, g in grads.items()}, metrics))
    for name, value in found[0][0].items():
        np.testing.assert_allclose(found[1][0][name], value, atol=1e-12, err_msg=name)
    for name, value in found[0][1].items():
        assert float(found[1][1][name]) == pytest.approx(float(value))


def test_no_host_reads():
    model, objective = drawn(backend="strict"), UpDown(n_chains=5)
    batch, rng = asarray(X, "strict"), Generator(0, "strict")
    objective.gradient(model, batch, rng)
    with count_host_reads() as reads:
        objective.gradient(model, batch, rng)
    assert reads.count == 0, reads.kinds


def test_weight_decay_reaches_every_matrix():
    model = drawn()
    plain = {k: g.copy() for k, g in UpDown().gradient(model, X, Replay(0))[0].items()}
    decayed = UpDown(weight_decay=0.5).gradient(model, X, Replay(0))[0]
    for name, value in model.params.items():
        expected = plain[name] + (0.5 * value if value.ndim == 2 else 0.0)
        np.testing.assert_allclose(decayed[name], expected, atol=1e-14)


def test_chains_persist_and_are_restored():
    model, one, two = drawn(), UpDown(n_chains=3), UpDown(n_chains=3)
    one.gradient(model, X, Generator(0))
    two.set_state(one.state)
    a = one.gradient(model, X, Generator(1))[0].buffer
    b = two.gradient(model, X, Generator(1))[0].buffer
    assert (a == b).all()
    assert UpDown().state == {}
    with pytest.raises(ValueError, match=r"need \(3, 5\): call reset"):
        one.gradient(drawn((3, 5, 2)), X, Generator(0))


def test_one_hidden_layer_is_contrastive_divergence():
    dbn = drawn((3, 2))
    rbm = dbn.top
    up_down = UpDown(k=1).gradient(dbn, X, Replay(0))[0]
    chains = rbm.gibbs_step(X, None, Replay(0))[0]
    weights = np.full(6, 1 / 6)
    expected = rbm.free_energy_gradient(np.concatenate([X, chains]), np.concatenate([weights, -weights]))
    for key, name in {"W": "W1", "b": "b0", "c": "b1"}.items():
        np.testing.assert_allclose(up_down[name], expected[key], atol=1e-12)


def test_up_down_training_improves_a_network():
    rows = np.repeat(np.eye(4), 10, axis=0)
    dbn = DBN([4, 3, 3], dtype="float64", seed=0)
    dbn.params.buffer *= 100.0
    dbn.fit(rows, epochs=20, optimizer=SGD(0.1), batch_size=40)
    before = dbn.log_prob(np.eye(4)).mean()
    history = dbn.fit(rows, objective=UpDown(n_chains=40), optimizer=SGD(0.3), epochs=600, batch_size=40)
    assert dbn.log_prob(np.eye(4)).mean() > before + 0.25
    assert {"reconstruction_error", "mean_gap"} <= set(history.names)


def test_what_fits():
    assert "UpDown" in fitting(DBN([3, 2, 2]))
    with pytest.raises(TypeError, match=r"UpDown cannot train this RBM: it has no .*descend"):
        UpDown().gradient(RBM(3, 2), X.astype("float32"), Generator(0))
    for options in ({"k": 0}, {"n_chains": 0}, {"weight_decay": -1.0}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
            UpDown(**options)
