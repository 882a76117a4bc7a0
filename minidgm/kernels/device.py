"""Random engine of devices: every distribution is array math over the bits of Philox, with no host read.

The strict device and CuPy draw the same bits; derived floats agree to the rounding of each device's log,
cos and tanh.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidgm.kernels import philox

__all__ = ["GAMMA_ROUNDS", "DeviceEngine"]

# Marsaglia-Tsang accepts with probability at least 0.95; all rounds fail for one element in 3e10,
# which then gets the mode of the proposal instead.
GAMMA_ROUNDS = 8


class DeviceEngine:
    """Counter-based random numbers on the arrays of ``xp``; the whole state is a key and a counter."""

    name = "philox4x32-10"

    def __init__(self, seeds: np.random.SeedSequence, backend: str, xp: Any):
        low, high = seeds.generate_state(2, np.uint32)
        self.key = (int(low), int(high))
        self.counter = 0
        self.xp = xp
        self._cuda: Any = None
        if backend == "cupy":
            from minidgm.kernels import cuda

            self._cuda = cuda

    def state(self) -> dict[str, Any]:
        return {"key": list(self.key), "counter": self.counter}

    def set_state(self, state: dict[str, Any]) -> None:
        self.key = (int(state["key"][0]), int(state["key"][1]))
        self.counter = int(state["counter"])

    def _advance(self, n: int) -> int:
        start = self.counter
        self.counter += -(-n // philox.BLOCK)
        return start

    def bits(self, n: int) -> Any:
        """Draw ``n`` uint32 words [n]."""
        words = self._cuda.random_words if self._cuda else philox.words
        return words(self.xp, self.key, self._advance(n), n)

    def _integers_53(self, n: int) -> Any:
        words, float64 = self.bits(2 * n), self.xp.float64
        return (words[:n] >> 5).astype(float64) * 67108864.0 + (words[n:] >> 6).astype(float64)

    def uniform(self, shape: Any, dtype: np.dtype, out: Any) -> Any:
        n = math.prod(shape)
        if dtype == np.float32:
            draw = (self.bits(n) >> 8).astype(dtype) * 2.0**-24
        else:
            draw = self._integers_53(n) * 2.0**-53
        return self._place(draw.reshape(shape), out)

    def _open_uniform(self, shape: Any, dtype: np.dtype) -> Any:
        # (k + 1/2) / 2^m is exact and never 0 or 1, so that logarithms are finite.
        n = math.prod(shape)
        if dtype == np.float32:
            return (((self.bits(n) >> 9).astype(dtype) + 0.5) * 2.0**-23).reshape(shape)
        low = self.bits(2 * n)
        whole = (low[:n] >> 5).astype(dtype) * 33554432.0 + (low[n:] >> 7).astype(dtype)
        return ((whole + 0.5) * 2.0**-52).reshape(shape)

    def normal(self, shape: Any, dtype: np.dtype, out: Any) -> Any:
        # Box-Muller; in float32 |z| is at most sqrt(2 log 2^24) = 5.77.
        n = math.prod(shape)
        half = -(-n // 2)
        radius = self.xp.sqrt(-2.0 * self.xp.log(self._open_uniform((half,), dtype)))
        angle = (2.0 * math.pi) * self.uniform((half,), dtype, None)
        pair = self.xp.concatenate([radius * self.xp.cos(angle), radius * self.xp.sin(angle)])
        return self._place(pair[:n].reshape(shape), out)

    def exponential(self, shape: Any, dtype: np.dtype) -> Any:
        return -self.xp.log(self._open_uniform(shape, dtype))

    def gumbel(self, shape: Any, dtype: np.dtype) -> Any:
        return -self.xp.log(self.exponential(shape, dtype))

    def gamma(self, shape_parameter: Any, shape: Any, dtype: np.dtype) -> Any:
        xp = self.xp
        a = xp.zeros(shape, dtype) + shape_parameter
        a = a.astype(dtype)
        boosted = a < 1.0
        d = xp.where(boosted, a + 1.0, a) - 1.0 / 3.0
        c = 1.0 / xp.sqrt(9.0 * d)
        z = self.normal((GAMMA_ROUNDS, *shape), dtype, None)
        log_u = xp.log(self._open_uniform((GAMMA_ROUNDS, *shape), dtype))
        v = (1.0 + c * z) ** 3
        positive = v > 0.0
        log_v = xp.log(xp.where(positive, v, 1.0))
        accept = positive & (log_u < 0.5 * z * z + d * (1.0 - v + log_v))
        draw = d
        for i in range(GAMMA_ROUNDS - 1, -1, -1):  # the first accepted round is the draw
            draw = xp.where(accept[i], d * v[i], draw)
        u = self._open_uniform(shape, dtype)
        return xp.where(boosted, draw * xp.exp(xp.log(u) / xp.where(boosted, a, 1.0)), draw)

    def integers(self, low: int, high: int, shape: Any) -> Any:
        # 53 bits scaled: each value's probability is off by at most 2^-53.
        scaled = self._integers_53(math.prod(shape)) * (2.0**-53 * (high - low))
        return self.xp.floor(scaled).astype(self.xp.int64).reshape(shape) + low

    def permutation(self, n: int) -> Any:
        # 64-bit keys: two are equal with probability below n^2 / 2^65, and then keep their order.
        words = self.bits(2 * n).astype(self.xp.uint64)
        return self.xp.argsort((words[:n] << 32) | words[n:])

    def bernoulli(self, p: Any, out: Any) -> Any:
        xp = self.xp
        if self._cuda:
            return self._cuda.bernoulli(xp, p, out, self.key, self._advance(p.size))
        words = (self.bits(p.size) >> 2).astype(xp.int32).reshape(p.shape)
        return xp.less(words, (p * 2.0**30).astype(xp.int32), out=out)

    def bernoulli_from_logits(self, x: Any, bias: Any, out: Any, mean: Any) -> Any:
        if self._cuda:
            stream = self.key, self._advance(x.size)
            return self._cuda.bernoulli_from_logits(self.xp, x, bias, out, mean, *stream)
        probability = 0.5 * (1.0 + self.xp.tanh(0.5 * (x if bias is None else x + bias)))
        if mean is not None:
            mean[...] = probability
        return self.bernoulli(probability, out)

    @staticmethod
    def _place(draw: Any, out: Any) -> Any:
        if out is None:
            return draw
        out[...] = draw
        return out
