"""Dropout and embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import nn
from minidgm.backend import Generator, asarray, to_numpy
from tests.nn.passes import check_everywhere, check_jvp, check_layer, numbers, parameters, replayed


def test_dropout_passes(backend):
    layer = nn.Dropout(0.4)
    check_layer(layer, (5,), training=True, noise=replayed())
    check_jvp(layer, (5,), training=True, noise=replayed())
    check_everywhere(layer, (5,), backend, training=True, noise=replayed())
    x = numbers((2, 5))
    y, cache = layer.forward({}, x)
    assert y is x
    assert layer.backward(x, cache)[0] is x


def test_dropout_keeps_the_expectation(backend):
    """40,000 masks at 0.3: the share kept is within six standard deviations, 2e-9."""
    layer, n = nn.Dropout(0.3), 40_000
    y, _ = layer.forward({}, asarray(np.full((n, 1), 2.0), backend), training=True, rng=Generator(0, backend))
    y = to_numpy(y)
    assert set(np.unique(y)) == {0.0, 2.0 / 0.7}
    assert abs((y != 0).mean() - 0.7) < 6.0 * np.sqrt(0.21 / n)


def test_pytorch_scales_dropout_alike():
    torch = pytest.importorskip("torch")
    x, dy = (numbers((6, 9), seed).astype("float32") for seed in (0, 1))
    torch.manual_seed(0)
    there = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.dropout(there, 0.4, training=True)
    expected.backward(torch.tensor(dy))
    kept = (expected.detach().numpy() != 0.0).astype("float32")

    class Same:
        def bernoulli(self, p):
            return kept

    layer = nn.Dropout(0.4)
    y, cache = layer.forward({}, x, training=True, rng=Same())
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(layer.backward(dy, cache)[0], there.grad.numpy(), rtol=1e-5)


def test_dropout_refuses():
    with pytest.raises(ValueError, match="pass rng="):
        nn.Dropout().forward({}, np.ones((1, 2)), training=True)
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match="rate"):
            nn.Dropout(rate)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_embedding_is_a_dense_layer_on_one_hot_inputs(shape, backend):
    layer = nn.Embedding(5, 3)
    params = parameters(layer, shape)
    x = np.random.default_rng(0).integers(0, 5, size=(6, *shape))
    W = asarray(params["W"], backend)
    y, cache = layer.forward({"W": W}, asarray(x, backend))
    assert y.shape == (6, *layer.output_shape(shape))
    np.testing.assert_array_equal(to_numpy(y), params["W"][x])
    dy = numbers(y.shape)
    dx, grads = layer.backward(asarray(dy, backend), cache)
    assert dx is None
    one_hot = np.eye(5)[x].reshape(-1, 5)
    np.testing.assert_allclose(to_numpy(grads["W"]), one_hot.T @ dy.reshape(-1, 3), rtol=1e-12)
    out = {"W": asarray(np.full((5, 3), np.nan), backend)}
    layer.backward(asarray(dy, backend), cache, out)
    np.testing.assert_allclose(to_numpy(out["W"]), to_numpy(grads["W"]))


def test_embedding_of_many_rows_goes_in_parts(monkeypatch):
    from minidgm.nn import embedding

    layer, x = nn.Embedding(5, 3), np.random.default_rng(0).integers(0, 5, size=(7, 2))
    y, cache = layer.forward(parameters(layer, (2,)), x)
    whole = layer.backward(y, cache)[1]["W"]
    monkeypatch.setattr(embedding, "VALUES", 20)
    np.testing.assert_allclose(layer.backward(y, cache)[1]["W"], whole, rtol=1e-13)


def test_pytorch_embeds_alike():
    torch = pytest.importorskip("torch")
    peer, layer = torch.nn.Embedding(5, 3), nn.Embedding(5, 3)
    x = np.random.default_rng(0).integers(0, 5, size=(6, 4))
    expected = peer(torch.tensor(x))
    dy = numbers((6, 4, 3)).astype("float32")
    expected.backward(torch.tensor(dy))
    y, cache = layer.forward({"W": peer.weight.detach().numpy()}, x)
    np.testing.assert_allclose(y, expected.detach().numpy())
    found = layer.backward(dy, cache)[1]["W"]
    np.testing.assert_allclose(found, peer.weight.grad.numpy(), atol=1e-5, rtol=1e-5)


def test_embedding_refuses_what_is_no_symbol():
    with pytest.raises(TypeError, match="float64; expected whole numbers"):
        nn.Embedding(3, 2).forward({"W": np.zeros((3, 2))}, np.zeros(2))
