"""RBM against plain enumeration of its energy: nothing here uses the formula that it tests."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from minidgm import RBM, BoltzmannMachine, Generator, IntractableError
from minidgm.backend import asarray, to_numpy
from minidgm.errors import DataError

PAIRS = [(v, h) for v in ("bernoulli", "spin", "softmax(2)") for h in ("bernoulli", "spin", "softmax(2)")]


def drawn(visible="bernoulli", hidden="bernoulli", n_visible=4, n_hidden=2, seed=0, scale=0.8, **kwargs):
    rbm = RBM(n_visible, n_hidden, visible, hidden, dtype="float64", **kwargs)
    rbm.params.buffer[...] = asarray(
        scale * np.random.default_rng(seed).normal(size=rbm.params.size), rbm.backend
    )
    return rbm


def plain_energy(rbm, v, h):
    """E(v, h) by loops, from the text."""
    W, b, c = (to_numpy(rbm.params[k]) for k in "Wbc")
    e = -sum(b[i] * v[i] for i in range(len(b))) - sum(c[j] * h[j] for j in range(len(c)))
    return e - sum(v[i] * W[i, j] * h[j] for i in range(len(b)) for j in range(len(c)))


def table(rbm):
    V, H = rbm.visible.states(rbm.n_visible), rbm.hidden.states(rbm.n_hidden)
    return V, H, np.array([[plain_energy(rbm, v, h) for h in H] for v in V])


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.0, 0.5, 2.0]))
@settings(max_examples=4)
def test_densities_and_conditionals_from_the_energy_table(visible, hidden, seed, scale):
    rbm = drawn(visible, hidden, seed=seed, scale=scale)
    V, H, E = table(rbm)
    log_z = logsumexp(-E)
    pairs_v, pairs_h = np.repeat(V, len(H), axis=0), np.tile(H, (len(V), 1))
    np.testing.assert_allclose(rbm.energy(pairs_v, pairs_h), E.ravel(), atol=1e-12)
    np.testing.assert_allclose(rbm.free_energy(V), -logsumexp(-E, axis=1), atol=1e-12)
    np.testing.assert_allclose(rbm.hidden_free_energy(H), -logsumexp(-E, axis=0), atol=1e-12)
    assert float(rbm.log_partition()) == pytest.approx(log_z, abs=1e-12)
    np.testing.assert_allclose(rbm.log_prob(V), logsumexp(-E, axis=1) - log_z, atol=1e-12)
    np.testing.assert_allclose(rbm.log_prob(V, log_partition=0.0), logsumexp(-E, axis=1), atol=1e-12)
    posterior = np.exp(-E - logsumexp(-E, axis=1, keepdims=True))
    np.testing.assert_allclose(rbm.transform(V), posterior @ H, atol=1e-12)
    np.testing.assert_allclose(
        rbm.hidden_given_visible(pairs_v).log_prob(pairs_h), np.log(posterior).ravel(), atol=1e-11
    )
    likelihood = np.exp(-E - logsumexp(-E, axis=0))
    np.testing.assert_allclose(rbm.visible_given_hidden(H).mean, likelihood.T @ V, atol=1e-12)


@pytest.mark.parametrize("visible", ["bernoulli", "spin", "softmax(2)"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_pseudo_likelihood_from_enumerated_conditionals(visible, seed):
    rbm = drawn(visible, "bernoulli", seed=seed)
    V = rbm.visible.states(4)
    log_p, k = rbm.log_prob(V), rbm.visible.k
    expected = np.zeros(len(V))
    for row, v in enumerate(V):
        for i in range(4 // k):
            others = np.delete(np.arange(4), np.arange(i * k, (i + 1) * k))
            same = (V[:, others] == v[others]).all(axis=1)
            expected[row] += log_p[row] - logsumexp(log_p[same])
    np.testing.assert_allclose(rbm.pseudo_log_likelihood(V), expected, atol=1e-11)


def test_gaussian_visibles_are_a_mixture_of_gaussians():
    """p(v) = sum_h p(h) N(v; (b + W h) / lambda, 1 / lambda), with p(h) from the enumerated hidden side."""
    rbm = drawn("gaussian", "bernoulli", n_visible=2, n_hidden=3, seed=3)
    H = rbm.hidden.states(3)
    W, b, precision = rbm.params["W"], rbm.params["b"], np.exp(rbm.params["visible_log_precision"])
    mean = (b + H @ W.T) / precision
    log_weight = H @ rbm.params["c"] + 0.5 * (precision * mean**2).sum(axis=1)
    log_weight -= logsumexp(log_weight)
    v = np.random.default_rng(0).normal(size=(20, 2))
    normal = -0.5 * (precision * (v[:, None] - mean) ** 2 + np.log(2 * np.pi / precision)).sum(axis=2)
    np.testing.assert_allclose(rbm.log_prob(v), logsumexp(log_weight + normal, axis=1), atol=1e-12)
    step = 1e-6 * np.eye(2)
    slopes = [(rbm.log_prob(v + s) - rbm.log_prob(v - s)) / 2e-6 for s in step]
    np.testing.assert_allclose(rbm.score(v), np.stack(slopes, axis=1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [
        *PAIRS,
        ("gaussian", "bernoulli"),
        ("bernoulli", "gaussian"),
        ("spin", "rectified"),
        ("rectified", "spin"),
    ],
)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=4)
def test_weighted_gradients_by_difference(visible, hidden, seed):
    """sum_i w_i dE and sum_i w_i dF along a random direction, signed weights, ragged number of rows."""
    rbm, rng = drawn(visible, hidden, seed=seed), np.random.default_rng(seed)
    n = int(rng.integers(0, 6))
    v, h = rng.uniform(0, 2, size=(n, 4)), rng.uniform(0, 2, size=(n, 2))
    w, direction, at = rng.normal(size=n), rng.normal(size=rbm.params.size), rbm.params.buffer.copy()
    energy, free = rbm.energy_gradient(v, h, w).buffer, rbm.free_energy_gradient(v, w).buffer.copy()

    def slope(f):
        values = []
        for step in (1e-5, -1e-5):
            rbm.params.buffer[...] = at + step * direction
            values.append(f())
        rbm.params.buffer[...] = at
        return (values[0] - values[1]) / 2e-5

    assert energy @ direction == pytest.approx(slope(lambda: w @ rbm.energy(v, h)), rel=1e-6, abs=1e-7)
    assert free @ direction == pytest.approx(slope(lambda: w @ rbm.free_energy(v)), rel=1e-6, abs=1e-7)
    np.testing.assert_allclose(
        rbm.energy_gradient(v, h).buffer, rbm.energy_gradient(v, h, np.ones(n)).buffer, atol=1e-13
    )


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_enhanced_gradient_is_the_centred_one_moved_back(seed):
    """J J^T g with J the Jacobian of (W, b, c) in the centred parameters (W, b', c')."""
    rng = np.random.default_rng(seed)
    rbm = drawn(seed=seed, n_visible=3)
    mu, lam = rng.uniform(size=3), rng.uniform(size=2)
    v, h, w = rng.uniform(size=(5, 3)), rng.uniform(size=(5, 2)), rng.normal(size=5)
    w -= w.mean()
    raw = rbm.energy_gradient(v, h, w)
    n_w = 6
    J = np.eye(11)
    for i in range(3):
        for j in range(2):
            J[n_w + i, i * 2 + j] = -lam[j]  # b = b' - W lam
            J[n_w + 3 + j, i * 2 + j] = -mu[i]  # c = c' - W^T mu
    expected = J @ (J.T @ raw.buffer)
    centred = -((v - mu).T @ (w[:, None] * (h - lam)))
    enhanced = rbm.center_gradient(raw, mu, lam)
    np.testing.assert_allclose(enhanced.buffer, expected, atol=1e-12)
    np.testing.assert_allclose(enhanced["W"], centred, atol=1e-12)


def test_tempered_ends():
    rbm = drawn("gaussian", "spin")
    base, v = np.arange(4.0), np.random.default_rng(0).normal(size=(6, 4))
    np.testing.assert_allclose(rbm.tempered(1.0, base).log_prob(v), rbm.log_prob(v))
    start = rbm.tempered(0.0, base)
    np.testing.assert_allclose(start.log_prob(v), start.visible_given_hidden(np.ones((6, 2))).log_prob(v))
    np.testing.assert_allclose(rbm.tempered(0.25).params["b"], 0.25 * rbm.params["b"])
    np.testing.assert_allclose(rbm.tempered(0.25, base).params["b"], 0.25 * rbm.params["b"] + 0.75 * base)


def test_a_tempered_model_has_gradients():
    rbm, v = drawn(), np.ones((3, 4))
    np.testing.assert_allclose(
        rbm.tempered(1.0).free_energy_gradient(v).buffer, rbm.free_energy_gradient(v).buffer
    )


def test_gibbs_keeps_the_exact_distribution(backend):
    """40,000 chains started exactly at p(v) and swept three times: chi-square at 1e-6."""
    from scipy.stats import chisquare

    rbm = drawn(seed=4, n_visible=3, backend=backend)
    V = rbm.visible.states(3)
    p = np.exp(to_numpy(rbm.log_prob(V)))
    start = V[np.random.default_rng(1).choice(8, size=40_000, p=p)]
    end = to_numpy(rbm.sample(len(start), 7, steps=3, init=start))
    assert chisquare(np.bincount((end @ [1, 2, 4]).astype(int), minlength=8), len(start) * p).pvalue > 1e-6
    free = to_numpy(rbm.sample(40_000, 8, steps=25))
    assert chisquare(np.bincount((free @ [1, 2, 4]).astype(int), minlength=8), 40_000 * p).pvalue > 1e-6


def test_backend_parity(backend):
    host, device = drawn("gaussian", "spin", seed=9), drawn("gaussian", "spin", seed=9, backend=backend)
    v, w = np.random.default_rng(0).normal(size=(7, 4)), np.random.default_rng(1).normal(size=7)
    x, u = asarray(v, backend), asarray(w, backend)
    for name in ("free_energy", "log_prob", "transform", "reconstruct", "score"):
        np.testing.assert_allclose(to_numpy(getattr(device, name)(x)), getattr(host, name)(v), atol=1e-12)
    np.testing.assert_allclose(
        to_numpy(device.free_energy_gradient(x, u).buffer), host.free_energy_gradient(v, w).buffer, atol=1e-12
    )
    np.testing.assert_allclose(to_numpy(device.to("numpy").params.buffer), host.params.buffer)


def test_math_methods_leave_inputs_and_parameters_alone():
    rbm = drawn()
    v, h, w = np.ones((3, 4)), np.ones((3, 2)), np.array([1.0, -2.0, 0.5])
    inputs, before = [x.copy() for x in (v, h, w)], rbm.params.buffer.copy()
    rbm.energy(v, h), rbm.free_energy(v), rbm.log_prob(v), rbm.pseudo_log_likelihood(v), rbm.transform(v)
    rbm.energy_gradient(v, h, w), rbm.free_energy_gradient(v, w), rbm.reconstruct(v)
    rbm.gibbs_step(v, h, Generator(0)), rbm.sample(3, 0, steps=2, init=v), rbm.tempered(0.5)
    for x, y in zip((v, h, w), inputs, strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(rbm.params.buffer, before)


def test_copies_and_configuration():
    rbm = RBM(6, 4, "softmax(3)", "spin", True, seed=3)
    assert rbm.params["W"].dtype == np.float32
    for twin in (RBM(**rbm.config()), pickle.loads(pickle.dumps(rbm)), copy.deepcopy(rbm)):
        assert twin.config() == rbm.config()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(rbm)).params.buffer, rbm.params.buffer)
    assert repr(rbm) == "RBM(n_visible=6, n_hidden=4, visible='softmax(3)', hidden='spin', centered=True)"
    np.testing.assert_array_equal(RBM(3, 2, seed=5).params["W"], RBM(3, 2, seed=5).params["W"])


def test_initialize_reproduces_the_means():
    X = np.array([[0, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0.0]])
    rbm = RBM(4, 2, dtype="float64").initialize(X)
    rbm.params["W"] = np.zeros((4, 2))
    np.testing.assert_allclose(
        rbm.visible_given_hidden(np.zeros((1, 2))).mean[0], X.mean(axis=0), atol=1.1e-3
    )


def test_intractable_says_what_to_call():
    with pytest.raises(IntractableError, match=r"more than 2\^25.*evaluation\.ais"):
        RBM(784, 500).log_partition()
    with pytest.raises(IntractableError, match="ais"):
        RBM(30, 40, "gaussian").log_prob(np.zeros((1, 30)))


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((0, 3), ValueError, "n_visible must be an integer of at least 1, got 0"),
        ((3, -1), ValueError, "n_hidden must be an integer of at least 1, got -1"),
        ((3.0, 2), TypeError, "n_visible must be an integer, got 3.0"),
        ((True, 2), TypeError, "n_visible must be an integer, got True"),
        ((3, 2, "bernouli"), ValueError, "did you mean 'bernoulli'"),
        ((7, 2, "softmax(3)"), ValueError, "multiple of 3"),
        ((3, 2, "gaussian", "gaussian"), ValueError, "no finite partition function"),
        ((3, 2, "gaussian", "rectified"), ValueError, "no finite partition function"),
    ],
)
def test_bad_structure(args, error, message):
    with pytest.raises(error, match=message):
        RBM(*args)


def test_bad_backend_and_dtype():
    with pytest.raises(ValueError, match="did you mean 'cupy'"):
        RBM(3, 2, backend="cuppy")
    with pytest.raises(ValueError, match="unknown dtype 'float16'"):
        RBM(3, 2, dtype="float16")
    with pytest.raises(TypeError, match="draws on 'strict'"):
        RBM(3, 2).sample(1, Generator(0, "strict"))


@pytest.mark.parametrize(
    ("v", "message"),
    [
        (np.array([[0.0, np.nan, 1.0]]), "NaN or infinity .row 0, column 1."),
        (np.array([[0.0, 1.0, np.inf]]), "NaN or infinity"),
        (np.array([[0.0, 2.0, 1.0]]), "holds 2"),
        (np.zeros((2, 4)), r"shape \(2, 4\); expected \[n, 3\]"),
        (np.zeros(3), r"x\[None, :\]"),
        (np.array([["a", "b", "c"]]), "dtype <U1; expected real numbers"),
        (np.zeros((1, 3), complex), "complex"),
        (np.array([[None, 1, 2]], dtype=object), "object"),
        ([[1, 0], [1, 0, 1]], "does not form a matrix"),
    ],
)
def test_bad_data(v, message):
    for call in (
        RBM(3, 2).log_prob,
        RBM(3, 2).transform,
        RBM(3, 2).reconstruct,
        RBM(3, 2).pseudo_log_likelihood,
    ):
        with pytest.raises(DataError, match=message):
            call(v)


def test_integers_booleans_and_empty_batches_are_data():
    rbm = RBM(3, 2, seed=0)
    assert rbm.log_prob(np.zeros((2, 3), dtype=bool)).shape == (2,)
    assert rbm.log_prob([[0, 1, 1]]).shape == (1,)
    assert rbm.log_prob(np.zeros((0, 3))).shape == rbm.pseudo_log_likelihood(np.zeros((0, 3))).shape == (0,)


def test_scores_need_gaussians():
    with pytest.raises(TypeError, match="visible='gaussian'"):
        RBM(3, 2).score(np.zeros((1, 3)))


def test_the_divergence_of_the_score_needs_independent_hidden_units():
    model = RBM(2, 4, visible="gaussian", hidden="softmax(2)")
    with pytest.raises(TypeError, match=r"independent given v, not softmax\(2\)"):
        model.score_divergence(np.zeros((1, 2)))


@pytest.mark.parametrize("family", [RBM, BoltzmannMachine])
def test_starting_states_are_as_many_as_samples(family):
    with pytest.raises(ValueError, match="init has 4 rows; expected one for each of n=10"):
        family(3, 2).sample(10, 0, steps=1, init=np.zeros((4, 3)))
