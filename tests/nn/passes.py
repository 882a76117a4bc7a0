"""What every layer must do, whatever it computes: its passes against autograd and against each other."""

from __future__ import annotations

import copy

import numpy as np
from autograd import grad

from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks.strict import count_host_reads


def parameters(layer, input_shape, seed=0, scale=0.7):
    """Random parameters, float64 on the host; unlike initial ones, nothing about them is special."""
    rng = np.random.default_rng(seed)
    shapes = layer.parameter_shapes(tuple(input_shape))
    return {name: scale * rng.normal(size=shape) for name, shape in shapes.items()}


def numbers(shape, seed=1):
    """Normal numbers kept a little away from 0, where rectifiers have no derivative."""
    x = np.random.default_rng(seed).normal(size=shape)
    return x + 0.05 * np.sign(x)


def check_layer(
    layer, input_shape, n=3, training=False, noise=None, rtol=1e-8, params=None, x=None, fixed=()
):
    """Compare the backward pass with autograd of the forward pass, in all inputs together and in each alone.

    Gradients go into buffers as well, and nothing that came in is changed.

    ``noise`` is a function that returns a generator which draws the same each time; ``fixed`` names
    parameters without a gradient.
    """
    params = parameters(layer, input_shape) if params is None else params
    x = numbers((n, *input_shape)) if x is None else x

    def forward(params, x):
        return layer.forward(params, x, training=training, rng=noise() if noise else None)

    before = copy.deepcopy((params, x))
    y, cache = forward(params, x)
    assert y.shape == (x.shape[0], *layer.output_shape(tuple(input_shape)))
    dy = np.random.default_rng(2).normal(size=y.shape)
    kept = dy.copy()
    dx, grads = layer.backward(dy, cache)

    assert set(grads) == set(params)
    traced = grad(lambda p, x: (forward(p, x)[0] * dy).sum(), (0, 1))
    expected, expected_dx = traced(params, x)
    np.testing.assert_allclose(dx, expected_dx, rtol=rtol, atol=rtol, err_msg="dx")
    for name in params:
        assert grads[name].shape == params[name].shape
        if name in fixed:
            assert not grads[name].any()
            continue
        np.testing.assert_allclose(grads[name], expected[name], rtol=rtol, atol=rtol, err_msg=name)
        alone = grad(lambda value, name=name: (forward({**params, name: value}, x)[0] * dy).sum())
        np.testing.assert_allclose(alone(params[name]), expected[name], rtol=rtol, atol=rtol, err_msg=name)
    alone = grad(lambda x: (forward(params, x)[0] * dy).sum())
    np.testing.assert_allclose(alone(x), expected_dx, rtol=rtol, atol=rtol, err_msg="dx alone")

    out = {name: np.full_like(value, np.nan) for name, value in params.items()}
    again_dx, again = layer.backward(dy, cache, out)
    np.testing.assert_array_equal(again_dx, dx)
    for name, value in out.items():
        assert again[name] is value or np.shares_memory(again[name], value)
        np.testing.assert_allclose(value, grads[name], rtol=1e-13, atol=1e-14, err_msg=f"out of {name}")

    alone = layer.parameter_gradients(dy, cache)
    assert set(alone) == set(grads)
    for name, value in alone.items():
        np.testing.assert_array_equal(value, grads[name])

    np.testing.assert_array_equal(dy, kept)
    np.testing.assert_array_equal(x, before[1])
    for name in params:
        np.testing.assert_array_equal(params[name], before[0][name])
    return y, cache, dx, dy


def check_jvp(layer, input_shape, n=3, training=False, noise=None, rtol=1e-9):
    """<dy, jvp(dx)> = <backward(dy), dx>: the jvp is the adjoint of a pass that autograd confirms."""
    params, x = parameters(layer, input_shape), numbers((n, *input_shape))
    y, cache = layer.forward(params, x, training=training, rng=noise() if noise else None)
    rng = np.random.default_rng(3)
    dx, dy = rng.normal(size=x.shape), rng.normal(size=y.shape)
    left = (dy * layer.jvp(dx, cache)).sum()
    right = (layer.backward(dy, cache)[0] * dx).sum()
    np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol)


def check_everywhere(layer, input_shape, backend, n=3, training=False, noise=None, atol=1e-5):
    """The same numbers on a backend and in float32, dtypes kept, and no wait for the device."""
    params, x = parameters(layer, input_shape), numbers((n, *input_shape))
    dy = np.random.default_rng(2).normal(size=(n, *layer.output_shape(tuple(input_shape))))

    def passes(backend, dtype):
        def move(a):
            return asarray(a, backend, dtype, copy=True)  # `update` writes

        theta = {name: move(value) for name, value in params.items()}
        rng = noise(backend) if noise else None
        there, back = move(x), move(dy)
        with count_host_reads() as reads:
            y, cache = layer.forward(theta, there, training=training, rng=rng)
            dx, grads = layer.backward(back, cache)
            layer.update(theta, cache)
        assert noise or reads.count == 0  # replayed noise comes from the host
        for found in (y, dx, *grads.values()):
            assert str(found.dtype) == dtype
        return [to_numpy(found) for found in (y, dx, *(grads[name] for name in params))]

    reference = passes("numpy", "float64")
    for dtype, tolerance in (("float64", 1e-10), ("float32", atol)):
        for found, expected in zip(passes(backend, dtype), reference, strict=True):
            scale = 1.0 + np.abs(expected).max(initial=0.0)
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def check_rows(layer, input_shape, n=4):
    """Rows do not see each other, and no rows are no trouble."""
    params, x = parameters(layer, input_shape), numbers((n, *input_shape))
    whole, _ = layer.forward(params, x)
    for i in range(n):
        one, _ = layer.forward(params, x[i : i + 1])
        np.testing.assert_allclose(one[0], whole[i], rtol=1e-12, atol=1e-13)
    empty, cache = layer.forward(params, x[:0])
    assert empty.shape == (0, *whole.shape[1:])
    dx, grads = layer.backward(empty, cache)
    assert dx.shape == x[:0].shape
    assert all(not np.any(value) for value in grads.values())


def replayed(seed=0):
    """A function that makes the same generator each time, on any backend, from host noise."""
    from minidgm.checks.exhaustive import Replay

    return lambda backend="numpy": Replay(seed, backend)


__all__ = ["Generator", "check_everywhere", "check_jvp", "check_layer", "check_rows", "numbers", "parameters"]
