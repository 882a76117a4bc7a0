"""Dense layers, activations and nets of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import nn
from minidgm.backend import Generator
from minidgm.nn import activations, initializers
from minidgm.parameters import Parameters
from tests.nn.passes import check_everywhere, check_jvp, check_layer, check_rows, numbers, parameters

ACTIVATIONS = [
    nn.Relu(), nn.LeakyRelu(0.2), nn.Tanh(), nn.Sigmoid(), nn.Softplus(), nn.Elu(0.7), nn.Gelu(), nn.Silu(),
]  # fmt: skip
NETS = [
    nn.Sequential([nn.Dense(4), nn.Tanh(), nn.Dense(2)]),
    nn.Residual([nn.Dense(5), nn.Gelu(), nn.Dense(3)]),
    nn.Sequential([nn.Residual(nn.Dense(3)), nn.Sequential([nn.Dense(2, bias=False)])]),
    nn.Sequential([]),
]
LAYERS = [*ACTIVATIONS, *NETS, nn.Dense(4), nn.Dense(2, bias=False)]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_passes_agree_with_autograd(layer, backend):
    check_layer(layer, (3,))
    check_jvp(layer, (3,))
    check_rows(layer, (3,))
    check_everywhere(layer, (3,), backend)


def test_what_a_caller_gets_is_no_memory_of_the_layer():
    """Biases are added in place: into a fresh product, never into x, the parameters or what is kept."""
    layer = nn.Dense(3)
    params, x = parameters(layer, (3,)), numbers((4, 3))
    y, cache = layer.forward(params, x)
    assert not any(np.shares_memory(y, other) for other in (x, *params.values(), *cache))
    dy = numbers((4, 3), 2)
    dx, grads = layer.backward(dy, cache)
    y[...] = np.nan
    again, _ = layer.backward(dy, cache)
    np.testing.assert_array_equal(again, dx)
    assert not any(np.shares_memory(dx, other) for other in (dy, x, *params.values(), *grads.values()))


@pytest.mark.parametrize("layer", [nn.Dense(4), nn.Gelu(), nn.Flatten(), nn.Reshape((3, 4))], ids=repr)
def test_further_axes(layer, backend):
    check_layer(layer, (2, 6))
    check_rows(layer, (2, 6))
    check_jvp(layer, (2, 6))
    check_everywhere(layer, (2, 6), backend)


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("turn", [False, True])
def test_slopes_of_long_arrays_are_taken_in_blocks(layer, turn, monkeypatch):
    x, dy = numbers((7, 5)), numbers((7, 5), 3)
    if turn:  # rows in another order in memory than those of y
        dy = np.asfortranarray(dy)
    _, cache = layer.forward({}, x)
    dx, _ = layer.backward(dy, cache)
    monkeypatch.setattr(activations, "BLOCK", 4)
    kept = dy.copy()
    np.testing.assert_array_equal(layer.backward(dy, cache)[0], dx)
    np.testing.assert_array_equal(dy, kept)


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_at_extreme_inputs(layer, dtype):
    x = np.array([[-1e4, -50.0, 0.0, 50.0, 1e4]], dtype=dtype)
    y, cache = layer.forward({}, x)
    dx, _ = layer.backward(np.ones_like(y), cache)
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    assert y.dtype == dx.dtype == dtype
    np.testing.assert_allclose(dx[0, 0], {nn.LeakyRelu: 0.2}.get(type(layer), 0.0), atol=1e-7)


def test_values_of_the_activations():
    x = np.array([[-1.0, 0.5]])
    from scipy.stats import norm

    expected = {
        nn.Relu: [0.0, 0.5],
        nn.LeakyRelu: [-0.2, 0.5],
        nn.Tanh: np.tanh(x[0]),
        nn.Sigmoid: 1.0 / (1.0 + np.exp(-x[0])),
        nn.Softplus: np.log1p(np.exp(x[0])),
        nn.Elu: [0.7 * (np.exp(-1.0) - 1.0), 0.5],
        nn.Gelu: x[0] * norm.cdf(x[0]),
        nn.Silu: x[0] / (1.0 + np.exp(-x[0])),
    }
    for layer in ACTIVATIONS:
        np.testing.assert_allclose(layer.forward({}, x)[0][0], expected[type(layer)], rtol=1e-12)


@given(sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_nets_of_any_sizes(sizes, seed):
    layers = [layer for n in sizes[1:] for layer in (nn.Dense(n), ACTIVATIONS[seed % len(ACTIVATIONS)])]
    net = nn.Network(layers, (sizes[0],))
    assert net.size == sum(a * b + b for a, b in pairwise(sizes))
    check_layer(net, (sizes[0],), params=parameters(net, (sizes[0],), seed))


def test_gradients_go_into_a_buffer():
    net = nn.Network([nn.Dense(4), nn.Tanh(), nn.Residual([nn.Dense(4)])], (3,))
    params = Parameters(net.shapes, dtype="float64")
    net.initialize(params, Generator(0))
    y, cache = net.forward(params, numbers((5, 3)))
    grads = params.like()
    _, separate = net.backward(np.ones_like(y), cache)
    net.backward(np.ones_like(y), cache, grads)
    assert list(grads) == ["0/W", "0/b", "2/0/W", "2/0/b"]
    for name, value in separate.items():
        np.testing.assert_allclose(grads[name], value, rtol=1e-14)


def test_a_table_of_shapes_and_counts():
    net = nn.Network([nn.Flatten(), nn.Dense(20), nn.Tanh(), nn.Dense(10, bias=False)], (1, 6, 6))
    table = str(net).splitlines()
    assert table[0].split() == ["layer", "shape", "parameters"]
    assert table[2].split() == ["0", "Flatten()", "[36]", "0"]
    assert table[3].split()[-1] == "740"
    assert table[-1].strip() == "940"
    assert net.shape == (10,)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"layer 1 .*: Residual.*its input \[4\] to an output \[3\]"):
        nn.Network([nn.Dense(4), nn.Residual(nn.Dense(3))], (2,))
    with pytest.raises(ValueError, match="needs rows of 6 numbers"):
        nn.Network([nn.Reshape((2, 3))], (5,))
    with pytest.raises(TypeError, match=r"layer 1 is 'tanh'; expected a layer"):
        nn.Sequential([nn.Dense(2), "tanh"])
    with pytest.raises(ValueError, match="n_out"):
        nn.Dense(0)
    with pytest.raises(ValueError, match="did you mean 'glorot'"):
        nn.Dense(2, init="gloro").initialize({"W": np.zeros((2, 2))}, Generator(0))


@pytest.mark.parametrize(("name", "variance"), [("glorot", 2 / 700), ("he", 2 / 300)])
def test_initial_weights_have_their_variance(name, variance, backend):
    """120,000 weights; the relative error of a variance is sqrt((kurtosis - 1) / N) < 0.5 %: six are 3 %."""
    rng = Generator(0, backend)
    W = rng.normal((300, 400), dtype="float64")
    initializers.fill(W, name, rng)
    assert abs(float(W.mean())) < 6.0 * (variance / W.size) ** 0.5
    assert float(W.var()) == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3, 3)])
def test_orthogonal_weights_keep_lengths(shape, backend):
    from minidgm.backend import to_numpy

    W = to_numpy(initializers.orthogonal(shape, Generator(0, backend), "float64")).reshape(shape[0], -1)
    gram = W @ W.T if W.shape[0] <= W.shape[1] else W.T @ W
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    x, dy = (numbers((6, 9), seed).astype("float32") for seed in (0, 1))
    peers = {
        nn.Relu: torch.nn.ReLU(), nn.LeakyRelu: torch.nn.LeakyReLU(0.2), nn.Tanh: torch.nn.Tanh(),
        nn.Sigmoid: torch.nn.Sigmoid(), nn.Softplus: torch.nn.Softplus(), nn.Elu: torch.nn.ELU(0.7),
        nn.Gelu: torch.nn.GELU(), nn.Silu: torch.nn.SiLU(),
    }  # fmt: skip
    for layer in ACTIVATIONS:
        there = torch.tensor(x, requires_grad=True)
        expected = peers[type(layer)](there)
        expected.backward(torch.tensor(dy))
        y, cache = layer.forward({}, x)
        np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(layer.backward(dy, cache)[0], there.grad.numpy(), atol=1e-5, rtol=1e-5)
    linear = torch.nn.Linear(9, 4)
    params = {"W": linear.weight.detach().numpy().T, "b": linear.bias.detach().numpy()}
    there = torch.tensor(x, requires_grad=True)
    expected = linear(there)
    expected.backward(torch.tensor(dy[:, :4]))
    y, cache = nn.Dense(4).forward(params, x)
    dx, grads = nn.Dense(4).backward(dy[:, :4], cache)
    pairs = [
        (y, expected.detach()),
        (dx, there.grad),
        (grads["W"], linear.weight.grad.T),
        (grads["b"], linear.bias.grad),
    ]
    for found, other in pairs:
        np.testing.assert_allclose(found, other.numpy(), atol=1e-5, rtol=1e-5)


def test_a_shared_variance_stands_beside_every_mean():
    for isotropic, shape in ((False, (3,)), (True, (1,))):
        layer = nn.SharedVariance(isotropic)
        assert layer.parameter_shapes((3,)) == {"log_variance": shape}
        check_layer(layer, (3,))
        check_jvp(layer, (3,))
    with pytest.raises(ValueError, match=r"rows of shape \[d\]"):
        nn.SharedVariance().output_shape((1, 2, 3))


def test_gradients_of_parameters_alone_skip_the_input_of_the_first_layer_that_learns(monkeypatch):
    net = nn.Network([("reshape", (4,)), ("dense", 3), "tanh", ("dense", 2)], (2, 2))
    check_layer(net, (2, 2))
    params = parameters(net, (2, 2))
    y, cache = net.forward(params, numbers((5, 2, 2)))
    monkeypatch.setattr(nn.Reshape, "backward", None)
    assert set(net.parameter_gradients(y, cache)) == {"1/W", "1/b", "3/W", "3/b"}
