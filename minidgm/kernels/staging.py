"""Batches from host to CUDA device through pinned memory and a second stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

__all__ = ["STAGING_BUFFERS", "prefetch_cuda"]

STAGING_BUFFERS = 4  # the host may run this many batches ahead of the device


def prefetch_cuda(batches: Iterable[Any], dtype: Any, cupy: Any) -> Iterator[Any]:
    """Yield CuPy arrays; while one is being computed with, the next is copied.

    Parameters
    ----------
    batches : iterable of arrays
        NumPy arrays, or CuPy arrays, which pass through.
    dtype : dtype or None
        Cast on the host, before the copy.
    cupy : module
    """
    copies = cupy.cuda.Stream(non_blocking=True)
    memory: list[Any] = [None] * STAGING_BUFFERS
    copied = [cupy.cuda.Event(disable_timing=True) for _ in memory]
    waiting: tuple[Any, Any] | None = None
    for i, batch in enumerate(batches):
        if isinstance(batch, cupy.ndarray):
            ready: tuple[Any, Any] = (cupy.asarray(batch, dtype=dtype), None)
        else:
            slot = i % STAGING_BUFFERS
            host = np.asarray(batch, dtype=dtype)
            copied[slot].synchronize()  # the copy out of this buffer, STAGING_BUFFERS batches ago
            if memory[slot] is None or memory[slot].size() < host.nbytes:
                memory[slot] = cupy.cuda.alloc_pinned_memory(max(host.nbytes, 1))
            staged = np.frombuffer(memory[slot], host.dtype, host.size).reshape(host.shape)
            staged[...] = host
            # Allocated on the computing stream, to whose pool it returns. What used this memory before was
            # queued there up to now, and the copy waits for that; the work on the waiting batch comes later
            # and overlaps.
            device = cupy.empty(host.shape, host.dtype)
            copies.wait_event(cupy.cuda.get_current_stream().record())
            device.set(staged, stream=copies)
            copied[slot].record(copies)
            ready = (device, copied[slot])
        if waiting is not None:
            yield _arrived(waiting, cupy)
        waiting = ready
    if waiting is not None:
        yield _arrived(waiting, cupy)


def _arrived(waiting: tuple[Any, Any], cupy: Any) -> Any:
    device, event = waiting
    if event is not None:
        cupy.cuda.get_current_stream().wait_event(event)
    return device
