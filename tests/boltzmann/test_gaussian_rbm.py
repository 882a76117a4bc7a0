"""Gaussian RBM: exact against its mixture, free of the data's scale, and never exploding by default."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import kstest, multivariate_normal

from minidgm import GaussianRBM, IntractableError, check_model, evaluation
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks import oracle
from minidgm.checks.strict import count_host_reads
from minidgm.datasets import digits, patches
from minidgm.errors import DataError
from minidgm.objectives import ContrastiveDivergence, ExactLikelihood, PersistentContrastiveDivergence


def drawn(n_visible=3, n_hidden=2, seed=0, scale=0.6, **kwargs):
    model = GaussianRBM(n_visible, n_hidden, **{"dtype": "float64", **kwargs})
    values = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, model.backend, model.dtype)
    return model


cases = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))


@given(case=cases)
@settings(max_examples=20)
def test_density_is_the_mixture_written_out(case):
    """Every number from the symbols of the module, none from the model's methods."""
    n_v, n_h, seed = case
    model = drawn(n_v, n_h, seed)
    W, b, c, log_precision = (model.params[k] for k in ("W", "b", "c", "visible_log_precision"))
    sigma = np.exp(-0.5 * log_precision)
    H = np.array([[(i >> j) & 1 for j in range(n_h)] for i in range(2**n_h)], float)
    log_weights = H @ c + 0.5 * ((H @ W.T) ** 2).sum(axis=1)
    log_weights -= logsumexp(log_weights)
    means = sigma * (b + H @ W.T)
    v = np.random.default_rng(seed).normal(size=(5, n_v))
    parts = [multivariate_normal(m, np.diag(sigma**2)).logpdf(v).reshape(5) for m in means]
    np.testing.assert_allclose(model.log_prob(v), logsumexp(np.stack(parts, 1) + log_weights, axis=1))
    found = model.mixture()
    np.testing.assert_allclose(found.weights, np.exp(log_weights))
    np.testing.assert_allclose(found.means, means)
    np.testing.assert_allclose(found.covariance, np.diag(sigma**2))


@given(case=cases)
@settings(max_examples=10)
def test_natural_twin_is_the_same_distribution(case):
    model = drawn(*case)
    v = np.random.default_rng(1).normal(size=(4, case[0]))
    twin = model.natural()
    np.testing.assert_allclose(twin.log_prob(v), model.log_prob(v), atol=1e-10)
    b = model.params["b"]
    np.testing.assert_allclose(twin.log_partition() - model.log_partition(), 0.5 * b @ b, atol=1e-10)
    back = GaussianRBM.from_natural(twin)
    np.testing.assert_allclose(back.params.buffer, model.params.buffer, atol=1e-12)


def test_gradient_of_the_hidden_free_energy(backend):
    model = drawn(4, 3, backend=backend)
    h = asarray(np.random.default_rng(0).integers(0, 2, (5, 3)), backend, "float64")
    w = asarray(np.random.default_rng(1).normal(size=5), backend, "float64")
    right = oracle.gradient(model, lambda m: (to_numpy(w) * m.hidden_free_energy(to_numpy(h))).sum())
    left = model.hidden_free_energy_gradient(h, w)
    for name, value in right.items():
        np.testing.assert_allclose(to_numpy(left[name]), value, atol=1e-12)


def test_exact_likelihood_gradient_takes_the_hidden_side():
    model = drawn(4, 3)
    v = np.random.default_rng(2).normal(size=(7, 4))
    grads, metrics = ExactLikelihood().gradient(model, v, None)
    assert metrics["log_likelihood"] == pytest.approx(model.log_prob(v).mean())
    for name in model.params:
        index = (0,) * model.params[name].ndim
        values = []
        for step in (1e-5, -1e-5):
            moved = model.with_params({**model.params, name: model.params[name].copy()})
            moved.params[name][index] += step
            values.append(-moved.log_prob(v).mean())
        assert grads[name][index] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-8)


@pytest.mark.parametrize("centered", [False, True])
def test_the_same_training_takes_place_at_every_scale(centered):
    """W, b and c to rounding; the log-likelihood moves by d log(scale)."""
    X = np.random.default_rng(0).normal(size=(300, 5)).cumsum(axis=1) + 2.0
    found = []
    for scale in (1.0, 255.0, 1e-4):
        model = GaussianRBM(5, 3, centered, dtype="float64", seed=1)
        model.fit(scale * X, epochs=3)
        found.append((model, model.log_prob(scale * X).mean() + 5 * np.log(scale)))
    for model, log_likelihood in found[1:]:
        assert log_likelihood == pytest.approx(found[0][1], abs=1e-8)
        for name in ("W", "b", "c"):
            np.testing.assert_allclose(model.params[name], found[0][0].params[name], atol=1e-8)


def real_data():
    X, T = digits().train, digits().test
    smooth = np.random.default_rng(0).normal(size=(20, 40, 40)).cumsum(axis=1).cumsum(axis=2)
    whitened = patches(smooth, size=5, n=1500)
    return {
        "digits 0..1": (X, T),
        "digits 0..16": (16 * X, 16 * T),
        "digits 0..255": (255 * X, 255 * T),
        "whitened patches": (whitened.train, whitened.test),
    }


@pytest.mark.parametrize("data", ["digits 0..1", "digits 0..16", "digits 0..255", "whitened patches"])
def test_training_with_default_settings_stays_finite_and_improves(data):
    """Exact likelihood of held-out rows, epochs apart; some pixels of the digits never vary."""
    X, T = real_data()[data]
    values = []
    model = GaussianRBM(X.shape[1], 8, seed=0)
    model.begin(X)
    start = float(model.log_prob(T).mean())
    model.fit(X, epochs=15, callbacks=[lambda t: values.append(float(t.model.log_prob(T).mean()))])
    assert np.all(np.isfinite(values))
    assert values[-1] > start + 0.02
    assert values[-1] > max(values) - 0.3
    assert np.all(np.isfinite(to_numpy(model.sample(20, 0, steps=50))))


@pytest.mark.parametrize("objective", [ContrastiveDivergence(), PersistentContrastiveDivergence()])
def test_a_hundred_times_the_learning_rate_is_no_explosion(objective):
    from minidgm.optim import Adam

    X = 255 * digits().train
    model = GaussianRBM(64, 8, seed=0)
    model.fit(X, objective=objective, optimizer=Adam(0.1), epochs=5)
    assert np.all(np.isfinite(model.params.buffer))
    assert np.all(np.isfinite(model.log_prob(X[:10])))


def test_ais_agrees_with_enumeration():
    """Within 5 standard errors, which both directions claim; fixed seed."""
    model = drawn(6, 4, scale=0.8)
    model.params["visible_log_precision"][...] = 1.0
    exact = float(model.log_partition())
    forward = evaluation.ais(model, n_chains=200, n_temperatures=200, rng=0)
    reverse = evaluation.reverse_ais(model, n_chains=200, n_temperatures=200, rng=1)
    assert abs(forward.value - exact) < 5 * forward.stderr + 1e-6
    assert abs(reverse.value - exact) < 5 * reverse.stderr + 1e-6
    base = evaluation.base_rate(model, model.sample(50, 0, steps=5))
    assert abs(evaluation.ais(model, n_temperatures=200, base=base, rng=2).value - exact) < 0.2


def test_initialize_takes_means_and_deviations_of_the_data():
    X = np.random.default_rng(0).normal(size=(500, 3)) * [0.1, 3.0, 40.0] + [5.0, 0.0, -100.0]
    model = GaussianRBM(3, 4, dtype="float64", seed=0).initialize(X)
    draws = model.sample(20_000, 3, steps=200)
    np.testing.assert_allclose(draws.mean(axis=0), X.mean(axis=0), atol=0.05 * X.std(axis=0).max())
    np.testing.assert_allclose(draws.std(axis=0), X.std(axis=0), rtol=0.05)


def test_fit_initializes_an_untrained_model_only():
    X = 7.0 + np.random.default_rng(0).normal(size=(50, 3))
    model = GaussianRBM(3, 2, dtype="float64", seed=0)
    model.fit(X, epochs=1)
    assert abs(model.params["b"].mean() - 7.0) < 1.5
    kept = model.params.buffer.copy()
    model.fit(X + 100.0, epochs=0)
    assert np.array_equal(model.params.buffer, kept)


def test_columns_that_never_vary_keep_a_deviation():
    X = np.zeros((60, 4), "float32")
    X[:, 0] = np.random.default_rng(0).normal(size=60)
    model = GaussianRBM(4, 2, seed=0)
    from minidgm.optim import Adam

    model.fit(X, optimizer=Adam(0.5), epochs=50)
    sigma = to_numpy(model.deviation)
    assert np.all(sigma >= 0.00099 * np.sqrt((sigma**2).mean()))
    still = GaussianRBM(4, 2, seed=0).initialize(np.zeros((5, 4)))
    assert np.all(np.isfinite(still.params.buffer))


def test_samples_of_one_unit_follow_the_mixture():
    """Kolmogorov-Smirnov at 1e-6."""
    from scipy.stats import norm

    model = drawn(1, 3, seed=3, scale=1.0)
    weights, means, covariance = model.mixture()
    draws = model.sample(5000, 1, steps=60)[:, 0]

    def cdf(x):
        z = (np.asarray(x)[:, None] - means[:, 0]) / np.sqrt(covariance[0, 0])
        return (weights * norm.cdf(z)).sum(axis=1)

    assert kstest(draws, cdf).pvalue > 1e-6


def test_training_is_the_same_on_both_backends_and_resumes(tmp_path, backend):
    X = asarray(np.random.default_rng(0).normal(size=(40, 3)), backend, "float32")
    model = GaussianRBM(3, 2, backend=backend, seed=0)
    model.fit(X, epochs=2, batch_size=15)
    model.save(tmp_path / "model.safetensors")
    again = GaussianRBM.load(tmp_path / "model.safetensors", backend=backend)
    assert np.array_equal(to_numpy(again.log_prob(X)), to_numpy(model.log_prob(X)))
    assert to_numpy(model.reconstruct(X, Generator(0, backend))).shape == (40, 3)
    assert to_numpy(model.transform(X)).shape == (40, 2)


@pytest.mark.parametrize("objective", [ContrastiveDivergence, PersistentContrastiveDivergence])
def test_a_step_reads_nothing_back(objective):
    model = GaussianRBM(4, 3, centered=True, backend="strict", seed=0)
    X = asarray(np.random.default_rng(0).normal(size=(10, 4)), "strict", "float32")
    estimator, rng = objective(), Generator(0, "strict")
    estimator.gradient(model, X, rng)
    with count_host_reads() as reads:
        estimator.gradient(model, X, rng)
        model.project()
    assert reads.count == 0


@pytest.mark.parametrize("instance", [GaussianRBM, GaussianRBM(30, 40, centered=True)])
def test_all_identities_hold(instance):
    assert check_model(instance, max_examples=5).ok


def test_what_cannot_be_says_so():
    with pytest.raises(IntractableError, match=r"2\^25.*evaluation\.ais"):
        GaussianRBM(4, 30).log_partition()
    with pytest.raises(IntractableError, match=r"2\^20 components.*2\^16"):
        GaussianRBM(4, 20).mixture()
    with pytest.raises(ValueError, match="n_hidden must be an integer of at least 1"):
        GaussianRBM(4, 0)
    with pytest.raises(DataError, match=r"\(3,\); expected \[n, 4\].*x\[None, :\]"):
        GaussianRBM(4, 2).log_prob(np.zeros(3))
    with pytest.raises(DataError, match="NaN or infinity"):
        GaussianRBM(2, 2).fit(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="no rows"):
        GaussianRBM(2, 2).initialize(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="init has 3 rows"):
        GaussianRBM(2, 2).sample(4, 0, init=np.zeros((3, 2)))
