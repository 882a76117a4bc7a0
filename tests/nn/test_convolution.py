"""Convolutions against autograd, against SciPy's sums, against their adjoints, and against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from minidgm import nn
from minidgm.nn.windows import Grid
from tests.nn.passes import check_everywhere, check_jvp, check_layer, check_rows, numbers, parameters

IMAGES = [
    (nn.Conv2d(3, 2), (2, 4, 5)),
    (nn.Conv2d(4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2), (2, 5, 4)),
    (nn.Conv2d(2, 2, dilation=2, padding=1, bias=False), (1, 4, 4)),
    (nn.Conv2d(1, 3, stride=3, padding=2), (1, 5, 6)),
    (nn.ConvTranspose2d(3, 2), (2, 3, 2)),
    (nn.ConvTranspose2d(4, 4, stride=2, padding=1, groups=2), (2, 3, 3)),
    (nn.ConvTranspose2d(1, 3, stride=2, padding=1, output_padding=1, bias=False), (2, 3, 2)),
    (nn.ConvTranspose2d(2, 2, dilation=2, stride=(1, 2), output_padding=(0, 1)), (1, 2, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), IMAGES, ids=repr)
def test_passes_agree_with_autograd(layer, shape, backend):
    check_layer(layer, shape)
    check_jvp(layer, shape)
    check_rows(layer, shape)
    check_everywhere(layer, shape, backend)


def test_each_output_is_a_sum_of_cross_correlations():
    x, params = numbers((2, 3, 6, 5)), parameters(nn.Conv2d(4, 3), (3, 6, 5))
    y, _ = nn.Conv2d(4, 3).forward(params, x)
    for n in range(2):
        for o in range(4):
            expected = sum(correlate2d(x[n, c], params["W"][o, c], "valid") for c in range(3))
            np.testing.assert_allclose(y[n, o], expected + params["b"][o], rtol=1e-12)


geometry = st.tuples(
    st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(5, 7)
)


@given(down=geometry, across=geometry, groups=st.integers(1, 2), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_transposed_convolution_is_the_adjoint(down, across, groups, seed):
    (size, stride, padding, dilation, image) = zip(down, across, strict=True)
    grid = Grid(size, stride, dilation, ((padding[0],) * 2, (padding[1],) * 2))
    there = nn.Conv2d(2 * groups, size, stride, padding, dilation, groups, bias=False)
    P, Q = grid.places(image)
    spare = tuple(a - b for a, b in zip(image, grid.image((P, Q)), strict=True))
    back = nn.ConvTranspose2d(groups, size, stride, padding, spare, dilation, groups, bias=False)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, groups, *image)), rng.normal(size=(2, 2 * groups, P, Q))
    W = {"W": rng.normal(size=(2 * groups, 1, *size))}
    A, _ = there.forward(W, x)
    A_adjoint, _ = back.forward(W, y)
    assert A_adjoint.shape == x.shape == (2, *back.output_shape(y.shape[1:]))
    np.testing.assert_allclose((A * y).sum(), (x * A_adjoint).sum(), rtol=1e-10, atol=1e-10)


def test_bad_sizes_are_refused():
    for function, words in (
        (lambda: nn.Conv2d(3, 2, groups=2), "do not divide into 2 groups"),
        (lambda: nn.Conv2d(2, 5).output_shape((1, 4, 4)), "window of 5 pixels does not fit in 4"),
        (lambda: nn.Conv2d(2, 2).output_shape((4, 4)), r"takes rows of shape \[channels, height, width\]"),
        (lambda: nn.Conv2d(2, 2, groups=2).output_shape((3, 4, 4)), "3 channels do not divide"),
        (lambda: nn.Conv2d(2, (1, 2, 3)), "expected one number, or two"),
        (lambda: nn.ConvTranspose2d(2, 3, stride=2, output_padding=2), "less than stride"),
        (lambda: nn.ConvTranspose2d(2, 2, padding=2).output_shape((1, 2, 2)), "lower the padding"),
    ):
        with pytest.raises(ValueError, match=words):
            function()


@pytest.mark.parametrize(
    ("ours", "theirs", "shape"),
    [
        (
            nn.Conv2d(6, 3, 2, 1, 2, 2),
            ("Conv2d", (4, 6, 3), {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}),
            (4, 9, 8),
        ),
        (
            nn.ConvTranspose2d(6, 4, 2, 1, 1, groups=2),
            ("ConvTranspose2d", (4, 6, 4), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
            (4, 5, 4),
        ),
    ],
    ids=["convolution", "transposed"],
)
def test_pytorch_agrees(ours, theirs, shape):
    torch = pytest.importorskip("torch")
    name, sizes, options = theirs
    peer = getattr(torch.nn, name)(*sizes, **options)
    x = numbers((3, *shape)).astype("float32")
    params = {"W": peer.weight.detach().numpy(), "b": peer.bias.detach().numpy()}
    y, cache = ours.forward(params, x)
    dy = numbers(y.shape, 4).astype("float32")
    there = torch.tensor(x, requires_grad=True)
    expected = peer(there)
    expected.backward(torch.tensor(dy))
    dx, grads = ours.backward(dy, cache)
    pairs = (
        (y, expected.detach()),
        (dx, there.grad),
        (grads["W"], peer.weight.grad),
        (grads["b"], peer.bias.grad),
    )
    for found, other in pairs:
        np.testing.assert_allclose(found, other.numpy(), atol=2e-5, rtol=1e-5)
