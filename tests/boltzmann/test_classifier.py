"""The classifier against autograd and by hand: gradient, origin of the weights, training, bad labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import DBN, RBM, GaussianRBM, SigmoidClassifier
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks import oracle
from minidgm.checks.strict import count_host_reads
from minidgm.errors import DataError
from minidgm.objectives import DiscriminativeLikelihood
from minidgm.optim import SGD, Adam
from minidgm.training.labels import one_hot

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(40, 5)).astype("float32")
Y = (X[:, 0] + X[:, 1] > X[:, 2] + X[:, 3]).astype(int) + (X[:, 4] > 0.5)


def drawn(sizes=(5, 4, 3), n_classes=3, seed=0, **options):
    net = SigmoidClassifier(sizes, n_classes, **{"dtype": "float64", **options})
    values = np.random.default_rng(seed).normal(size=net.params.size)
    net.params.buffer[...] = asarray(values, net.backend, net.dtype)
    return net


SIZES = [(5, 2), (5, 3, 4), (5, 2, 3, 2)]


@given(case=st.tuples(st.sampled_from(SIZES), st.integers(2, 4), st.integers(0, 2**31)))
@settings(max_examples=15)
def test_gradients_equal_autograd_of_the_density(case):
    sizes, n_classes, seed = case
    net, rng = drawn(sizes, n_classes, seed), np.random.default_rng(seed)
    v, weights = rng.normal(size=(6, 5)), rng.normal(size=(6, n_classes))

    def weighted(m):
        return -(weights * (m.input_field(v)[-1] @ m.params["U"] + m.params["d"])).sum()

    found, right = net.label_gradient(v, weights), oracle.gradient(net, weighted)
    assert right.method == "autograd"
    for name, value in right.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-11, err_msg=name)

    y = one_hot(rng.integers(0, n_classes, 6), n_classes, "float64")
    batch = np.concatenate([rng.uniform(size=(6, 5)), y], axis=1)
    found, metrics = DiscriminativeLikelihood(weight_decay=0.3).gradient(net, batch, None)

    def loss(m):
        decay = sum((value**2).sum() for name, value in m.params.items() if name[0] in "WU")
        return -(y * m.label_log_prob(batch[:, :5])).sum() / 6 + 0.15 * decay

    right = oracle.gradient(net, loss)
    for name, value in right.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-11, err_msg=name)
    assert float(metrics["loss"]) == pytest.approx(-(y * net.label_log_prob(batch[:, :5])).sum() / 6)
    wrong = net.predict_proba(batch[:, :5]).argmax(axis=1) != y.argmax(axis=1)
    assert float(metrics["error"]) == pytest.approx(wrong.mean())


def test_layers_of_models():
    rbm = RBM(5, 3, visible="gaussian", seed=1)
    rbm.params["c"][...] = 0.5
    net = SigmoidClassifier.from_model(rbm, 4)
    assert net.sizes == (5, 3)
    assert net.visible.name == "gaussian"
    np.testing.assert_allclose(net.input_field(X)[-1], rbm.transform(X), rtol=1e-6)

    scaled = GaussianRBM(5, 3, seed=1).initialize(10.0 * X)
    net = SigmoidClassifier.from_model(scaled, 4)
    np.testing.assert_allclose(net.input_field(X)[-1], scaled.transform(X), rtol=1e-5)

    dbn = DBN([5, 4, 3, 2], seed=2)
    dbn.params.buffer[...] = Generator(0).normal((dbn.params.size,))
    net = dbn.to_mlp(3)
    for layer in (1, 2, 3):
        np.testing.assert_allclose(net.input_field(X)[layer], dbn.transform(X, layer), rtol=1e-5)
    net.params["W1"][...] = 0.0
    assert (dbn.params["R1"] != 0.0).all()


def test_chains_and_models_that_do_not_fit():
    W = np.zeros
    with pytest.raises(ValueError, match=r"layer 2 has W \[4, 2\] and b \[2\]; expected \[3, m\] and \[m\]"):
        SigmoidClassifier.from_layers([(W((5, 3)), W(3)), (W((4, 2)), W(2))], 2)
    with pytest.raises(TypeError, match="no upward layers of bits"):
        SigmoidClassifier.from_model(RBM(3, 2, hidden="spin"), 2)
    with pytest.raises(ValueError, match="at least one hidden layer"):
        SigmoidClassifier.from_layers([], 2)
    with pytest.raises(ValueError, match="n_classes must be an integer of at least 2"):
        SigmoidClassifier([3, 2], 1)


def test_learns_and_reports(backend):
    net = SigmoidClassifier([5, 8], 3, backend=backend, seed=0)
    rows = asarray(X, backend)
    before = net.accuracy(rows, Y)
    history = net.fit(rows, Y, optimizer=Adam(0.05), epochs=120, batch_size=20)
    assert net.accuracy(rows, Y) > max(before, 0.9)
    assert history["loss"][-1] < history["loss"][0]
    assert 1.0 - history["error"][-1] > 0.9
    proba = to_numpy(net.predict_proba(rows))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)
    assert (to_numpy(net.predict(rows)) == proba.argmax(axis=1)).all()
    assert net.predict_proba(rows[:0]).shape == (0, 3)


def test_penalty_shrinks_weights():
    nets = [SigmoidClassifier([5, 4], 3, seed=0) for _ in range(2)]
    for net, decay in zip(nets, (0.0, 0.1), strict=True):
        objective = DiscriminativeLikelihood(weight_decay=decay)
        net.fit(X, Y, objective=objective, optimizer=SGD(0.5), epochs=100)
    assert (nets[1].params["W1"] ** 2).sum() < 0.5 * (nets[0].params["W1"] ** 2).sum()


def test_steps_stay_on_the_device():
    net = drawn(backend="strict", dtype="float32")
    batch = asarray(np.concatenate([X, one_hot(Y, 3)], axis=1), "strict")
    objective = DiscriminativeLikelihood(weight_decay=0.1)
    objective.gradient(net, batch, None)
    with count_host_reads() as reads:
        objective.gradient(net, batch, None)
    assert reads.count == 0, reads.kinds


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_backends_and_precisions_agree(dtype):
    host = drawn()
    moved = host.to("strict", dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    there = to_numpy(moved.predict_proba(asarray(X, "strict", dtype)))
    np.testing.assert_allclose(there, host.predict_proba(X.astype("float64")), atol=tolerance)


def test_files_and_resumed_training(tmp_path):
    net = drawn(dtype="float32")
    net.save(tmp_path / "net.safetensors")
    found = SigmoidClassifier.load(tmp_path / "net.safetensors")
    assert (found.predict_proba(X) == net.predict_proba(X)).all()

    whole, half = (SigmoidClassifier([5, 4], 3, seed=1) for _ in range(2))
    whole.fit(X, Y, epochs=4, batch_size=10)
    half.fit(X, Y, epochs=2, batch_size=10, checkpoint=tmp_path / "run")
    half.fit(X, Y, epochs=4, batch_size=10, checkpoint=tmp_path / "run", resume=True)
    assert (half.params.buffer == whole.params.buffer).all()


def test_large_fields_stay_finite():
    net = drawn(dtype="float32")
    net.params.buffer[...] *= 1e4
    batch = np.concatenate([X, one_hot(Y, 3)], axis=1)
    grads, metrics = DiscriminativeLikelihood().gradient(net, batch, None)
    assert np.isfinite(grads.buffer).all()
    assert np.isfinite(metrics["loss"])


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (None, "y is missing"),
        (Y[:3], r"y has shape \(3,\); expected one label for each of 40 rows"),
        (Y + 1, r"y\[\d+\] is 3; expected whole numbers from 0 to 2"),
        (Y + 0.5, "expected whole numbers"),
        (np.where(Y == 1, -1, Y), "is missing"),
        (["a"] * 40, "y has dtype"),
    ],
)
def test_bad_labels(labels, match):
    with pytest.raises(DataError, match=match):
        SigmoidClassifier([5, 4], 3).fit(X, labels)


def test_bad_inputs():
    net = SigmoidClassifier([5, 4], 3)
    with pytest.raises(DataError, match=r"X has shape \(40, 4\); expected \[n, 5\]"):
        net.fit(X[:, :4], Y)
    with pytest.raises(DataError, match="v holds 2"):
        net.predict(2.0 + 0.0 * X)
    with pytest.raises(TypeError, match="validation= measures densities"):
        net.fit(X, Y, validation=X)
