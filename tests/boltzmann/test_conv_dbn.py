"""Convolutional DBN: its exact density on a tiny one, its features, its training layer by layer."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from minidgm import ConvolutionalDBN, ConvolutionalRBM, IntractableError, datasets, load, optim
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks import check_model
from minidgm.errors import DataError
from minidgm.training import Callback, EarlyStopping

TWO = [{"filters": 3, "filter_size": 3, "pool": 2}, {"filters": 4, "filter_size": (2, 2), "pool": (2, 1)}]


def drawn(seed=0, scale=0.7, layers=TWO, image_shape=(8, 8), **options):
    network = ConvolutionalDBN(layers, image_shape=image_shape, seed=seed, **options)
    values = scale * np.random.default_rng(seed).normal(size=network.params.size)
    network.params.buffer[...] = asarray(values, network.backend, network.dtype)
    return network


@pytest.mark.parametrize("like", [{}, {"visible": "gaussian"}])
def test_generic_identities(like):
    """Among them: p(v) sums to one, and draws from the top down follow it."""
    network = ConvolutionalDBN.small(ConvolutionalDBN(TWO, image_shape=(8, 8), **like), dtype="float64")
    report = check_model(network, max_examples=2)
    assert report.ok
    names = {result.name for result in report.results}
    assert {"normalisation", "samples follow the density", "save and load"} <= names


def test_density_by_enumeration_of_everything():
    """p(v) = sum_h1 p_1(v, h1) p_2(pool(h1)) / p_1(pool(h1)), all of it listed."""
    layers = ConvolutionalDBN.small().config()["layers"]
    network = drawn(3, layers=layers, image_shape=(1, 4), dtype="float64")
    first, second = network.rbm(1), network.rbm(2)
    V, H = first.visible.states(4), first.hidden.states(first.n_hidden)
    joint = np.exp([[-first.energy(v[None], h[None])[0] for h in H] for v in V])
    joint /= joint.sum()
    pools = first.pooled(H)
    ratio = []
    for pool in pools:
        below = joint[:, (pools == pool).all(axis=1)].sum()
        ratio.append(np.exp(second.log_prob(pool[None])[0]) / below)
    np.testing.assert_allclose(np.exp(network.log_prob(V)), joint @ ratio, rtol=1e-10)


def test_samples_with_strong_filters_follow_the_density():
    """4,000 draws from the top down against p(v), chi-square at 1e-6.

    Two filters that contradict each other avoid each other's places, which a uniform place would not.
    """
    layers = [{"filters": 2, "filter_size": (1, 2), "pool": (1, 2)}]
    layers.append({"filters": 1, "filter_size": 1, "pool": 1})
    network = ConvolutionalDBN(layers, image_shape=(1, 3), dtype="float64")
    network.params["W1"][0], network.params["W1"][1], network.params["c1"][...] = 3.0, -3.0, -1.0
    network.params["W2"][...], network.params["b2"][...] = 1.5, 1.5
    V = network.rbm(1).visible.states(3)
    draws = network.sample(4000, 0, steps=20, sweeps_down=60)
    counts = np.bincount((draws @ [1, 2, 4]).astype(int), minlength=8)
    assert chisquare(counts, 4000 * np.exp(network.log_prob(V))).pvalue > 1e-6


def test_next_layers_start_from_the_means_of_their_inputs():
    rows = datasets.digits(binarize="threshold").train[:50]
    network = ConvolutionalDBN(TWO, image_shape=(8, 8), seed=0)
    network.fit(rows, epochs=0)
    mean = network.features(rows)[0].reshape(50, 3, 9).mean(axis=(0, 2))
    np.testing.assert_allclose(network.params["b2"], np.log(mean / (1.0 - mean)), rtol=1e-4)


def test_one_layer_is_the_rbm():
    layers = [{"filters": 2, "filter_size": 2, "pool": 1}]
    network = drawn(1, layers=layers, image_shape=(3, 2), dtype="float64")
    rbm = network.rbm(1)
    V = rbm.visible.states(6)
    np.testing.assert_allclose(network.log_prob(V), rbm.log_prob(V), rtol=1e-12)
    np.testing.assert_array_equal(network.sample(5, 1, steps=3), rbm.sample(5, 1, steps=3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_layer_by_layer(backend, dtype):
    network = drawn(2, backend=backend, dtype=dtype)
    assert network.shapes == [(1, 8, 8), (3, 3, 3), (4, 1, 2)]
    v = np.random.default_rng(0).uniform(size=(5, 8, 8))
    features = network.features(asarray(v, backend, dtype))
    expected = asarray(v.reshape(5, 64), backend, dtype)
    for layer, found in enumerate(features, start=1):
        expected = network.rbm(layer).transform(expected)
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))
        assert found.shape == (5, int(np.prod(network.shapes[layer])))
    assert network.transform(asarray(v, backend, dtype)).shape == (5, 27 + 8)
    assert network.sample(3, Generator(0, backend), steps=2, sweeps_down=2).shape == (3, 64)
    start = asarray(np.round(v[:3].reshape(3, 64)), backend, dtype)
    assert network.sample(3, Generator(0, backend), steps=1, init=start, sweeps_down=1).shape == (3, 64)


def test_pooling_units_are_held_on_the_way_down():
    """Detectors of blocks that are off stay off: with strong filters the image says which blocks were on."""
    rbm = ConvolutionalRBM(1, 2, 2, image_shape=(5, 5), dtype="float64")
    rbm.params["W"][...], rbm.params["b"][...] = 50.0, -25.0
    for pool in itertools.product((0.0, 1.0), repeat=4):
        v = rbm.sample_given_pooled(np.tile(pool, (6, 1)), Generator(0), 3)
        assert (v.sum(axis=1) > 0).all() == any(pool)
        on = rbm.pooling_given_visible(v).mean
        assert (on[:, np.array(pool) == 1.0] > 0.5).all()


def test_reconstruction_with_its_own_features_is_the_rbms():
    """One layer: the top RBM's. And detectors at the pooling probabilities of v itself are p(h | v)."""
    network = drawn(5, dtype="float64")
    v, rbm = np.random.default_rng(0).uniform(size=(4, 64)), network.rbm(1)
    own = rbm.reconstruct_given_pooled(v, rbm.transform(v))
    np.testing.assert_allclose(own, rbm.reconstruct(v), atol=1e-12)
    one = ConvolutionalDBN(TWO[:1], image_shape=(8, 8), dtype="float64")
    one.place(1, rbm)
    np.testing.assert_allclose(one.reconstruct(v), rbm.reconstruct(v), atol=1e-12)
    pooled = network.rbm(2).reconstruct(network.features(v)[0])
    np.testing.assert_allclose(network.reconstruct(v), rbm.reconstruct_given_pooled(v, pooled), atol=1e-12)


@pytest.mark.parametrize("inputs", ["means", "samples"])
def test_greedy_training(inputs):
    class Seen(Callback):
        layers: list[int] = []

        def on_epoch_end(self, training):
            assert isinstance(training.model, ConvolutionalDBN)
            self.layers.append(training.layer)

    rows = datasets.digits(binarize="threshold").train[:150]
    network, seen = ConvolutionalDBN(TWO, image_shape=(8, 8), seed=0).initialize(rows), Seen()
    seen.layers = []
    before = network.params.buffer.copy()
    options = {"objective": "ContrastiveDivergence", "optimizer": optim.Adam(1e-3), "batch_size": 50}
    history = network.fit(rows, epochs=(2, 1), inputs=inputs, callbacks=[seen], **options)
    assert history["layer"] == seen.layers == [1, 1, 2]
    assert history["epoch"] == [1, 2, 3]
    assert all((network.params[name] != 0.0).any() for name in ("W1", "c1", "W2", "b2", "c2"))
    assert (before != network.params.buffer).mean() > 0.9
    first = ConvolutionalRBM(3, 3, 2, image_shape=(8, 8))
    for name in first.params:
        first.params[name] = network.params[f"{name}1"]
    np.testing.assert_array_equal(first.transform(rows), network.features(rows)[0])


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    rows = datasets.digits(binarize="threshold").train[:100]
    options = {"objective": "ContrastiveDivergence", "batch_size": 50, "epochs": 2}
    whole, again = (ConvolutionalDBN(TWO, image_shape=(8, 8), seed=0) for _ in range(2))
    whole.fit(rows, **options)

    class Kill(Callback):
        def on_epoch_end(self, training):
            if training.layer == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again.fit(rows, checkpoint=tmp_path, callbacks=[Kill()], **options)
    again = ConvolutionalDBN(TWO, image_shape=(8, 8), seed=0)
    again.fit(rows, checkpoint=tmp_path, resume=True, **options)
    np.testing.assert_array_equal(again.params.buffer, whole.params.buffer)


def test_save_and_load(tmp_path):
    network = drawn(4, visible="gaussian")
    network.save(tmp_path / "n.safetensors")
    again = load(tmp_path / "n.safetensors")
    v = np.random.default_rng(0).normal(size=(2, 64)).astype("float32")
    assert again.config() == network.config()
    assert (again.transform(v) == network.transform(v)).all()


def test_arguments_from_a_data_set():
    arguments = ConvolutionalDBN.arguments_for(datasets.digits(), {})
    network = ConvolutionalDBN(**arguments)
    assert network.shapes[0] == (1, 8, 8)
    assert network.depth == 2


def test_patience_within_a_layer_restores_the_best_epoch():
    """What a callback does to the network when a layer stops stays: here c2 of its first epoch."""

    class Falling(Callback):
        def on_epoch_end(self, training):
            training.record["worse"] = float(training.epoch)
            training.model.params["c2"][...] = training.epoch

    network, X = drawn(), (np.random.default_rng(0).random((8, 64)) < 0.5).astype("float32")
    stop = EarlyStopping("worse", patience=2, restore_best=True)
    history = network.fit(X, epochs=9, callbacks=[Falling(), stop])
    assert history["layer"] == [1, 1, 1, 2, 2, 2]
    assert (network.params["c2"] == 4.0).all()


def test_bad_input():
    with pytest.raises(ValueError, match=r"layer 2, on images of \(3, 3, 3\).*at most 3"):
        ConvolutionalDBN([TWO[0], {"filters": 1, "filter_size": 4}], image_shape=(8, 8))
    with pytest.raises(ValueError, match="layer 1 is"):
        ConvolutionalDBN([{"filters": 1}])
    with pytest.raises(ValueError, match="layer 1 is"):
        ConvolutionalDBN([{**TWO[0], "stride": 2}])
    with pytest.raises(ValueError, match="at least one layer"):
        ConvolutionalDBN([])
    network = drawn()
    with pytest.raises(IntractableError, match="tiny"):
        network.log_prob(np.zeros((1, 64)))
    with pytest.raises(ValueError, match="inputs"):
        network.fit(np.zeros((2, 64)), inputs="mean")
    with pytest.raises(ValueError, match="one for each of 2 layers"):
        network.fit(np.zeros((2, 64)), epochs=[1])
    with pytest.raises(DataError, match=r"\[n, 8, 8\]"):
        network.fit(np.zeros((2, 8, 7)))
    with pytest.raises(ValueError, match="init has 1 rows"):
        network.sample(2, 0, init=np.zeros((1, 64)))
