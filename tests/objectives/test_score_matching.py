"""Score matching and its denoising form: equal to autograd of the objective written out."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from minidgm import RBM, GaussianRBM, Generator
from minidgm.checks import oracle
from minidgm.objectives import DenoisingScoreMatching, ScoreMatching
from tests.objectives.helpers import GAUSSIAN, assert_gradients, drawn, rows


def machine(kind, seed):
    """A drawn RBM of natural parameters, or of those in units of each deviation."""
    if kind != "scale-free":
        return drawn(kind, seed)
    model = GaussianRBM(2, 3, dtype="float64")
    model.params.buffer[...] = 0.7 * np.random.default_rng(seed).normal(size=model.params.size)
    return model


def written_score(model):
    """psi(v) = -dF/dv by autograd of the free energy."""
    return elementwise_grad(lambda x: -model.free_energy(x))


def explicit(model, v):
    """mean of 1/2 |psi|^2 + sum_i dpsi_i/dv_i, by autograd twice."""
    psi = written_score(model)
    divergence = 0.0
    for i in range(v.shape[1]):
        divergence = divergence + elementwise_grad(lambda x, i=i: psi(x)[:, i])(v)[:, i]
    return anp.mean(0.5 * anp.sum(psi(v) ** 2, axis=1) + divergence)


@pytest.mark.parametrize("kind", ["gaussian", "gaussian-spin", "scale-free"])
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4))
@hypothesis_settings(max_examples=8)
def test_score_matching_is_the_explicit_objective(kind, seed, n):
    model = machine(kind, seed)
    v = rows(model, n, seed)
    grads, metrics = ScoreMatching().gradient(model, v, None)
    assert metrics["loss"] == pytest.approx(float(explicit(model, v)), rel=1e-9, abs=1e-9)
    assert_gradients(grads, oracle.gradient(model, lambda m: explicit(m, v)), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", [*GAUSSIAN, "scale-free"])
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 4), sigma=st.floats(0.1, 2.0))
@hypothesis_settings(max_examples=8)
def test_denoising_score_matching_is_the_explicit_objective(kind, seed, n, sigma):
    """With the noise replayed: mean of 1/2 |psi(v + sigma e) - (v - v~)/sigma^2|^2."""
    model = machine(kind, seed)
    v = rows(model, n, seed)
    noisy = v + sigma * Generator(seed).normal(v.shape, dtype="float64")

    def written(m):
        return anp.mean(0.5 * anp.sum((written_score(m)(noisy) - (v - noisy) / sigma**2) ** 2, axis=1))

    grads, metrics = DenoisingScoreMatching(sigma).gradient(model, v, Generator(seed))
    assert metrics["loss"] == pytest.approx(float(written(model)), rel=1e-9)
    assert_gradients(grads, oracle.gradient(model, written), rtol=1e-8, atol=1e-9)


def test_score_matching_is_consistent():
    """One visible unit, by quadrature: the mean gradient at the generating parameters is 0."""
    model = RBM(1, 2, visible="gaussian", dtype="float64")
    model.params.buffer[...] = [1.1, -0.7, 0.3, 0.2, -0.4, 0.3]
    nodes = np.linspace(-9, 9, 601)[:, None]
    p = np.exp(model.log_prob(nodes)) * 0.03
    assert p.sum() == pytest.approx(1.0, abs=1e-10)
    each = np.stack([ScoreMatching().gradient(model, v[None], None)[0].buffer.copy() for v in nodes])
    np.testing.assert_allclose(p @ each, 0.0, atol=1e-10)
    assert abs(each.mean(axis=0)).max() > 0.1


def test_scores_do_not_depend_on_the_parametrization():
    model, v = machine("scale-free", 3), np.random.default_rng(4).normal(size=(5, 2))
    twin = model.natural()
    np.testing.assert_allclose(model.score(v), twin.score(v), atol=1e-12)
    np.testing.assert_allclose(model.score_divergence(v), twin.score_divergence(v), atol=1e-12)


def test_score_matching_trains_at_any_scale_of_the_data():
    """A GaussianRBM that took on the scale s of its data has a gradient of 1 / s^2 that of scale 1."""
    rng = np.random.default_rng(0)
    rows = np.where(rng.random((400, 1)) < 0.5, -1.0, 1.0) + 0.3 * rng.normal(size=(400, 2))
    found = []
    for scale in (1.0, 64.0):
        model = GaussianRBM(2, 2, dtype="float64", seed=0)
        model.initialize(scale * rows)
        grads = ScoreMatching().gradient(model, scale * rows, None)[0]
        found.append(scale**2 * grads.buffer)
        assert np.isfinite(grads.buffer).all()
    np.testing.assert_allclose(found[0], found[1], rtol=1e-7, atol=1e-9)


def test_denoising_fits_the_blurred_density():
    """W = 0 is a normal density: on N(0, 1) data with noise sigma the gradient is 0 at variance 1 + sigma^2.

    Over data and noise, r = -lambda (x + sigma e) + e/sigma has mean product with x + sigma e of
    -lambda (1 + sigma^2) + 1.
    """
    sigma = 0.5
    model = RBM(1, 1, visible="gaussian", dtype="float64")
    model.params.buffer[...] = 0.0
    model.params["visible_log_precision"][...] = -np.log(1 + sigma**2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    weights = weights / weights.sum()

    class Replayed:
        def normal(self, shape, dtype):
            return np.array([[e]])

    objective, mean = DenoisingScoreMatching(sigma), 0.0
    for x, p in zip(nodes, weights, strict=True):
        for e, q in zip(nodes, weights, strict=True):
            Replayed.normal = lambda self, shape, dtype, e=e: np.array([[e]])
            grads, _ = objective.gradient(model, np.array([[x]]), Replayed())
            mean = mean + p * q * grads["visible_log_precision"]
    assert mean == pytest.approx(0.0, abs=1e-12)


def test_refusals():
    with pytest.raises(TypeError, match=r"visible='gaussian'.*ContrastiveDivergence"):
        ScoreMatching().gradient(RBM(2, 2), np.zeros((1, 2), dtype="float32"), None)
    with pytest.raises(TypeError, match=r"coupled within a group.*DenoisingScoreMatching"):
        ScoreMatching().gradient(drawn("gaussian-softmax"), np.zeros((1, 2)), None)
    with pytest.raises(ValueError, match="sigma must be above 0"):
        DenoisingScoreMatching(0.0)
