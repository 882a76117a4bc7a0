r"""Weights in other coordinates: weight norm and spectral norm of any layer with a parameter W.

Read W as a matrix M [outputs, rest], with one row per output, and V likewise in its place.

    WeightNorm      M_i = g_i V_i / |V_i|          direction and length apart (Salimans & Kingma 2016)
    SpectralNorm    M = V / s,  s = |V^T u|        s estimates the largest singular value (Miyato et al. 2018)

Gradients, with dM that of the inner layer:

    dg_i = <dM_i, V_i> / |V_i|,      dV_i = g_i / |V_i| (dM_i - V_i <dM_i, V_i> / |V_i|^2);
    dV = (dM - <dM, M> u q^T) / s,   q = V^T u / s,  because ds = u^T dV q.

u [outputs] is a unit vector without a gradient; `update` takes one step of the power iteration, u <- V q /
|V q|. Outputs are the columns of a W [n_in, n_out], the first axis of a convolution's W and the second one
of a transposed convolution's (where groups share a row).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_xp
from minidgm.nn.convolution import ConvTranspose2d
from minidgm.nn.layer import Layer, Shape, write
from minidgm.nn.sequence_convolution import ConvTranspose1d

__all__ = ["SpectralNorm", "WeightNorm"]


class Reparametrized(Layer):
    """A layer whose W is made from other parameters."""

    own: tuple[str, ...] = ()

    def __init__(self, inner: Layer):
        self.inner = inner

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.inner.output_shape(input_shape)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        shapes = dict(self.inner.parameter_shapes(input_shape))
        if "W" not in shapes:
            raise ValueError(f"{self.inner!r} has no weights W to normalize")
        W = shapes.pop("W")
        return {"V": W, **dict.fromkeys(self.own, (W[self._outputs(len(W))],)), **shapes}

    def _outputs(self, n_axes: int) -> int:
        """The axis of W that runs over outputs."""
        return 1 if n_axes == 2 or isinstance(self.inner, (ConvTranspose1d, ConvTranspose2d)) else 0

    def _rows(self, W: Any) -> Any:
        """W as [outputs, rest]."""
        W = get_xp(W).moveaxis(W, self._outputs(W.ndim), 0)
        return W.reshape((W.shape[0], -1))

    def _like(self, M: Any, W: Any) -> Any:
        """[outputs, rest] in the shape of W."""
        axis = self._outputs(W.ndim)
        rest = (*W.shape[:axis], *W.shape[axis + 1 :])
        return get_xp(M).moveaxis(M.reshape((M.shape[0], *rest)), 0, axis)

    def _with(self, params: Mapping[str, Any], W: Any) -> dict[str, Any]:
        rest = {name: params[name] for name in params if name not in ("V", *self.own)}
        return {"W": W, **rest}

    def _inner_backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None) -> tuple[Any, Any, Any]:
        dx, grads = self.inner.backward(dy, cache)
        dM = self._rows(grads.pop("W"))
        return dx, dM, {name: write(out, name, value) for name, value in grads.items()}

    def config(self) -> dict[str, Any]:
        return {"inner": [type(self.inner).__name__, self.inner.config()]}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"


class WeightNorm(Reparametrized):
    """Length and direction of each output's weights as separate parameters g and V."""

    own = ("g",)

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        self.inner.initialize(self._with(params, params["V"]), rng)
        V = self._rows(params["V"])
        params["g"][...] = get_xp(V).sqrt((V * V).sum(axis=1))

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        V, g = self._rows(params["V"]), params["g"]
        length = get_xp(V).sqrt((V * V).sum(axis=1))
        W = self._like((g / length)[:, None] * V, params["V"])
        y, cache = self.inner.forward(self._with(params, W), x, training=training, rng=rng)
        return y, (cache, params["V"], g, length)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        inner, whole, g, length = cache
        dx, dM, grads = self._inner_backward(dy, inner, out)
        V = self._rows(whole)
        along = (dM * V).sum(axis=1) / length
        dV = (g / length)[:, None] * (dM - V * (along / length)[:, None])
        return dx, {"V": write(out, "V", self._like(dV, whole)), "g": write(out, "g", along), **grads}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return self.inner.jvp(dx, cache[0])


class SpectralNorm(Reparametrized):
    """W divided by an estimate of its largest singular value, so that the layer is about 1-Lipschitz."""

    own = ("u",)
    fixed = ("u",)

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        self.inner.initialize(self._with(params, params["V"]), rng)
        u = rng.normal(params["u"].shape, dtype=str(params["u"].dtype))
        params["u"][...] = u / get_xp(u).sqrt((u * u).sum())
        for _ in range(5):
            _power(self._rows(params["V"]), params["u"])

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        V, u = self._rows(params["V"]), params["u"]
        image = u @ V
        s = get_xp(image).sqrt((image * image).sum())
        W = self._like(V / s, params["V"])
        y, cache = self.inner.forward(self._with(params, W), x, training=training, rng=rng)
        return y, (cache, params["V"], u, image / s, s)

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        inner, whole, u, q, s = cache
        dx, dM, grads = self._inner_backward(dy, inner, out)
        V = self._rows(whole)
        dV = (dM - ((dM * V).sum() / s) * u[:, None] * q) / s
        zero = get_xp(u).zeros_like(u)
        return dx, {"V": write(out, "V", self._like(dV, whole)), "u": write(out, "u", zero), **grads}

    def jvp(self, dx: Any, cache: Any) -> Any:
        return self.inner.jvp(dx, cache[0])

    def update(self, params: Mapping[str, Any], cache: Any) -> None:
        _power(self._rows(params["V"]), params["u"])


def _power(V: Any, u: Any) -> None:
    """u <- V V^T u, made of length 1, in place."""
    image = V @ (u @ V)
    u[...] = image / get_xp(V).sqrt((image * image).sum())
