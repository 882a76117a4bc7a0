"""Speed and memory of CD-1 of a convolutional RBM beside PyTorch's convolutions, in one run.

    python benchmarks/conv_rbm.py [--rows 2000] [--rounds 5] [--threads 1 2] [--backend numpy|cupy]

28 x 28 images, probabilistic max pooling over 2 x 2, batch 100, float32. Every job does the same: detectors
of the data, a draw of them, a draw of the image, detectors of that, gradients of both, an SGD step. PyTorch
can paint the image in two ways: ``torch, transposed`` calls conv_transpose2d, ``torch, padded`` pads the
detectors and correlates with the flipped filters; the ratio that counts is to the faster. ``products`` is the
floor: this library's five matrix products of a step and nothing else. Each number of threads has a process of
its own. Ratios are medians over interleaved rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from common import interleaved, ratio, write

from minidgm import ConvolutionalRBM, Generator, optim
from minidgm.backend import asarray, namespace, synchronize
from minidgm.boltzmann.convolution import VALUES
from minidgm.objectives import ContrastiveDivergence

SIZES = ((24, 9), (24, 11))
POOL, BATCH, RATE = 2, 100, 0.001


def ours(X: Any, filters: int, size: int, backend: str) -> Callable[[], None]:
    model = ConvolutionalRBM(filters, size, POOL, seed=0, backend=backend)
    objective, sgd, rng = ContrastiveDivergence(1), optim.SGD(RATE), Generator(0, backend)
    sgd.init(model.params)

    def run() -> None:
        for start in range(0, len(X), BATCH):
            grads, _ = objective.gradient(model, X[start : start + BATCH], rng)
            sgd.step(model.params, grads)
        synchronize(backend)

    return run


def products(X: Any, filters: int, size: int, backend: str) -> Callable[[], None]:
    """Windows by weights, weights by detectors, windows by detectors twice, for one batch of windows."""
    xp, maps = namespace(backend), ConvolutionalRBM(filters, size, POOL, backend="numpy").maps
    windows = xp.ones((BATCH * maps.P * maps.Q, maps.pixels), dtype="float32")
    h = xp.ones((BATCH * maps.P * maps.Q, filters * maps.K), dtype="float32")
    T = xp.ones((maps.pixels, filters * maps.K), dtype="float32")
    painted = xp.empty(windows.T.shape, dtype="float32")

    def run() -> None:
        for _ in range(0, len(X), BATCH):
            xp.matmul(windows, T, out=h)
            xp.matmul(T, h.T, out=painted)
            xp.matmul(windows, T, out=h)
            xp.matmul(windows.T, h)
            xp.matmul(windows.T, h)
        synchronize(backend)

    return run


def torch_job(X: Any, filters: int, size: int, device: str, padded: bool) -> Callable[[], None]:
    """The same CD-1 with conv2d; the gradient is the correlation of images with detectors."""
    import torch
    from torch.nn import functional as F

    data = torch.as_tensor(X if device == "cpu" else np.asarray(X.get()), device=device)
    data = data.reshape(-1, 1, 28, 28)
    W = 0.01 * torch.randn(filters, 1, size, size, device=device)
    b, c = torch.zeros(1, device=device), torch.zeros(filters, device=device)

    def hidden(v: Any) -> tuple[Any, Any]:
        """Probabilities of the detectors, and of no detector of their block."""
        x = F.conv2d(v, W, c)
        top = F.max_pool2d(x, POOL).clamp_(min=0.0)
        e = torch.exp(x - F.interpolate(top, scale_factor=POOL))
        total = F.avg_pool2d(e, POOL, divisor_override=1) + torch.exp(-top)
        return e / F.interpolate(total, scale_factor=POOL), total

    def draw(p: Any) -> Any:
        """One detector of a block or none, by one uniform number a block and cumulated probabilities."""
        n, k, rows, columns = p.shape
        blocks = p.reshape(n, k, rows // POOL, POOL, columns // POOL, POOL).transpose(3, 4)
        cumulated = blocks.reshape(n, k, rows // POOL, columns // POOL, POOL * POOL).cumsum(-1)
        below = torch.rand(cumulated.shape[:-1] + (1,), device=device) < cumulated
        h = below.to(p.dtype)
        h[..., 1:] -= below[..., :-1].to(p.dtype)
        return h.reshape(blocks.shape).transpose(3, 4).reshape(p.shape)

    def paint(h: Any) -> Any:
        if padded:
            return F.conv2d(h, W.flip(2, 3).transpose(0, 1), b, padding=size - 1)
        return F.conv_transpose2d(h, W, b)

    def gradient(v: Any, h: Any) -> Any:
        return F.conv2d(v.transpose(0, 1), h.transpose(0, 1)).transpose(0, 1)

    def run() -> None:
        with torch.no_grad():
            for start in range(0, len(data), BATCH):
                v = data[start : start + BATCH]
                h, _ = hidden(v)
                v1 = torch.bernoulli(torch.sigmoid(paint(draw(h))))
                h1, _ = hidden(v1)
                W.add_(gradient(v, h) - gradient(v1, h1), alpha=RATE / len(v))
                b.add_((v - v1).sum(), alpha=RATE / len(v))
                c.add_((h - h1).sum((0, 2, 3)), alpha=RATE / len(v))
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def peak_mb(X: Any, filters: int, size: int) -> tuple[float, float, float]:
    """Traced peak of a step above what lives between steps, that, and all patches of a batch, in MB."""
    job = ours(X[:BATCH], filters, size, "numpy")
    tracemalloc.start()
    job()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    job()
    peak = tracemalloc.get_traced_memory()[1] - kept
    tracemalloc.stop()
    places = (29 - size) ** 2
    return peak / 2**20, kept / 2**20, 4 * BATCH * places * size * size / 2**20


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    import torch

    backend, device = args.backend, "cuda" if args.backend == "cupy" else "cpu"
    torch.set_num_threads(args.threads[0])
    host = (np.random.default_rng(0).random((args.rows, 784), dtype=np.float32) < 0.2).astype(np.float32)
    X = asarray(host, backend)
    rows = []
    for filters, size in SIZES:
        jobs = {
            "products": products(X, filters, size, backend),
            "minidgm": ours(X, filters, size, backend),
            "torch, transposed": torch_job(X, filters, size, device, padded=False),
            "torch, padded": torch_job(X, filters, size, device, padded=True),
        }
        seconds = interleaved(jobs, args.rounds)
        peer = min(("torch, transposed", "torch, padded"), key=lambda name: np.median(seconds[name]))
        peak, kept, patches = peak_mb(host, filters, size)
        memory = {"peak MB a step": peak, "MB kept": kept, "MB of all patches": patches}
        for name in jobs:
            rows.append(
                {
                    "job": f"CD-1, {filters} filters of {size} x {size}",
                    "threads": args.threads[0] if device == "cpu" else "device",
                    "library": name,
                    "ms a step": 1e3 * float(np.median(seconds[name])) / (args.rows / BATCH),
                    "x products": ratio(seconds, name, "products"),
                    "x faster torch": ratio(seconds, name, peer),
                    **({key: round(value, 2) for key, value in memory.items()} if name == "minidgm" else {}),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args)))
        return
    rows = []
    for threads in args.threads if args.backend == "numpy" else [1]:
        command = [sys.executable, __file__, "--child", "--threads", str(threads), "--backend", args.backend]
        command += ["--rows", str(args.rows), "--rounds", str(args.rounds)]
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        rows += json.loads(found.stdout.splitlines()[-1])
    settings = {
        "images": [28, 28],
        "pool": POOL,
        "batch": BATCH,
        "rows": args.rows,
        "rounds": args.rounds,
        "dtype": "float32",
        "numbers in a chunk of windows": VALUES,
    }
    write(f"conv-rbm-speed-{'gpu' if args.backend == 'cupy' else 'cpu'}", rows, settings, args.backend)


if __name__ == "__main__":
    main()
