"""Layers that move numbers: passes, orders, and what they let stand behind each other."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import nn
from tests.nn.passes import check_everywhere, check_jvp, check_layer, check_rows, numbers, parameters

LAYERS = [
    (nn.Flatten(), (2, 3)),
    (nn.Reshape((3, 2)), (6,)),
    (nn.Transpose(), (2, 3)),
    (nn.Transpose((1, 2, 0)), (2, 3, 4)),
    (nn.Transpose(), (2, 3, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=repr)
def test_passes_agree_with_autograd(layer, shape, backend):
    check_layer(layer, shape)
    check_jvp(layer, shape)
    check_rows(layer, shape)
    check_everywhere(layer, shape, backend)


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=repr)
def test_going_back_is_the_inverse(layer, shape):
    x = numbers((2, *shape))
    y, cache = layer.forward({}, x)
    np.testing.assert_array_equal(layer.backward(y, cache)[0], x)


def test_axes_go_where_they_are_told():
    x = numbers((2, 3, 4, 5))
    y, _ = nn.Transpose((2, 0, 1)).forward({}, x)
    assert y.shape == (2, 5, 3, 4)
    assert y[1, 4, 2, 3] == x[1, 2, 3, 4]


def test_convolutions_and_recurrent_layers_take_turns(backend):
    net = nn.Sequential(
        nn.declare([("conv1d", 4, 3, 2, 1), "tanh", "transpose", ("gru", 3), "transpose", ("conv1d", 2, 2)])
    )
    assert net.output_shape((2, 9)) == (2, 4)
    check_layer(net, (2, 9))
    check_everywhere(net, (2, 9), backend, atol=3e-5)


def test_a_net_that_starts_with_them_has_the_same_gradients():
    net, x = nn.Network(["transpose", ("dense", 3)], (4, 2)), numbers((5, 4, 2))
    params = parameters(net, (4, 2))
    y, cache = net.forward(params, x)
    dy = numbers(y.shape, 4)
    alone, grads = net.parameter_gradients(dy, cache), net.backward(dy, cache)[1]
    for name, value in grads.items():
        np.testing.assert_array_equal(alone[name], value)


def test_names_and_arguments():
    assert nn.declare(["transpose", ("transpose", (1, 0))]) == [nn.Transpose(), nn.Transpose((1, 0))]
    layers = [nn.Transpose(), nn.Transpose((1, 0)), nn.Reshape((2, 2))]
    assert nn.declare(nn.describe(layers)) == layers


def test_bad_shapes_are_refused():
    for function, words in (
        (lambda: nn.Transpose((0, 2)), r"axes=\(0, 2\); expected each of 0, ..., 1 once"),
        (lambda: nn.Transpose((1, 0)).output_shape((2, 3, 4)), "takes rows of 2 axes"),
        (lambda: nn.Reshape((2, 2)).output_shape((5,)), "needs rows of 4 numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            function()
