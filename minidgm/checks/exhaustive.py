"""Generators that are not random: one that takes every outcome in turn, one that replays the same noise
anywhere.

A sampling routine reads its randomness from a passed generator, so handing it :class:`Exhaustive` runs the
real code over all outcomes, each with its exact probability: transition matrices and expectations without a
statistical error.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minidgm.backend import asarray, namespace
from minidgm.checks.comparison import host
from minidgm.random import Generator


class NotEnumerable(TypeError):
    """A draw with infinitely many outcomes (a normal, a uniform) was asked of an exhaustive generator."""


class _Scripted(Generator):
    """What the deterministic generators share: discrete draws through one method, everything else refused."""

    def __init__(self, backend: str = "numpy"):
        self.backend = backend
        self.xp = namespace(backend)

    def _choose(self, probabilities: np.ndarray) -> np.ndarray:
        """Choose an index along the last axis for every leading position."""
        raise NotImplementedError

    def bernoulli(self, p: Any, out: Any = None) -> Any:
        p64 = host(p)
        return self._give(self._choose(np.stack([1.0 - p64, p64], axis=-1)), p, out)

    def bernoulli_from_logits(self, x: Any, bias: Any = None, out: Any = None, mean: Any = None) -> Any:
        x64 = host(x) if bias is None else host(x) + host(bias)
        both = np.stack([-x64, x64], axis=-1)
        p = np.exp(-np.maximum(both, 0.0)) / (1.0 + np.exp(-np.abs(both)))
        p = p[..., ::-1]
        if mean is not None:
            mean[...] = asarray(p[..., 1], self.backend, str(mean.dtype))
        return self._give(self._choose(p), x, out)

    def categorical(self, logits: Any, axis: int = -1) -> Any:
        z = np.moveaxis(host(logits), axis, -1)
        p = np.exp(z - z.max(axis=-1, keepdims=True))
        chosen = self._choose(p / p.sum(axis=-1, keepdims=True))
        one_hot = np.moveaxis((chosen[..., None] == np.arange(z.shape[-1])).astype(np.float64), -1, axis)
        return asarray(one_hot, self.backend, str(logits.dtype))

    def at_most_one_from_logits(
        self, x: Any, k: int, bias: Any = None, out: Any = None, mean: Any = None
    ) -> Any:
        z = (host(x) if bias is None else host(x) + host(bias)).reshape(len(x), -1, k)
        z = np.concatenate([np.zeros_like(z[..., :1]), z], axis=-1)
        p = np.exp(z - z.max(axis=-1, keepdims=True))
        p = p / p.sum(axis=-1, keepdims=True)
        if mean is not None:
            mean[...] = asarray(p[..., 1:].reshape(x.shape), self.backend, str(mean.dtype))
        chosen = self._choose(p)
        return self._give((chosen[..., None] == np.arange(1, k + 1)).reshape(x.shape), x, out)

    def integers(self, low: int, high: int, shape: Any) -> Any:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        return asarray(
            low + self._choose(np.full((*shape, high - low), 1.0 / (high - low))), self.backend, "int64"
        )

    def permutation(self, n: int) -> Any:
        orders = np.asarray(list(itertools.permutations(range(n))))
        return asarray(
            orders[self._choose(np.full((1, len(orders)), 1.0 / len(orders)))[0]], self.backend, "int64"
        )

    def spawn(self, n: int) -> list[Any]:
        return [self] * n

    def _give(self, index: np.ndarray, like: Any, out: Any) -> Any:
        value = asarray(index.astype(np.float64), self.backend, str(like.dtype))
        if out is None:
            return value
        out[...] = value
        return out

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise NotEnumerable("this draw has infinitely many outcomes; only discrete draws can be enumerated")

    uniform = normal = gumbel = exponential = gamma = _refuse


class Exhaustive(_Scripted):
    """Every row of a batch follows its own script of outcomes.

    Axis ``axis`` of each draw must be the rows of the batch. Row ``i`` takes the outcomes that spell its path
    number ``path[i]`` in mixed radix, and ``log_probability[i]`` adds up what they had. ``n_paths`` counts
    the paths of a row, once the code has run.
    """

    def __init__(self, path: np.ndarray, backend: str = "numpy", axis: int = 0):
        super().__init__(backend)
        self.axis = axis
        self._rest = np.asarray(path, dtype=np.int64).copy()
        self.log_probability = np.zeros(len(self._rest))
        self.n_paths = 1

    def _choose(self, probabilities: np.ndarray) -> np.ndarray:
        rows, k = len(self._rest), probabilities.shape[-1]
        if probabilities.ndim <= self.axis + 1 or probabilities.shape[self.axis] != rows:
            raise NotEnumerable(f"a draw of shape {probabilities.shape[:-1]} for a batch of {rows} rows")
        probabilities = np.moveaxis(probabilities, self.axis, 0)
        columns = probabilities.reshape(rows, math.prod(probabilities.shape[1:-1]), k)
        chosen = np.empty(columns.shape[:2], dtype=np.int64)
        for j in range(columns.shape[1]):
            chosen[:, j] = self._rest % k
            self._rest //= k
            self.n_paths *= k
            with np.errstate(divide="ignore"):
                self.log_probability += np.log(columns[np.arange(rows), j, chosen[:, j]])
        return np.moveaxis(chosen.reshape(probabilities.shape[:-1]), 0, self.axis)


class _OnePath(_Scripted):
    """One call follows one path; digits beyond the script are 0 and are recorded, so that the next path can
    be found.
    """

    def __init__(self, digits: list[int], backend: str = "numpy"):
        super().__init__(backend)
        self.digits = list(digits)
        self.radices: list[int] = []
        self.probability = 1.0

    def _choose(self, probabilities: np.ndarray) -> np.ndarray:
        flat = probabilities.reshape(-1, probabilities.shape[-1])
        chosen = np.empty(len(flat), dtype=np.int64)
        for i, p in enumerate(flat):
            position = len(self.radices)
            self.radices.append(len(p))
            if position == len(self.digits):
                self.digits.append(0)
            chosen[i] = self.digits[position]
            self.probability *= float(p[chosen[i]])
        return chosen.reshape(probabilities.shape[:-1])


def outcomes(
    f: Callable[[Any], Any], backend: str = "numpy", limit: int = 2**14
) -> Iterator[tuple[float, Any]]:
    """Run ``f(rng)`` once for every outcome of its draws and yield (probability, result).

    Branches of probability 0 are not followed.

    Parameters
    ----------
    f : callable
        Uses ``rng`` for discrete draws only. The number of draws may depend on their outcomes.
    backend : str
    limit : int
        Refuse to follow more outcomes.

    Raises
    ------
    NotEnumerable
        For a continuous draw, or more than ``limit`` outcomes.

    Examples
    --------
    >>> import numpy as np
    >>> sum(p * x.sum() for p, x in outcomes(lambda rng: rng.bernoulli(np.array([0.25, 0.5])))).item()
    0.75
    """
    digits: list[int] = []
    for count in itertools.count(1):
        if count > limit:
            raise NotEnumerable(f"more than {limit} outcomes; use a smaller model or batch")
        rng = _OnePath(digits, backend)
        result = f(rng)
        if rng.probability > 0.0:
            yield rng.probability, result
        digits = rng.digits[: len(rng.radices)]
        while digits and digits[-1] == rng.radices[len(digits) - 1] - 1:
            digits.pop()
        if not digits:
            return
        digits[-1] += 1


def expectation(
    f: Callable[[Any], dict[str, Any]], backend: str = "numpy", limit: int = 2**14
) -> dict[str, np.ndarray]:
    """Exact expectation of a dictionary of arrays over every outcome of ``f(rng)``; see :func:`outcomes`."""
    total: dict[str, Any] = {}
    for probability, result in outcomes(f, backend, limit):
        for name in result:
            total[name] = total.get(name, 0.0) + probability * host(result[name])
    return total


class Replay(Generator):
    """The same noise on every backend and in every dtype: drawn on the host in float64, then moved.

    Two implementations of one sampling routine, given equal seeds, must agree up to rounding.

    Parameters
    ----------
    seed : int
    backend : str
    shared : bool
        Whether all rows of a draw (its leading axis) share their noise, so that a batch and its rows, one by
        one, see the same.
    """

    def __init__(self, seed: Any = 0, backend: str = "numpy", shared: bool = False):
        self.backend = backend
        self.xp = namespace(backend)
        self.shared = shared
        self._host = np.random.Generator(np.random.SFC64(seed))

    def _noise(self, name: str, shape: Any, *arguments: Any) -> np.ndarray:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        drawn = (1, *shape[1:]) if self.shared and shape else shape
        return np.broadcast_to(getattr(self._host, name)(*arguments, size=drawn), shape)

    def _move(self, value: Any, dtype: Any, out: Any = None) -> Any:
        moved = asarray(np.array(value), self.backend, str(np.dtype(str(dtype))))
        if out is None:
            return moved
        out[...] = moved
        return out

    def uniform(self, shape: Any, dtype: Any = "float32", out: Any = None) -> Any:
        return self._move(self._noise("random", shape), dtype, out)

    def normal(self, shape: Any, dtype: Any = "float32", out: Any = None) -> Any:
        return self._move(self._noise("standard_normal", shape), dtype, out)

    def bernoulli(self, p: Any, out: Any = None) -> Any:
        return self._move(self._noise("random", p.shape) < host(p), p.dtype, out)

    def bernoulli_from_logits(self, x: Any, bias: Any = None, out: Any = None, mean: Any = None) -> Any:
        p = 0.5 * (1.0 + np.tanh(0.5 * (host(x) if bias is None else host(x) + host(bias))))
        if mean is not None:
            mean[...] = self._move(p, mean.dtype)
        return self._move(self._noise("random", p.shape) < p, x.dtype, out)

    def categorical(self, logits: Any, axis: int = -1) -> Any:
        z = host(logits) + self._noise("gumbel", logits.shape, 0.0, 1.0)
        return self._move(z == z.max(axis=axis, keepdims=True), logits.dtype)

    def exponential(self, shape: Any, dtype: Any = "float32") -> Any:
        return self._move(self._noise("standard_exponential", shape), dtype)

    def gumbel(self, shape: Any, dtype: Any = "float32") -> Any:
        return self._move(self._noise("gumbel", shape, 0.0, 1.0), dtype)

    def gamma(self, shape_parameter: Any, shape: Any = None, dtype: Any = "float32") -> Any:
        shape = getattr(shape_parameter, "shape", ()) if shape is None else shape
        return self._move(self._noise("standard_gamma", shape, host(shape_parameter)), dtype)

    def integers(self, low: int, high: int, shape: Any) -> Any:
        return self._move(self._noise("integers", shape, low, high), "int64")

    def permutation(self, n: int) -> Any:
        return self._move(self._host.permutation(n), "int64")

    def spawn(self, n: int) -> list[Any]:
        return [
            Replay(seed, self.backend, self.shared) for seed in self._host.integers(2**32, size=n).tolist()
        ]

    def state(self) -> dict[str, Any]:
        return {"entropy": int(self._host.integers(2**32)), "spawn_key": []}


class Friendly(Generator):
    """A generator that also answers to the names of ``numpy.random.Generator``, for a user's own class."""

    def __init__(self, seed: int):
        super().__init__(seed)
        self._numpy = np.random.Generator(np.random.SFC64(seed))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._numpy, name)
