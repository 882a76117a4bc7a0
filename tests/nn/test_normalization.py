"""Batch, layer and group norm; weight and spectral norm."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import nn
from minidgm.backend import Generator
from minidgm.nn.reparametrized import Reparametrized
from tests.nn.passes import check_everywhere, check_jvp, check_layer, check_rows, numbers, parameters

BATCH = ("mean", "variance")


def positive(layer, shape):
    """Random parameters with a variance that can be one."""
    params = parameters(layer, shape)
    return {k: np.abs(v) + 0.3 if k == "variance" else v for k, v in params.items()}


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3)])
def test_batch_norm(shape, backend):
    layer = nn.BatchNorm()
    params = positive(layer, shape)
    check_layer(layer, shape, n=4, training=True, params=params, fixed=BATCH)
    check_jvp(layer, shape, n=4, training=True)
    check_everywhere(layer, shape, backend, training=True)
    x = numbers((4, *shape))
    plain = {**params, "scale": np.ones(shape[0]), "shift": np.zeros(shape[0])}
    y, _ = layer.forward(plain, x, training=True)
    axes = (0, *range(2, y.ndim))
    variance = x.var(axis=axes)
    np.testing.assert_allclose(y.mean(axis=axes), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axes), variance / (variance + layer.eps), rtol=1e-12)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3)])
def test_batch_norm_in_inference_is_affine(shape):
    layer = nn.BatchNorm()
    params = positive(layer, shape)
    x = numbers((4, *shape))
    y, cache = layer.forward(params, x)
    dx, _ = layer.backward(np.ones_like(y), cache)

    def wide(name):
        return params[name].reshape((-1,) + (1,) * (len(shape) - 1))

    slope = wide("scale") / np.sqrt(wide("variance") + layer.eps)
    np.testing.assert_allclose(y, (x - wide("mean")) * slope + wide("shift"), rtol=1e-12)
    np.testing.assert_allclose(dx, np.broadcast_to(slope, x.shape), rtol=1e-12)
    np.testing.assert_allclose(layer.jvp(np.ones_like(x), cache), dx, rtol=1e-12)
    again, _ = layer.forward(params, x[:1])
    np.testing.assert_allclose(again[0], y[0])


def test_running_statistics_move_toward_the_batch():
    layer, params = nn.BatchNorm(momentum=0.25), {}
    for name, shape in layer.parameter_shapes((2,)).items():
        params[name] = np.empty(shape)
    layer.initialize(params, None)
    x = numbers((6, 2))
    _, cache = layer.forward(params, x, training=True)
    layer.update(params, cache)
    np.testing.assert_allclose(params["mean"], 0.25 * x.mean(axis=0))
    np.testing.assert_allclose(params["variance"], 0.75 + 0.25 * x.var(axis=0, ddof=1))
    before = {name: value.copy() for name, value in params.items()}
    layer.update(params, layer.forward(params, x)[1])
    for name, value in before.items():
        np.testing.assert_array_equal(params[name], value)


def test_a_batch_of_one_is_refused_in_training():
    layer = nn.BatchNorm()
    params = positive(layer, (3,))
    with pytest.raises(ValueError, match=r"at least two numbers a feature, got a batch of \[1, 3\]"):
        layer.forward(params, numbers((1, 3)), training=True)
    params = positive(layer, (2, 2, 2))
    layer.forward(params, numbers((1, 2, 2, 2)), training=True)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.LayerNorm(), (5,)), (nn.LayerNorm(), (2, 4)), (nn.GroupNorm(2), (4,)), (nn.GroupNorm(2), (4, 2, 3))],
    ids=repr,
)
def test_norms_of_rows(layer, shape, backend):
    check_layer(layer, shape)
    check_jvp(layer, shape)
    check_rows(layer, shape)
    check_everywhere(layer, shape, backend)


def test_layer_norm_has_mean_0_and_variance_1():
    layer, x = nn.LayerNorm(), numbers((3, 4, 50))
    y, _ = layer.forward({"scale": np.ones(50), "shift": np.zeros(50)}, x)
    np.testing.assert_allclose(y.mean(axis=-1), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=-1), 1.0, rtol=1e-3)
    grouped, _ = nn.GroupNorm(1).forward({"scale": np.ones(50), "shift": np.zeros(50)}, x[:, 0])
    np.testing.assert_allclose(grouped, y[:, 0], rtol=1e-9)


INNER = [
    (nn.Dense(3), (4,)),
    (nn.Conv2d(3, 2), (2, 3, 3)),
    (nn.ConvTranspose2d(3, 2, stride=2), (2, 2, 3)),
    (nn.Conv1d(3, 2, causal=True), (2, 4)),
    (nn.ConvTranspose1d(3, 2), (2, 4)),
]


@pytest.mark.parametrize(("inner", "shape"), INNER, ids=repr)
@pytest.mark.parametrize("kind", [nn.WeightNorm, nn.SpectralNorm])
def test_weights_in_other_coordinates(kind, inner, shape, backend):
    layer = kind(inner)
    assert isinstance(layer, Reparametrized)
    params = parameters(layer, shape)
    if kind is nn.SpectralNorm:
        params["u"] /= np.linalg.norm(params["u"])
    check_layer(layer, shape, params=params, fixed=getattr(layer, "fixed", ()))
    check_jvp(layer, shape)
    check_rows(layer, shape)
    check_everywhere(layer, shape, backend)


@pytest.mark.parametrize(("inner", "shape"), INNER, ids=repr)
def test_weight_norm_starts_at_the_inner_layer(inner, shape):
    layer, x = nn.WeightNorm(inner), numbers((2, *shape))
    params = {name: np.zeros(s) for name, s in layer.parameter_shapes(shape).items()}
    layer.initialize(params, Generator(0))
    plain = {"W": params["V"], "b": params["b"]}
    np.testing.assert_allclose(layer.forward(params, x)[0], inner.forward(plain, x)[0], rtol=1e-6)


@pytest.mark.parametrize(("inner", "shape"), INNER, ids=repr)
def test_spectral_norm_converges_to_one(inner, shape):
    layer = nn.SpectralNorm(inner)
    params = {name: np.zeros(s) for name, s in layer.parameter_shapes(shape).items()}
    layer.initialize(params, Generator(0))
    x = numbers((1, *shape))
    for _ in range(200):
        layer.update(params, layer.forward(params, x)[1])
    largest = np.linalg.svd(layer._rows(params["V"]), compute_uv=False)[0]
    s = layer.forward(params, x)[1][-1]
    np.testing.assert_allclose(s, largest, rtol=1e-6)


@pytest.mark.parametrize("kind", [nn.WeightNorm, nn.SpectralNorm])
def test_recurrent_weights_in_other_coordinates(kind):
    layer = kind(nn.LSTM(3))
    assert layer.parameter_shapes((4, 2))[layer.own[0]] == (12,)
    check_layer(layer, (4, 2), fixed=getattr(layer, "fixed", ()))


def test_a_transposed_convolution_is_divided_by_its_own_norm():
    """One pixel in: the layer is its matrix [in, out rows columns], the transpose of what is read."""
    layer, x = nn.SpectralNorm(nn.ConvTranspose2d(3, 2)), numbers((5, 4, 1, 1))
    params = {name: np.zeros(s) for name, s in layer.parameter_shapes((4, 1, 1)).items()}
    assert params["u"].shape == (3,)
    layer.initialize(params, Generator(0))
    for _ in range(200):
        layer.update(params, None)
    by_output = np.moveaxis(params["V"], 1, 0).reshape(3, -1)
    largest = np.linalg.svd(by_output, compute_uv=False)[0]
    y, _ = layer.forward(params, x)
    plain, _ = layer.inner.forward({"W": params["V"], "b": params["b"]}, x)
    np.testing.assert_allclose(y * largest, plain, rtol=1e-9)


def test_refusals():
    with pytest.raises(ValueError, match="3 channels do not divide into 2 groups"):
        nn.GroupNorm(2).output_shape((3, 2))
    with pytest.raises(ValueError, match="has no weights W"):
        nn.WeightNorm(nn.Tanh()).parameter_shapes((3,))
    for momentum in (0.0, 1.5):
        with pytest.raises(ValueError, match="momentum"):
            nn.BatchNorm(momentum)


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    x = numbers((4, 6, 3, 10)).astype("float32")
    dy = numbers(x.shape, 3).astype("float32")
    for ours, theirs, training in (
        (nn.BatchNorm(), torch.nn.BatchNorm2d(6), True),
        (nn.GroupNorm(3), torch.nn.GroupNorm(3, 6), False),
        (nn.LayerNorm(), torch.nn.LayerNorm(10), False),
    ):
        shapes = ours.parameter_shapes(x.shape[1:])
        params = {name: np.ones(s, "float32") for name, s in shapes.items()}
        params["scale"], params["shift"] = (numbers(shapes["scale"], i).astype("float32") for i in (7, 8))
        with torch.no_grad():
            theirs.weight.copy_(torch.tensor(params["scale"]))
            theirs.bias.copy_(torch.tensor(params["shift"]))
        there = torch.tensor(x, requires_grad=True)
        expected = theirs(there)
        expected.backward(torch.tensor(dy))
        y, cache = ours.forward(params, x, training=training)
        dx, grads = ours.backward(dy, cache)
        for found, other in (
            (y, expected.detach()),
            (dx, there.grad),
            (grads["scale"], theirs.weight.grad),
            (grads["shift"], theirs.bias.grad),
        ):
            np.testing.assert_allclose(found, other.numpy(), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize(
    ("ours", "theirs", "dim", "shape"),
    [
        (nn.Dense(5), ("Linear", (4, 5)), 0, (4,)),
        (nn.Conv2d(5, 3), ("Conv2d", (4, 5, 3)), 0, (4, 5, 4)),
        (nn.ConvTranspose2d(5, 3), ("ConvTranspose2d", (4, 5, 3)), 1, (4, 3, 2)),
        (nn.ConvTranspose1d(5, 3), ("ConvTranspose1d", (4, 5, 3)), 1, (4, 6)),
    ],
    ids=["dense", "convolution", "transposed", "transposed sequence"],
)
def test_pytorch_agrees_on_weights_in_other_coordinates(kind, ours, theirs, dim, shape):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    name, sizes = theirs
    peer = getattr(torch.nn.utils.parametrizations, kind)(getattr(torch.nn, name)(*sizes), dim=dim).eval()
    weights = peer.parametrizations.weight
    V = weights.original1 if kind == "weight_norm" else weights.original
    with torch.no_grad():
        if kind == "weight_norm":
            weights.original0 *= 1.7
            own = {"g": weights.original0.numpy().reshape(-1)}
        else:
            own = {"u": weights[0]._u.numpy()}

    def in_our_order(weight):
        return weight.T if name == "Linear" else weight

    layer = (nn.WeightNorm if kind == "weight_norm" else nn.SpectralNorm)(ours)
    params = {"V": in_our_order(V.detach().numpy()), "b": peer.bias.detach().numpy(), **own}
    x = numbers((3, *shape)).astype("float32")
    there = torch.tensor(x, requires_grad=True)
    expected = peer(there)
    dy = numbers(tuple(expected.shape), 4).astype("float32")
    expected.backward(torch.tensor(dy))
    y, cache = layer.forward(params, x)
    dx, grads = layer.backward(dy, cache)
    pairs = [(y, expected.detach()), (dx, there.grad), (grads["V"], in_our_order(V.grad))]
    pairs.append((grads["b"], peer.bias.grad))
    if kind == "weight_norm":
        pairs.append((grads["g"], weights.original0.grad.reshape(-1)))
    for found, other in pairs:
        np.testing.assert_allclose(found, other.numpy(), atol=1e-5, rtol=1e-5)
