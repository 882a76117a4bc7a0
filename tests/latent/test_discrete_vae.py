"""Autoencoders of discrete codes: densities by plain sums, gradients, devices, files, training, bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from minidgm import VAE, DiscreteVAE, Generator, IntractableError, check_model, load
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.checks.oracle import gradient
from minidgm.checks.strict import count_host_reads
from minidgm.errors import DataError
from minidgm.evaluation import importance_weighted, lower_bound
from minidgm.latent import nets
from minidgm.latent.directed import Draws
from minidgm.latent.likelihoods import likelihood
from minidgm.objectives import (
    GumbelSoftmax,
    Rebar,
    Reinforce,
    Reparameterization,
    ReweightedWakeSleep,
    StraightThrough,
    Vimco,
    WakeSleep,
    fitting,
)
from minidgm.optim import Adam

OPTIONS = {
    "bernoulli": {},
    "gaussian": {},
    "fixed": {"variance": 0.5},
    "categorical": {"n_classes": 3},
    "discretized_logistic": {"levels": 5},
}
LATENTS = ("bernoulli", "softmax(3)", "spin", "pooled(2)")


def make(latent="bernoulli", kind="bernoulli", dtype="float64", seed=0, scale=0.7, **more):
    name = "gaussian" if kind == "fixed" else kind
    family = likelihood(name, OPTIONS[kind])
    encoder, decoder = nets.dense(6, 6, [5], codes=1, outputs=family.outputs)
    model = DiscreteVAE(encoder, decoder, 6, latent, name, dtype=dtype, seed=seed, **OPTIONS[kind], **more)
    values = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, model.backend, dtype)
    return model


def rows(kind="bernoulli", n=4, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "bernoulli":
        return (rng.random((n, 6)) < 0.5).astype(float)
    if kind == "categorical":
        return np.eye(3)[rng.integers(0, 3, (n, 2))].reshape(n, 6)
    return rng.integers(0, 5, (n, 6)) / 4.0 if kind == "discretized_logistic" else rng.normal(size=(n, 6))


def every_code(latent):
    one = {
        "bernoulli": ([0.0], [1.0]),
        "spin": ([-1.0], [1.0]),
        "softmax(3)": np.eye(3),
        "pooled(2)": ([0.0, 0.0], [1.0, 0.0], [0.0, 1.0]),
    }[latent]
    size = 6 // len(one[0])
    return np.array([np.concatenate(parts) for parts in itertools.product(one, repeat=size)])


@given(latent=st.sampled_from(LATENTS), kind=st.sampled_from(sorted(OPTIONS)), seed=st.integers(0, 2**31))
@settings(max_examples=20)
def test_densities_are_sums_over_all_codes(latent, kind, seed):
    model, x = make(latent, kind, seed=seed), rows(kind, 3, seed)
    Z = every_code(latent)
    p = model.params

    def net(name, h):
        return np.tanh(h @ p[f"{name}/0/W"] + p[f"{name}/0/b"]) @ p[f"{name}/2/W"] + p[f"{name}/2/b"]

    log_p = np.array([[model.likelihood.log_prob(net("decoder", z[None]), r[None])[0] for z in Z] for r in x])
    prior = Z @ p["prior/b"]
    prior -= logsumexp(prior)
    log_q = net("encoder", x) @ Z.T
    log_q -= logsumexp(log_q, axis=1, keepdims=True)
    np.testing.assert_allclose(model.log_prob(x), logsumexp(log_p + prior, axis=1), atol=1e-9)
    bound = (np.exp(log_q) * (log_p + prior - log_q)).sum(axis=1)
    np.testing.assert_allclose(model.elbo(x), bound, atol=1e-9)
    np.testing.assert_allclose(model.kl(x), (np.exp(log_q) * (log_q - prior)).sum(axis=1), atol=1e-9)
    np.testing.assert_allclose(model.recognition(x).mean, np.exp(log_q) @ Z, atol=1e-9)
    wide, z = np.repeat(x, len(Z), axis=0), np.tile(Z, (len(x), 1))
    np.testing.assert_allclose(model.log_recognition(wide, z), log_q.reshape(-1), atol=1e-9)


@given(latent=st.sampled_from(LATENTS), kind=st.sampled_from(sorted(OPTIONS)), seed=st.integers(0, 2**31))
@settings(max_examples=15)
def test_gradients_by_hand_are_those_of_autograd(latent, kind, seed):
    model, x = make(latent, kind, seed=seed), rows(kind, 3, seed)
    w = np.random.default_rng(seed).normal(size=3)
    z = every_code(latent)[:3] * 0.7 + 0.1
    stale = model.params.like()
    for name in ("log_joint", "log_recognition"):
        right = gradient(model, lambda m, name=name: (w * getattr(m, name)(x, z)).sum())
        stale.buffer[...] = 7.0
        left = getattr(model, f"{name}_gradient")(x, z, w, stale)
        for key in right:
            np.testing.assert_allclose(left[key], right[key], atol=1e-9)


@pytest.mark.parametrize("latent", ["bernoulli", "softmax(2)", "softmax(3)", "spin"])
def test_every_identity_holds(latent):
    report = check_model(DiscreteVAE.small(make(latent), dtype="float64"), max_examples=2)
    assert report.ok
    assert {"27", "30", "31c"} <= {result.number for result in report.results}


@pytest.mark.parametrize("kind", [k for k in OPTIONS if k != "bernoulli"])
def test_identities_of_other_likelihoods(kind):
    assert check_model(make("softmax(3)", kind), ["4", "5", "6"], max_examples=2).ok


@pytest.mark.parametrize("latent", ["bernoulli", "softmax(3)"])
def test_draws_made_together_are_draws_made_one_by_one(latent, backend):
    model, x = make(latent, backend=backend), asarray(rows(), backend, "float64")
    quick, plain = model.draw(x, 3, Replay(5, backend)), Draws(model, x, 3, Replay(5, backend))
    np.testing.assert_array_equal(to_numpy(quick.z), to_numpy(plain.z))
    weights = asarray(np.random.default_rng(0).normal(size=(3, len(x))), backend, "float64")
    for name in ("log_joint", "log_recognition", "log_weights"):
        np.testing.assert_allclose(to_numpy(getattr(quick, name)), to_numpy(getattr(plain, name)), atol=1e-12)
    for name in ("log_joint_gradient", "log_recognition_gradient"):
        for _ in range(2):
            found = [to_numpy(getattr(d, name)(weights).buffer) for d in (quick, plain)]
            np.testing.assert_allclose(*found, atol=1e-12)


OBJECTIVES = {
    "Gumbel-softmax": lambda: GumbelSoftmax(0.7, 2),
    "hard": lambda: GumbelSoftmax(0.7, 2, hard=True),
    "straight-through": lambda: StraightThrough(2),
    "identity": lambda: StraightThrough(1, "identity"),
    "REBAR": lambda: Rebar(0.7, 2),
    "REINFORCE": lambda: Reinforce("leave_one_out", 2),
    "mean": lambda: Reinforce("mean"),
    "NVIL": lambda: Reinforce("input", units=3),
    "VIMCO": lambda: Vimco(3),
    "RWS": lambda: ReweightedWakeSleep(3),
    "wake-sleep": lambda: WakeSleep(2),
}


@pytest.mark.parametrize("latent", ["bernoulli", "softmax(3)"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_on_every_device(name, latent, backend):
    """Pure; equal noise, equal gradients in both precisions; nothing waits for the device."""
    found = []
    for where, dtype in (("numpy", "float64"), (backend, "float32")):
        model, x = make(latent, backend=where, dtype=dtype), asarray(rows(), where, dtype)
        before, params = to_numpy(x).copy(), to_numpy(model.params.buffer).copy()
        objective = OBJECTIVES[name]()
        grads, metrics = objective.gradient(model, x, Replay(3, where))
        found.append(to_numpy(grads.buffer).copy())
        np.testing.assert_array_equal(to_numpy(x), before)
        np.testing.assert_array_equal(to_numpy(model.params.buffer), params)
        assert metrics["loss"].shape == ()
    np.testing.assert_allclose(found[1], found[0], atol=2e-4 * max(1.0, abs(found[0]).max()))
    if backend == "strict":
        with count_host_reads() as reads:
            objective.gradient(model, x, Generator(3, backend))
        assert reads.count == 0


def test_estimates_come_to_the_exact_values():
    """Means of 4000 draws a row; false alarms below 1e-6 (5.5 sigma, 8 means)."""
    model, x = make("softmax(3)"), rows()
    wide = np.repeat(x, 4000, axis=0)
    for found, exact in (
        (model.elbo(wide, rng=0), model.elbo(x)),
        (np.exp(model.log_prob_estimate(wide, rng=1, n_samples=1)), np.exp(model.log_prob(x))),
    ):
        values = found.reshape(4, 4000)
        assert (abs(values.mean(axis=1) - exact) < 5.5 * values.std(axis=1, ddof=1) / 4000**0.5).all()
    assert lower_bound(model, x).value == pytest.approx(float(model.elbo(x).mean()))
    close = importance_weighted(model, x, rng=0, n_samples=2000)
    assert close.value == pytest.approx(model.log_prob(x).mean(), abs=0.05)


@pytest.mark.parametrize("kind", OPTIONS)
def test_draws_and_reconstructions_are_data(kind, backend, tmp_path):
    model = make("softmax(3)", kind, "float32", backend=backend)
    x = asarray(rows(kind), backend, "float32")
    v, z = model.dream(20, 0)
    model.check_data(v)
    np.testing.assert_array_equal(to_numpy(z).reshape(20, 2, 3).sum(axis=2), 1.0)
    assert (model.sample(0, 0).shape, model.reconstruct(x).shape, model.transform(x).shape) == (
        (0, 6), (4, 6), (4, 6)
    )  # fmt: skip
    model.save(tmp_path / "vae.safetensors")
    twin = load(tmp_path / "vae.safetensors", backend=backend)
    assert (type(twin), twin.config()) == (DiscreteVAE, model.config())
    np.testing.assert_array_equal(to_numpy(twin.log_prob(x)), to_numpy(model.log_prob(x)))
    assert model.elbo(asarray(np.zeros((0, 6)), backend), rng=0).shape == (0,)


@pytest.mark.parametrize("name", ["Gumbel-softmax", "straight-through", "REINFORCE", "VIMCO", "RWS"])
def test_learns_a_distribution_it_can_hold(name):
    """Four patterns, two bits of code: log p rises from -6 log 2 towards -log 4."""
    x = np.tile(np.array([[a, a, b, b, a, b] for a in (0.0, 1.0) for b in (0.0, 1.0)]), (25, 1))
    encoder, decoder = nets.dense(6, 2, [12], codes=1)
    model = DiscreteVAE(encoder, decoder, 2, seed=1)
    model.fit(x, objective=OBJECTIVES[name](), optimizer=Adam(0.02), epochs=150, batch_size=25, seed=0)
    assert -3.0 < model.log_prob(x[:4]).mean() < -np.log(4.0) + 1e-6


def test_defaults_and_arguments_from_data():
    from minidgm.datasets import digits, two_moons

    made = DiscreteVAE(**DiscreteVAE.arguments_for(digits(), {}), seed=0)
    assert (made.n_visible, made.n_latent, made.likelihood.name) == (64, 32, "bernoulli")
    made = DiscreteVAE(**DiscreteVAE.arguments_for(two_moons(), {"latent": "softmax(5)"}))
    assert (made.n_latent, made.likelihood.name) == (40, "gaussian")
    with pytest.raises(DataError, match="rows of 3 columns"):
        DiscreteVAE.arguments_for(digits(), {"decoder": [("dense", 3)], "n_latent": 4})
    assert isinstance(make().default_objective(), GumbelSoftmax)
    assert isinstance(make("spin").default_objective(), Reinforce)
    assert DiscreteVAE.small(make("softmax(3)", "categorical")).n_visible == 3


def test_which_objectives_fit():
    scores = {"Reinforce", "Vimco", "ReweightedWakeSleep", "WakeSleep"}
    slopes = {"GumbelSoftmax", "StraightThrough", "Rebar"}
    assert scores | slopes <= set(fitting(make()))
    assert scores <= set(fitting(make("spin")))
    assert not slopes & set(fitting(make("spin")))
    with pytest.raises(TypeError, match=r"discrete, and have no.*that fit: .*GumbelSoftmax"):
        Reparameterization().gradient(make(), rows(), Generator(0))
    with pytest.raises(TypeError, match="its codes are spin, and neither bits nor one-hot groups"):
        Rebar().gradient(make("spin"), rows(), Generator(0))


def test_bad_input_says_what_to_do():
    layers = [("dense", 6)], [("dense", 6)]
    for arguments, message in (
        ((*layers, 5), r"(?s)puts out \[6\], expected \[5\], a field.*encoder\n.*decoder\n"),
        ((*layers, 6, "softmax(4)"), "n_latent=6 columns do not divide into softmax"),
        ((*layers, 6, "gaussian"), "no discrete code; use a VAE"),
        ((*layers, 6, "bits"), "unknown unit 'bits'"),
        (([("dense", 6), "batch_norm"], layers[1], 6), "encoder has layers that know training"),
        ((*layers, 0), "n_latent must be an integer"),
        ((*layers, 6, "spin", likelihood("categorical", {"n_classes": 4})), "n_visible=6 columns do not"),
    ):
        with pytest.raises(ValueError, match=message):
            DiscreteVAE(*arguments)
    with pytest.raises(DataError, match="likelihood='gaussian'"):
        make().check_data(2.0 * np.ones((1, 6)))
    constant = np.concatenate([rows("gaussian")[:, :5], np.ones((4, 1))], axis=1)
    for model in (make("softmax(3)", "gaussian"), VAE([("dense", 4)], [("dense", 12)], 2, "gaussian")):
        with pytest.raises(DataError, match="column 5 is constant"):
            model.fit(constant, epochs=1)
    make("softmax(3)", "fixed").begin(constant)
    big = DiscreteVAE([("dense", 40)], [("dense", 6)], 40)
    with pytest.raises(IntractableError, match=r"log_prob_estimate"):
        big.log_prob(rows())
    with pytest.raises(IntractableError, match=r"elbo\(x, rng\)"):
        big.elbo(rows())
