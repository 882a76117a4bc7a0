"""Pooling, its undoing, and enlargement."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import nn
from tests.nn.passes import check_everywhere, check_jvp, check_layer, check_rows, numbers

LAYERS = [
    nn.MaxPool2d(2),
    nn.MaxPool2d((3, 2), stride=1),
    nn.AveragePool2d(2),
    nn.AveragePool2d(3, stride=(1, 2)),
    nn.Upsample2d((2, 3)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_passes_agree_with_autograd(layer, backend):
    for shape in ((2, 4, 6), (1, 3, 5)):
        check_layer(layer, shape)
        check_jvp(layer, shape)
        check_rows(layer, shape)
        check_everywhere(layer, shape, backend)


def test_values():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    assert nn.MaxPool2d(2).forward({}, x)[0][0, 0].tolist() == [[5.0, 7.0], [13.0, 15.0]]
    assert nn.AveragePool2d(2).forward({}, x)[0][0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert nn.MaxPool2d(2, stride=1).forward({}, x)[0].shape == (1, 1, 3, 3)
    assert nn.Upsample2d(2).forward({}, x[:, :, :1, :2])[0][0, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


def test_unpooling_places_values_at_the_argmax(backend):
    from minidgm.backend import asarray, to_numpy

    x = numbers((2, 3, 4, 6))
    pool, back = nn.MaxPool2d(2), nn.MaxUnpool2d(2)
    y, where = pool.forward({}, asarray(x, backend))
    restored, cache = back.forward({}, y, where=where)
    restored, y_host = to_numpy(restored), to_numpy(y)
    assert back.output_shape(y.shape[1:]) == x.shape[1:]
    assert (restored != 0).sum() == y_host.size
    np.testing.assert_array_equal(restored[restored != 0], x[restored != 0])
    pooled, _ = pool.forward({}, asarray(np.abs(restored), backend))
    np.testing.assert_array_equal(to_numpy(pooled), np.abs(y_host))
    dy = numbers(x.shape, 5)
    dx = to_numpy(back.backward(asarray(dy, backend), cache)[0])
    u = numbers(y.shape, 6)
    du = to_numpy(back.jvp(asarray(u, backend), cache))
    np.testing.assert_allclose((dx * u).sum(), (dy * du).sum(), rtol=1e-12)


def test_of_equal_pixels_the_first_wins():
    x = np.ones((1, 1, 2, 2))
    _, cache = nn.MaxPool2d(2).forward({}, x)
    assert nn.MaxPool2d(2).backward(np.ones((1, 1, 1, 1)), cache)[0].reshape(-1).tolist() == [1, 0, 0, 0]


def test_refusals():
    with pytest.raises(ValueError, match="needs where="):
        nn.MaxUnpool2d(2).forward({}, np.ones((1, 1, 1, 1)))
    with pytest.raises(ValueError, match="does not fit in 2"):
        nn.MaxPool2d(3).output_shape((1, 2, 2))


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    x = numbers((2, 3, 6, 8)).astype("float32")
    for ours, theirs in (
        (nn.MaxPool2d(2), torch.nn.MaxPool2d(2)),
        (nn.MaxPool2d(3, 1), torch.nn.MaxPool2d(3, 1)),
        (nn.AveragePool2d(2), torch.nn.AvgPool2d(2)),
        (nn.Upsample2d(2), torch.nn.Upsample(scale_factor=2)),
    ):
        there = torch.tensor(x, requires_grad=True)
        expected = theirs(there)
        y, cache = ours.forward({}, x)
        dy = numbers(y.shape, 3).astype("float32")
        expected.backward(torch.tensor(dy))
        np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-5)
        np.testing.assert_allclose(ours.backward(dy, cache)[0], there.grad.numpy(), atol=1e-5)


def test_pytorch_unpools_alike():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    x = numbers((2, 3, 6, 8)).astype("float32")
    y, where = nn.MaxPool2d(2).forward({}, x)
    pooled, indices = F.max_pool2d(torch.tensor(x), 2, return_indices=True)
    there = pooled.requires_grad_()
    expected = F.max_unpool2d(there, indices, 2)
    dy = numbers(x.shape, 3).astype("float32")
    expected.backward(torch.tensor(dy))
    restored, cache = nn.MaxUnpool2d(2).forward({}, y, where=where)
    np.testing.assert_allclose(restored, expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(nn.MaxUnpool2d(2).backward(dy, cache)[0], there.grad.numpy(), atol=1e-5)
