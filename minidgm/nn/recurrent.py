r"""Recurrent layers over sequences x [n, time, n_in], with their states y [n, time, n_out] (Deep Learning,
10).

With a_t = x_t W + y_(t-1) R + b, split into parts of n_out columns, s the logistic function and y_0 = 0:

    Recurrent   y_t = tanh(a_t)
    GRU         z, r = s(first two parts);  k = tanh(x W_k + b_k + r (y_(t-1) R_k + q));
                y_t = z y_(t-1) + (1 - z) k
    LSTM        i, f, g, o = s, s, tanh, s of the parts;  c_t = f c_(t-1) + i g;  y_t = o tanh(c_t)

(Cho et al. 2014, with the reset gate after the product as in cuDNN; Hochreiter & Schmidhuber 1997.) Going
back through time, the gradient of a state is what the output says plus what the next step sends back,

    dy_t <- dy_t + da_(t+1) R^T,    dR = sum_t y_(t-1)^T da_t,    dW = x^T da,    db = sum da,    dx = da W^T,

with da from each cell's own derivatives. The products with x run over all times at once; only those with R
wait. What multiplies dy in da does not depend on it either: the derivatives D of all times are computed
together, and a step back is da_t = D_t dy_t and one product with R^T.

In memory time comes first, so that a step reads and writes one block: a [time, n, parts n_out] is written
over by the gates, y and c [time + 1, n, n_out] start with the states before the first step. As s(u) = (1 +
tanh(u/2))/2, columns of logistic gates are halved in W, R and b beforehand, which is exact: all gates are one
tanh, and an affine map.

| symbol | shape | meaning |
|---|---|---|
| W, R, b | [n_in, parts n_out], [n_out, parts n_out], [parts n_out] | parts: 1, 3 (GRU), 4 (LSTM) |
| q | [n_out] | the GRU's bias inside the reset product |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.nn.initializers import fill
from minidgm.nn.layer import Layer, Shape, wants, write
from minidgm.numerics import sigmoid

__all__ = ["GRU", "LSTM", "Recurrent"]


class Cells(Layer):
    """The loop over time.

    A subclass writes one step as it reads, `step`, which autograd traces; the same through all times in
    place, `run`; and `run_back`, its adjoint.
    """

    parts = 1
    logistic: tuple[int, ...] = ()  # which parts are gates s(u); the others go through tanh
    has_q = False

    def __init__(self, n_out: int, init: str = "glorot"):
        self.n_out, self.init = count("n_out", n_out), init

    def output_shape(self, input_shape: Shape) -> Shape:
        wants(self, input_shape, 2, "[time, n_in]")
        return input_shape[0], self.n_out

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        width = self.parts * self.n_out
        shapes: dict[str, Shape] = {"W": (input_shape[-1], width), "R": (self.n_out, width), "b": (width,)}
        return shapes | {"q": (self.n_out,)} if self.has_q else shapes

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        """Glorot (or other) weights in, orthogonal ones from state to state, part by part."""
        for part in range(self.parts):
            columns = slice(part * self.n_out, (part + 1) * self.n_out)
            fill(params["W"][:, columns], self.init, rng)
            fill(params["R"][:, columns], "orthogonal", rng)

    def step(self, a: Any, p: Any, q: Any, y: Any, c: Any) -> tuple[Any, Any]:
        """(y_t, c_t) from a = x_t W + b, p = y_(t-1) R, q and the states before; traceable."""
        raise NotImplementedError

    def run(self, xp: Any, a: Any, R: Any, q: Any, y: Any) -> Any:
        """Write the gates of all times over a, the states into y[1:], and return what else is kept."""
        raise NotImplementedError

    def run_back(self, xp: Any, dy: Any, R: Any, gates: Any, y: Any, kept: Any) -> tuple[Any, Any]:
        """(da, dp), both [time, n, parts n_out], from dy [time, n, n_out], which is written over."""
        raise NotImplementedError

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        if not x.shape[1]:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected one time at least")
        xp = get_xp(x, *params.values())
        W, R, b, q = params["W"], params["R"], params["b"], params.get("q")
        if xp.__name__ == "autograd.numpy":
            return self._traced(xp, x, W, R, b, q), None
        n, time, _ = x.shape
        half = self._per_part(xp, x.dtype, 0.5, 1.0)
        rows = _flat(xp.ascontiguousarray(x.swapaxes(0, 1)))
        a = xp.matmul(rows, W * half)
        a += b * half
        a = a.reshape(time, n, a.shape[-1])
        y = xp.empty((time + 1, n, self.n_out), dtype=x.dtype)
        y[0] = 0.0
        kept = self.run(xp, a, R * half, q, y)
        return xp.array(y[1:].swapaxes(0, 1), order="C"), (rows, W, R, a, y, kept)

    def _traced(self, xp: Any, x: Any, W: Any, R: Any, b: Any, q: Any) -> Any:
        a, states = x @ W + b, []
        y = c = xp.zeros((x.shape[0], self.n_out))
        for t in range(x.shape[1]):
            y, c = self.step(a[:, t], y @ R, q, y, c)
            states.append(y)
        return xp.stack(states, axis=1)

    def _per_part(self, xp: Any, dtype: Any, logistic: float, other: float) -> Any:
        """A row [parts n_out] that tells logistic parts from others."""
        row = xp.full((self.parts, self.n_out), other, dtype=dtype)
        for part in self.logistic:
            row[part] = logistic
        return row.reshape(-1)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        rows, W, R, gates, y, kept = cache
        xp, (n, time, _) = get_xp(dy), dy.shape
        da, dp = self.run_back(xp, xp.array(dy.swapaxes(0, 1), order="C"), R, gates, y, kept)
        d_in, d_state = _flat(da), _flat(dp)
        grads = {
            "W": write(out, "W", rows.T @ d_in),
            "R": write(out, "R", _flat(y[:-1]).T @ d_state),
            "b": write(out, "b", xp.sum(d_in, axis=0)),
        }
        if self.has_q:
            grads["q"] = write(out, "q", xp.sum(d_state[:, 2 * self.n_out :], axis=0))
        dx = (d_in @ W.T).reshape(time, n, W.shape[0])
        return xp.ascontiguousarray(dx.swapaxes(0, 1)), grads


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


def _logistic(xp: Any, half: Any) -> None:
    """Write s(u) over u/2."""
    xp.tanh(half, out=half)
    half *= 0.5
    half += 0.5


def _flat(x: Any) -> Any:
    """[time, n, d] as rows [time n, d]."""
    return x.reshape((x.shape[0] * x.shape[1], x.shape[2]))
