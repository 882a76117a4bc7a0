"""The triangular affine layer: its passes, and that it is what Cholesky says."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import nn
from tests.nn.passes import check_everywhere, check_jvp, check_layer, check_rows, numbers, parameters


def test_passes(backend):
    layer = nn.Triangular()
    check_layer(layer, (3,))
    check_jvp(layer, (3,))
    check_rows(layer, (3,))
    check_everywhere(layer, (3,), backend)


def test_only_the_strictly_lower_part_is_used():
    params = parameters(nn.Triangular(), (3,))
    other = {**params, "lower": params["lower"] + np.triu(np.ones((3, 3)))}
    x = numbers((4, 3))
    np.testing.assert_array_equal(*(nn.Triangular().forward(p, x)[0] for p in (params, other)))
    assert not np.triu(nn.Triangular().backward(x, nn.Triangular().forward(params, x)[1])[1]["lower"]).any()


def test_its_covariance_has_its_matrix_as_cholesky_factor():
    L = nn.Triangular.matrix(parameters(nn.Triangular(), (4,)))
    np.testing.assert_allclose(np.linalg.cholesky(L @ L.T), L, rtol=1e-9)


def test_rows_only():
    with pytest.raises(ValueError, match=r"rows of shape \[d\]"):
        nn.Network(["triangular"], (2, 3))
