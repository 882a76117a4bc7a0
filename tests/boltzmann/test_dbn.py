"""Deep belief network against plain enumeration of its layers; bounds, sampling, parity, files, bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logsumexp
from scipy.stats import norm

from minidgm import DBN, RBM, GaussianRBM, IntractableError, check_model, load
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.errors import DataError
from minidgm.evaluation import ais

SIZES = ([3, 2], [3, 2, 2], [2, 3, 1, 2])


def drawn(sizes, visible="bernoulli", seed=0, scale=0.8, **options):
    dbn = DBN(sizes, visible, **{"dtype": "float64", **options})
    values = scale * np.random.default_rng(seed).normal(size=dbn.params.size)
    dbn.params.buffer[...] = asarray(values, dbn.backend, dbn.dtype)
    return dbn


def bits(n):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def log_conditional(x, field):
    return (x * field - np.logaddexp(0.0, field)).sum(axis=-1)


def enumerated(dbn, v):
    """log p(v, h) and log q(h | v), [n, m], of every h, from the parameters; the top normalized by hand."""
    p = {name: to_numpy(value) for name, value in dbn.params.items()}
    H = bits(dbn.n_hidden)
    L = dbn.depth
    W, b, c = p[f"W{L}"], p[f"b{L - 1}"], p[f"b{L}"]
    x, y = bits(dbn.sizes[-2]), bits(dbn.sizes[-1])
    log_z = logsumexp((x @ b)[:, None] + x @ W @ y.T + (y @ c)[None, :])
    log_p, log_q = np.empty((2, len(v), len(H)))
    for (i, row), (j, h) in itertools.product(enumerate(v), enumerate(H)):
        s = [row, *np.split(h, np.cumsum(dbn.sizes[1:-1]))]
        log_p[i, j] = s[-2] @ W @ s[-1] + b @ s[-2] + c @ s[-1] - log_z
        log_q[i, j] = log_conditional(s[-1], s[-2] @ W + c)
        for layer in range(1, L):
            field = p[f"W{layer}"] @ s[layer] + p[f"b{layer - 1}"]
            if layer == 1 and dbn.visible.name == "gaussian":
                precision = np.exp(p["visible_log_precision"])
                log_p[i, j] += norm.logpdf(row, field / precision, precision**-0.5).sum()
            else:
                log_p[i, j] += log_conditional(s[layer - 1], field)
            log_q[i, j] += log_conditional(s[layer], s[layer - 1] @ p[f"R{layer}"] + p[f"r{layer}"])
    return H, log_p, log_q


VISIBLE = ("bernoulli", "gaussian")


@given(case=st.tuples(st.sampled_from(SIZES), st.sampled_from(VISIBLE), st.integers(0, 2**31)))
@settings(max_examples=15)
def test_densities_and_bounds_are_sums_over_all_hidden_states(case):
    sizes, visible, seed = case
    if len(sizes) == 2:
        visible = "bernoulli"
    dbn = drawn(sizes, visible, seed)
    v = bits(sizes[0]) if visible == "bernoulli" else np.random.default_rng(seed).normal(size=(5, sizes[0]))
    H, log_p, log_q = enumerated(dbn, v)
    pairs = np.repeat(v, len(H), axis=0), np.tile(H, (len(v), 1))
    log_z = float(dbn.top.log_partition())
    np.testing.assert_allclose(-dbn.energy(*pairs).reshape(log_p.shape) - log_z, log_p, atol=1e-10)
    np.testing.assert_allclose(dbn.log_prob(v), logsumexp(log_p, axis=1), atol=1e-10)
    np.testing.assert_allclose(dbn.log_prob(v, log_z + 1.0), logsumexp(log_p, axis=1) - 1.0, atol=1e-10)
    bound = (np.exp(log_q) * (log_p - log_q)).sum(axis=1)
    np.testing.assert_allclose(dbn.elbo(v), bound, atol=1e-10)
    assert (dbn.elbo(v) <= dbn.log_prob(v) + 1e-12).all()
    below = log_q - log_conditional(pairs[1][:, -sizes[-1] :], states_field(dbn, *pairs)).reshape(log_q.shape)
    np.testing.assert_allclose(dbn.log_recognition(*pairs).reshape(log_q.shape), below, atol=1e-10)


def states_field(dbn, v, h):
    """Field of the top hidden layer."""
    s = [v, *np.split(h, np.cumsum(dbn.sizes[1:-1]), axis=1)]
    return s[-2] @ dbn.params[f"W{dbn.depth}"] + dbn.params[f"b{dbn.depth}"]


@pytest.mark.parametrize("sizes", [[2, 2, 2], [2, 1, 2, 1], [2, 2]], ids=str)
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_every_identity_holds(sizes, visible):
    if visible == "gaussian" and len(sizes) == 4:
        sizes = [1, 2, 1, 2]
    report = check_model(DBN(sizes, visible, dtype="float64"), max_examples=4)
    assert len(report.results) >= 12
    assert report.ok


def test_checks_a_large_network_on_a_small_twin():
    report = check_model(DBN([64, 30, 20], "gaussian"), ["free energy", "weighted energy gradient"], 3)
    assert "sizes=[2, 2, 2], visible='gaussian'" in report.notes[0]


def test_estimates_draw_near_the_exact_values():
    """Means of 2000 draws; False alarms below 1e-6 (5.5 sigma, 16 means)."""
    dbn = drawn([3, 2, 2], seed=3)
    v = bits(3)
    draws = np.stack([dbn.elbo(v, rng=seed) for seed in range(2000)])
    error = draws.std(axis=0, ddof=1) / 2000**0.5
    assert (abs(draws.mean(axis=0) - dbn.elbo(v)) < 5.5 * error + 1e-12).all()
    rng = Generator(0)
    several = [dbn.elbo(v, rng=rng) for _ in range(3)]
    np.testing.assert_allclose(dbn.elbo(v, rng=0, n_samples=3), np.mean(several, axis=0))
    weights = np.stack([np.exp(dbn.log_prob_estimate(v, rng=s, n_samples=1)) for s in range(2000)])
    error = weights.std(axis=0, ddof=1) / 2000**0.5
    assert (abs(weights.mean(axis=0) - np.exp(dbn.log_prob(v))) < 5.5 * error + 1e-12).all()
    close = dbn.log_prob_estimate(v, rng=1, n_samples=5000)
    np.testing.assert_allclose(close, dbn.log_prob(v), atol=0.3)


def test_one_layer_is_an_rbm():
    dbn = drawn([3, 2])
    v = bits(3)
    rbm = RBM(3, 2, dtype="float64")
    rbm.params["W"], rbm.params["b"], rbm.params["c"] = (dbn.params[name] for name in ("W1", "b0", "b1"))
    np.testing.assert_allclose(dbn.log_prob(v), rbm.log_prob(v), atol=1e-12)
    np.testing.assert_allclose(dbn.elbo(v), rbm.log_prob(v), atol=1e-12)
    assert list(dbn.params) == ["b0", "W1", "b1"]


def test_annealed_importance_sampling_of_the_top():
    dbn = drawn([4, 3, 3], seed=5)
    estimate = ais(dbn.top, n_chains=500, n_temperatures=200, rng=0)
    assert estimate.value == pytest.approx(float(dbn.top.log_partition()), abs=5 * estimate.stderr + 1e-3)
    np.testing.assert_allclose(dbn.elbo(bits(4), estimate), dbn.elbo(bits(4), estimate.value))


def test_samples_stacks_and_features(backend, xp):
    dbn = drawn([3, 2, 4], backend=backend)
    v = asarray(bits(3), backend)
    h = dbn.infer(v, Generator(0, backend))
    assert [part.shape for part in dbn.layers(h)] == [(8, 2), (8, 4)]
    dream, state = dbn.dream(8, 1, steps=2, init=v)
    assert dream.shape == (8, 3)
    assert state.shape == (8, 6)
    assert set(to_numpy(dream).ravel()) <= {0.0, 1.0}
    assert dbn.sample(5, 0, steps=1).shape == (5, 3)
    h1 = expit(bits(3) @ to_numpy(dbn.params["R1"]) + to_numpy(dbn.params["r1"]))
    np.testing.assert_allclose(to_numpy(dbn.transform(v, 1)), h1, rtol=1e-6)
    h2 = expit(h1 @ to_numpy(dbn.params["W2"]) + to_numpy(dbn.params["b2"]))
    np.testing.assert_allclose(to_numpy(dbn.transform(v)), h2, rtol=1e-6)
    back = expit(h2 @ to_numpy(dbn.params["W2"]).T + to_numpy(dbn.params["b1"]))
    back = expit(back @ to_numpy(dbn.params["W1"]).T + to_numpy(dbn.params["b0"]))
    np.testing.assert_allclose(to_numpy(dbn.reconstruct(v)), back, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_backends_agree_with_noise_replayed(visible, dtype):
    host = drawn([3, 2, 2], visible, seed=1)
    moved = host.to("strict", dtype)
    v = bits(3)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for method in ("log_prob", "elbo"):
        there = to_numpy(getattr(moved, method)(asarray(v, "strict", dtype)))
        np.testing.assert_allclose(there, getattr(host, method)(v), atol=tolerance)
    draws = [
        model.dream(4, Replay(3, where), steps=2)
        for model, where in ((host, "numpy"), (moved, "strict"))
    ]
    for here, there in zip(*draws, strict=True):
        np.testing.assert_allclose(to_numpy(there), to_numpy(here), atol=tolerance)
    weights = [
        to_numpy(model.log_prob_estimate(asarray(v, where, model.dtype), Replay(3, where), 3))
        for model, where in ((host, "numpy"), (moved, "strict"))
    ]
    np.testing.assert_allclose(weights[1], weights[0], atol=tolerance)


def test_methods_are_pure():
    dbn = drawn([3, 2, 2])
    v, h = bits(3), dbn.infer(bits(3), Generator(0))
    before = [x.copy() for x in (dbn.params.buffer, v, h)]
    dbn.log_prob(v), dbn.elbo(v), dbn.elbo(v, rng=0), dbn.log_prob_estimate(v, 0, 2), dbn.dream(8, 0, 1, v)
    dbn.reconstruct(v), dbn.log_recognition_gradient(v, h, v[:, 0]), dbn.energy_gradient(v, h, v[:, 1])
    for old, new in zip(before, (dbn.params.buffer, v, h), strict=True):
        assert (old == new).all()


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_files(tmp_path, visible):
    dbn = drawn([3, 2, 2], visible, dtype="float32")
    dbn.save(tmp_path / "dbn.safetensors")
    found = load(tmp_path / "dbn.safetensors")
    assert found.config() == dbn.config() == {"sizes": [3, 2, 2], "visible": visible}
    assert (found.log_prob(bits(3)) == dbn.log_prob(bits(3))).all()


def test_large_parameters_stay_finite():
    dbn = drawn([3, 2, 2], scale=1e4, dtype="float32")
    v, h = bits(3).astype("float32"), bits(4).astype("float32")[:8]
    for value in (dbn.energy(v, h), dbn.log_weight(v, h), dbn.log_prob(v), dbn.elbo(v)):
        assert np.isfinite(value).all()
    assert dbn.log_prob(v[:0]).shape == (0,)


def test_stack_that_does_not_chain():
    with pytest.raises(ValueError, match="RBM 2 has 3 hidden bits, RBM 3 has 4 bernoulli visible units"):
        DBN.from_rbms([RBM(5, 2), RBM(2, 3), RBM(4, 2)])
    with pytest.raises(ValueError, match="RBM 1 has 2 hidden bits, RBM 2 has 2 gaussian visible units"):
        DBN.from_rbms([RBM(5, 2), RBM(2, 3, visible="gaussian")])
    with pytest.raises(ValueError, match="RBM 1 has spin hidden units"):
        DBN.from_rbms([RBM(5, 2, hidden="spin")])
    with pytest.raises(ValueError, match="at least one RBM"):
        DBN.from_rbms([])
    with pytest.raises(TypeError, match="entry 1 of the stack is a int"):
        DBN.from_rbms([3])
    with pytest.raises(TypeError, match="RBM 1 is float32 on numpy, RBM 2 float64"):
        DBN.from_rbms([RBM(5, 2), RBM(2, 3, dtype="float64")])


def test_stack_keeps_every_machine():
    rbms = [RBM(4, 3, visible="gaussian", seed=1), RBM(3, 2, seed=2), RBM(2, 5, seed=3)]
    for seed, rbm in enumerate(rbms):
        rbm.params.buffer[...] = Generator(seed).normal((rbm.params.size,))
    dbn = DBN.from_rbms(rbms)
    assert dbn.sizes == (4, 3, 2, 5)
    for layer, rbm in enumerate(rbms, start=1):
        for name, value in rbm.params.items():
            assert (dbn.rbm(layer).params[name] == value).all()
    assert (dbn.params["R1"] == rbms[0].params["W"]).all()
    assert (dbn.params["b1"] == rbms[1].params["b"]).all()
    assert (dbn.params["r1"] == rbms[0].params["c"]).all()
    again = DBN.from_rbms([GaussianRBM.from_natural(rbms[0]), *rbms[1:]])
    np.testing.assert_allclose(again.params.buffer, dbn.params.buffer, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "error", "match"),
    [
        ([3], ValueError, r"sizes=\[3\]; expected a visible and at least one hidden layer"),
        (3, TypeError, "sizes=3; expected the units of each layer"),
        ("34", TypeError, "expected the units of each layer"),
        ([3, 0], ValueError, r"sizes\[1\] must be an integer of at least 1, got 0"),
        ([3, 2.0], TypeError, r"sizes\[1\] must be an integer, got 2.0"),
    ],
)
def test_impossible_sizes(sizes, error, match):
    with pytest.raises(error, match=match):
        DBN(sizes)


def test_bad_input():
    dbn = DBN([3, 2, 2])
    with pytest.raises(DataError, match=r"v has shape \(2, 4\); expected \[n, 3\]"):
        dbn.elbo(np.zeros((2, 4)))
    with pytest.raises(DataError, match=r"v holds 2 \(row 0, column 0\)"):
        dbn.log_prob(np.full((1, 3), 2.0))
    with pytest.raises(ValueError, match="n_samples must be an integer of at least 1"):
        dbn.elbo(np.zeros((2, 3)), rng=0, n_samples=0)
    with pytest.raises(ValueError, match="init has 2 rows"):
        dbn.sample(3, 0, init=np.zeros((2, 3)))
    with pytest.raises(IntractableError, match=r"2\^17 states of a layer.*log_prob_estimate"):
        DBN([3, 17, 2]).log_prob(np.zeros((1, 3)))
    with pytest.raises(IntractableError, match=r"use minidgm\.evaluation\.ais"):
        DBN([30, 30, 30]).elbo(np.zeros((1, 30)), rng=0)


def test_arguments_from_data():
    class Data:
        train, name = np.zeros((5, 7)), "mine"

    assert DBN.arguments_for(Data, {})["sizes"] == [7, 64, 64]
    assert DBN.arguments_for(Data, {"sizes": [7, 2]})["sizes"] == [7, 2]
    with pytest.raises(DataError, match="rows of mine have 7"):
        DBN.arguments_for(Data, {"sizes": [8, 2]})
