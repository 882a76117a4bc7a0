"""Third-order couplings t(x, y, h) = sum_ijk W_ijk x_i y_j h_k, written out or as a sum of rank-one terms.

| kind | parameters | W_ijk | numbers |
|---|---|---|---|
| `Tensor` | W [n_x, n_y, n_h] | itself | n_x n_y n_h |
| `Factors` | Wx [n_x, F], Wy [n_y, F], Wh [n_h, F] | sum_f Wx_if Wy_jf Wh_kf | F (n_x + n_y + n_h) |

t is linear in each of its three arguments, so its derivative in one of them is a function of the two others:
the field of that layer. With factors a field is a product of two filter responses, projected by a third set
of filters (Memisevic and Hinton 2010, equation 6), and costs three matrix products of the size of an RBM's.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp

CHUNK = 2**22


class Tensor:
    """W_ijk written out. Outer products are formed for as many rows at a time as stay within `CHUNK`."""

    def __init__(self, n_x: int, n_y: int, n_h: int):
        self.shapes: dict[str, tuple[int, ...]] = {"W": (n_x, n_y, n_h)}
        self.n_x, self.n_y, self.n_h = n_x, n_y, n_h

    def toward_h(self, p: Any, x: Any, y: Any) -> Any:
        """sum_ij W_ijk x_i y_j, [n, n_h]."""
        flat = p["W"].reshape((self.n_x * self.n_y, self.n_h))
        return _in_blocks(lambda a, b: _outer(a, b) @ flat, x, y, self.n_x * self.n_y)

    def toward_y(self, p: Any, x: Any, h: Any) -> Any:
        """sum_ik W_ijk x_i h_k, [n, n_y]: x selects the weights x W [n_y, n_h] of an RBM of y and h."""
        flat = p["W"].reshape((self.n_x, self.n_y * self.n_h))

        def block(a: Any, b: Any) -> Any:
            weights = (a @ flat).reshape((a.shape[0], self.n_y, self.n_h))
            return (weights @ b[:, :, None])[:, :, 0]

        return _in_blocks(block, x, h, self.n_y * self.n_h)

    def toward_x(self, p: Any, y: Any, h: Any) -> Any:
        """sum_jk W_ijk y_j h_k, [n, n_x]."""
        flat = p["W"].reshape((self.n_x, self.n_y * self.n_h)).T
        return _in_blocks(lambda a, b: _outer(a, b) @ flat, y, h, self.n_y * self.n_h)

    def add_gradient(self, p: Any, x: Any, y: Any, h: Any, w: Any, out: Any) -> None:
        """Write sum_i w_i dt(x_i, y_i, h_i)/dW = sum_i w_i x_i (x) y_i (x) h_i."""
        flat = out["W"].reshape((self.n_x * self.n_y, self.n_h))
        flat[...] = 0.0
        step = _rows(self.n_x * self.n_y)
        for i in range(0, x.shape[0], step):
            j = i + step
            flat += _outer(x[i:j], y[i:j]).T @ (w[i:j, None] * h[i:j])

    def tensor(self, p: Any) -> Any:
        """W_ijk, [n_x, n_y, n_h]."""
        return p["W"]


class Factors:
    """W_ijk = sum_f Wx_if Wy_jf Wh_kf."""

    def __init__(self, n_x: int, n_y: int, n_h: int, n_factors: int):
        self.shapes: dict[str, tuple[int, ...]] = {
            "Wx": (n_x, n_factors),
            "Wy": (n_y, n_factors),
            "Wh": (n_h, n_factors),
        }

    def toward_h(self, p: Any, x: Any, y: Any) -> Any:
        """((x Wx) * (y Wy)) Wh^T, [n, n_h]."""
        return ((x @ p["Wx"]) * (y @ p["Wy"])) @ p["Wh"].T

    def toward_y(self, p: Any, x: Any, h: Any) -> Any:
        """((x Wx) * (h Wh)) Wy^T, [n, n_y]."""
        return ((x @ p["Wx"]) * (h @ p["Wh"])) @ p["Wy"].T

    def toward_x(self, p: Any, y: Any, h: Any) -> Any:
        """((y Wy) * (h Wh)) Wx^T, [n, n_x]."""
        return ((y @ p["Wy"]) * (h @ p["Wh"])) @ p["Wx"].T

    def add_gradient(self, p: Any, x: Any, y: Any, h: Any, w: Any, out: Any) -> None:
        """Write sum_i w_i dt/dWx = x^T (w fy fh) and so on, with filter responses fx = x Wx, fy, fh."""
        fx, fy, fh = x @ p["Wx"], y @ p["Wy"], h @ p["Wh"]
        fx *= w[:, None]
        out["Wy"][...], out["Wh"][...] = y.T @ (fx * fh), h.T @ (fx * fy)
        fy *= fh
        out["Wx"][...] = x.T @ (w[:, None] * fy)

    def tensor(self, p: Any) -> Any:
        """The tensor that the factors compose, [n_x, n_y, n_h]."""
        pairs = p["Wx"][:, None, :] * p["Wy"][None]  # [n_x, n_y, F]
        return pairs @ p["Wh"].T


def _outer(a: Any, b: Any) -> Any:
    """Outer products of rows, [n, a's columns * b's columns]."""
    return (a[:, :, None] * b[:, None, :]).reshape((a.shape[0], a.shape[1] * b.shape[1]))


def _rows(width: int) -> int:
    return max(1, CHUNK // max(1, width))


def _in_blocks(function: Any, a: Any, b: Any, width: int) -> Any:
    """function(a, b) row by row, for as many rows at a time as fit ``width`` numbers each."""
    step = _rows(width)
    if a.shape[0] <= step:
        return function(a, b)
    return get_xp(a, b).concatenate(
        [function(a[i : i + step], b[i : i + step]) for i in range(0, a.shape[0], step)]
    )
