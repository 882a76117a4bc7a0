"""Gradient of the linear-time estimate of MMD^2 (Gretton et al. 2012, lemma 14).

    h_i = k(a_i, b_i) + k(c_i, d_i) - k(a_i, d_i) - k(b_i, c_i)
    dh_i/da_i = k'(a_i, b_i) - k'(a_i, d_i),      dh_i/db_i = k'(b_i, a_i) - k'(b_i, c_i)

with (a_i, b_i) rows 2i, 2i + 1 of x, (c_i, d_i) those of y, and k' the derivative in the first argument:
2 f'(s) (a - b) where k = f(s) of the squared distance, f'(s) b where it is of the product.
"""

from __future__ import annotations

from typing import Any

from minidgm.evaluation.mercer import Kernel
from minidgm.evaluation.mmd import check

__all__ = ["mmd2_linear_gradient"]


def mmd2_linear_gradient(x: Any, y: Any, kernel: Kernel) -> tuple[Any, Any]:
    """Linear-time estimate of MMD^2, unbiased, and its gradient in the rows of x; nothing is read back.

    Parameters
    ----------
    x, y : array [m, d], [n, d]
        At least two rows each. The first 2 floor(min(m, n)/2) of each are used, others have gradient 0.
    kernel : Kernel

    Returns
    -------
    value : array []
    dx : array [m, d]

    Raises
    ------
    DataError
        For fewer than two rows, or rows of another space.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm.evaluation.mercer import as_kernel
    >>> value, dx = mmd2_linear_gradient(np.eye(3), np.eye(3), as_kernel("gaussian"))
    >>> bool(abs(value) < 1e-12), dx.shape, bool(dx[2].any())
    (True, (3, 3), False)
    """
    xp, pairs = check(x, y, True), min(x.shape[0], y.shape[0]) // 2
    (a, b), (c, d) = ((rows[0 : 2 * pairs : 2], rows[1 : 2 * pairs : 2]) for rows in (x, y))

    def k(left: Any, right: Any) -> tuple[Any, Any]:
        """k(left, right), [pairs], and its derivative in left, [pairs, d]."""
        if kernel.of == "product":
            value, slope = kernel.both(xp.sum(left * right, axis=1))
            return value, slope[:, None] * right
        difference = left - right
        value, slope = kernel.both(xp.sum(difference * difference, axis=1))
        return value, 2.0 * slope[:, None] * difference

    (ab, da), (cd, _), (ad, da_apart), (bc, db_apart) = k(a, b), k(c, d), k(a, d), k(b, c)
    db = k(b, a)[1]
    rows = xp.stack([da - da_apart, db - db_apart], axis=1).reshape(2 * pairs, x.shape[1]) / pairs
    rest = xp.zeros((x.shape[0] - 2 * pairs, x.shape[1]), dtype=x.dtype)
    return xp.mean(ab + cd - ad - bc), xp.concatenate([rows, rest])
