"""Autoencoders with codes of other families: the plain one again, objectives, devices, learning, errors."""

import numpy as np
import pytest

from minidgm import VAE, FamilyVAE, Generator, IntractableError, check_model, load
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.checks.strict import count_host_reads
from minidgm.latent import nets
from minidgm.latent.family_vae import FAMILIES
from minidgm.objectives import ImportanceWeighted, Reinforce, Reparameterization, fitting
from minidgm.optim import Adam

NAMES = (*FAMILIES, "gamma(0.3)")


def make(family="full", likelihood="bernoulli", dtype="float64", seed=0, d=2, **options):
    known = {"latent": family, **options}
    outputs = 2 if likelihood == "gaussian" else 1
    encoder, decoder = nets.dense(6, d, [5], outputs=outputs)
    encoder[-1] = ("dense", d * (d + 3) // 2 if family == "full" else 2 * d)
    known.pop("latent")
    model = FamilyVAE(encoder, decoder, d, family, likelihood, dtype=dtype, seed=seed, **known)
    values = 0.5 * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, model.backend, dtype)
    return model


def rows(n=4, seed=0):
    return (np.random.default_rng(seed).random((n, 6)) < 0.5).astype(float)


@pytest.mark.parametrize("family", NAMES)
def test_identities(family):
    report = check_model(FamilyVAE.small(make(family), dtype="float64"), max_examples=3)
    assert report.ok
    assert {"28a", "28b", "31a", "31c"} <= {result.number for result in report.results}
    assert check_model(make(family, "gaussian"), ["4", "5", "6", "28a", "31a"], max_examples=2).ok


OBJECTIVES = {
    "analytic": lambda: Reparameterization(2),
    "sampled": lambda: Reparameterization(2, "sampled"),
    "path": lambda: Reparameterization(1, "path"),
    "free bits": lambda: Reparameterization(1, free_bits=0.2),
    "sampled free bits": lambda: Reparameterization(1, "sampled", 0.2),
    "importance": lambda: ImportanceWeighted(3),
    "doubly": lambda: ImportanceWeighted(3, True),
    "score": lambda: Reinforce("leave_one_out", 2),
}


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "score"])
def test_independent_normals_are_the_plain_autoencoder(name):
    encoder, decoder = nets.dense(6, 2, [5])
    plain = VAE(encoder, decoder, 2, beta=0.7, dtype="float64", seed=1)
    other = FamilyVAE(encoder, decoder, 2, "diagonal", beta=0.7, dtype="float64", seed=1)
    np.testing.assert_array_equal(plain.params.buffer, other.params.buffer)
    (left, first), (right, second) = (
        OBJECTIVES[name]().gradient(model, rows(), Generator(3)) for model in (plain, other)
    )
    np.testing.assert_allclose(left.buffer, right.buffer, atol=1e-12)
    for key in first:
        assert float(first[key]) == pytest.approx(float(second[key]), abs=1e-12)
    np.testing.assert_allclose(plain.elbo(rows(), 0), other.elbo(rows(), 0), atol=1e-12)
    np.testing.assert_allclose(plain.log_weights(rows(), 0, 3), other.log_weights(rows(), 0, 3), atol=1e-12)
    np.testing.assert_allclose(plain.manifold(3), other.manifold(3), atol=1e-12)


@pytest.mark.parametrize("name", ["analytic", "sampled", "free bits", "importance"])
@pytest.mark.parametrize("family", NAMES)
def test_objectives_follow_their_loss(family, name):
    """Differences of the metric along a direction, noise replayed."""
    model, x = make(family), rows()
    direction = np.random.default_rng(5).normal(size=model.params.size)
    start = model.params.buffer.copy()
    grads, _ = OBJECTIVES[name]().gradient(model, x, Replay(1))
    found, h = float(grads.buffer @ direction), 1e-4

    def loss(t):
        model.params.buffer[...] = start + t * h * direction
        return float(OBJECTIVES[name]().gradient(model, x, Replay(1))[1]["loss"])

    right = (8.0 * (loss(1.0) - loss(-1.0)) - (loss(2.0) - loss(-2.0))) / (12.0 * h)
    assert found == pytest.approx(right, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("family", NAMES)
def test_objectives_on_every_device(family, name, backend):
    found = []
    for where, dtype in (("numpy", "float64"), (backend, "float32")):
        model, x = make(family, backend=where, dtype=dtype), asarray(rows(), where, dtype)
        params = to_numpy(model.params.buffer).copy()
        objective = OBJECTIVES[name]()
        grads, _ = objective.gradient(model, x, Replay(3, where))
        found.append(to_numpy(grads.buffer).copy())
        np.testing.assert_array_equal(to_numpy(model.params.buffer), params)
    np.testing.assert_allclose(found[1], found[0], atol=1e-3 * max(1.0, abs(found[0]).max()))
    if backend == "strict":
        with count_host_reads() as reads:
            objective.gradient(model, x, Generator(3, backend))
        assert reads.count == 0


@pytest.mark.parametrize("family", NAMES)
def test_bounds_draws_files(family, backend, tmp_path):
    model, x = make(family, backend=backend, dtype="float32"), asarray(rows(), backend)
    close = to_numpy(model.log_prob_estimate(x, 0, 2000))
    assert (to_numpy(model.elbo(x, 0, 300)) < close + 0.1).all()
    v, z = model.dream(20, 0)
    assert (v.shape, z.shape) == ((20, 6), (20, 2))
    assert not family.startswith("gamma") or (to_numpy(z) > 0.0).all()
    assert (model.sample(0, 0).shape, model.reconstruct(x).shape) == ((0, 6), (4, 6))
    assert model.manifold(3).shape == (3, 3, 6)
    assert model.interpolate(x[:2], x[2:], 3).shape == (3, 2, 6)
    assert model.prior(3).log_prob(model.prior(3).sample(Generator(0, backend))).shape == (3,)
    model.save(tmp_path / "vae.safetensors")
    twin = load(tmp_path / "vae.safetensors", backend=backend)
    assert (type(twin), twin.config()) == (FamilyVAE, model.config())
    np.testing.assert_array_equal(to_numpy(twin.elbo(x, 0)), to_numpy(model.elbo(x, 0)))


@pytest.mark.parametrize("family", ["full", "logistic", "gamma"])
def test_learns(family):
    x = np.tile(np.array([[a, a, b, b, a, b] for a in (0.0, 1.0) for b in (0.0, 1.0)]), (25, 1))
    model = make(family, dtype="float32")
    before = model.log_prob_estimate(x[:4], 0, 500).mean()
    model.fit(x, optimizer=Adam(0.02), epochs=150, batch_size=25, seed=0)
    assert model.log_prob_estimate(x[:4], 0, 500).mean() > before + 1.0


def test_leaning_posteriors_are_tighter_where_the_true_one_leans():
    """x = z_1 + z_2 + noise, p held: independent codes stay below log p, the full family reaches it."""

    class Encoder(Reparameterization):
        def estimate(self, model, batch, rng, grads):
            metrics = super().estimate(model, batch, rng, grads)
            for name in ("decoder/0/W", "decoder/0/b"):
                grads[name][...] = 0.0
            return metrics

    rng = np.random.default_rng(0)
    x = (rng.normal(size=(400, 2)) @ np.ones((2, 1))) + 0.3 * rng.normal(size=(400, 1))
    found = {}
    for family, size in (("diagonal", 4), ("full", 5)):
        model = FamilyVAE([("dense", size)], [("dense", 1)], 2, family, "gaussian", variance=0.09, seed=0)
        model.params["decoder/0/W"][...] = 1.0
        model.fit(x, objective=Encoder(4), optimizer=Adam(0.02), epochs=120, batch_size=50, seed=0)
        exact = -0.5 * (x[:, 0] ** 2 / 2.09 + np.log(2.0 * np.pi * 2.09))
        found[family] = float((exact - model.elbo(x, 1, 50)).mean())
    assert found["full"] < 0.1
    assert found["diagonal"] > found["full"] + 0.2


def test_defaults_and_arguments_from_data():
    from minidgm.datasets import digits

    for family, size in (("full", 65), ("gamma", 20)):
        arguments = FamilyVAE.arguments_for(digits(), {"family": family})
        assert FamilyVAE(**arguments).encoder.shape == (size,)
    assert FamilyVAE.arguments_for(digits(), {"encoder": [("dense", 65)]})["encoder"] == [("dense", 65)]
    assert isinstance(make().default_objective(), Reparameterization)
    assert {"Reparameterization", "ImportanceWeighted", "Reinforce"} <= set(fitting(make("gamma")))


def test_bad_input_says_what_to_do():
    layers = [("dense", 4)], [("dense", 6)]
    for arguments, message in (
        ((*layers, 2, "cauchy"), "unknown family of codes 'cauchy'.*gamma"),
        ((*layers, 2, "gamma(0)"), "prior_shape"),
        ((*layers, 2, "gamma(e)"), r"unknown family of codes 'gamma\(e\)'"),
        ((*layers, 2, "gamma(-.5e0)"), "prior_shape"),
        ((*layers, 2, "full"), r"(?s)\[4\], expected \[5\], the numbers of 2 codes of family.*decoder"),
    ):
        with pytest.raises(ValueError, match=message):
            FamilyVAE(*arguments)
    with pytest.raises(IntractableError, match=r"elbo\(x, rng\)"):
        make("logistic").kl(rows())
    with pytest.raises(IntractableError, match="rng"):
        make("logistic").elbo(rows())
    with pytest.raises(ValueError, match="unknown"):
        make().path_gradient(rows(), np.zeros((1, 4, 2)), kl="closed")
    with pytest.raises(ValueError, match="two codes"):
        make("gamma", d=3).manifold()
