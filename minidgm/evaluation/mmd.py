r"""Maximum mean discrepancy: how far two distributions are, by samples and a kernel (Gretton et al. 2012).

    MMD^2(p, q) = E k(x, x') - 2 E k(x, y) + E k(y, y'),      x, x' ~ p,  y, y' ~ q
                = |E phi(x) - E phi(y)|^2                     for k(x, y) = <phi(x), phi(y)>

| symbol | shape | meaning |
|---|---|---|
| x, y | [m, d], [n, d] | samples of p and of q |
| s | [m, n] | squared distances, or inner products, of all pairs |
| k(x, y) = f(s) | [m, n] | the kernel (`minidgm.evaluation.mercer`) |

Estimates, with sums over pairs of different rows (U, unbiased: it can be negative) or of all rows (V: its
mean is too high by about (k(x, x) - E k(x, x'))/m + the same of y; it is a squared distance of the samples
and never negative):

    U = 1/(m(m-1)) sum_{i!=j} k(x_i, x_j) - 2/(mn) sum_ij k(x_i, y_j) + 1/(n(n-1)) sum_{i!=j} k(y_i, y_j)

Gradient in x, with F = f'(s) for pairs of x, H = f'(s) for x with y, and c the factors above. A pair (i, j)
of x occurs twice, and d|a - b|^2/da = 2(a - b), so that

    distances   dx_i = 4 c_xx (F 1)_i x_i - 4 c_xx (F x)_i - 4 c_xy (H 1)_i x_i + 4 c_xy (H y)_i
    products    dx_i = 2 c_xx (F x)_i - 2 c_xy (H y)_i

which are products of matrices again. All is computed in blocks of rows that stay in cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from minidgm.backend import get_backend, get_xp, is_array
from minidgm.errors import DataError
from minidgm.evaluation.estimate import Estimate
from minidgm.evaluation.mercer import Kernel, as_kernel
from minidgm.workspace import Workspace

__all__ = ["mmd2", "mmd2_between", "mmd2_gradient", "mmd2_linear"]

VALUES = 2**20  # pairs of a block on a host, 4 MB in float32
STRIP = 2**16  # of them at a time between the products: they stay in cache
DEVICE_VALUES = 2**24  # pairs of a block on a device, where each costs launches
UNIT = "squared MMD"


def mmd2(
    x: Any, y: Any, kernel: Any = "gaussian", unbiased: bool = True, scratch: Workspace | None = None
) -> Estimate:
    """Estimate the squared maximum mean discrepancy of the distributions of two samples.

    Parameters
    ----------
    x, y : array [m, d], [n, d]
        On one backend. At least two rows each, or one where ``unbiased`` is False.
    kernel : Kernel, str or pair
        See `minidgm.evaluation.mercer.as_kernel`.
    unbiased : bool
        The U-statistic, or else the V-statistic, whose mean is too high.
    scratch : Workspace, optional
        Memory to use again from call to call.

    Returns
    -------
    Estimate
        ``stderr`` is that of the statistic's linear part, 2 (Var a / m + Var b / n)^(1/2) with a_i the mean
        of k(x_i, other x) - k(x_i, y) and b_j likewise. It is None for a single row.

    Raises
    ------
    DataError
        For samples of different widths, without rows, or too few for the U-statistic.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [3.0]])
    >>> mmd2(x, y, ("polynomial", {"degree": 1, "offset": 0.0}), unbiased=False).value  # (mean x - mean y)^2
    1.0
    """
    kernel, xp = as_kernel(kernel), check(x, y, unbiased)
    (m, n), scratch = (x.shape[0], y.shape[0]), scratch or Workspace()
    x, y = _centered(kernel, x, y, scratch)
    within = []
    for rows in (x, y):
        total = _row_sums(kernel, rows, scratch)
        own = kernel.value(_own(kernel, rows)) if unbiased else 0.0
        within.append((total - own) / (rows.shape[0] - int(unbiased)))
    across, down = [], 0.0
    for _, k, below, _ in _sweep(kernel, x, y, scratch):
        across.append(k)
        down = down + below
    a = (within[0] - xp.concatenate(across) / n).astype("float64")
    b = (within[1] - down / m).astype("float64")
    stderr = None
    if min(m, n) > 1:
        stderr = 2.0 * math.sqrt(float(xp.var(a)) / (m - 1) + float(xp.var(b)) / (n - 1))
    return Estimate(
        float(xp.mean(a)) + float(xp.mean(b)),
        "estimate",
        stderr,
        UNIT,
        f"{'unbiased U-statistic' if unbiased else 'V-statistic, biased upward'}, {kernel!r}",
        settings={"m": m, "n": n},
    )


def mmd2_linear(x: Any, y: Any, kernel: Any = "gaussian") -> Estimate:
    """Estimate MMD^2 in time linear in the rows: independent quadruples, each an unbiased estimate.

    h_i = k(x_2i, x_2i+1) + k(y_2i, y_2i+1) - k(x_2i, y_2i+1) - k(x_2i+1, y_2i), and their mean (Gretton et
    al. 2012, lemma 14). Noisier than `mmd2` by far, but normal with a standard error that is known.

    Parameters
    ----------
    x, y : array [m, d], [n, d]
        The first 2 floor(min(m, n)/2) rows of each are used.
    kernel : Kernel, str or pair

    Returns
    -------
    Estimate
        ``stderr`` is None where there is one quadruple.
    """
    kernel, xp = as_kernel(kernel), check(x, y, True)
    pairs = min(x.shape[0], y.shape[0]) // 2
    (a, b), (c, d) = ((rows[0 : 2 * pairs : 2], rows[1 : 2 * pairs : 2]) for rows in (x, y))

    def k(left: Any, right: Any) -> Any:
        return kernel.value(_row(kernel, left, right))

    h = (k(a, b) + k(c, d) - k(a, d) - k(b, c)).astype("float64")
    stderr = math.sqrt(float(xp.var(h)) / (pairs - 1)) if pairs > 1 else None
    how = f"linear-time, unbiased, {kernel!r}"
    return Estimate(float(xp.mean(h)), "estimate", stderr, UNIT, how, settings={"quadruples": pairs})


def mmd2_between(states: Any, p: Any, q: Any, kernel: Any = "gaussian") -> Estimate:
    """MMD^2 of two distributions on listed states, (p - q)^T K (p - q): exact.

    Parameters
    ----------
    states : array [k, d]
    p, q : array [k]
        Probabilities of the states.
    kernel : Kernel, str or pair
    """
    kernel = as_kernel(kernel)
    check(states, states, False)
    difference, total = p - q, 0.0
    for i in range(states.shape[0]):
        total = total + difference[i] * (kernel.value(_row(kernel, states[i : i + 1], states)) @ difference)
    return Estimate(float(total), "exact", unit=UNIT, how=f"sum over states, {kernel!r}")


def mmd2_gradient(
    x: Any, y: Any, kernel: Any = "gaussian", unbiased: bool = True, scratch: Workspace | None = None
) -> tuple[Any, Any]:
    """MMD^2 of two samples, and its gradient in the rows of the first.

    Parameters
    ----------
    x, y : array [m, d], [n, d]
    kernel, unbiased
        As for `mmd2`.
    scratch : Workspace, optional
        Memory to use again from call to call.

    Returns
    -------
    value : 0-d array
        On the device of ``x``: nothing waits for it.
    dx : array [m, d]

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [3.0]])
    >>> linear = ("polynomial", {"degree": 1, "offset": 0.0})
    >>> mmd2_gradient(x, y, linear, unbiased=False)[1].tolist()  # 2 (mean x - mean y) / m
    [[-1.0], [-1.0]]
    """
    kernel, xp = as_kernel(kernel), check(x, y, unbiased)
    (m, n), one = (x.shape[0], y.shape[0]), int(unbiased)
    in_x, in_y, cross = 1.0 / (m * (m - one)), 1.0 / (n * (n - one)), 1.0 / (m * n)
    scratch = scratch or Workspace()
    x, y = _centered(kernel, x, y, scratch)
    value, dx = in_y * xp.sum(_row_sums(kernel, y, scratch)), xp.empty_like(x)
    others = (("pairs", x, n), ("cross", y, m))
    sweeps = (_sweep(kernel, x, rows, scratch, name, columns, True) for name, rows, columns in others)
    for (rows, k, _, F), (_, c, _, H) in zip(*sweeps, strict=True):
        value = value + in_x * xp.sum(k) - 2.0 * cross * xp.sum(c)
        F *= in_x
        H *= cross
        pull = H @ y
        pull -= F @ x
        if kernel.of == "product":
            dx[rows] = -2.0 * pull
        else:
            push = xp.sum(F, axis=1) - xp.sum(H, axis=1)
            pull += push[:, None] * x[rows]
            xp.multiply(pull, 4.0, out=dx[rows])
    if unbiased:  # without the pairs of a row with itself: x_i - x_i = 0, but x_i . x_i is not
        k, F = kernel.both(_own(kernel, x))
        value = value - in_x * xp.sum(k) - in_y * xp.sum(kernel.value(_own(kernel, y)))
        if kernel.of == "product":
            dx -= (2.0 * in_x * F)[:, None] * x
    return value, dx


def check(x: Any, y: Any, unbiased: bool) -> Any:
    """Return the namespace of two samples, or raise `DataError`."""
    for name, rows in (("x", x), ("y", y)):
        if not is_array(rows) or getattr(rows, "ndim", 0) != 2 or rows.dtype.kind != "f":
            found = f"{getattr(rows, 'dtype', type(rows).__name__)} of shape {getattr(rows, 'shape', None)}"
            raise DataError(f"{name} is {found}; expected rows of real numbers, a float array [n, d]")
        if rows.shape[0] < 1 + int(unbiased):
            hint = "; the V-statistic takes one, unbiased=False" if unbiased else ""
            raise DataError(f"{name} has {rows.shape[0]} rows, too few for pairs of different rows{hint}")
    if x.shape[1] != y.shape[1]:
        raise DataError(f"x has {x.shape[1]} columns and y {y.shape[1]}; samples of one space are compared")
    return get_xp(x=x, y=y)


def _centered(kernel: Kernel, x: Any, y: Any, scratch: Workspace) -> tuple[Any, Any]:
    """The samples from the mean of y where only differences count, so that little cancels in distances."""
    if kernel.of == "product":
        return x, y
    xp = get_xp(x, y)
    center = xp.mean(y, axis=0)
    left, right = scratch.array("x", x.shape, x), scratch.array("y", y.shape, y)
    return xp.subtract(x, center, out=left), xp.subtract(y, center, out=right)


def _sweep(
    kernel: Kernel,
    x: Any,
    y: Any,
    scratch: Workspace,
    name: str = "pairs",
    columns: int = 0,
    slopes: bool = False,
) -> Iterator[Any]:
    """Walk the pairs of x and y, a block of rows of x at a time, with one product of matrices each.

    Yields the slice of rows, their sums of f over y [b], the block's sums over x [n], or with ``slopes``
    (which leave them out) f' [b, n]. A block holds `VALUES` pairs, of ``columns`` columns where they are more
    than y has rows; what follows the product is done in strips that stay in cache.
    """
    xp, host = get_xp(x, y), get_backend(x) == "numpy"
    block = max(1, (VALUES if host else DEVICE_VALUES) // max(columns, y.shape[0]))
    thin = max(1, STRIP // y.shape[0]) if host else block
    ones = xp.ones_like(y[:, 0])
    norms = None if kernel.of == "product" else (xp.sum(x * x, axis=1)[:, None], xp.sum(y * y, axis=1))
    for start in range(0, x.shape[0], block):
        rows = slice(start, start + block)
        part = x[rows]
        s = scratch.array(name, (part.shape[0], y.shape[0]), x)
        xp.matmul(part, y.T, out=s)
        across, down = [], 0.0
        for first in range(0, s.shape[0], thin):
            strip = s[first : first + thin]
            if norms is not None:
                _distances(strip, norms[0][rows][first : first + thin], norms[1])
            if slopes:
                k, strip[...] = kernel.both(strip)
            else:
                k = kernel.value(strip)
            across.append(k @ ones)
            if not slopes:
                down = down + xp.sum(k, axis=0)
        yield rows, xp.concatenate(across), down, s


def _row_sums(kernel: Kernel, x: Any, scratch: Workspace) -> Any:
    """sum_j f(x_i, x_j), [m]: what lies before a row is known from the rows before, half of the work."""
    xp, host, m = get_xp(x), get_backend(x) == "numpy", x.shape[0]
    block = max(1, (VALUES if host else DEVICE_VALUES) // m)
    thin = max(1, STRIP // m) if host else block
    norms = None if kernel.of == "product" else xp.sum(x * x, axis=1)
    total, ones = xp.zeros_like(x[:, 0]), xp.ones_like(x[:, 0])
    for start in range(0, m, block):
        part, after = x[start : start + block], x[start:]
        s = scratch.array("pairs", (part.shape[0], after.shape[0]), x)
        xp.matmul(part, after.T, out=s)
        for first in range(0, s.shape[0], thin):
            strip, row = s[first : first + thin, first:], start + first
            b = strip.shape[0]
            if norms is not None:
                _distances(strip, norms[row : row + b, None], norms[row:])
            k = kernel.value(strip)
            total[row : row + b] += k @ ones[row:]
            total[row + b :] += xp.sum(k[:, b:], axis=0)
    return total


def _distances(s: Any, left: Any, right: Any) -> None:
    """Make |x|^2 - 2 x . y + |y|^2 of products s [b, n], in place; rounding below 0 is turned round."""
    s *= -2.0
    s += left
    s += right
    get_xp(s).abs(s, out=s)


def _row(kernel: Kernel, x: Any, y: Any) -> Any:
    """s of each row of x with the same row of y, [m]."""
    xp, difference = get_xp(x, y), x - y
    return xp.sum(x * y if kernel.of == "product" else difference * difference, axis=1)


def _own(kernel: Kernel, x: Any) -> Any:
    """s of each row with itself, [m]."""
    return _row(kernel, x, x) if kernel.of == "product" else get_xp(x).zeros_like(x[:, 0])
