"""Speed of reweighted wake-sleep in a sigmoid belief net beside its matrix products and PyTorch, in one run.

    python benchmarks/sbn.py [--rows 5000] [--rounds 5] [--k 10] [--backend numpy|cupy]

Every job does the same work on the same rows: an epoch of Adam for 784-200 in float32 with k draws a row, the
wake and the sleep phase for q. ``products`` is the floor: the matrix products of a step and nothing else.
Ratios are medians over interleaved rounds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")

import numpy as np
from common import contest, torch_epoch, write

from minidgm import SigmoidBeliefNet, optim, training
from minidgm.backend import asarray, namespace, synchronize
from minidgm.objectives import ReweightedWakeSleep

N_VISIBLE, N_HIDDEN, BATCH, RATE = 784, 200, 100, 1e-3


def products(X: Any, k: int, backend: str) -> Callable[[], None]:
    """Up, down for k draws, the two gradients of each direction, and the dreams'."""
    xp = namespace(backend)
    W = asarray(np.random.default_rng(0).normal(size=(N_VISIBLE, N_HIDDEN)), backend, "float32")
    G = xp.zeros_like(W)
    h = xp.ones((k * BATCH, N_HIDDEN), dtype="float32")
    a = xp.ones((k * BATCH, N_VISIBLE), dtype="float32")

    def run() -> None:
        for start in range(0, len(X), BATCH):
            x = X[start : start + BATCH]
            n = len(x)
            xp.matmul(x, W, out=h[:n])
            xp.matmul(h[: k * n], W.T, out=a[: k * n])
            xp.matmul(a[: k * n].T, h[: k * n], out=G)
            xp.matmul(x.T, h[:n], out=G)
            xp.matmul(x.T, h[:n], out=G)
            xp.matmul(h[:n], W.T, out=a[:n])
            xp.matmul(x, W, out=h[:n])
            xp.matmul(a[:n].T, h[:n], out=G)
        synchronize(backend)

    return run


def ours(X: Any, k: int, backend: str) -> Callable[[], None]:
    model = SigmoidBeliefNet([N_VISIBLE, N_HIDDEN], seed=0, backend=backend)
    objective = ReweightedWakeSleep(k)

    def run() -> None:
        training.fit(model, X, objective=objective, optimizer=optim.Adam(RATE), epochs=1, batch_size=BATCH)
        synchronize(backend)

    return run


def torch_job(X: Any, k: int, device: str, compiled: bool = False) -> Callable[[], None]:
    """Reweighted wake-sleep as one writes it in PyTorch: two losses by autograd, fused Adam."""
    import torch
    from torch.nn import functional as F

    data = torch.as_tensor(X if device == "cpu" else np.asarray(X.get()), device=device)
    make = torch.Generator().manual_seed(0)
    p = {
        "W": 0.05 * torch.randn(N_VISIBLE, N_HIDDEN, generator=make),
        "R": 0.05 * torch.randn(N_VISIBLE, N_HIDDEN, generator=make),
        "b0": torch.zeros(N_VISIBLE),
        "b1": torch.zeros(N_HIDDEN),
        "r1": torch.zeros(N_HIDDEN),
    }
    p = {name: value.to(device).requires_grad_() for name, value in p.items()}
    adam = torch.optim.Adam(list(p.values()), lr=RATE, fused=True)

    def bits(x: Any, logits: Any) -> Any:
        return -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)

    def loss(x: Any) -> Any:
        field = x @ p["R"] + p["r1"]  # [n, n_1]
        with torch.no_grad():
            h = torch.bernoulli(torch.sigmoid(field).expand(k, *field.shape))
        log_q = bits(h, field.expand_as(h))
        log_p = bits(h, p["b1"].expand_as(h)) + bits(x, h @ p["W"].T + p["b0"])
        share = torch.softmax((log_p - log_q).detach(), dim=0)
        with torch.no_grad():
            top = torch.bernoulli(torch.sigmoid(p["b1"]).expand(len(x), -1))
            dream = torch.bernoulli(torch.sigmoid(top @ p["W"].T + p["b0"]))
        sleep = bits(top, dream @ p["R"] + p["r1"])
        return -(share * (log_p + 0.5 * log_q)).sum(0).mean() - 0.5 * sleep.mean()

    return torch_epoch(data, BATCH, torch.compile(loss) if compiled else loss, adam)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--dry", action="store_true", help="print and write nothing")
    args = parser.parse_args()
    backend, gpu = args.backend, args.backend == "cupy"
    host = (np.random.default_rng(0).random((args.rows, N_VISIBLE)) < 0.3).astype(np.float32)
    X = asarray(host, backend)
    name = f"an epoch of reweighted wake-sleep, k = {args.k}, batch {BATCH}"
    floor, mine = products(X, args.k, backend), ours(X, args.k, backend)
    rows = contest(name, floor, mine, partial(torch_job, X, args.k), gpu, args.rounds)
    settings = {
        "rows": args.rows,
        "shape": [N_VISIBLE, N_HIDDEN],
        "k": args.k,
        "dtype": "float32",
        "rounds": args.rounds,
        "OPENBLAS_THREAD_TIMEOUT": os.environ["OPENBLAS_THREAD_TIMEOUT"],
    }
    if not args.dry:
        write(f"sbn-speed-{'gpu' if gpu else 'cpu'}", rows, settings, backend)


if __name__ == "__main__":
    main()
