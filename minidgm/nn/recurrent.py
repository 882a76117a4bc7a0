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
wait.

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
    """The loop over time; a subclass writes one step and its adjoint.

    ``step(params, a, y, c) -> (y, c, kept)`` from a_t without its recurrent part, and
    ``step_back(dy, dc, kept) -> (da, dp, dy_before, dc)``, where dp is the gradient of p = y_(t-1) R (+
    q), and dy_before what reaches y_(t-1) besides dp R^T.
    """

    parts = 1
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

    def step(self, p: Any, a: Any, y: Any, c: Any) -> tuple[Any, Any, Any]:
        """One step from p = y_(t-1) R (+ q in its last part), a = x_t W + b, and the states before."""
        raise NotImplementedError

    def step_back(self, dy: Any, dc: Any, kept: Any) -> tuple[Any, Any, Any, Any]:
        """Adjoint of `step`: (da, dp, dy_(t-1) but for p, dc_(t-1))."""
        raise NotImplementedError

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        if not x.shape[1]:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected one time at least")
        xp = get_xp(x, *params.values())
        a = x @ params["W"] + params["b"]  # [n, time, parts n_out]
        y = c = xp.zeros((x.shape[0], self.n_out), dtype=x.dtype)
        q: Any = 0.0
        if self.has_q:
            q = xp.concatenate([xp.zeros_like(params["b"][: 2 * self.n_out]), params["q"]])
        states, kept = [], []
        for t in range(x.shape[1]):
            y, c, k = self.step(y @ params["R"] + q, a[:, t], y, c)
            states.append(y)
            kept.append(k)
        return xp.stack(states, axis=1), (x, params["W"], params["R"], states, kept)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        x, W, R, states, kept = cache
        xp, (n, T, _) = get_xp(dy), dy.shape
        carried = dc = xp.zeros((n, self.n_out), dtype=dy.dtype)
        da, dp = [None] * T, [None] * T
        for t in reversed(range(T)):
            da[t], dp[t], direct, dc = self.step_back(dy[:, t] + carried, dc, kept[t])
            carried = dp[t] @ R.T + direct
        before = xp.stack([xp.zeros_like(states[0]), *states[:-1]], axis=1)
        d_in, d_state = xp.stack(da, axis=1), xp.stack(dp, axis=1)
        grads = {
            "W": write(out, "W", _flat(x).T @ _flat(d_in)),
            "R": write(out, "R", _flat(before).T @ _flat(d_state)),
            "b": write(out, "b", xp.sum(d_in, axis=(0, 1))),
        }
        if self.has_q:
            grads["q"] = write(out, "q", xp.sum(d_state, axis=(0, 1))[2 * self.n_out :])
        return d_in @ W.T, grads


class Recurrent(Cells):
    """The plain recurrent net, y_t = tanh(x_t W + y_(t-1) R + b).

    Examples
    --------
    >>> Recurrent(8).output_shape((20, 3))
    (20, 8)
    """

    def step(self, p: Any, a: Any, y: Any, c: Any) -> tuple[Any, Any, Any]:
        y = get_xp(a, p).tanh(a + p)
        return y, c, y

    def step_back(self, dy: Any, dc: Any, kept: Any) -> tuple[Any, Any, Any, Any]:
        da = dy * (1.0 - kept * kept)
        return da, da, 0.0 * da, dc


class GRU(Cells):
    """Gated recurrent unit.

    From y = z y' + (1 - z) k: dz = dy (y' - k), dk = dy (1 - z); through k = tanh(a_k + r p_k):
    du = dk (1 - k^2), dr = du p_k, dp_k = du r; a gate s has derivative s (1 - s).
    """

    parts = 3
    has_q = True

    def step(self, p: Any, a: Any, y: Any, c: Any) -> tuple[Any, Any, Any]:
        xp, n = get_xp(a, p), self.n_out
        z, r = sigmoid(a[:, :n] + p[:, :n]), sigmoid(a[:, n : 2 * n] + p[:, n : 2 * n])
        k = xp.tanh(a[:, 2 * n :] + r * p[:, 2 * n :])
        return z * y + (1.0 - z) * k, c, (z, r, k, y, p[:, 2 * n :])

    def step_back(self, dy: Any, dc: Any, kept: Any) -> tuple[Any, Any, Any, Any]:
        z, r, k, y, p = kept
        xp = get_xp(dy)
        dz, du = dy * (y - k) * z * (1.0 - z), dy * (1.0 - z) * (1.0 - k * k)
        dr = du * p * r * (1.0 - r)
        da = xp.concatenate([dz, dr, du], axis=1)
        return da, xp.concatenate([dz, dr, du * r], axis=1), dy * z, dc


class LSTM(Cells):
    """Long short-term memory. Forget gates start at a bias of 1 (Jozefowicz et al. 2015).

    From y = o tanh(c): do = dy tanh(c), dc += dy o (1 - tanh^2 c); from c = f c' + i g: df = dc c', di =
    dc g, dg = dc i, dc' = dc f.
    """

    parts = 4

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        super().initialize(params, rng)
        params["b"][self.n_out : 2 * self.n_out] = 1.0

    def step(self, p: Any, a: Any, y: Any, c: Any) -> tuple[Any, Any, Any]:
        xp, n, u = get_xp(a, p), self.n_out, a + p
        i, f, o = sigmoid(u[:, :n]), sigmoid(u[:, n : 2 * n]), sigmoid(u[:, 3 * n :])
        g = xp.tanh(u[:, 2 * n : 3 * n])
        new = f * c + i * g
        t = xp.tanh(new)
        return o * t, new, (i, f, g, o, c, t)

    def step_back(self, dy: Any, dc: Any, kept: Any) -> tuple[Any, Any, Any, Any]:
        i, f, g, o, c, t = kept
        dc = dc + dy * o * (1.0 - t * t)
        parts = [
            dc * g * i * (1.0 - i),
            dc * c * f * (1.0 - f),
            dc * i * (1.0 - g * g),
            dy * t * o * (1.0 - o),
        ]
        da = get_xp(dy).concatenate(parts, axis=1)
        return da, da, 0.0 * dy, dc * f


def _flat(x: Any) -> Any:
    """[n, time, d] as rows [n time, d]."""
    return x.reshape((-1, x.shape[-1]))
