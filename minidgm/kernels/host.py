"""Random engine of the host: SFC64, with Bernoulli draws from raw 16-bit words in cache-sized blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["HostEngine"]

BLOCK = 131072  # elements drawn at a time, about: the buffers of a block stay in the second-level cache


class HostEngine:
    """Stream of random numbers on NumPy arrays.

    A Bernoulli draw with probability p compares the top 15 bits of a 16-bit word with floor(2^15 p). Where
    they are equal, once in 2^15 draws, a further 53-bit uniform decides with the remainder of 2^15 p: P(1)
    is p to the last bit of p, at a quarter of a 64-bit word a draw.
    """

    name = "sfc64"

    def __init__(self, seeds: np.random.SeedSequence):
        self.generator = np.random.Generator(np.random.SFC64(seeds))
        self._buffers: dict[np.dtype, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def state(self) -> dict[str, Any]:
        state = self.generator.bit_generator.state
        return {
            "words": [int(w) for w in state["state"]["state"]],
            "has_uint32": int(state["has_uint32"]),
            "uinteger": int(state["uinteger"]),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self.generator.bit_generator.state = {
            "bit_generator": "SFC64",
            "state": {"state": np.array(state["words"], dtype=np.uint64)},
            "has_uint32": state["has_uint32"],
            "uinteger": state["uinteger"],
        }

    def uniform(self, shape: Any, dtype: np.dtype, out: np.ndarray | None) -> np.ndarray:
        return np.asarray(self.generator.random(shape, dtype=dtype, out=out))

    def normal(self, shape: Any, dtype: np.dtype, out: np.ndarray | None) -> np.ndarray:
        return np.asarray(self.generator.standard_normal(shape, dtype=dtype, out=out))

    def exponential(self, shape: Any, dtype: np.dtype) -> np.ndarray:
        return np.asarray(self.generator.standard_exponential(shape, dtype=dtype))

    def gumbel(self, shape: Any, dtype: np.dtype) -> np.ndarray:
        return np.asarray(-np.log(np.maximum(self.exponential(shape, dtype), np.finfo(dtype).tiny)))

    def gamma(self, shape_parameter: Any, shape: Any, dtype: np.dtype) -> np.ndarray:
        return np.asarray(self.generator.standard_gamma(shape_parameter, shape, dtype=dtype))

    def integers(self, low: int, high: int, shape: Any) -> np.ndarray:
        return np.asarray(self.generator.integers(low, high, shape, dtype=np.int64))

    def permutation(self, n: int) -> np.ndarray:
        return self.generator.permutation(n)

    def bernoulli(self, p: np.ndarray, out: np.ndarray) -> np.ndarray:
        p_rows, out_rows = _rows(p), _rows(out)
        with np.errstate(invalid="ignore"):  # NaN draws 0; the caller's check for non-finite values names it
            for block in _blocks(p_rows):
                thresholds = self._thresholds(p_rows[block])
                np.multiply(p_rows[block], 32768.0, out=thresholds)
                self._draw(thresholds.reshape(-1), out_rows[block].reshape(-1))
        return _finish(out, out_rows)

    def bernoulli_from_logits(
        self, x: np.ndarray, bias: np.ndarray | None, out: np.ndarray, mean: np.ndarray | None
    ) -> np.ndarray:
        if bias is not None and x.ndim < 2:
            x, bias = x + bias, None
        x_rows, out_rows = _rows(x), _rows(out)
        mean_rows = None if mean is None else _rows(mean)
        with np.errstate(invalid="ignore"):
            for block in _blocks(x_rows):
                t = self._thresholds(x_rows[block])
                if bias is None:
                    np.multiply(x_rows[block], 0.5, out=t)
                else:
                    np.add(x_rows[block], bias, out=t)
                    np.multiply(t, 0.5, out=t)
                np.tanh(t, out=t)
                np.add(t, 1.0, out=t)
                if mean_rows is not None:
                    np.multiply(t, 0.5, out=mean_rows[block])
                np.multiply(t, 16384.0, out=t)  # sigmoid = t/2, and thresholds are 2^15 sigmoid
                self._draw(t.reshape(-1), out_rows[block].reshape(-1))
        if mean is not None and mean_rows is not None:
            _finish(mean, mean_rows)
        return _finish(out, out_rows)

    def _thresholds(self, rows: np.ndarray) -> np.ndarray:
        buffers = self._buffers.get(rows.dtype)
        if buffers is None or buffers[0].size < rows.size:
            size = max(rows.size, BLOCK)
            buffers = (np.empty(size, rows.dtype), np.empty(size, np.uint16), np.empty(size, bool))
            self._buffers[rows.dtype] = buffers
        return buffers[0][: rows.size].reshape(rows.shape)

    def _draw(self, thresholds: np.ndarray, out: np.ndarray) -> None:
        n = thresholds.size
        _, whole, flags = self._buffers[thresholds.dtype]
        whole, flags = whole[:n], flags[:n]
        np.copyto(whole, thresholds, casting="unsafe")
        words = self.generator.bit_generator.random_raw(-(-n // 4)).view(np.uint16)[:n]
        np.right_shift(words, 1, out=words)
        np.less(words, whole, out=flags)
        np.copyto(out, flags)
        np.equal(words, whole, out=flags)
        # Ties are few, and argmax leaps to the next one.
        tie = int(flags.argmax())
        while flags[tie]:
            out[tie] = self.generator.random() < thresholds[tie] - whole[tie]
            flags[tie] = False
            tie += int(flags[tie:].argmax())


def _rows(x: np.ndarray) -> np.ndarray:
    # x or a view of it where x is contiguous, else a copy, which _finish writes back.
    if x.ndim == 2 and x.size and x.flags.c_contiguous:
        return x
    return x.reshape(-1, x.shape[-1] if x.ndim > 1 else 1) if x.size else x.reshape(0, 1)


def _blocks(rows: np.ndarray) -> Any:
    n_blocks = max(1, round(rows.size / BLOCK))
    step = -(-rows.shape[0] // (4 * n_blocks)) * 4  # a block takes whole 64-bit words
    return (slice(start, start + step) for start in range(0, rows.shape[0], step)) if rows.size else ()


def _finish(out: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if rows is not out and not np.may_share_memory(out, rows):
        out[...] = rows.reshape(out.shape)
    return out
