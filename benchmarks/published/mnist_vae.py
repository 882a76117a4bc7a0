"""MNIST, dynamic binarization, VAE 784-200-200-50 with tanh: test log-likelihood by 5,000 importance samples.

    python benchmarks/published/mnist_vae.py [--k 1 50] [--epochs 40] [--backend numpy|cupy] [--full]

Published (Burda, Grosse and Salakhutdinov 2016, table 1, one stochastic layer): -86.76 nats for the bound of
one sample, -84.78 for that of 50. ``--full`` is their schedule: rates 0.001 x 10^(-i/7) for 3^i epochs,
i = 0 ... 7, batches of 20, Adam's eps 1e-4. The default is a rate that falls linearly over fewer epochs,
batches of 100.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from common import write

from minidgm import VAE, datasets, evaluation, objectives, optim, training
from minidgm.backend import asarray
from minidgm.latent import nets

N_LATENT, HIDDEN = 50, [200, 200]


def fit(model: VAE, data: Any, objective: Any, args: argparse.Namespace) -> None:
    stages = [(args.rate, args.epochs, args.batch_size)]
    if args.full:
        stages = [(1e-3 * 10 ** (-i / 7), 3**i, 20) for i in range(8)]
    for i, (rate, epochs, batch_size) in enumerate(stages):
        schedule = rate if args.full else optim.Linear(rate, 0.1 * rate)
        adam = optim.Adam(schedule, eps=1e-4 if args.full else 1e-8)
        options = {"epochs": epochs, "batch_size": batch_size, "seed": args.seed + i}
        training.fit(model, data.train, objective, adam, **options, progress=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--k", type=int, nargs="+", default=[1, 50], help="samples of the bounds to train")
    parser.add_argument("--doubly", action="store_true", help="the doubly reparameterized gradient for k > 1")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--rows", type=int, default=None, help="test rows to measure; all by default")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="the published schedule")
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--name", default="mnist-vae")
    args = parser.parse_args()
    data = datasets.mnist(binarize="dynamic", validation=0)
    test = asarray(np.asarray(data.test[: args.rows]), args.backend, "float32")
    rows = []
    for k in args.k:
        encoder, decoder = nets.dense(784, N_LATENT, HIDDEN)
        model = VAE(encoder, decoder, N_LATENT, seed=args.seed, backend=args.backend)
        many = objectives.ImportanceWeighted(k, args.doubly)
        start = time.perf_counter()
        fit(model, data, objectives.Reparameterization() if k == 1 else many, args)
        seconds = time.perf_counter() - start
        found = evaluation.importance_weighted(model, test, rng=args.seed, n_samples=args.samples)
        bound = evaluation.lower_bound(model, test, rng=args.seed, n_samples=10)
        active = objectives.reparameterization.active_units(model.recognition(test).mean)
        rows.append(
            {
                "k": k,
                "log-likelihood": found.value,
                "stderr": found.stderr,
                "kind": found.kind,
                "samples": args.samples,
                "test rows": int(test.shape[0]),
                "bound": bound.value,
                "active units": int(active),
                "seconds": seconds,
            }
        )
        print(rows[-1], flush=True)
    settings = {
        "shape": [784, *HIDDEN, N_LATENT],
        "schedule": "published" if args.full else f"{args.epochs} epochs, linear from {args.rate}",
        "batch": 20 if args.full else args.batch_size,
        "doubly reparameterized": args.doubly,
        "seed": args.seed,
    }
    write(args.name, rows, settings, args.backend)


if __name__ == "__main__":
    main()
