"""One portable random generator (first cut: host only)."""

from __future__ import annotations

from typing import Any

import numpy as np


class Generator:
    """Random numbers on a backend."""

    def __init__(self, seed: Any = None, backend: str = "numpy"):
        self.backend = backend
        self._seeds = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        self._rng = np.random.Generator(np.random.SFC64(self._seeds))

    def uniform(self, shape, dtype="float32", out=None):
        return self._rng.random(shape, dtype=dtype, out=out)

    def normal(self, shape, dtype="float32", out=None):
        return self._rng.standard_normal(shape, dtype=dtype, out=out)

    def bernoulli(self, p, out=None):
        draw = self._rng.random(p.shape, dtype=p.dtype) < p
        if out is None:
            return draw.astype(p.dtype)
        out[...] = draw
        return out

    def bernoulli_from_logits(self, x, out=None, mean=None):
        p = 0.5 * (1 + np.tanh(0.5 * x))
        if mean is not None:
            mean[...] = p
        return self.bernoulli(p, out=out)

    def gumbel(self, shape, dtype="float32"):
        return -np.log(self.exponential(shape, dtype))

    def exponential(self, shape, dtype="float32"):
        return self._rng.standard_exponential(shape, dtype=dtype)

    def categorical(self, logits, axis=-1):
        z = logits + self.gumbel(logits.shape, logits.dtype)
        return (z == z.max(axis=axis, keepdims=True)).astype(logits.dtype)

    def gamma(self, a, shape=None, dtype="float32"):
        return self._rng.standard_gamma(a, shape, dtype=dtype)

    def integers(self, low, high, shape):
        return self._rng.integers(low, high, shape)

    def permutation(self, n):
        return self._rng.permutation(n)

    def spawn(self, n):
        return [Generator(s, self.backend) for s in self._seeds.spawn(n)]
