"""A step of Adam on a million parameters beside PyTorch's fused Adam, in one run.

    python benchmarks/adam.py [--size 1000000] [--rounds 15] [--steps 20]

Steps in a row find their arrays in the cache, as in no training; steps *between products* follow a product of
matrices as large as those of a training step, whose time is not counted. Ratios are medians over interleaved
rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")

import numpy as np
from common import ratio, write

from minidgm.optim import Adam
from minidgm.parameters import Parameters

RATE = 1e-3


def ours(start: Any, gradient: Any) -> Callable[[], None]:
    theta = Parameters({"W": (start.size,)})
    grads = theta.like()
    theta.buffer[...], grads.buffer[...] = start, gradient
    adam = Adam(RATE)
    adam.init(theta)
    return lambda: adam.step(theta, grads)


def fused(start: Any, gradient: Any) -> Callable[[], None]:
    import torch

    theta = torch.tensor(start, requires_grad=True)
    theta.grad = torch.tensor(gradient)
    return torch.optim.Adam([theta], lr=RATE, fused=True).step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20, help="steps of each job in a round")
    parser.add_argument("--dry", action="store_true", help="print and write nothing")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    start, gradient = (rng.normal(size=args.size).astype("float32") for _ in range(2))
    jobs = {"minidgm": ours(start, gradient), "torch, fused": fused(start, gradient)}
    x, W = (rng.normal(size=shape).astype("float32") for shape in ((1000, 784), (784, 1000)))
    y = np.empty((1000, 1000), dtype="float32")
    rows = []
    for what, between in (("in a row", False), ("between products", True)):
        seconds: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(args.rounds):
            for name, step in jobs.items():
                spent = []
                for _ in range(args.steps):
                    if between:
                        np.matmul(x, W, out=y)
                    begin = time.perf_counter()
                    step()
                    spent.append(time.perf_counter() - begin)
                seconds[name].append(statistics.median(spent[1:]))
        rows += [
            {
                "steps": what,
                "library": name,
                "microseconds": round(1e6 * statistics.median(seconds[name]), 1),
                "x torch": round(ratio(seconds, name, "torch, fused"), 3),
            }
            for name in jobs
        ]
        print(rows[-2:], flush=True)
    settings = {
        "size": args.size,
        "dtype": "float32",
        "rounds": args.rounds,
        "steps": args.steps,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "OPENBLAS_THREAD_TIMEOUT": os.environ["OPENBLAS_THREAD_TIMEOUT"],
    }
    if not args.dry:
        write("adam-speed-cpu", rows, settings)


if __name__ == "__main__":
    main()
