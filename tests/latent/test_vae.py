"""Variational autoencoders: densities, bounds, draws, nets that do not meet, data that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import VAE, Generator, IntractableError, datasets, load, nn
from minidgm.backend import asarray, to_numpy
from minidgm.checks import check_model
from minidgm.checks.exhaustive import Replay
from minidgm.checks.oracle import gradient
from minidgm.errors import DataError
from minidgm.latent import nets
from minidgm.latent.likelihoods import LIKELIHOODS, likelihood

OPTIONS = {
    "bernoulli": {},
    "gaussian": {},
    "fixed": {"variance": 0.5},
    "categorical": {"n_classes": 3},
    "discretized_logistic": {"levels": 5},
}


def make(kind, dtype="float64", seed=0, scale=0.6, **more):
    name = "gaussian" if kind == "fixed" else kind
    family = likelihood(name, OPTIONS[kind])
    encoder, decoder = nets.dense(6, 2, [5], outputs=family.outputs)
    model = VAE(encoder, decoder, 2, name, dtype=dtype, seed=seed, **OPTIONS[kind], **more)
    model.params.buffer[...] = asarray(
        scale * np.random.default_rng(seed).normal(size=model.params.size), model.backend, dtype
    )
    return model


def rows(kind, n=4, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "bernoulli":
        return (rng.random((n, 6)) < 0.5).astype(float)
    if kind == "categorical":
        return np.eye(3)[rng.integers(0, 3, (n, 2))].reshape(n, 6)
    return rng.integers(0, 5, (n, 6)) / 4.0 if kind == "discretized_logistic" else rng.normal(size=(n, 6))


@pytest.mark.parametrize("kind", OPTIONS)
def test_identities(kind):
    report = check_model(make(kind, beta=0.5), ["4", "5", "6", "31"], max_examples=4)
    names = {result.name for result in report.results}
    assert {"path gradient", "reparameterized bound", "importance-weighted bound"} <= names


@pytest.mark.parametrize("kind", OPTIONS)
def test_backends_precisions_and_files_agree(kind, backend, tmp_path):
    model, x = make(kind), rows(kind)
    noise, w = np.random.default_rng(1).normal(size=(2, 4, 2)), np.random.default_rng(2).normal(size=(2, 4))
    right = model.path_gradient(x, noise, w, "sampled")
    before = model.params.buffer.copy(), x.copy(), noise.copy(), w.copy()
    there = model.to(backend, "float32")
    left = there.path_gradient(*(asarray(a, backend, "float32") for a in (x, noise, w)), kl="sampled")
    for name in right:
        np.testing.assert_allclose(to_numpy(left[name]), right[name], rtol=2e-4, atol=2e-4)
    for f in (lambda m, rng: m.elbo(x, rng, 2), lambda m, rng: m.log_prob_estimate(x, rng, 3)):
        np.testing.assert_allclose(
            to_numpy(f(there, Replay(5, backend))), f(model, Replay(5)), rtol=1e-4, atol=1e-4
        )
    for a, b in zip(before, (model.params.buffer, x, noise, w), strict=True):
        np.testing.assert_array_equal(a, b)
    model.save(tmp_path / "vae.safetensors")
    twin = load(tmp_path / "vae.safetensors")
    assert twin.config() == model.config()
    np.testing.assert_array_equal(twin.elbo(x, 0), model.elbo(x, 0))


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.3, 1.0, 3.0]))
def test_weighted_gradients_of_convolutional_nets(seed, scale):
    encoder, decoder = nets.convolutional((1, 4, 4), 2, (2,), activation="tanh")
    model = VAE(encoder, decoder, 2, dtype="float64", seed=seed)
    rng = np.random.default_rng(seed)
    x, noise = (rng.random((2, 16)) < 0.5).astype(float), rng.normal(size=(1, 2, 2))
    w = scale * rng.normal(size=(1, 2))

    def total(m):
        q = m.recognition(x)
        z = q.mean + q.deviation * noise[0]
        return (w[0] * (m.log_joint(x, z) - q.log_prob(z))).sum()

    left, right = model.path_gradient(x, noise, w, "sampled"), gradient(model, total)
    for name in right:
        np.testing.assert_allclose(left[name], right[name], atol=1e-9)


def test_the_estimate_is_the_integral():
    """With one code, log p(x) is a one-dimensional integral; importance sampling comes to it."""
    encoder, decoder = nets.dense(3, 1, [4])
    model = VAE(encoder, decoder, 1, dtype="float64", seed=3)
    x = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    z = np.linspace(-9, 9, 4001)[:, None]
    joint = np.stack([model.log_joint(np.tile(row, (4001, 1)), z) for row in x])
    exact = np.log(np.exp(joint).sum(axis=1) * (z[1, 0] - z[0, 0]))
    n = 4000
    log_w = model.log_weights(x, Generator(0), n)
    w = np.exp(log_w)
    # Five standard errors of log mean w: false alarms below 1e-6.
    error = 5 * w.std(axis=0) / w.mean(axis=0) / np.sqrt(n)
    assert (abs(model.log_prob_estimate(x, 0, n) - exact) < error).all()
    assert (model.elbo(x, 0, 200) < exact).all()
    np.testing.assert_allclose(model.log_prob_estimate(x, 0, n), np.log(w.mean(axis=0)), rtol=1e-12)


@pytest.mark.parametrize("kind", OPTIONS)
def test_draws_and_reconstructions_are_data(kind, backend):
    model = make(kind, "float32", backend=backend)
    x = asarray(rows(kind), backend, "float32")
    v, z = model.dream(50, 0)
    assert (v.shape, z.shape) == ((50, 6), (50, 2))
    model.check_data(v)
    assert model.sample(0, 0).shape == (0, 6)
    assert model.reconstruct(x).shape == (4, 6)
    assert model.transform(x).shape == (4, 2)
    assert to_numpy(model.prior(3).log_prob(model.prior(3).mean)).shape == (3,)


def test_shapes_that_do_not_meet_print_both_tables():
    with pytest.raises(ValueError, match=r"(?s)puts out \[3\], expected \[4\].*encoder\n.*decoder\n"):
        VAE([("dense", 3)], [("dense", 6)], 2)
    with pytest.raises(ValueError, match=r"(?s)of 6 columns, which the encoder does not take.*decoder\n"):
        VAE([("reshape", (1, 3, 3)), "flatten", ("dense", 4)], [("dense", 6)], 2)
    with pytest.raises(ValueError, match="puts out 7 numbers, the gaussian likelihood needs 2 a column"):
        VAE([("dense", 4)], [("dense", 7)], 2, "gaussian")
    with pytest.raises(ValueError, match="n_latent must be an integer of at least 1"):
        VAE([("dense", 4)], [("dense", 6)], 0)


def test_nets_may_come_as_networks_with_images():
    encoder = nn.Network(["flatten", ("dense", 4)], (1, 2, 3))
    model = VAE(encoder, nn.Network([("dense", 6)], (2,)), 2)
    assert model.encoder.layers[0] == nn.Reshape((1, 2, 3))
    assert model.elbo(np.eye(6), 0).shape == (6,)


def test_data_that_do_not_fit():
    with pytest.raises(DataError, match="likelihood='gaussian'"):
        make("bernoulli").check_data(2.0 * np.ones((1, 6)))
    with pytest.raises(DataError, match="off the grid"):
        make("discretized_logistic").check_data(np.full((1, 6), 0.3))
    with pytest.raises(DataError, match="one-hot"):
        make("categorical").check_data(np.ones((1, 6)))
    with pytest.raises(DataError, match="column 2 is constant"):
        make("gaussian").fit(rows("gaussian") * [1, 1, 0, 1, 1, 1], epochs=1)
    make("fixed").fit(rows("gaussian") * [1, 1, 0, 1, 1, 1], epochs=1)
    with pytest.raises(ValueError, match=r"variance must be in \(0"):
        VAE([("dense", 4)], [("dense", 6)], 2, "gaussian", variance=0.0)
    with pytest.raises(TypeError, match="takes variance="):
        VAE([("dense", 4)], [("dense", 6)], 2, "gaussian", levels=3)
    with pytest.raises(ValueError, match="did you mean 'bernoulli'"):
        VAE([("dense", 4)], [("dense", 6)], 2, "bernouli")
    with pytest.raises(IntractableError, match="log_prob_estimate"):
        make("bernoulli").log_prob(rows("bernoulli"))
    with pytest.raises(IntractableError, match="pass rng"):
        make("bernoulli").elbo(rows("bernoulli"))


def test_arguments_from_data():
    bits = datasets.digits(binarize="threshold")
    found = VAE.arguments_for(bits, {"n_latent": 3})
    assert VAE(**found).n_visible == 64
    assert found["likelihood"] == "bernoulli"
    moons = VAE.arguments_for(datasets.two_moons(), {})
    assert (moons["likelihood"], VAE(**moons).n_visible) == ("gaussian", 2)
    with pytest.raises(DataError, match="rows of 5 columns, those of digits have 64"):
        VAE.arguments_for(bits, {"decoder": [("dense", 5)]})


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_small_twin_has_the_same_likelihood(kind):
    twin = VAE.small(make(kind))
    assert twin.likelihood.name == make(kind).likelihood.name
    assert twin.n_visible <= 3
    assert set(LIKELIHOODS) >= {twin.likelihood.name}


def test_training_raises_the_bound():
    digits = datasets.digits(binarize="threshold")
    encoder, decoder = nets.dense(64, 4, [32])
    model = VAE(encoder, decoder, 4, seed=0)
    before = model.elbo(digits.test, 0).mean()
    model.fit(digits.train, epochs=8)
    assert model.elbo(digits.test, 0).mean() > before + 15.0


def test_a_batch_of_one_is_refused_under_batch_norm():
    model = VAE([("dense", 5), "batch_norm", ("dense", 4)], [("dense", 6)], 2, seed=0)
    model.fit(rows("bernoulli", 20), epochs=1, batch_size=10)
    assert to_numpy(model.params["encoder/1/mean"]).any()
    with pytest.raises(ValueError, match="batch norm in training needs at least two"):
        model.fit(rows("bernoulli", 1), epochs=1)
