"""MNIST, fixed binarization, DBM 784-500-1000: mean-field bound with log Z by AIS, and its curve over epochs.

    python benchmarks/published/mnist_dbm.py [--epochs 30] [--minutes 8 --folder run] [--pretrain 0]

Published: bound -84.62 nats (784-500-1000, pretrained, variational learning; the test set's mean).
Centred joint training from small random weights by default; ``--pretrain N`` starts from N epochs of doubled
RBMs a layer. A run given ``--minutes`` stops after these and goes on where it was when called again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from common import RESULTS, write

from minidgm import DBM, Generator, datasets, evaluation, objectives, optim, plotting, training
from minidgm.backend import asarray


def bound(model: Any, train: Any, test: Any, betas: int, chains: int, seed: int) -> dict[str, Any]:
    """Mean bound of the test rows (and of as many training rows), with log Z by AIS and by reverse AIS."""
    base = evaluation.base_rate(model, train[: len(test)])
    found: dict[str, Any] = {}
    for name, estimator in (("", evaluation.ais), ("reverse ", evaluation.reverse_ais)):
        rng = Generator(seed, model.backend)
        log_z = estimator(model, n_chains=chains, n_temperatures=betas, base=base, rng=rng)
        found |= {f"{name}log Z": round(log_z.value, 3), f"{name}stderr": round(log_z.stderr, 3)}
        found[f"{name}test bound (nats)"] = round(evaluation.log_likelihood(model, test, log_z).value, 3)
        if not name:
            same = train[: len(test)]
            found["train bound (nats)"] = round(evaluation.log_likelihood(model, same, log_z).value, 3)
            found["ESS"] = round(log_z.ess, 1)
    return found


def train_on(model: Any, X: Any, test: Any, args: argparse.Namespace, folder: Path) -> dict[str, Any] | None:
    """Train until the epochs or the minutes are over; the record of the curve, or None before the end.

    Every ``args.every`` epochs the bound of 1,000 test rows is measured by a short AIS.
    """
    path, began = folder / "curve.json", time.perf_counter()
    record = json.loads(path.read_text()) if path.exists() else {"seconds": 0.0, "rows": []}
    done = max((row["epoch"] for row in record["rows"]), default=0)
    steps = args.epochs * -(-len(X) // args.batch_size)
    while done < args.epochs:
        if time.perf_counter() - began > 60.0 * args.minutes:
            return None
        done = min(done + args.every, args.epochs)
        start = time.perf_counter()
        if args.pretrain and not record["rows"]:
            model.pretrain(X, epochs=args.pretrain, seed=args.seed)
        training.fit(
            model,
            X,
            objectives.VariationalSML(args.k, args.n_chains, args.mean_field),
            optim.SGD(optim.Linear(args.rate, steps=steps), args.momentum),
            epochs=done,
            batch_size=args.batch_size,
            seed=args.seed,
            checkpoint=training.Checkpoint(folder, every_epochs=args.every),
            resume=True,
        )
        record["seconds"] += time.perf_counter() - start
        log_z = evaluation.ais(model, 50, 1000, base=evaluation.base_rate(model, test[:1000]), rng=0)
        value = evaluation.log_likelihood(model, test[:1000], log_z).value
        row = {"epoch": done, "bound": round(value, 2), "stderr": round(log_z.stderr, 2)}
        record["rows"].append(row)
        path.write_text(json.dumps(record))
        print(row, f"{record['seconds']:.0f} s", flush=True)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[784, 500, 1000])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--k", type=int, default=1, help="Gibbs sweeps an update")
    parser.add_argument("--n-chains", type=int, default=100)
    parser.add_argument("--mean-field", type=int, default=5, help="sweeps an update")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--pretrain", type=int, default=0, help="epochs of each doubled RBM")
    parser.add_argument("--uncentered", action="store_true")
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--betas", type=int, default=5000)
    parser.add_argument("--chains", type=int, default=100)
    parser.add_argument("--every", type=int, default=3, help="epochs between points of the curve")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--folder", default="mnist-dbm-run", help="checkpoints, curve and model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--name", default="mnist-dbm")
    parser.add_argument("--no-evaluation", action="store_true")
    args = parser.parse_args()
    data = datasets.mnist(binarize="fixed", validation=0)
    train, test = (asarray(x, args.backend) for x in (data.train[: args.rows], data.test))
    folder = Path(args.folder)
    model = DBM(args.sizes, centered=not args.uncentered, backend=args.backend, seed=args.seed)
    model.initialize(train)
    record = train_on(model, train, test, args, folder)
    if record is None:
        return
    model.save(folder / "model.safetensors")
    if args.no_evaluation:
        return
    row = bound(model, train, test, args.betas, args.chains, args.seed)
    states = model.sample(100, args.seed, steps=1000, init=test[:100])
    picture = model.reconstruct(states)
    plotting.image_grid(picture, (28, 28)).savefig(RESULTS / f"{args.name}-samples.png")
    settings = {
        "data": "MNIST, fixed binarization, 60,000 train, 10,000 test",
        "model": f"DBM {'-'.join(map(str, args.sizes))}, {'uncentred' if args.uncentered else 'centred'}, "
        + (f"pretrained {args.pretrain} epochs a layer" if args.pretrain else "not pretrained"),
        "objective": f"VariationalSML, k = {args.k}, {args.n_chains} chains, "
        f"{args.mean_field} mean-field sweeps",
        "optimizer": f"SGD {args.rate} decaying linearly to 0, momentum {args.momentum}",
        "batch": args.batch_size,
        "epochs": args.epochs,
        "train seconds": round(record["seconds"], 1),
        "AIS": f"{args.chains} chains x {args.betas} betas, base rate from the training means",
        "bound by epoch (1,000 test rows, 50 chains x 1,000 betas)": record["rows"],
        "seed": args.seed,
    }
    write(args.name, [row], settings, args.backend)
    print("kept under", RESULTS)


if __name__ == "__main__":
    main()
