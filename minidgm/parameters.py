"""Named arrays as views of one contiguous buffer.

The layout is the declaration order, each array C-contiguous, one after the other without padding::

    Parameters({"W": (3, 2), "b": (3,)})      buffer: W00 W01 W10 W11 W20 W21 b0 b1 b2

so that an optimizer step, a norm, a checkpoint and an all-reduce are each one operation on ``buffer``,
while the model reads ``params["W"]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from operator import index
from typing import Any

from minidgm.backend import asarray, get_backend, namespace, to_numpy
from minidgm.errors import nearest, unknown

DTYPES = ("float32", "float64")

_most: ContextVar[int | None] = ContextVar("most values of a Parameters", default=None)


class Parameters(MutableMapping[str, Any]):
    """Fixed set of named arrays that share one buffer.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Name and shape of every array, in the order of the layout.
    backend : str
        Where the arrays live: ``"numpy"``, ``"cupy"`` or (for checks) ``"strict"``.
    dtype : {"float32", "float64"}
    buffer : array [size], optional
        Lay the names over this array instead of new zeros. It is not copied.
    fixed : sequence of str
        Names that no gradient moves, such as running means: optimizers do not decay them.

    Attributes
    ----------
    buffer : array [size]
        Every value, one-dimensional and contiguous. Writing to it writes to the views and vice versa.

    Raises
    ------
    ValueError
        For a shape with a negative size, an unknown dtype, or a buffer of another length or dtype.

    Notes
    -----
    ``params["W"] = x`` copies ``x`` into the view after a check of its shape; names cannot be added or
    deleted. Gradients and optimizer states have the same type: see :meth:`like`.

    Examples
    --------
    >>> params = Parameters({"W": (2, 2), "b": (2,)}, dtype="float64")
    >>> params["W"] = [[1.0, 2.0], [3.0, 4.0]]
    >>> params["b"][...] = 5.0
    >>> params.buffer
    array([1., 2., 3., 4., 5., 5.])
    >>> params["b"] = [1.0, 2.0, 3.0]
    Traceback (most recent call last):
    ...
    ValueError: parameter 'b' has shape (2,), got an array of shape (3,)
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[int]],
        backend: str = "numpy",
        dtype: str = "float32",
        buffer: Any = None,
        fixed: Sequence[str] = (),
    ):
        if str(dtype) not in DTYPES:
            raise unknown("dtype", str(dtype), DTYPES)
        self.backend, self.dtype = backend, str(dtype)
        self._shapes = {name: _shape(name, shape) for name, shape in shapes.items()}
        self.fixed = tuple(fixed)
        for name in self.fixed:
            if name not in self._shapes:
                raise KeyError(f"fixed names {name!r}, which is no parameter{nearest(name, self._shapes)}")
        self._offsets: dict[str, int] = {}
        self.size = 0
        for name, shape in self._shapes.items():
            self._offsets[name] = self.size
            self.size += math.prod(shape)
        most = _most.get()
        if most is not None and self.size > most:
            raise ValueError(f"the layout needs {self.size} values, at most {most} are allowed here")
        if buffer is None:
            buffer = namespace(backend).zeros(self.size, dtype=self.dtype)
        elif get_backend(buffer) != backend:
            raise TypeError(f"buffer is a {get_backend(buffer)} array, the parameters live on {backend}")
        elif buffer.shape != (self.size,) or str(buffer.dtype) != self.dtype:
            raise ValueError(
                f"buffer must be {self.dtype} of shape ({self.size},), "
                f"got {buffer.dtype} of shape {buffer.shape}"
            )
        self.buffer = buffer
        self._views = {
            name: buffer[start : start + math.prod(shape)].reshape(shape)
            for (name, shape), start in zip(self._shapes.items(), self._offsets.values(), strict=True)
        }

    def __getitem__(self, name: str) -> Any:
        try:
            return self._views[name]
        except KeyError:
            raise KeyError(self._unknown(name)) from None

    def __setitem__(self, name: str, value: Any) -> None:
        view = self._views.get(name)
        if view is None:
            raise KeyError(f"{self._unknown(name)} Names cannot be added: they are the model's structure.")
        found = get_backend(value)
        if found is None:
            value = asarray(value, self.backend)
        elif found != self.backend:
            raise TypeError(
                f"parameter {name!r} lives on {self.backend}, got a {found} array; move it with "
                f"minidgm.backend.asarray(x, backend={self.backend!r})"
            )
        if tuple(value.shape) != view.shape:
            raise ValueError(
                f"parameter {name!r} has shape {view.shape}, got an array of shape {tuple(value.shape)}"
            )
        if value.dtype.kind not in "fiub":
            raise TypeError(f"parameter {name!r} holds real numbers, got an array of dtype {value.dtype}")
        view[...] = value

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"parameter {name!r} cannot be deleted: the names are the model's structure")

    def __contains__(self, name: object) -> bool:
        return name in self._views

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    # Comparing arrays name by name has no single truth value, so parameters compare by identity.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        listed = ", ".join(f"{name}: {list(shape)}" for name, shape in self._shapes.items())
        return f"Parameters({{{listed}}}, {self.size} values, {self.dtype} on {self.backend})"

    def _unknown(self, name: object) -> str:
        return (
            f"no parameter {name!r}{nearest(name, self._views)}. Known: {', '.join(self._views) or 'none'}."
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the layout."""
        return tuple(self._shapes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array, by name, in the order of the layout."""
        return dict(self._shapes)

    def offset(self, name: str) -> int:
        """Return the index in ``buffer`` of the first value of an array.

        >>> Parameters({"W": (3, 2), "b": (3,)}).offset("b")
        6
        """
        try:
            return self._offsets[name]
        except KeyError:
            raise KeyError(self._unknown(name)) from None

    def name_at(self, position: int) -> str:
        """Return the name of the array that holds ``buffer[position]``.

        >>> Parameters({"W": (3, 2), "b": (3,)}).name_at(7)
        'b'
        """
        for name, start in self._offsets.items():
            if start <= position < start + math.prod(self._shapes[name]):
                return name
        raise IndexError(f"position {position} is outside a buffer of {self.size} values")

    def like(self) -> Parameters:
        """Return zeros of the same layout, backend and dtype."""
        return Parameters(self._shapes, self.backend, self.dtype, fixed=self.fixed)

    def copy(self) -> Parameters:
        """Return an independent copy."""
        return Parameters(self._shapes, self.backend, self.dtype, self.buffer.copy(), self.fixed)

    def to(self, backend: str | None = None, dtype: str | None = None) -> Parameters:
        """Return a copy on another backend or in another precision.

        >>> Parameters({"b": (2,)}).to(dtype="float64").dtype
        'float64'
        """
        backend, dtype = backend or self.backend, str(dtype or self.dtype)
        moved = Parameters(self._shapes, backend, dtype, fixed=self.fixed)
        moved.buffer[...] = asarray(self.buffer, backend, dtype)
        return moved

    def __copy__(self) -> Parameters:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameters:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._shapes, self.backend, self.dtype, to_numpy(self.buffer), self.fixed)


@contextmanager
def at_most(n_values: int) -> Iterator[None]:
    """Refuse larger layouts inside a ``with`` block, before anything is allocated.

    Reading a file whose configuration asks for more memory than its data fill uses this.

    >>> with at_most(5):
    ...     Parameters({"W": (10**6, 10**6)})
    Traceback (most recent call last):
    ...
    ValueError: the layout needs 1000000000000 values, at most 5 are allowed here
    """
    token = _most.set(n_values)
    try:
        yield
    finally:
        _most.reset(token)


def _rebuild(
    shapes: dict[str, tuple[int, ...]], backend: str, dtype: str, values: Any, fixed: Sequence[str] = ()
) -> Parameters:
    rebuilt = Parameters(shapes, backend, dtype, fixed=fixed)
    rebuilt.buffer[...] = asarray(values, backend, dtype)
    return rebuilt


def _shape(name: object, shape: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(name, str) or not name:
        raise TypeError(f"a parameter's name is a non-empty string, got {name!r}")
    try:
        sizes = tuple(index(size) for size in shape)
    except TypeError:
        raise TypeError(f"the shape of parameter {name!r} is a tuple of integers, got {shape!r}") from None
    if any(size < 0 for size in sizes):
        raise ValueError(f"the shape of parameter {name!r} has a negative size: {sizes}")
    return sizes
