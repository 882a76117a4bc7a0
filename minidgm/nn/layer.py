r"""What a layer is: a map y = f(x; theta), and its adjoint, written out by hand.

    y, cache = layer.forward(params, x)          f
    dx, dparams = layer.backward(dy, cache)      dy times the Jacobians of f in x and in theta
    dy = layer.jvp(dx, cache)                    the Jacobian of f in x times dx, along a tangent

For a scalar loss L with gradient dy = dL/dy the chain rule is dx = (df/dx)^T dy and dtheta = (df/dtheta)^T
dy, summed over the rows of a batch; so a backward pass is a linear map of dy, the *adjoint* of the jvp:

    <dy, jvp(dx)> = <backward(dy), dx>       for every dx and dy.

| symbol | shape | meaning |
|---|---|---|
| x, y | [n, ...] | a batch of inputs and of outputs, rows first; images are [n, channels, height, width] |
| params | {name: array} | the layer's parameters, any mapping; forward passes are traceable by autograd |
| cache | anything | what the backward pass needs: memory that buys computing |

Layers hold structure, never numbers: parameters come as an argument, gradients are returned, and noise is
drawn from a generator that is passed (``rng``) or replayed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

Shape = tuple[int, ...]


class Layer:
    """Base of all layers: no parameters, no noise; a subclass writes the passes.

    Notes
    -----
    ``forward(params, x, *, training=False, rng=None)``: layers that differ in training (dropout, batch
    norm) look at ``training``; those that draw need ``rng`` then.
    """

    pairs: tuple[str, ...] = ()  # arguments that are two numbers, (down, across), or one for both
    fixed: Any = ()  # parameters without a gradient, which `update` moves

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of a row of y from that of a row of x; raises `ValueError` where x does not fit."""
        return input_shape

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Names and shapes of the parameters for inputs of this shape."""
        return {}

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        """Write initial values into the parameters, in place."""

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        """Return (y, cache)."""
        raise NotImplementedError

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        """Return (dx, {name: gradient}); gradients go into the arrays of ``out`` where it is given."""
        raise NotImplementedError

    def parameter_gradients(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> Any:
        """Return the gradients of `backward` alone: of a first layer, whose input nothing learns from."""
        return self.backward(dy, cache, out)[1]

    def jvp(self, dx: Any, cache: Any) -> Any:
        """Return the change of y along a change ``dx`` of x, to first order."""
        raise NotImplementedError(f"{type(self).__name__} has no jvp")

    def update(self, params: Mapping[str, Any], cache: Any) -> None:
        """Move what is not learned by gradients, such as running means, after a training step; in place."""

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, JSON-able."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __repr__(self) -> str:
        signature = inspect.signature(type(self)).parameters
        given = {k: _one_of(v) if k in self.pairs else v for k, v in self.config().items()}
        given = {k: v for k, v in given.items() if signature[k].default != v}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in given.items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash(repr(self))


def _one_of(pair: Any) -> Any:
    """Two equal numbers as one."""
    return pair[0] if pair[0] == pair[1] else pair


def write(out: Mapping[str, Any] | None, name: str, value: Any) -> Any:
    """Return a gradient, or copy it into ``out[name]`` and return that."""
    if out is None:
        return value
    out[name][...] = value
    return out[name]


def wants(layer: Any, input_shape: Shape, rank: int, what: str) -> None:
    """Refuse inputs whose rows have another number of axes than ``rank``."""
    if len(input_shape) != rank:
        raise ValueError(f"{layer!r} takes rows of shape {what}, got {_shown(input_shape)}")


def _shown(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]"
