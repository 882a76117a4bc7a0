r"""Recurrent layers over sequences x [n, time, n_in], with their states y [n, time, n_out] (Deep Learning,
10).

With a_t = x_t W + y_(t-1) R + b, split into parts of n_out columns, s the logistic function and y_0 = 0:

    Recurrent   y_t = tanh(a_t)
    GRU         z, r = s(first two parts);  k = tanh(x W_k + b_k + r (y_(t-1) R_k + q));
                y_t = z y_(t-1) + (1 - z) k
    LSTM        i, f, g, o = s, s, tanh, s of the parts;  c_t = f c_(t-1) + i g;  y_t = o tanh(c_t)

(Cho et al. 2014, with the reset gate after the product as in cuDNN; Hochreiter & Schmidhuber 1997.) The loop
over time, back and forth, is in `minidgm.nn.cells`.

| symbol | shape | meaning |
|---|---|---|
| W, R, b | [n_in, parts n_out], [n_out, parts n_out], [parts n_out] | parts: 1, 3 (GRU), 4 (LSTM) |
| q | [n_out] | the GRU's bias inside the reset product |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_xp
from minidgm.nn.cells import Cells
from minidgm.numerics import sigmoid

__all__ = ["GRU", "LSTM", "Recurrent"]


class Recurrent(Cells):
    """The plain recurrent net, y_t = tanh(x_t W + y_(t-1) R + b); D = 1 - y^2.

    Examples
    --------
    >>> Recurrent(8).output_shape((20, 3))
    (20, 8)
    """

    def step(self, a: Any, p: Any, q: Any, y: Any, c: Any) -> tuple[Any, Any]:
        return get_xp(a, p).tanh(a + p), c

    def run(self, xp: Any, a: Any, R: Any, q: Any, y: Any) -> Any:
        for t in range(a.shape[0]):
            p = xp.matmul(y[t], R, out=y[t + 1])
            p += a[t]
            xp.tanh(p, out=p)

    def run_back(self, xp: Any, dy: Any, R: Any, gates: Any, y: Any, kept: Any) -> tuple[Any, Any]:
        D, back = 1.0 - y[1:] * y[1:], R.T
        for t in reversed(range(len(dy))):
            dy[t] *= D[t]
            if t:
                dy[t - 1] += dy[t] @ back
        return dy, dy

    def tangent(
        self, t: int, da: Any, dp: Any, dy: Any, dc: Any, gates: Any, y: Any, kept: Any
    ) -> tuple[Any, Any]:
        return (1.0 - y[t + 1] * y[t + 1]) * (da + dp), dc



class GRU(Cells):
    """Gated recurrent unit.

    From y = z y' + (1 - z) k: dz = dy (y' - k), dk = dy (1 - z); through k = tanh(a_k + r p_k):
    du = dk (1 - k^2), dr = du p_k, dp_k = du r; a gate s has derivative s (1 - s).
    """

    parts = 3
    logistic = (0, 1)
    has_q = True

    def step(self, a: Any, p: Any, q: Any, y: Any, c: Any) -> tuple[Any, Any]:
        n = self.n_out
        z, r = sigmoid(a[:, :n] + p[:, :n]), sigmoid(a[:, n : 2 * n] + p[:, n : 2 * n])
        k = get_xp(a, p).tanh(a[:, 2 * n :] + r * (p[:, 2 * n :] + q))
        return z * y + (1.0 - z) * k, c

    def run(self, xp: Any, a: Any, R: Any, q: Any, y: Any) -> Any:
        time, rows, width = a.shape
        n, p = self.n_out, xp.empty((rows, width), dtype=a.dtype)
        inner = xp.empty((time, rows, n), dtype=a.dtype)  # p_k = y' R_k + q
        gates, past, last = a[:, :, : 2 * n], p[:, : 2 * n], p[:, 2 * n :]
        for t in range(time):
            xp.matmul(y[t], R, out=p)
            gate, k, new = gates[t], a[t, :, 2 * n :], y[t + 1]
            gate += past
            _logistic(xp, gate)
            xp.add(last, q, out=inner[t])
            xp.multiply(gate[:, n:], inner[t], out=last)
            k += last
            xp.tanh(k, out=k)
            xp.subtract(y[t], k, out=new)  # z y' + (1 - z) k = k + z (y' - k)
            new *= gate[:, :n]
            new += k
        return inner

    def run_back(self, xp: Any, dy: Any, R: Any, gates: Any, y: Any, kept: Any) -> tuple[Any, Any]:
        z, r, k = self._split(gates)
        D = xp.empty_like(gates)
        dz, dr, du = self._split(D)
        xp.multiply((1.0 - z) * (1.0 - k * k), r, out=du)  # of p; a gets it without r
        xp.multiply(du, kept * (1.0 - r), out=dr)
        xp.multiply(y[:-1] - k, z * (1.0 - z), out=dz)
        time, rows, _ = dy.shape
        D, back = D.reshape(time, rows, 3, self.n_out), R.T
        dp = xp.empty_like(D)
        flat = dp.reshape(gates.shape)
        for t in reversed(range(time)):
            xp.multiply(dy[t][:, None], D[t], out=dp[t])
            if t:
                before = dy[t - 1]
                before += flat[t] @ back
                before += dy[t] * z[t]
        da = flat.copy()
        xp.multiply(dy, (1.0 - z) * (1.0 - k * k), out=da[:, :, 2 * self.n_out :])
        return da, flat

    def tangent(
        self, t: int, da: Any, dp: Any, dy: Any, dc: Any, gates: Any, y: Any, kept: Any
    ) -> tuple[Any, Any]:
        n = self.n_out
        z, r, k = (gates[:, i * n : (i + 1) * n] for i in range(3))
        dz = z * (1.0 - z) * (da[:, :n] + dp[:, :n])
        dr = r * (1.0 - r) * (da[:, n : 2 * n] + dp[:, n : 2 * n])
        dk = (1.0 - k * k) * (da[:, 2 * n :] + dr * kept[t] + r * dp[:, 2 * n :])
        return z * dy + dz * (y[t] - k) + (1.0 - z) * dk, dc

    def _split(self, x: Any) -> tuple[Any, ...]:
        return tuple(x[:, :, i * self.n_out : (i + 1) * self.n_out] for i in range(3))


class LSTM(Cells):
    """Long short-term memory. Forget gates start at a bias of 1 (Jozefowicz et al. 2015).

    From y = o tanh(c): do = dy tanh(c), dc += dy o (1 - tanh^2 c); from c = f c' + i g: df = dc c', di =
    dc g, dg = dc i, dc' = dc f.
    """

    parts = 4
    logistic = (0, 1, 3)

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        super().initialize(params, rng)
        params["b"][self.n_out : 2 * self.n_out] = 1.0

    def step(self, a: Any, p: Any, q: Any, y: Any, c: Any) -> tuple[Any, Any]:
        xp, n, u = get_xp(a, p), self.n_out, a + p
        i, f, o = sigmoid(u[:, :n]), sigmoid(u[:, n : 2 * n]), sigmoid(u[:, 3 * n :])
        c = f * c + i * xp.tanh(u[:, 2 * n : 3 * n])
        return o * xp.tanh(c), c

    def run(self, xp: Any, a: Any, R: Any, q: Any, y: Any) -> Any:
        half, shift = self._per_part(xp, a.dtype, 0.5, 1.0), self._per_part(xp, a.dtype, 0.5, 0.0)
        n, p = self.n_out, xp.empty(a.shape[1:], dtype=a.dtype)
        c, squashed = xp.zeros_like(y), xp.empty_like(y)
        for t in range(a.shape[0]):
            xp.matmul(y[t], R, out=p)
            gate, new = a[t], c[t + 1]
            gate += p
            xp.tanh(gate, out=gate)
            gate *= half
            gate += shift
            xp.multiply(gate[:, n : 2 * n], c[t], out=new)
            new += xp.multiply(gate[:, :n], gate[:, 2 * n : 3 * n], out=y[t + 1])
            s = xp.tanh(new, out=squashed[t + 1])
            xp.multiply(gate[:, 3 * n :], s, out=y[t + 1])
        return c, squashed

    def run_back(self, xp: Any, dy: Any, R: Any, gates: Any, y: Any, kept: Any) -> tuple[Any, Any]:
        n, (time, rows, _) = self.n_out, dy.shape
        (c, squashed), back = kept, R.T
        i, f, g, o = (gates[:, :, part * n : (part + 1) * n] for part in range(4))
        s, D = squashed[1:], xp.empty_like(gates)
        for part, factor in enumerate((g * i * (1.0 - i), c[:-1] * f * (1.0 - f), i * (1.0 - g * g))):
            D[:, :, part * n : (part + 1) * n] = factor  # of dc
        xp.multiply(s * o, 1.0 - o, out=D[:, :, 3 * n :])  # of dy
        in_c = o * (1.0 - s * s)
        D, dc = D.reshape(time, rows, 4, n), xp.zeros_like(c[0])
        da = xp.empty_like(D)
        flat = da.reshape(gates.shape)
        for t in reversed(range(time)):
            dc += dy[t] * in_c[t]
            xp.multiply(dc[:, None], D[t, :, :3], out=da[t, :, :3])
            xp.multiply(dy[t], D[t, :, 3], out=da[t, :, 3])
            if t:
                dc *= f[t]
                dy[t - 1] += flat[t] @ back
        return flat, flat

    def tangent(
        self, t: int, da: Any, dp: Any, dy: Any, dc: Any, gates: Any, y: Any, kept: Any
    ) -> tuple[Any, Any]:
        n, du, (c, squashed) = self.n_out, da + dp, kept
        i, f, g, o = (gates[:, part * n : (part + 1) * n] for part in range(4))
        di, df, dg, do = (du[:, part * n : (part + 1) * n] for part in range(4))
        dc = f * dc + f * (1.0 - f) * df * c[t] + i * (1.0 - i) * di * g + i * (1.0 - g * g) * dg
        s = squashed[t + 1]
        return o * (1.0 - o) * do * s + o * (1.0 - s * s) * dc, dc


def _logistic(xp: Any, half: Any) -> None:
    """Write s(u) over u/2."""
    xp.tanh(half, out=half)
    half *= 0.5
    half += 0.5
