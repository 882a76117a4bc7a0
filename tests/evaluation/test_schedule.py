"""Temperatures and bases."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm.backend import to_numpy
from minidgm.evaluation import base_rate, linear_betas, published_betas
from minidgm.evaluation.schedule import base_biases, check_betas
from tests.evaluation.models import machine, rbm


@pytest.mark.parametrize("n", [29, 100, 1450, 14500])
def test_published_segments(n):
    betas = np.array(published_betas(n))
    assert len(betas) == n
    assert (betas[0], betas[-1]) == (0.0, 1.0)
    assert (np.diff(betas) > 0).all()
    assert abs((betas < 0.5).sum() - n * 500 / 14500) <= 0.5
    assert abs(((betas >= 0.5) & (betas < 0.9)).sum() - n * 4000 / 14500) <= 0.5
    for low, high in ((0.0, 0.5), (0.5, 0.9), (0.9, 1.0)):
        steps = np.diff(betas[(betas >= low) & (betas <= high)])
        np.testing.assert_allclose(steps, steps[:1].repeat(len(steps)), rtol=1e-9)


def test_linear_is_even_and_ends_exactly():
    betas = linear_betas(1001)
    assert (betas[0], betas[-1], len(betas)) == (0.0, 1.0, 1001)
    np.testing.assert_allclose(np.diff(betas), 1e-3, rtol=1e-9)


def test_betas_come_from_any_sequence(xp):
    expected = [0.0, 0.5, 1.0]
    assert check_betas(xp.asarray(expected), 7) == expected
    assert check_betas(tuple(expected), 7) == expected
    assert check_betas(None, 3) == expected
    assert all(type(beta) is float for beta in check_betas(np.array(expected, dtype="float32"), 7))
    for bad in ("linear", 3.0, [0.0, "x", 1.0], [[0.0, 1.0]]):
        with pytest.raises(ValueError, match="expected a sequence of numbers"):
            check_betas(bad, 7)
    with pytest.raises(ValueError, match="n_temperatures must be an integer of at least 29, got 28"):
        published_betas(28)
    with pytest.raises(ValueError, match="do not increase"):
        check_betas([0.0, float("nan"), 1.0], 3)


@pytest.mark.parametrize("visible", ["bernoulli", "spin", "gaussian", "softmax(2)"])
def test_base_rate_has_the_means_of_the_data(visible, backend):
    model = rbm(4, 2, visible, backend=backend)
    v = model.sample(40, 0, steps=1)
    v = model.xp.concatenate([v, model.visible.sample(0.0 * v, model.generator(1), **model._own("visible"))])
    base = base_rate(model, v)
    assert base.shape == (4,)
    mean = model.visible.mean(base[None, :], **model._own("visible"))[0]
    np.testing.assert_allclose(to_numpy(mean), to_numpy(v.mean(axis=0)), atol=2e-3)


def test_base_rate_of_constant_pixels_and_machines():
    v = np.array([[0.0, 1.0], [0.0, 1.0]])
    for model in (rbm(2, 2), machine(2, 1)):
        np.testing.assert_allclose(base_rate(model, v), np.log([0.001 / 0.999, 0.999 / 0.001]), rtol=1e-6)


def test_base_biases():
    model = rbm(3, 2)
    assert base_biases(model, "biases") is model.params["b"]
    np.testing.assert_array_equal(base_biases(model, "uniform"), 0.0)
    np.testing.assert_array_equal(base_biases(model, [1, 2, 3]), [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("hidden", "idle"),
    [("bernoulli", 0.5), ("spin", 0.0), ("softmax(3)", 1 / 3), ("rectified", np.sqrt(2 / np.pi))],
)
def test_default_base_is_the_field_of_idle_hidden_units(hidden, idle):
    model = rbm(4, 3, "bernoulli", hidden)
    expected = to_numpy(model.params["b"]) + idle * to_numpy(model.params["W"]).sum(axis=1)
    np.testing.assert_allclose(to_numpy(base_biases(model, None)), expected, atol=1e-12)


def test_default_base_of_a_machine():
    model = machine(3, 2)
    expected = to_numpy(model.params["b"]) + 0.5 * to_numpy(model.params["W"]).sum(axis=1)
    np.testing.assert_allclose(to_numpy(base_biases(model, None)), expected, atol=1e-12)
