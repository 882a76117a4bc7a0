"""Convolutions of sequences against autograd, their adjoints and PyTorch; what causal ones see."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import nn
from tests.nn.passes import check_everywhere, check_jvp, check_layer, check_rows, numbers, parameters

SEQUENCES = [
    (nn.Conv1d(3, 2), (2, 5)),
    (nn.Conv1d(4, 3, stride=2, padding=1, groups=2), (2, 6)),
    (nn.Conv1d(2, 3, dilation=2, causal=True), (2, 6)),
    (nn.ConvTranspose1d(3, 2), (2, 4)),
    (nn.ConvTranspose1d(4, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4)),
    (nn.ConvTranspose1d(2, 3, stride=2, dilation=2, causal=True, bias=False), (2, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), SEQUENCES, ids=repr)
def test_passes_agree_with_autograd(layer, shape, backend):
    check_layer(layer, shape)
    check_jvp(layer, shape)
    check_rows(layer, shape)
    check_everywhere(layer, shape, backend)


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolution_is_the_adjoint(groups):
    there = nn.Conv1d(4, 3, 2, 1, 2, groups, bias=False)
    back = nn.ConvTranspose1d(2, 3, 2, 1, 1, 2, groups, bias=False)
    W, x = parameters(there, (2, 8)), numbers((3, 2, 8))
    A, _ = there.forward(W, x)
    y = numbers(A.shape, 4)
    A_adjoint, _ = back.forward(W, y)
    assert A_adjoint.shape == x.shape
    np.testing.assert_allclose((A * y).sum(), (x * A_adjoint).sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "stride"),
    [
        (nn.Conv1d(2, 3, dilation=2, causal=True), 1),
        (nn.ConvTranspose1d(2, 3, stride=2, causal=True), 2),
        (nn.ConvTranspose1d(2, 3, stride=3, causal=True), 3),
    ],
    ids=["convolution", "transposed", "side by side"],
)
def test_causal_outputs_see_no_future(layer, stride):
    params, x = parameters(layer, (1, 8)), numbers((1, 1, 8))
    y, _ = layer.forward(params, x)
    assert y.shape == (1, 2, 8 * stride)
    for t in range(8):
        changed = x.copy()
        changed[:, :, t] += 1.0
        moved = np.abs(layer.forward(params, changed)[0] - y).max(axis=(0, 1)) > 0.0
        assert not moved[: t * stride].any()
        assert moved[t * stride]


def test_bad_sizes_are_refused():
    for function, words in (
        (lambda: nn.Conv1d(2, 2, padding=1, causal=True), "pads the beginning by itself"),
        (lambda: nn.ConvTranspose1d(2, 2, padding=1, causal=True), "crops the end by itself"),
        (lambda: nn.ConvTranspose1d(2, 2, stride=3, causal=True), "leave gaps at stride=3"),
        (lambda: nn.Conv1d(2, 2).output_shape((2, 4, 4)), r"takes rows of shape \[channels, length\]"),
    ):
        with pytest.raises(ValueError, match=words):
            function()


@pytest.mark.parametrize(
    ("ours", "theirs", "before", "behind"),
    [
        (nn.Conv1d(4, 3, 2, 1), ("Conv1d", (2, 4, 3), {"stride": 2, "padding": 1}), 0, 0),
        (nn.Conv1d(3, 3, dilation=2, causal=True), ("Conv1d", (2, 3, 3), {"dilation": 2}), 4, 0),
        (
            nn.ConvTranspose1d(4, 3, 2, 1, 1, groups=2),
            ("ConvTranspose1d", (2, 4, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
            0,
            0,
        ),
        (nn.ConvTranspose1d(3, 5, 2, causal=True), ("ConvTranspose1d", (2, 3, 5), {"stride": 2}), 0, 3),
    ],
    ids=["convolution", "causal", "transposed", "causal transposed"],
)
def test_pytorch_agrees(ours, theirs, before, behind):
    torch = pytest.importorskip("torch")
    name, sizes, options = theirs
    peer = getattr(torch.nn, name)(*sizes, **options)
    x = numbers((3, 2, 9)).astype("float32")
    params = {"W": peer.weight.detach().numpy(), "b": peer.bias.detach().numpy()}
    y, cache = ours.forward(params, x)
    dy = numbers(y.shape, 4).astype("float32")
    there = torch.tensor(x, requires_grad=True)
    expected = peer(torch.nn.functional.pad(there, (before, 0)))
    expected = expected[:, :, : expected.shape[2] - behind]
    expected.backward(torch.tensor(dy))
    dx, grads = ours.backward(dy, cache)
    for found, other in (
        (y, expected.detach()),
        (dx, there.grad),
        (grads["W"], peer.weight.grad),
        (grads["b"], peer.bias.grad),
    ):
        np.testing.assert_allclose(found, other.numpy(), atol=1e-5, rtol=1e-5)
