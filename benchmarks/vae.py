"""Speed of VAE training beside the matrix products alone and PyTorch, in one run.

    python benchmarks/vae.py [--rows 10000] [--rounds 5] [--backend numpy|cupy]

Every job does the same work on the same rows: an epoch of Adam on the bound of a VAE 784-400-20-400-784 with
tanh, in float32. ``products`` is the floor: the eleven matrix products of a step and nothing else. Ratios are
medians over interleaved rounds.
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

from minidgm import VAE, optim, training
from minidgm.backend import asarray, namespace, synchronize
from minidgm.latent import nets

N_VISIBLE, N_HIDDEN, N_LATENT, RATE = 784, 400, 20, 1e-3


def products(X: Any, batch: int, backend: str) -> Callable[[], None]:
    """Four layers forward, and backward all gradients but that of the data, into buffers."""
    xp = namespace(backend)
    sizes = [(N_VISIBLE, N_HIDDEN), (N_HIDDEN, 2 * N_LATENT), (N_LATENT, N_HIDDEN), (N_HIDDEN, N_VISIBLE)]
    weights = [asarray(np.random.default_rng(0).normal(size=s), backend, "float32") for s in sizes]
    inputs = [xp.ones((batch, n), dtype="float32") for n, _ in sizes]
    outputs = [xp.ones((batch, m), dtype="float32") for _, m in sizes]
    grads, backward = [xp.zeros_like(W) for W in weights], [xp.zeros_like(x) for x in inputs]

    def run() -> None:
        for start in range(0, len(X), batch):
            n = len(X[start : start + batch])
            for x, W, y in zip(inputs, weights, outputs, strict=True):
                xp.matmul(x[:n], W, out=y[:n])
            for i, (x, W, y, G) in enumerate(zip(inputs, weights, outputs, grads, strict=True)):
                xp.matmul(x[:n].T, y[:n], out=G)
                if i:
                    xp.matmul(y[:n], W.T, out=backward[i][:n])
        synchronize(backend)

    return run


def ours(X: Any, batch: int, backend: str) -> Callable[[], None]:
    encoder, decoder = nets.dense(N_VISIBLE, N_LATENT, [N_HIDDEN])
    model = VAE(encoder, decoder, N_LATENT, seed=0, backend=backend)

    def run() -> None:
        training.fit(model, X, optimizer=optim.Adam(RATE), epochs=1, batch_size=batch)
        synchronize(backend)

    return run


def torch_job(X: Any, batch: int, device: str, compiled: bool = False) -> Callable[[], None]:
    """The usual PyTorch VAE, by autograd, with fused Adam."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    data = torch.as_tensor(X if device == "cpu" else np.asarray(X.get()), device=device)
    encoder = nn.Sequential(nn.Linear(N_VISIBLE, N_HIDDEN), nn.Tanh(), nn.Linear(N_HIDDEN, 2 * N_LATENT))
    decoder = nn.Sequential(nn.Linear(N_LATENT, N_HIDDEN), nn.Tanh(), nn.Linear(N_HIDDEN, N_VISIBLE))
    encoder, decoder = encoder.to(device), decoder.to(device)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    adam = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def loss(x: Any) -> Any:
        mean, log_variance = encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        miss = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
        kl = 0.5 * (mean * mean + log_variance.exp() - 1.0 - log_variance).sum()
        return (miss + kl) / len(x)

    return torch_epoch(data, batch, torch.compile(loss) if compiled else loss, adam)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--dry", action="store_true", help="print and write nothing")
    args = parser.parse_args()
    backend, gpu = args.backend, args.backend == "cupy"
    host = (np.random.default_rng(0).random((args.rows, N_VISIBLE)) < 0.3).astype(np.float32)
    X = asarray(host, backend)
    rows: list[dict[str, Any]] = []
    for batch in (100, 1000):
        floor, mine = products(X, batch, backend), ours(X, batch, backend)
        theirs = partial(torch_job, X, batch)
        rows += contest(f"an epoch of Adam, batch {batch}", floor, mine, theirs, gpu, args.rounds)
    settings = {
        "rows": args.rows,
        "shape": [N_VISIBLE, N_HIDDEN, N_LATENT],
        "dtype": "float32",
        "rounds": args.rounds,
        "OPENBLAS_THREAD_TIMEOUT": os.environ["OPENBLAS_THREAD_TIMEOUT"],
    }
    if not args.dry:
        write(f"vae-speed-{'gpu' if gpu else 'cpu'}", rows, settings, backend)


if __name__ == "__main__":
    main()
