"""MNIST, dynamic binarization, one and two layers of codes: test log-likelihood by 5,000 importance samples.

    python benchmarks/published/mnist_vae.py [--layers 1 2] [--k 1 50] [--epochs 60] [--full]

One layer is a VAE 784-200-200-50, two are 784-200-200-100 and 100-100-100-50, tanh throughout. ``--full`` is
the published schedule: rates 0.001 x 10^(-i/7) for 3^i epochs, i = 0 ... 7, batches of 20, Adam's eps 1e-4
(Burda, Grosse and Salakhutdinov 2016, section 5 and table 1). The default is a rate that falls linearly over
fewer epochs; rate and batch were chosen by ten epochs of one layer with k = 1. The last biases start
at the log-odds of the pixels' means, for all alike, so that the first epochs go into what differs.

``--layers`` and ``--k`` run a part; lines of other parts with the same settings are kept.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from common import RESULTS, write
from scipy.special import logit

from minidgm import VAE, HierarchicalVAE, datasets, evaluation, objectives, optim, training
from minidgm.backend import asarray
from minidgm.latent import nets
from minidgm.objectives.reparameterization import active_units

N_LATENT, HIDDEN = 50, [200, 200]
N_CODES, BETWEEN = (100, 50), [(200, 200), (100, 100)]
PUBLISHED = {(1, 1): -86.76, (1, 5): -85.54, (1, 50): -84.78, (2, 1): -85.33, (2, 5): -83.89, (2, 50): -82.90}


def make(layers: int, args: argparse.Namespace, X: Any) -> VAE:
    """The model, its last biases at the log-odds of the pixels' means."""
    options = {"seed": args.seed, "backend": args.backend}
    if layers == 1:
        model = VAE(*nets.dense(784, N_LATENT, HIDDEN), N_LATENT, **options)
    else:
        model = HierarchicalVAE(*nets.layered(784, N_CODES, BETWEEN), N_CODES, **options)
    blocks = [np.asarray(X[i : i + 1000]).mean(axis=0) for i in range(0, 60_000, 6000)]
    start = logit(np.clip(np.mean(blocks, axis=0), 0.002, 0.998))
    lowest = "decoder/" if layers == 1 else "decoder/1/"
    last = [name for name in model.params if name.startswith(lowest) and name.endswith("/b")][-1]
    model.params[last][...] = asarray(start, model.backend, model.dtype)
    return model


def fit(model: VAE, data: Any, objective: Any, args: argparse.Namespace) -> None:
    stages = [(args.rate, args.epochs, args.batch_size)]
    if args.full:
        stages = [(1e-3 * 10 ** (-i / 7), 3**i, 20) for i in range(8)]
    for i, (rate, epochs, batch_size) in enumerate(stages):
        schedule = rate if args.full else optim.Linear(rate, 0.05 * rate)
        adam = optim.Adam(schedule, eps=1e-4 if args.full else 1e-8)
        options = {"epochs": epochs, "batch_size": batch_size, "seed": args.seed + i}
        training.fit(model, data.train, objective, adam, **options, progress=args.progress)


def measure(layers: int, k: int, data: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Train, and take the test figures."""
    test = asarray(np.asarray(data.test[: args.rows]), args.backend, "float32")
    model = make(layers, args, data.train)
    many = objectives.ImportanceWeighted(k, args.doubly)
    start = time.perf_counter()
    fit(model, data, objectives.Reparameterization() if k == 1 else many, args)
    seconds = time.perf_counter() - start
    if args.keep:
        model.save(f"{args.keep}-{layers}-{k}.safetensors")
    found = evaluation.importance_weighted(model, test, rng=args.seed, n_samples=args.samples)
    bound = evaluation.lower_bound(model, test, rng=args.seed, n_samples=10)
    means = model.transform(test)
    parts = model.split(means) if isinstance(model, HierarchicalVAE) else [means]
    row = {
        "layers": layers,
        "k": k,
        "log-likelihood": found.value,
        "stderr": found.stderr,
        "kind": found.kind,
        "published": PUBLISHED.get((layers, k)),
        "samples": args.samples,
        "test rows": int(test.shape[0]),
        "bound": bound.value,
        "active units": " + ".join(str(int(active_units(part))) for part in parts),
        "seconds": seconds,
    }
    print(row, flush=True)
    return row


def kept(name: str, settings: dict[str, Any], measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of an earlier run of the same settings for other layers or k."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return []
    record = json.loads(path.read_text())
    if record["settings"] != json.loads(json.dumps(settings)):
        return []
    done = {(row["layers"], row["k"]) for row in measured}
    return [row for row in record["rows"] if (row["layers"], row["k"]) not in done]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2], choices=(1, 2), help="of codes")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 50], help="samples of the bounds to train")
    parser.add_argument("--doubly", action="store_true", help="the doubly reparameterized gradient for k > 1")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--rows", type=int, default=None, help="test rows to measure; all by default")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="the published schedule")
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--keep", metavar="PREFIX", help="write the models to PREFIX-LAYERS-K.safetensors")
    parser.add_argument("--name", default="mnist-vae")
    args = parser.parse_args()
    data = datasets.mnist(binarize="dynamic", validation=0)
    rows = [measure(layers, k, data, args) for layers in args.layers for k in args.k]
    schedule = f"{args.epochs} epochs, linear from {args.rate} to {0.05 * args.rate:.1g}"
    settings = {
        "one layer": [784, *HIDDEN, N_LATENT],
        "two layers": [[784, *BETWEEN[0], N_CODES[0]], [N_CODES[0], *BETWEEN[1], N_CODES[1]]],
        "schedule": "published" if args.full else schedule,
        "batch": 20 if args.full else args.batch_size,
        "start": "last biases at the log-odds of the pixels' means, else Glorot",
        "doubly reparameterized": args.doubly,
        "seed": args.seed,
    }
    rows = sorted(rows + kept(args.name, settings, rows), key=lambda row: (row["layers"], row["k"]))
    write(args.name, rows, settings, args.backend)


if __name__ == "__main__":
    main()
