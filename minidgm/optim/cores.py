"""Long elementwise passes shared among the cores of a host.

NumPy's arithmetic runs on one core but lets other threads run meanwhile, so that two threads over two halves
of an array take half of the time. Every element is computed by the same operations, whoever does it: the bits
do not depend on the number of cores. After each pass a thread needs the interpreter for a moment, and may
have to wait for it: shared passes are long ones, beyond the cache, instead of many short ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

__all__ = ["LONG", "MOST", "available", "share"]

LONG = 2**18  # elements from which a second core pays for its waking
MOST = 4  # more would wait for the interpreter
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_pool: Any = None


def available() -> int:
    """Count the cores to use: those of this process, at most `MOST`, fewer where the environment says so.

    The variables are those that keep matrix products to as many threads: ``OMP_NUM_THREADS``,
    ``OPENBLAS_NUM_THREADS``, ``MKL_NUM_THREADS``.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = [int(os.environ[name]) for name in LIMITS if os.environ.get(name, "").isdigit()]
    return max(1, min([cores, MOST, *told]))


def share(work: Callable[[int, slice], None], size: int, cores: int) -> None:
    """Call ``work(i, part)`` for ``cores`` equal parts of ``size`` elements, at the same time.

    The first error of a part is raised when all are done. Context variables (NumPy's ``errstate``) hold in
    all of them.

    >>> import numpy as np
    >>> x = np.zeros(5)
    >>> share(lambda i, part: x[part].fill(i), 5, 2)
    >>> x.tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0]
    """
    global _pool
    step = -(-size // cores)
    parts = [slice(start, min(start + step, size)) for start in range(0, size, max(1, step))]
    if len(parts) > 1 and _pool is None:
        from concurrent.futures import ThreadPoolExecutor

        _pool = ThreadPoolExecutor(MOST - 1, thread_name_prefix="minidgm")
    others = [_pool.submit(copy_context().run, work, i, part) for i, part in enumerate(parts) if i]
    try:
        if parts:
            work(0, parts[0])
    finally:
        errors = [other.exception() for other in others]
    for error in errors:
        if error is not None:
            raise error


def _forget() -> None:
    # The threads of a pool do not live on in a forked process.
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
