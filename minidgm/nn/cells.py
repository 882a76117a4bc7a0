r"""The loop over time that all recurrent layers share.

A cell makes y_t and c_t from a_t = x_t W + b, p_t = y_(t-1) R and the states before. The products with x run
over all times at once; only those with R wait. Going back through time, the gradient of a state is what the
output says plus what the next step sends back,

    dy_t <- dy_t + dp_(t+1) R^T,    dR = sum_t y_(t-1)^T dp_t,    dW = x^T da,    db = sum da,    dx = da W^T,

with da and dp (the same, but for the GRU) from each cell's own derivatives. What multiplies dy in them does
not depend on it: the derivatives D of all times are computed together, and a step back is da_t = D_t dy_t and
one product with R^T. Along a tangent time runs forward, dp_t = dy_(t-1) R, with the same derivatives.

In memory time comes first, so that a step reads and writes one block: a [time, n, parts n_out] is written
over by the gates, y and c [time + 1, n, n_out] start with the states before the first step. As s(u) = (1 +
tanh(u/2))/2, columns of logistic gates are halved in W, R and b beforehand, which is exact: all gates are one
tanh, and an affine map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.nn.initializers import fill
from minidgm.nn.layer import Layer, Shape, wants, write


class Cells(Layer):
    """The loop over time.

    A subclass writes one step as it reads, `step`, which autograd traces; the same through all times in
    place, `run`; `run_back`, its adjoint; and `tangent`, the change of one step.
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

    def tangent(
        self, t: int, da: Any, dp: Any, dy: Any, dc: Any, gates: Any, y: Any, kept: Any
    ) -> tuple[Any, Any]:
        """Changes of y_t and c_t from those of a_t, p_t and the states before."""
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

    def jvp(self, dx: Any, cache: Any) -> Any:
        _, W, R, gates, y, kept = cache
        xp, (n, time, _) = get_xp(dx), dx.shape
        da = dx @ W
        dy = dc = xp.zeros((n, self.n_out), dtype=dx.dtype)
        found = []
        for t in range(time):
            dy, dc = self.tangent(t, da[:, t], dy @ R, dy, dc, gates[t], y, kept)
            found.append(dy)
        return xp.stack(found, axis=1)


def _flat(x: Any) -> Any:
    """[time, n, d] as rows [time n, d]."""
    return x.reshape((x.shape[0] * x.shape[1], x.shape[2]))
