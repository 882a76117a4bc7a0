"""The gradient of the linear-time MMD against autograd, and its value against the estimate."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad

from minidgm.backend import asarray, to_numpy
from minidgm.errors import DataError
from minidgm.evaluation import mmd2_linear
from minidgm.evaluation.linear_mmd import mmd2_linear_gradient
from minidgm.evaluation.mercer import KERNELS, as_kernel


def linear(x, y, kernel):
    """One quadruple after another, as the text has them."""
    n = min(len(x), len(y)) // 2 * 2

    def k(a, b):
        return kernel.value(anp.sum(a * b) if kernel.of == "product" else anp.sum((a - b) ** 2))

    h = [
        k(x[i], x[i + 1]) + k(y[i], y[i + 1]) - k(x[i], y[i + 1]) - k(x[i + 1], y[i]) for i in range(0, n, 2)
    ]
    return sum(h) / len(h)


@pytest.mark.parametrize("kernel", [*KERNELS])
@pytest.mark.parametrize("rows", [(6, 6), (7, 4), (3, 9)])
def test_gradient_is_autograds(kernel, rows, backend):
    rng = np.random.default_rng(0)
    kernel = as_kernel(kernel)
    x, y = (rng.normal(size=(n, 3)) for n in rows)
    value, dx = mmd2_linear_gradient(asarray(x, backend), asarray(y, backend), kernel)
    assert float(value) == pytest.approx(mmd2_linear(x, y, kernel).value, rel=1e-12)
    np.testing.assert_allclose(to_numpy(dx), grad(linear)(x, y, kernel), rtol=1e-10, atol=1e-12)


def test_a_single_row_has_no_quadruple():
    with pytest.raises(DataError, match="1 rows"):
        mmd2_linear_gradient(np.ones((1, 2)), np.ones((4, 2)), as_kernel("gaussian"))
