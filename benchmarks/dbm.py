"""Speed of variational SML for a DBM beside its matrix products alone and PyTorch eager, in one run.

    python benchmarks/dbm.py [--steps 50] [--rounds 7] [--sweeps 10] [--backend numpy|cupy]

Every job makes the same steps: 784-500-1000, batch 100, 100 chains, one Gibbs sweep, ten mean-field sweeps,
SGD, float32. ``products`` is the floor: the matrix products of the step and nothing else. Ratios are medians
over interleaved rounds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")

import numpy as np
from common import interleaved, ratio, write

from minidgm import DBM, Generator, optim
from minidgm.backend import asarray, namespace, synchronize
from minidgm.objectives import VariationalSML

SIZES, BATCH, CHAINS, RATE = (784, 500, 1000), 100, 100, 0.05


def products(X: Any, steps: int, sweeps: int, backend: str) -> Callable[[], None]:
    """Chains: h W1^T, h W2, g W2^T; data and chains: v W1; mean field: upward, then 2 a sweep; 2 for W."""
    xp = namespace(backend)
    rng = np.random.default_rng(0)
    n_0, n_1, n_2 = SIZES
    W1 = asarray(0.05 * rng.normal(size=(n_0, n_1)), backend, "float32")
    W2 = asarray(0.05 * rng.normal(size=(n_1, n_2)), backend, "float32")
    m, n = CHAINS, BATCH
    v, h, g = (xp.full((m + n, size), 0.3, dtype="float32") for size in SIZES)
    drive, G1, G2 = xp.zeros_like(h), xp.zeros_like(W1), xp.zeros_like(W2)

    def run() -> None:
        for _ in range(steps):
            xp.matmul(h[:m], W1.T, out=v[:m])
            xp.matmul(h[:m], W2, out=g[:m])
            xp.matmul(v, W1, out=drive)
            xp.matmul(g[:m], W2.T, out=h[:m])
            xp.matmul(h[m:], W2, out=g[m:])
            for _ in range(sweeps):
                xp.matmul(g[m:], W2.T, out=h[m:])
                xp.matmul(h[m:], W2, out=g[m:])
            h[...], g[...] = 0.5, 0.5
            xp.matmul(v.T, h, out=G1)
            xp.matmul(h.T, g, out=G2)
            v[...] = 0.5
        synchronize(backend)

    return run


def ours(X: Any, steps: int, sweeps: int, backend: str) -> Callable[[], None]:
    model = DBM(SIZES, seed=0, backend=backend)
    objective = VariationalSML(1, CHAINS, sweeps)
    optimizer, rng = optim.SGD(RATE), Generator(0, backend)
    optimizer.init(model.params, None)

    def run() -> None:
        for step in range(steps):
            start = step * BATCH % (len(X) - BATCH + 1)
            grads, _ = objective.gradient(model, X[start : start + BATCH], rng)
            optimizer.step(model.params, grads)
        synchronize(backend)

    return run


def torch_job(X: Any, steps: int, sweeps: int, device: str, compiled: bool = False) -> Callable[[], None]:
    """The same algorithm as one writes it in PyTorch, without autograd."""
    import torch

    data = torch.as_tensor(X if device == "cpu" else X.get(), device=device)
    W1, W2 = (0.02 * torch.randn(n, m, device=device) for n, m in ((784, 500), (500, 1000)))
    b0, b1, b2 = (torch.zeros(n, device=device) for n in SIZES)
    chains = [torch.bernoulli(torch.full((CHAINS, n), 0.5, device=device)) for n in SIZES]

    def step(v: Any, x: Any, g: Any) -> Any:
        drive = v @ W1 + b1
        mu1 = torch.sigmoid(2.0 * (v @ W1) + b1)
        mu2 = torch.sigmoid(mu1 @ W2 + b2)
        for _ in range(sweeps):
            mu1 = torch.sigmoid(drive + mu2 @ W2.t())
            mu2 = torch.sigmoid(mu1 @ W2 + b2)
        h = torch.bernoulli(torch.sigmoid(x @ W1 + b1 + g @ W2.t()))
        x, g = torch.sigmoid(h @ W1.t() + b0), torch.sigmoid(h @ W2 + b2)
        a, b = RATE / len(v), RATE / len(x)
        W1.add_(v.t() @ mu1 * a - x.t() @ h * b)
        W2.add_(mu1.t() @ mu2 * a - h.t() @ g * b)
        b0.add_(v.sum(0) * a - x.sum(0) * b)
        b1.add_(mu1.sum(0) * a - h.sum(0) * b)
        b2.add_(mu2.sum(0) * a - g.sum(0) * b)
        return torch.bernoulli(x), torch.bernoulli(g)

    step = torch.compile(step) if compiled else step

    def run() -> None:
        with torch.no_grad():
            x, g = chains[0], chains[2]
            for i in range(steps):
                start = i * BATCH % (len(data) - BATCH + 1)
                x, g = step(data[start : start + BATCH], x, g)
            chains[0], chains[2] = x, g
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sweeps", type=int, default=10)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    args = parser.parse_args()
    backend, gpu = args.backend, args.backend == "cupy"
    host = np.random.default_rng(0).random((BATCH * args.steps, SIZES[0]), dtype=np.float32) < 0.3
    X = asarray(host.astype(np.float32), backend)
    work = (X, args.steps, args.sweeps)
    jobs = {"products": products(*work, backend), "minidgm": ours(*work, backend)}
    jobs["torch"] = torch_job(*work, "cuda" if gpu else "cpu")
    if gpu:
        jobs["torch.compile"] = torch_job(*work, "cuda", compiled=True)
    seconds = interleaved(jobs, args.rounds)
    rows = [
        {
            "job": f"variational SML, batch {BATCH}, {args.sweeps} mean-field sweeps",
            "library": name,
            "milliseconds a step": 1e3 * float(np.median(seconds[name])) / args.steps,
            "x products": ratio(seconds, name, "products"),
            "x minidgm": ratio(seconds, name, "minidgm"),
        }
        for name in jobs
    ]
    settings = {
        "shape": list(SIZES),
        "batch": BATCH,
        "chains": CHAINS,
        "dtype": "float32",
        "steps": args.steps,
        "rounds": args.rounds,
        "OPENBLAS_THREAD_TIMEOUT": os.environ["OPENBLAS_THREAD_TIMEOUT"],
    }
    write(f"dbm-speed-{'gpu' if gpu else 'cpu'}", rows, settings, backend)


if __name__ == "__main__":
    main()
