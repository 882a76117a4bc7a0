"""Layers of Gaussian codes: one layer is a VAE, shapes that do not meet, exact cases, bounds, draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minidgm import VAE, Generator, HierarchicalVAE, IntractableError, datasets, load, nn
from minidgm.backend import asarray, to_numpy
from minidgm.checks import check_model
from minidgm.checks.exhaustive import Replay
from minidgm.errors import DataError
from minidgm.latent import nets
from minidgm.latent.likelihoods import likelihood
from minidgm.objectives import ImportanceWeighted, Reparameterization

OPTIONS = {
    "bernoulli": {},
    "gaussian": {},
    "fixed": {"variance": 0.5},
    "categorical": {"n_classes": 3},
    "discretized_logistic": {"levels": 5},
}


def make(kind="bernoulli", n_codes=(2, 1), dtype="float64", seed=0, scale=0.5, **more):
    name = "gaussian" if kind == "fixed" else kind
    outputs = likelihood(name, OPTIONS[kind]).outputs
    encoders, decoders = nets.layered(6, n_codes, [(4,)] * len(n_codes), outputs=outputs)
    options = {"dtype": dtype, "seed": seed, **OPTIONS[kind], **more}
    model = HierarchicalVAE(encoders, decoders, n_codes, name, **options)
    drawn = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(drawn, model.backend, dtype)
    return model


def rows(kind="bernoulli", n=4, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "bernoulli":
        return (rng.random((n, 6)) < 0.5).astype(float)
    if kind == "categorical":
        return np.eye(3)[rng.integers(0, 3, (n, 2))].reshape(n, 6)
    return rng.integers(0, 5, (n, 6)) / 4.0 if kind == "discretized_logistic" else rng.normal(size=(n, 6))


@pytest.mark.parametrize("kind", OPTIONS)
def test_identities(kind):
    report = check_model(make(kind, beta=0.5), ["5", "31"], max_examples=3)
    assert report.ok
    names = {result.name for result in report.results}
    assert names >= {
        "path gradient", "reparameterized bound", "importance-weighted bound", "joint gradient of codes",
        "divergence of the highest layer", "more samples tighten the bound",
    }  # fmt: skip


def test_identities_of_three_layers():
    model = make(n_codes=(1, 1, 1), beta=2.0)
    assert HierarchicalVAE.small(model).depth == 3
    assert check_model(model, ["17", "31"], max_examples=3).ok


@pytest.mark.parametrize("kind", OPTIONS)
def test_one_layer_is_a_vae(kind):
    model, x, rng = make(kind, (3,), beta=0.7), rows(kind), np.random.default_rng(1)
    config = model.config()
    flat = VAE(
        config["encoders"][0], config["decoders"][0], 3, config["likelihood"], 0.7, dtype="float64",
        **OPTIONS[kind],
    )  # fmt: skip
    assert flat.params.size == model.params.size
    flat.params.buffer[...] = model.params.buffer
    z, noise, w = rng.normal(size=(4, 3)), rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4))
    np.testing.assert_array_equal(model.log_joint(x, z), flat.log_joint(x, z))
    np.testing.assert_array_equal(model.log_recognition(x, z), flat.log_recognition(x, z))
    np.testing.assert_array_equal(model.kl(x), flat.kl(x))
    np.testing.assert_allclose(model.divergence(x, z), flat.kl(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model.elbo(x, 0, 3), flat.elbo(x, 0, 3), rtol=1e-12)
    np.testing.assert_array_equal(model.transform(x), flat.transform(x))
    np.testing.assert_array_equal(model.sample(5, 0), flat.sample(5, 0))
    np.testing.assert_array_equal(model.reconstruct(x), flat.reconstruct(x))
    np.testing.assert_allclose(model.traverse(x[:1]), flat.traverse(x[:1]), rtol=1e-12)
    beta, share = rng.random(3), rng.random((2, 4))
    pairs = [
        (m.paths(x, noise).gradient(w, kl, beta, share if kl == "path" else None) for m in (model, flat))
        for kl in ("analytic", "sampled", "path")
    ]
    pairs += [(m.log_joint_gradient(x, z, w[0]) for m in (model, flat))]
    pairs += [(m.log_recognition_gradient(x, z, w[0]) for m in (model, flat))]
    objectives = (Reparameterization(3, free_bits=0.3), ImportanceWeighted(3), ImportanceWeighted(3, True))
    for objective in objectives:
        found = [objective.gradient(m, x, Generator(0)) for m in (model, flat)]
        pairs.append(grads for grads, _ in found)
        for name, value in found[1][1].items():
            np.testing.assert_allclose(found[0][1][name], value, rtol=1e-12, err_msg=name)
    for left, right in pairs:
        np.testing.assert_allclose(left.buffer, right.buffer, atol=1e-12)


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
def test_backends_precisions_and_files_agree(kind, backend, tmp_path):
    model, x = make(kind), rows(kind)
    noise, w = np.random.default_rng(1).normal(size=(2, 4, 3)), np.random.default_rng(2).normal(size=(2, 4))
    before = model.params.buffer.copy(), x.copy(), noise.copy(), w.copy()
    there = model.to(backend, "float32")
    arrays = [asarray(a, backend, "float32") for a in (x, noise, w)]
    for kl in ("analytic", "sampled", "path"):
        right, left = model.path_gradient(x, noise, w, kl), there.path_gradient(*arrays, kl=kl)
        np.testing.assert_allclose(to_numpy(left.buffer), right.buffer, rtol=2e-4, atol=2e-4)
    for f in (
        lambda m, rng: m.elbo(x, rng, 2),
        lambda m, rng: m.log_prob_estimate(x, rng, 3),
        lambda m, rng: m.dream(3, rng)[1],
        lambda m, rng: m.reconstruct(x, 2) + 0.0 * rng.uniform((1,))[0],
    ):
        left, right = f(there, Replay(5, backend)), f(model, Replay(5))
        np.testing.assert_allclose(to_numpy(left), right, rtol=1e-4, atol=1e-4)
    for a, b in zip(before, (model.params.buffer, x, noise, w), strict=True):
        np.testing.assert_array_equal(a, b)
    model.save(tmp_path / "vae.safetensors")
    twin = load(tmp_path / "vae.safetensors")
    assert twin.config() == model.config()
    np.testing.assert_array_equal(twin.elbo(x, 0), model.elbo(x, 0))


def linear(seed=0):
    """x = C z_1 + c + s e, z_1 = A z_2 + a + d e: p(x) is normal, and so is q, with constant variances."""
    encoders = [[("dense", 2), "shared_variance"], [("dense", 1), "shared_variance"]]
    decoders = [[("dense", 3), ("shared_variance", True)], [("dense", 2), "shared_variance"]]
    model = HierarchicalVAE(encoders, decoders, (2, 1), "gaussian", dtype="float64", seed=seed)
    model.params.buffer[...] = 0.3 * np.random.default_rng(seed).normal(size=model.params.size)
    return model


def exact_log_prob(model, x):
    p = {name: np.asarray(value) for name, value in model.params.items()}
    A, C = p["decoder/2/0/W"], p["decoder/1/0/W"]
    inner = A.T @ A + np.diag(np.exp(p["decoder/2/1/log_variance"]) * np.ones(2))
    outer = C.T @ inner @ C + np.diag(np.exp(p["decoder/1/1/log_variance"]) * np.ones(3))
    d = x - (p["decoder/2/0/b"] @ C + p["decoder/1/0/b"])
    distance = np.einsum("ni,ij,nj->n", d, np.linalg.inv(outer), d)
    return -0.5 * (distance + np.linalg.slogdet(2 * np.pi * outer)[1])


def test_the_linear_case_is_exact():
    """Importance sampling comes to the normal density; the bound lies below it by KL(q, posterior)."""
    model, x, n = linear(), np.random.default_rng(3).normal(size=(3, 3)), 20_000
    w = np.exp(model.log_weights(x, Generator(0), n))
    exact = exact_log_prob(model, x)
    # Six standard errors of log mean w: false alarms below 1e-7, were the weights normal.
    error = 6 * w.std(axis=0) / w.mean(axis=0) / np.sqrt(n)
    assert error.max() < 0.3
    assert (abs(np.log(w.mean(axis=0)) - exact) < error).all()
    assert (model.elbo(x, 0, 2000) < exact).all()


def test_three_ways_through_the_bound_have_one_expectation():
    """With linear nets the bound is a quadratic of the noise: a grid of nodes integrates its gradients."""
    model, x = linear(), np.random.default_rng(3).normal(size=(2, 3))
    nodes, masses = np.polynomial.hermite_e.hermegauss(3)
    grid = np.asarray(list(itertools.product(nodes, repeat=3)))
    mass = np.asarray([np.prod(m) for m in itertools.product(masses / masses.sum(), repeat=3)])
    noise = np.repeat(grid[:, None], 2, axis=1)
    w = np.repeat(mass[:, None], 2, axis=1)
    found = {kl: model.path_gradient(x, noise, w, kl).buffer for kl in ("analytic", "sampled", "path")}
    assert abs(found["sampled"]).max() > 0.1
    np.testing.assert_allclose(found["analytic"], found["sampled"], atol=1e-10)
    np.testing.assert_allclose(found["path"], found["sampled"], atol=1e-10)
    drawn = model.paths(x, noise)
    bound = (w * drawn.log_weights).sum(axis=0)
    assert (bound < exact_log_prob(model, x)).all()
    closed = (w * drawn.log_likelihood).sum(axis=0)
    for s, row in enumerate(noise):
        closed = closed - mass[s] * model.divergence(x, model.recognition(x).at(row))
    np.testing.assert_allclose(closed, bound, atol=1e-10)


def test_the_joint_integrates_to_the_frequencies_of_draws():
    """The integral of p(x, z) over a grid of codes is a distribution of rows: the one that is drawn from."""
    model = HierarchicalVAE(*nets.layered(3, (1, 1), [(3,), (3,)]), (1, 1), dtype="float64", seed=1)
    model.params.buffer[...] = 0.7 * np.random.default_rng(0).normal(size=model.params.size)
    states = np.asarray(list(itertools.product([0.0, 1.0], repeat=3)))
    line = np.linspace(-12.0, 12.0, 241)
    z = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    cell = (line[1] - line[0]) ** 2
    p = np.asarray([np.exp(model.log_joint(np.tile(row, (len(z), 1)), z)).sum() * cell for row in states])
    assert p.sum() == pytest.approx(1.0, abs=1e-9)
    n = 20_000
    drawn = model.sample(n, 0)
    frequency = np.asarray([(drawn == row).all(axis=1).mean() for row in states])
    # Six standard errors: false alarms below 1e-7 over eight rows.
    assert (abs(frequency - p) < 6 * np.sqrt(p * (1 - p) / n)).all()
    w = np.exp(model.log_weights(states, Generator(1), n))
    assert (abs(w.mean(axis=0) - p) < 6 * w.std(axis=0) / np.sqrt(n)).all()


@pytest.mark.parametrize("kind", OPTIONS)
def test_draws_and_reconstructions_are_data(kind, backend):
    model = make(kind, dtype="float32", backend=backend)
    x = asarray(rows(kind), backend, "float32")
    v, z = model.dream(20, 0)
    assert (v.shape, z.shape) == ((20, 6), (20, 3))
    model.check_data(v)
    assert model.sample(0, 0).shape == (0, 6)
    assert model.reconstruct(x).shape == model.reconstruct(x, layer=2).shape == (4, 6)
    assert model.transform(x).shape == (4, 3)
    assert model.prior(3).mean.shape == (3, 1)


def test_a_dream_descends():
    """Codes are drawn from the top down, each layer around the mean that the one above gives it."""
    model = make(n_codes=(3, 2, 1))
    _, z = model.dream(5, Replay(2))
    noise = model.split(Replay(2).normal((5, 6), dtype="float64"))
    z1, z2, z3 = model.split(z)
    np.testing.assert_array_equal(z3, noise[2])
    np.testing.assert_array_equal(z2, model.down(3, z3)[0].at(noise[1]))
    np.testing.assert_array_equal(z1, model.down(2, z2)[0].at(noise[0]))


def test_layers_one_by_one():
    """Noise and codes are two names of one draw; the highest means come from means, not from draws."""
    model, x = make(n_codes=(3, 2, 1)), rows()
    q, noise = model.recognition(x), np.random.default_rng(0).normal(size=(4, 6))
    np.testing.assert_allclose(q.noise(q.at(noise)), noise, atol=1e-10)
    assert [z.shape for z in model.split(q.sample(Generator(0)))] == [(4, 3), (4, 2), (4, 1)]
    z1 = model.encode(x)[0].mean
    np.testing.assert_allclose(model.split(q.mean)[1], model.up(2, z1)[0].mean)
    np.testing.assert_allclose(q.mean, q.at(0.0 * noise))


def test_extreme_variances_leave_the_means_alone():
    model = make()
    model.params["encoder/1/2/b"][2:] = 1e4
    assert np.isfinite(model.transform(rows())).all()


def test_shapes_that_do_not_meet_print_tables():
    up, down = nets.layered(6, (3, 2), [(4,), (4,)])
    with pytest.raises(ValueError, match=r"(?s)layer 2: the decoder puts out 8 .*codes below\n.*below\n"):
        HierarchicalVAE(up, [down[0], [("dense", 8)]], (3, 2))
    with pytest.raises(ValueError, match=r"(?s)layer 2: .*out \[5\], expected \[4\].*encoder\n.*decoder\n"):
        HierarchicalVAE([up[0], [("dense", 5)]], down, (3, 2))
    with pytest.raises(ValueError, match="layer 2: the decoder puts out 7 numbers, a mean and a log"):
        HierarchicalVAE(up, [down[0], [("dense", 7)]], (3, 2))
    with pytest.raises(ValueError, match=r"(?s)layer 1: encoder and decoder do not meet.*decoder\n"):
        HierarchicalVAE([[("dense", 4)], up[1]], down, (3, 2))
    with pytest.raises(ValueError, match="layer 1: the decoder puts out 7 numbers, gaussian needs 2"):
        HierarchicalVAE(up, [[("dense", 7)], down[1]], (3, 2), "gaussian")
    with pytest.raises(ValueError, match=r"1 encoders, 2 decoders and n_codes=\(3, 2\)"):
        HierarchicalVAE(up[:1], down, (3, 2))
    with pytest.raises(ValueError, match="at least one layer"):
        HierarchicalVAE([], [], ())
    with pytest.raises(ValueError, match=r"n_codes\[1\] must be an integer of at least 1"):
        HierarchicalVAE(up, down, (3, 0))
    with pytest.raises(TypeError, match=r"n_codes=5; expected a number for each layer"):
        HierarchicalVAE(up, down, 5)
    with pytest.raises(TypeError, match=r"n_codes=5; expected a number for each layer"):
        HierarchicalVAE.arguments_for(datasets.digits(), {"n_codes": 5})
    with pytest.raises(ValueError, match="columns do not divide"):
        HierarchicalVAE([[("dense", 2)]], [[("dense", 4)]], (1,), "categorical", n_classes=3)


def test_what_has_no_closed_form_says_what_to_call():
    model, x = make(), rows()
    with pytest.raises(IntractableError, match="log_prob_estimate"):
        model.log_prob(x)
    with pytest.raises(IntractableError, match="pass rng"):
        model.elbo(x)
    with pytest.raises(IntractableError, match=r"divergence\(x, z\)"):
        model.kl(x)
    with pytest.raises(DataError, match="likelihood='gaussian'"):
        model.check_data(2.0 * np.ones((1, 6)))
    with pytest.raises(ValueError, match="did you mean 'analytic'"):
        model.path_gradient(x, np.zeros((1, 4, 3)), kl="analytical")


def test_arguments_from_data():
    bits = datasets.digits(binarize="threshold")
    found = HierarchicalVAE.arguments_for(bits, {"n_codes": [5, 3, 2]})
    model = HierarchicalVAE(**found)
    assert (model.n_visible, model.n_codes, model.likelihood.name) == (64, (5, 3, 2), "bernoulli")
    moons = HierarchicalVAE(**HierarchicalVAE.arguments_for(datasets.two_moons(), {}))
    assert (moons.likelihood.name, moons.n_visible) == ("gaussian", 2)
    with pytest.raises(DataError, match="rows of 5 columns, those of digits have 64"):
        HierarchicalVAE.arguments_for(bits, {"n_codes": [2], "decoders": [[("dense", 5)]]})


def test_training_raises_the_bound_of_both_layers():
    digits = datasets.digits(binarize="threshold")
    model = HierarchicalVAE(*nets.layered(64, (8, 4), [(32,), (16,)]), (8, 4), seed=0)
    before = model.elbo(digits.test, 0).mean()
    model.fit(digits.train, epochs=8)
    assert model.elbo(digits.test, 0).mean() > before + 15.0


def test_nets_that_know_training_take_part():
    encoders = [[("dense", 5), "batch_norm", ("dense", 4)], [("dense", 3), "batch_norm", ("dense", 2)]]
    decoders = [[("dense", 4), "batch_norm", ("dense", 6)], [nn.Dense(3), "batch_norm", ("dense", 4)]]
    model = HierarchicalVAE(encoders, decoders, (2, 1), seed=0)
    model.fit(rows(n=20), epochs=1, batch_size=10)
    for name in ("encoder/1", "encoder/2", "decoder/1", "decoder/2"):
        assert to_numpy(model.params[f"{name}/1/mean"]).any(), name
