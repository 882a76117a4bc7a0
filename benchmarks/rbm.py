"""Speed of RBM training and annealing beside the matrix products alone, PyTorch and scikit-learn, in one run.

    python benchmarks/rbm.py [--rows 10000] [--rounds 7] [--backend numpy|cupy]

Every job does the same work on the same rows: three epochs of CD-1 for 784-500 in float32. ``products`` is
the floor: the five matrix products of the step and nothing else. Ratios are medians over interleaved rounds.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

# How long OpenBLAS's idle threads spin (2^18 cycles, not 2^26), for every job; read when NumPy is loaded.
# That is 0.1 ms: they sleep when the next job's turn begins. What makes runs slow is another matter: README.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")

import numpy as np
from common import interleaved, ratio, write

from minidgm import RBM, Generator, evaluation, optim, training
from minidgm.backend import asarray, namespace, synchronize
from minidgm.objectives import ContrastiveDivergence

N_VISIBLE, N_HIDDEN, RATE, EPOCHS = 784, 500, 0.05, 3


def products(X: Any, batch: int, backend: str) -> Callable[[], None]:
    """v W, h W^T, v' W, v^T h and v'^T h' for every batch, into buffers."""
    xp = namespace(backend)
    W = asarray(np.random.default_rng(0).normal(size=(N_VISIBLE, N_HIDDEN)), backend, "float32")
    h, v = xp.zeros((batch, N_HIDDEN), dtype="float32"), xp.zeros((batch, N_VISIBLE), dtype="float32")
    h[...], G = 0.5, xp.zeros_like(W)

    def run() -> None:
        for start in list(range(0, len(X), batch)) * EPOCHS:
            x = X[start : start + batch]
            xp.matmul(x, W, out=h)
            xp.matmul(h, W.T, out=v)
            xp.matmul(v, W, out=h)
            xp.matmul(x.T, h, out=G)
            xp.matmul(v.T, h, out=G)
        synchronize(backend)

    return run


def ours(X: Any, batch: int, backend: str) -> Callable[[], None]:
    model = RBM(N_VISIBLE, N_HIDDEN, seed=0, backend=backend)

    def run() -> None:
        training.fit(
            model,
            X,
            objective=ContrastiveDivergence(1),
            optimizer=optim.SGD(RATE),
            epochs=EPOCHS,
            batch_size=batch,
        )
        synchronize(backend)

    return run


def torch_job(X: Any, batch: int, device: str, compiled: bool = False) -> Callable[[], None]:
    """The usual PyTorch RBM: hand-written CD-1, no autograd."""
    import torch

    data = torch.as_tensor(X if device == "cpu" else np.asarray(X.get()), device=device)
    W = 0.01 * torch.randn(N_VISIBLE, N_HIDDEN, device=device)
    b, c = torch.zeros(N_VISIBLE, device=device), torch.zeros(N_HIDDEN, device=device)

    def step(v: Any, W: Any, b: Any, c: Any) -> None:
        h = torch.sigmoid(v @ W + c)
        v1 = torch.bernoulli(torch.sigmoid(torch.bernoulli(h) @ W.t() + b))
        h1 = torch.sigmoid(v1 @ W + c)
        scale = RATE / len(v)
        W.add_(v.t() @ h - v1.t() @ h1, alpha=scale)
        b.add_((v - v1).sum(0), alpha=scale)
        c.add_((h - h1).sum(0), alpha=scale)

    step = torch.compile(step) if compiled else step

    def run() -> None:
        with torch.no_grad():
            for _ in range(EPOCHS):
                order = torch.randperm(len(data), device=device)
                for start in range(0, len(data), batch):
                    step(data[order[start : start + batch]], W, b, c)
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def sklearn_job(X: Any, batch: int) -> Callable[[], None]:
    from sklearn.neural_network import BernoulliRBM

    return lambda: BernoulliRBM(
        N_HIDDEN, learning_rate=RATE, batch_size=batch, n_iter=EPOCHS, random_state=0
    ).fit(X)


def annealing(n_betas: int, backend: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """AIS with 100 chains, and its two products a temperature."""
    xp, model = namespace(backend), RBM(N_VISIBLE, N_HIDDEN, seed=0, backend=backend)
    W = model.params["W"]
    v, h = xp.zeros((100, N_VISIBLE), dtype="float32"), xp.zeros((100, N_HIDDEN), dtype="float32")

    def floor() -> None:
        for _ in range(n_betas):
            xp.matmul(v, W, out=h)
            xp.matmul(h, W.T, out=v)
        synchronize(backend)

    def run() -> None:
        evaluation.ais(model, n_chains=100, n_temperatures=n_betas, rng=Generator(0, backend))

    return floor, run


def peak_mb() -> float:
    """Largest resident size of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0**2 if sys.platform == "darwin" else 1024.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--betas", type=int, default=1000)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    args = parser.parse_args()
    backend, gpu = args.backend, args.backend == "cupy"
    host = (np.random.default_rng(0).random((args.rows, N_VISIBLE), dtype=np.float32) < 0.3).astype(
        np.float32
    )
    X = asarray(host, backend)
    before = peak_mb()
    ours(X, 100, backend)()
    memory = peak_mb() - before
    rows = []
    for batch in (100, 10_000) if gpu else (100, 1000):
        jobs = {"products": products(X, batch, backend), "minidgm": ours(X, batch, backend)}
        jobs["torch"] = torch_job(X, batch, "cuda" if gpu else "cpu")
        if gpu:
            jobs["torch.compile"] = torch_job(X, batch, "cuda", compiled=True)
        else:
            jobs["scikit-learn"] = sklearn_job(X, batch)
        seconds = interleaved(jobs, args.rounds)
        for name in jobs:
            rows.append(
                {
                    "job": f"{EPOCHS} epochs of CD-1, batch {batch}",
                    "library": name,
                    "seconds": float(np.median(seconds[name])),
                    "x products": ratio(seconds, name, "products"),
                    "x minidgm": ratio(seconds, name, "minidgm"),
                }
            )
    floor, anneal = annealing(args.betas, backend)
    seconds = interleaved({"products": floor, "minidgm": anneal}, max(3, args.rounds // 2))
    for name in seconds:
        rows.append(
            {
                "job": f"AIS, 100 chains x {args.betas} betas",
                "library": name,
                "seconds": float(np.median(seconds[name])),
                "x products": ratio(seconds, name, "products"),
                "x minidgm": ratio(seconds, name, "minidgm"),
            }
        )
    sizes = (args.rows // 4, args.rows // 2, args.rows)
    per_row = []
    for n in sizes:
        job = ours(X[:n], 100, backend)
        job()
        start = time.perf_counter()
        for _ in range(3):
            job()
        per_row.append((time.perf_counter() - start) / 3 / n / EPOCHS)
    settings = {
        "rows": args.rows,
        "shape": [N_VISIBLE, N_HIDDEN],
        "dtype": "float32",
        "rounds": args.rounds,
        "OPENBLAS_THREAD_TIMEOUT": os.environ["OPENBLAS_THREAD_TIMEOUT"],
        "peak MB above the data and imports": round(memory, 1),
        "microseconds a row at rows": {
            str(n): round(1e6 * t, 2) for n, t in zip(sizes, per_row, strict=True)
        },
    }
    write(f"rbm-speed-{'gpu' if gpu else 'cpu'}", rows, settings, backend)


if __name__ == "__main__":
    main()
