"""Quadrature of smooth densities over boxes."""

import numpy as np
import pytest

from minidgm.evaluation.quadrature import log_integral


@pytest.mark.parametrize("width", [0.05, 1.0])
def test_a_mixture(width, xp):
    """Two normals of different widths in one dimension: mass 3."""

    def log_density(x):
        one = xp.exp(-0.5 * (x[:, 0] - 1.0) ** 2) / np.sqrt(2 * np.pi)
        two = xp.exp(-0.5 * ((x[:, 0] + 2.0) / width) ** 2) / np.sqrt(2 * np.pi) / width
        return xp.log(one + 2.0 * two + 1e-300)

    value = log_integral(log_density, xp.asarray([-12.0]), xp.asarray([12.0]))
    assert float(value) == pytest.approx(np.log(3.0), abs=1e-11)


def test_dimensions():
    with pytest.raises(ValueError, match="one or two dimensions, not 3"):
        log_integral(lambda x: x.sum(axis=1), np.zeros(3), np.ones(3))
