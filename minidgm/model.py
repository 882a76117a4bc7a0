"""What every model shares: a backend, named parameters, and checked input."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidgm.backend import BACKENDS, Generator, asarray, get_backend, namespace
from minidgm.errors import DataError, unknown
from minidgm.parameters import Parameters

if TYPE_CHECKING:
    from minidgm.training import History

DTYPES = ("float32", "float64")
N_HIDDEN = 64


class Model:
    """Base of all models: structure in the constructor, math in methods that only read ``self.params``.

    Parameters
    ----------
    backend : {"numpy", "cupy"}
        Where the parameters live and the arithmetic runs.
    dtype : {"float32", "float64"}
    seed : int or None
        Seed of the initial parameters.
    """

    params: Parameters

    def __init__(self, *, backend: str = "numpy", dtype: str = "float32", seed: int | None = None):
        if backend not in BACKENDS:
            raise unknown("backend", backend, BACKENDS[:2])
        name = str(getattr(dtype, "__name__", dtype))
        if name not in DTYPES:
            raise unknown("dtype", name, DTYPES)
        self.backend, self.dtype, self.seed = backend, name, seed
        self.xp = namespace(backend)

    def config(self) -> dict[str, Any]:
        """Constructor arguments that rebuild this structure (JSON values)."""
        raise NotImplementedError

    def default_objective(self) -> Any:
        """The objective that ``fit`` uses when none is named."""
        raise NotImplementedError

    @property
    def n_columns(self) -> int:
        """Columns of a row of training data; more than the visible units where a row holds labels too."""
        return self.n_visible  # type: ignore[attr-defined]

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Complete constructor arguments from a data set: what the command line does not make a user repeat.

        Parameters
        ----------
        data : Dataset
            Its ``train`` has rows [n, d].
        given : mapping
            Arguments that the user set.

        Raises
        ------
        DataError
            When the user's arguments do not fit the data.
        """
        width = int(data.train.shape[1])
        if given.get("n_visible", width) != width:
            raise DataError(
                f"model.n_visible = {given['n_visible']!r}, but rows of {data.name} have {width}"
            )
        signature = inspect.signature(cls).parameters.values()
        needed = {p.name for p in signature if p.default is p.empty}
        return {**({"n_hidden": N_HIDDEN} if "n_hidden" in needed else {}), **given, "n_visible": width}

    def prepare(self, data: Any) -> Any:
        """Return a `Dataset` whose rows are what this model trains on: the same, or with labels beside."""
        return data

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "xp"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.xp = namespace(self.backend)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.config().items())
        return f"{type(self).__name__}({arguments})"

    def with_params(self, params: Mapping[str, Any]) -> Any:
        """Return a shallow copy that computes with ``params`` (any mapping of arrays, traced ones too)."""
        twin = copy.copy(self)
        twin.params = params  # type: ignore[assignment]
        return twin

    def double(self) -> Any:
        """Return a shallow copy that computes in float64: for sums over many states."""
        return self.with_params({name: value.astype("float64") for name, value in self.params.items()})

    def zero_gradient(self) -> Parameters:
        """Zeros with the names and shapes of the parameters, whatever mapping these are in."""
        shapes = {name: tuple(value.shape) for name, value in self.params.items()}
        return Parameters(shapes, backend=self.backend, dtype=str(next(iter(self.params.values())).dtype))

    def to(self, backend: str | None = None, dtype: str | None = None) -> Any:
        """Return a copy of this model on another backend or in another dtype."""
        twin = type(self)(
            **self.config(), backend=backend or self.backend, dtype=dtype or self.dtype, seed=self.seed
        )
        for name, value in self.params.items():
            twin.params[name][...] = asarray(value, twin.backend, twin.dtype)
        return twin

    def generator(self, rng: Generator | int | None = None) -> Generator:
        """Return ``rng`` itself, or a generator seeded with it on this model's backend."""
        if isinstance(rng, Generator):
            if rng.backend != self.backend:
                raise TypeError(
                    f"the generator draws on {rng.backend!r}, the model lives on {self.backend!r}; "
                    f"use Generator(seed, {self.backend!r})"
                )
            return rng
        return Generator(rng, self.backend)

    def fit(self, X: Any, **kwargs: Any) -> History:
        """Train on the rows of ``X``; the arguments are those of `minidgm.training.fit`."""
        from minidgm import training

        return training.fit(self, X, **kwargs)

    def save(self, path: Any) -> None:
        """Write the model to one safetensors file, atomically."""
        from minidgm import serialization

        serialization.save(self, path)

    @classmethod
    def load(cls, path: Any, backend: str | None = None, dtype: str | None = None) -> Any:
        """Read a model of this class from a file that `save` wrote; raises `ModelFileError`."""
        from minidgm import serialization

        return serialization.load(path, backend, dtype, expected=cls)

    def check_matrix(self, x: Any, width: int, what: str) -> Any:
        """Return ``x`` as an array [n, width] of this model's backend and dtype, or say what is wrong.

        Raises
        ------
        DataError
            Strings, objects or complex numbers; another rank or width; NaN or infinity.
        """
        kind = get_backend(x)
        if kind is None:
            import numpy as np

            try:
                x = np.asarray(x)
            except ValueError as error:
                raise DataError(
                    f"{what} does not form a matrix ({error}); expected rows of {width} numbers"
                ) from None
            kind = "numpy"
        if x.dtype.kind not in "buif":
            raise DataError(f"{what} has dtype {x.dtype}; expected real numbers, convert it first")
        if x.ndim != 2 or x.shape[1] != width:
            hint = "; for one example use x[None, :]" if x.ndim == 1 else ""
            raise DataError(f"{what} has shape {tuple(x.shape)}; expected [n, {width}]{hint}")
        x = asarray(x, self.backend, self.dtype)
        # The least and the greatest value are finite only if all are: two passes that allocate nothing.
        if x.size and not bool(self.xp.isfinite(x.min()) & self.xp.isfinite(x.max())):
            bad = ~self.xp.isfinite(x)
            if bool(bad.any()):
                first = int(self.xp.argmax(bad.reshape(-1)))
                where = f"row {first // width}, column {first % width}"
                raise DataError(f"{what} holds NaN or infinity ({where}); drop or fill such rows")
        return x
