"""Losses: values from distributions, gradients from autograd of the value."""

from __future__ import annotations

import numpy as np
import pytest
from autograd import grad
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from minidgm.backend import asarray, to_numpy
from minidgm.nn import losses

LOSSES = [
    losses.Bernoulli(),
    losses.Categorical(),
    losses.Gaussian(),
    losses.Gaussian(-0.7),
    losses.DiscretizedLogistic(8),
]
NAMES = ["bernoulli", "categorical", "gaussian", "gaussian of fixed variance", "discretized logistic"]


def case(loss, seed, n=4, d=3):
    """A net's output, and data that it may belong to."""
    rng = np.random.default_rng(seed)
    width = 2 * d if isinstance(loss, losses.DiscretizedLogistic) or loss == LOSSES[2] else d
    output = 2.0 * rng.normal(size=(n, width))
    if isinstance(loss, losses.Categorical):
        x = np.eye(d)[rng.integers(0, d, size=n)]
    elif isinstance(loss, losses.DiscretizedLogistic):
        x = rng.integers(0, loss.levels, size=(n, d)) / (loss.levels - 1)
    elif isinstance(loss, losses.Bernoulli):
        x = rng.integers(0, 2, size=(n, d)).astype(float)
    else:
        x = rng.normal(size=(n, d))
    return output, x, rng.normal(size=n)


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_gradient_is_autograds(loss, seed):
    output, x, weights = case(loss, seed)
    value, cache = loss.forward(output, x)
    assert value.shape == (4,)
    expected = grad(lambda a: (weights * loss.forward(a, x)[0]).sum())(output)
    np.testing.assert_allclose(loss.backward(weights, cache), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
def test_the_same_everywhere(loss, backend):
    output, x, weights = case(loss, 3)
    value, cache = loss.forward(output, x)
    gradient = loss.backward(weights, cache)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 3e-5)):
        there, cache = loss.forward(asarray(output, backend, dtype), asarray(x, backend, dtype))
        back = loss.backward(asarray(weights, backend, dtype), cache)
        assert str(there.dtype) == str(back.dtype) == dtype
        np.testing.assert_allclose(to_numpy(there), value, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(to_numpy(back), gradient, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("loss", LOSSES, ids=NAMES)
def test_no_rows_are_no_trouble(loss):
    output, x, weights = case(loss, 3)
    value, cache = loss.forward(output[:0], x[:0])
    assert value.shape == (0,)
    assert loss.backward(weights[:0], cache).shape == (0, output.shape[1])


def test_values_are_those_of_the_distributions():
    output, x, _ = case(LOSSES[0], 5)
    p = 1.0 / (1.0 + np.exp(-output))
    np.testing.assert_allclose(LOSSES[0].forward(output, x)[0], -stats.bernoulli.logpmf(x, p).sum(axis=1))
    output, x, _ = case(LOSSES[1], 5)
    p = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(LOSSES[1].forward(output, x)[0], -np.log((p * x).sum(axis=1)))
    output, x, _ = case(LOSSES[2], 5)
    expected = -stats.norm.logpdf(x, output[:, :3], np.exp(0.5 * output[:, 3:])).sum(axis=1)
    np.testing.assert_allclose(LOSSES[2].forward(output, x)[0], expected)
    expected = -stats.norm.logpdf(x, output[:, :3], np.exp(-0.35)).sum(axis=1)
    np.testing.assert_allclose(LOSSES[3].forward(output[:, :3], x)[0], expected)


@given(mean=st.floats(-1.0, 2.0), log_scale=st.floats(-4.0, 2.0), levels=st.integers(2, 9))
@settings(max_examples=20)
def test_logistic_bins_are_differences_of_the_distribution_function(mean, log_scale, levels):
    x = np.arange(levels)[:, None] / (levels - 1)
    output = np.tile([[mean, log_scale]], (levels, 1))
    mass = np.exp(-losses.DiscretizedLogistic(levels).forward(output, x)[0])
    edges = np.concatenate([[-np.inf], (np.arange(levels - 1) + 0.5) / (levels - 1), [np.inf]])
    cdf = stats.logistic.cdf(edges, mean, np.exp(log_scale))
    np.testing.assert_allclose(mass, np.diff(cdf), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(mass.sum(), 1.0, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out(dtype):
    a = np.array([[-1e4, 1e4, -1e4, 1e4]], dtype=dtype)
    x = np.array([[0.0, 1.0, 1.0, 0.0]], dtype=dtype)
    value, cache = losses.Bernoulli().forward(a, x)
    np.testing.assert_allclose(value, 2e4)
    gradient = losses.Bernoulli().backward(np.ones(1, dtype), cache)
    np.testing.assert_allclose(gradient, [[0, 0, -1, 1]], atol=1e-30)
    value, cache = losses.Categorical().forward(a, np.eye(4, dtype=dtype)[:1])
    np.testing.assert_allclose(value, 2e4 + np.log(2.0), rtol=1e-6)
    logistic = losses.DiscretizedLogistic(256)
    for mean, log_scale in ((-50.0, -7.0), (50.0, -7.0), (0.5, 7.0), (0.5, -9.0), (0.5, -15.0)):
        value, cache = logistic.forward(np.array([[mean, log_scale]], dtype), np.array([[128 / 255]], dtype))
        assert np.isfinite(value).all()
        assert np.isfinite(logistic.backward(np.ones(1, dtype), cache)).all()


def test_pytorch_agrees_on_densities():
    torch = pytest.importorskip("torch")

    def gaussian(output, x):
        mean, log_variance = output.chunk(2, dim=1)
        nll = torch.nn.functional.gaussian_nll_loss
        return nll(mean, x, log_variance.exp(), full=True, eps=0.0, reduction="none").sum(dim=1)

    def logistic(output, x):
        mean, log_scale = output.chunk(2, dim=1)
        upper, lower = (((x + edge / 14.0 - mean) / log_scale.exp()).sigmoid() for edge in (1.0, -1.0))
        upper = torch.where(x == 1.0, torch.ones_like(upper), upper)
        lower = torch.where(x == 0.0, torch.zeros_like(lower), lower)
        return -(upper - lower).log().sum(dim=1)

    for loss, peer in ((LOSSES[2], gaussian), (LOSSES[4], logistic)):
        output, x, weights = (a.astype("float32") for a in case(loss, 9, n=6, d=5))
        output *= 0.5  # PyTorch's difference of sigmoids cancels far out
        there = torch.tensor(output, requires_grad=True)
        expected = peer(there, torch.tensor(x))
        expected.backward(torch.tensor(weights))
        value, cache = loss.forward(output, x)
        np.testing.assert_allclose(value, expected.detach().numpy(), rtol=1e-5, atol=1e-5)
        gradient = loss.backward(weights, cache)
        np.testing.assert_allclose(gradient, there.grad.numpy(), rtol=1e-5, atol=1e-5)


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    output, x, _ = (a.astype("float32") for a in case(LOSSES[0], 9, n=6, d=5))
    there = torch.tensor(output, requires_grad=True)
    expected = F.binary_cross_entropy_with_logits(there, torch.tensor(x), reduction="sum")
    expected.backward()
    value, cache = losses.Bernoulli().forward(output, x)
    np.testing.assert_allclose(value.sum(), float(expected.detach()), rtol=1e-5)
    gradient = losses.Bernoulli().backward(np.ones(6, "f4"), cache)
    np.testing.assert_allclose(gradient, there.grad.numpy(), atol=1e-5)
    output, x, _ = (a.astype("float32") for a in case(LOSSES[1], 9, n=6, d=5))
    there = torch.tensor(output, requires_grad=True)
    expected = F.cross_entropy(there, torch.tensor(x), reduction="sum")
    expected.backward()
    value, cache = losses.Categorical().forward(output, x)
    np.testing.assert_allclose(value.sum(), float(expected.detach()), rtol=1e-5)
    gradient = losses.Categorical().backward(np.ones(6, "f4"), cache)
    np.testing.assert_allclose(gradient, there.grad.numpy(), atol=1e-5)
