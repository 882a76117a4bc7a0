r"""Nets: layers in a row, y = f_L(... f_2(f_1(x))), and layers side by side, y = x + f(x).

The chain rule runs through the caches backwards: dx = J_1^T J_2^T ... J_L^T dy. A net is a `Layer` itself,
with its layers' parameters under their positions ("0/W", "0/b", "2/W"), so that nets nest.

>>> from minidgm import nn
>>> net = nn.Network([nn.Dense(200), nn.Tanh(), nn.Dense(10)], input_shape=(784,))
>>> print(net)
layer                shape     parameters
                     [784]
0  Dense(n_out=200)  [200]        157,000
1  Tanh()            [200]              0
2  Dense(n_out=10)   [10]           2,010
                                  159,010
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from minidgm.nn.layer import Layer, Shape
from minidgm.nn.shapes import Flatten, Reshape, Transpose

__all__ = ["Network", "Residual", "Scope", "Sequential"]


class Scope(Mapping[str, Any]):
    """The entries of a mapping whose names start with a prefix, under the rest of their names.

    >>> dict(Scope({"0/W": 1, "1/W": 2}, "1/"))
    {'W': 2}
    """

    def __init__(self, params: Mapping[str, Any], prefix: str):
        self.params, self.prefix = params, prefix

    def __getitem__(self, name: str) -> Any:
        return self.params[self.prefix + name]

    def __iter__(self) -> Iterator[str]:
        return (name[len(self.prefix) :] for name in self.params if name.startswith(self.prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Sequential(Layer):
    """Layers applied one after the other.

    Parameters
    ----------
    layers : sequence of Layer
    """

    def __init__(self, layers: Sequence[Layer]):
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layer {i} is {layer!r}; expected a layer such as nn.Dense(10)")
        self.layers = list(layers)

    def input_shapes(self, input_shape: Shape) -> list[Shape]:
        """Shape of a row before each layer, and after the last one.

        Raises
        ------
        ValueError
            When a layer does not fit its input: names the layer and prints the table up to it.
        """
        shapes = [tuple(input_shape)]
        for i, layer in enumerate(self.layers):
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except ValueError as error:
                table = "\n".join(_table(self.layers[:i], shapes))
                raise ValueError(f"layer {i} does not fit: {error}\n{table}") from None
        return shapes

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.input_shapes(input_shape)[-1]

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        shapes = self.input_shapes(input_shape)
        return {
            f"{i}/{name}": found
            for i, layer in enumerate(self.layers)
            for name, found in layer.parameter_shapes(shapes[i]).items()
        }

    @property
    def fixed(self) -> tuple[str, ...]:
        return tuple(f"{i}/{name}" for i, layer in enumerate(self.layers) for name in layer.fixed)

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        for i, layer in enumerate(self.layers):
            layer.initialize(Scope(params, f"{i}/"), rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        caches = []
        for i, layer in enumerate(self.layers):
            x, cache = layer.forward(Scope(params, f"{i}/"), x, training=training, rng=rng)
            caches.append(cache)
        return x, caches

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        grads: dict[str, Any] = {}
        for i in reversed(range(len(self.layers))):
            dy = self._step_back(i, dy, cache, out, grads)
        return dy, grads

    def parameter_gradients(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> Any:
        grads: dict[str, Any] = {}
        moves = (Flatten, Reshape, Transpose)
        learns = (i for i, layer in enumerate(self.layers) if not isinstance(layer, moves))
        first = next(learns, 0)
        for i in reversed(range(first, len(self.layers))):
            dy = self._step_back(i, dy, cache, out, grads, last=i == first)
        return grads

    def _step_back(
        self, i: int, dy: Any, cache: Any, out: Any, grads: dict[str, Any], last: bool = False
    ) -> Any:
        """Pass through layer i, collect its gradients, and return dx (None where it is the last to pass)."""
        scope = None if out is None else Scope(out, f"{i}/")
        if last:
            dx, found = None, self.layers[i].parameter_gradients(dy, cache[i], scope)
        else:
            dx, found = self.layers[i].backward(dy, cache[i], scope)
        grads |= {f"{i}/{name}": value for name, value in found.items()}
        return dx

    def jvp(self, dx: Any, cache: Any) -> Any:
        for layer, one in zip(self.layers, cache, strict=True):
            dx = layer.jvp(dx, one)
        return dx

    def update(self, params: Mapping[str, Any], cache: Any) -> None:
        for i, (layer, one) in enumerate(zip(self.layers, cache, strict=True)):
            layer.update(Scope(params, f"{i}/"), one)

    def config(self) -> dict[str, Any]:
        return {"layers": [[type(layer).__name__, layer.config()] for layer in self.layers]}

    def __repr__(self) -> str:
        return f"{type(self).__name__}([{', '.join(map(repr, self.layers))}])"


class Network(Sequential):
    """`Sequential` for inputs of a known shape: it knows its own parameters, and prints as a table.

    Parameters
    ----------
    layers : sequence
        Layers, or what `declare` makes them from: names, tuples of a name and its arguments.
    input_shape : tuple of int
        Of one row.

    Raises
    ------
    ValueError
        When a layer does not fit the one before.
    """

    def __init__(self, layers: Sequence[Any], input_shape: Sequence[int]):
        from minidgm.nn.declare import declare

        super().__init__(declare(layers))
        self.input_shape: Shape = tuple(input_shape)
        self.shapes = self.parameter_shapes(self.input_shape)

    @property
    def shape(self) -> Shape:
        """Shape of a row of the output."""
        return self.output_shape(self.input_shape)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def config(self) -> dict[str, Any]:
        return {**super().config(), "input_shape": list(self.input_shape)}

    def __str__(self) -> str:
        lines = _table(self.layers, self.input_shapes(self.input_shape))
        return "\n".join([*lines, f"{self.size:,}".rjust(len(lines[0]))])


class Residual(Layer):
    """y = x + f(x) for an inner layer or list of layers f that keeps shapes (He et al. 2016).

    dx = dy + J_f^T dy: the first term passes every depth unweakened.
    """

    def __init__(self, inner: Layer | Sequence[Layer]):
        self.inner = inner if isinstance(inner, Layer) else Sequential(inner)

    def output_shape(self, input_shape: Shape) -> Shape:
        found = self.inner.output_shape(input_shape)
        if found != input_shape:
            raise ValueError(f"{self!r} adds its input {list(input_shape)} to an output {list(found)}")
        return found

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return self.inner.parameter_shapes(input_shape)

    @property
    def fixed(self) -> tuple[str, ...]:
        return tuple(self.inner.fixed)

    def initialize(self, params: Mapping[str, Any], rng: Any) -> None:
        self.inner.initialize(params, rng)

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, rng: Any = None) -> Any:
        y, cache = self.inner.forward(params, x, training=training, rng=rng)
        return x + y, cache

    def backward(self, dy: Any, cache: Any, out: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        dx, grads = self.inner.backward(dy, cache, out)
        return dy + dx, grads

    def jvp(self, dx: Any, cache: Any) -> Any:
        return dx + self.inner.jvp(dx, cache)

    def update(self, params: Mapping[str, Any], cache: Any) -> None:
        self.inner.update(params, cache)

    def config(self) -> dict[str, Any]:
        return {"inner": [type(self.inner).__name__, self.inner.config()]}

    def __repr__(self) -> str:
        return f"Residual({self.inner!r})"


def _table(layers: Sequence[Layer], shapes: Sequence[Shape]) -> list[str]:
    counts = [
        sum(math.prod(s) for s in layer.parameter_shapes(shape).values())
        for layer, shape in zip(layers, shapes, strict=False)
    ]
    names = ["layer", "", *(f"{i}  {layer!r}" for i, layer in enumerate(layers))]
    sizes = ["shape", *(f"[{', '.join(map(str, shape))}]" for shape in shapes)]
    width, extent = max(map(len, names)), max(map(len, sizes))
    numbers = ["parameters", "", *(f"{n:,}" for n in counts)]
    return [
        f"{name:<{width}}  {size:<{extent}}  {number:>10}".rstrip()
        for name, size, number in zip(names, sizes, numbers, strict=False)
    ]
