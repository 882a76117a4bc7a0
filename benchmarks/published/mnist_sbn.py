"""Sigmoid belief nets on binarized MNIST by wake-sleep, NVIL and reweighted wake-sleep, on equal footing.

    python benchmarks/published/mnist_sbn.py [rates] [--only NVIL] [--sizes 200] [--full] [--backend cupy]

Bornschein and Bengio (2015) report for 784-200, on another draw of the bits, after hundreds of epochs and
with 100,000 samples a row: wake-sleep -116.3, NVIL -113.1, reweighted wake-sleep -103.1. NVIL's figure is
taken from Mnih and Gregor (2014), who give variational bounds; the two others weigh samples. So both kinds
stand in the table.

All objectives take five draws a row, the same epochs, batches and start, and Adam with a rate that falls to 0
in a straight line. With ``rates``, rates are first tried by runs of 4 epochs; without it, the kept trials are
looked up. The best by 1,000 validation images is used. The test images are looked at once, at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any

from common import RESULTS, write

from minidgm import SigmoidBeliefNet, datasets, objectives, optim, plotting
from minidgm.numerics import logsumexp

TEACHERS = {
    "wake-sleep": lambda: objectives.WakeSleep(5),
    "NVIL": lambda: objectives.Reinforce("input", 5),
    "leave-one-out": lambda: objectives.Reinforce("leave_one_out", 5),
    "VIMCO": lambda: objectives.Vimco(5),
    "reweighted wake-sleep": lambda: objectives.ReweightedWakeSleep(5),
}
MAIN = ("wake-sleep", "NVIL", "reweighted wake-sleep")
PUBLISHED = {("wake-sleep", "784-200"): -116.3, ("NVIL", "784-200"): "-113.1 (bound)"}
PUBLISHED |= {("reweighted wake-sleep", "784-200"): -103.1}
RATES, TRIAL, POINTS, NAME = (1e-2, 3e-3, 1e-3), 4, 10, "mnist-sbn"


def measure(net: Any, x: Any, n_samples: int, seed: int = 0) -> dict[int, tuple[float, float]]:
    """Mean of the log of k averaged weights, and its standard error, for k = 1, 100, 500, ... ``n_samples``.

    Groups of k among all samples are averaged. k = 1 is the variational bound. The error is over rows.
    """
    rng, rows = net.generator(seed), []
    sizes = [k for k in (1, 100, 500) if k < n_samples] + [n_samples]
    for start in range(0, len(x), 500):
        log_w = net.log_weights(net.check_data(x[start : start + 500]), rng, n_samples)
        rows.append([_grouped(log_w, k) for k in sizes])
    found = {}
    for i, k in enumerate(sizes):
        values = net.xp.concatenate([row[i] for row in rows])
        found[k] = (float(values.mean()), float(values.std()) / len(values) ** 0.5)
    return found


def _grouped(log_w: Any, k: int) -> Any:
    groups = log_w.shape[0] // k
    parts = log_w[: groups * k].reshape(groups, k, log_w.shape[1])
    return (logsumexp(parts, axis=1) - math.log(k)).mean(axis=0)


def train(
    name: str, rate: float, epochs: int, data: Any, args: argparse.Namespace
) -> tuple[Any, list[dict[str, Any]]]:
    """Train a net from the same start; its validation figures on the way."""
    net = SigmoidBeliefNet([784, *args.sizes], seed=args.seed, backend=args.backend).initialize(data.train)
    curve, every = [], max(1, epochs // POINTS)

    def look(training: Any) -> None:
        done = training.epoch
        if done % every and done != epochs:
            return
        found = measure(net, data.validation[:1000], 100)
        curve.append({"epoch": done, "bound": found[1][0], "100 samples": found[100][0]})
        print(f"{name}, rate {rate}, {curve[-1]}", flush=True)

    adam = optim.Adam(optim.Linear(rate, 0.0))
    options = {"epochs": epochs, "batch_size": args.batch_size, "seed": args.seed}
    net.fit(data.train, objective=TEACHERS[name](), optimizer=adam, callbacks=[look], **options)
    return net, curve


def keep(name: str, new: list[dict[str, Any]], keys: tuple[str, ...], args: argparse.Namespace) -> list[Any]:
    """Write rows beside those kept before, in place of those that agree in ``keys``."""
    path = RESULTS / f"{name}.json"
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    made = {tuple(row[key] for key in keys) for row in new}
    rows = [row for row in old if tuple(row[key] for key in keys) not in made] + new
    order = list(TEACHERS)
    rows.sort(key=lambda row: (row["net"].count("-"), row["net"], order.index(row["objective"])))
    settings = {"optimizer": "Adam, rate to 0 in a line", "draws a row": 5, "seed": args.seed}
    if not args.dry:
        write(name, rows, settings, args.backend)
    return rows


def rates(name: str, data: Any, args: argparse.Namespace) -> None:
    """Short runs of one objective, a rate each."""
    for rate in args.rates:
        _, curve = train(name, rate, TRIAL, data, args)
        row = {"net": args.net, "objective": name, "rate": rate, "epochs": TRIAL, "batch": args.batch_size}
        row["validation, 100 samples"] = curve[-1]["100 samples"]
        keep(f"{NAME}-rates", [row], ("net", "objective", "rate", "batch"), args)


def best_rate(name: str) -> float:
    """The rate that short runs chose."""
    path = RESULTS / f"{NAME}-rates.json"
    tried = json.loads(path.read_text())["rows"] if path.exists() else []
    mine = [row for row in tried if row["objective"] == name]
    if not mine:
        raise SystemExit(f"no rate was tried for {name}: run with 'rates' first, or pass --rate")
    return float(max(mine, key=lambda row: row["validation, 100 samples"])["rate"])


def final(name: str, data: Any, args: argparse.Namespace) -> None:
    """Train with the chosen rate, and look at the test images."""
    rate, start = args.rate or best_rate(name), time.perf_counter()
    net, curve = train(name, rate, args.epochs, data, args)
    seconds = time.perf_counter() - start
    wide = measure(net, data.test[: args.rows], args.samples)
    deep = measure(net, data.test[:1000], 5000 if args.rows >= 1000 else args.samples)
    row: dict[str, Any] = {"net": args.net, "objective": name, "rate": rate}
    for k, (value, _) in wide.items():
        row["test bound" if k == 1 else f"test, {k} samples"] = value
    row |= {"+- (rows)": wide[args.samples][1], "test rows": args.rows}
    for k, (value, _) in deep.items():
        if k > 1:
            row[f"first 1,000, {k}"] = value
    row |= {"published": PUBLISHED.get((name, args.net)), "epochs": args.epochs, "batch": args.batch_size}
    row |= {"training rows": len(data.train), "seconds": round(seconds)}
    keep(NAME, [row], ("net", "objective"), args)
    points = [{"net": args.net, "objective": name, **point} for point in curve]
    picture(keep(f"{NAME}-curves", points, ("net", "objective"), args), args)


def picture(points: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Validation figures over epochs, of the objectives that went as far as this one."""
    ours = [p for p in points if p["net"] == args.net]
    names = [name for name in TEACHERS if any(p["objective"] == name for p in ours)]
    epochs = [p["epoch"] for p in ours if p["objective"] == names[-1]]
    curves = {}
    for name in names:
        found = [p["100 samples"] for p in ours if p["objective"] == name]
        if [p["epoch"] for p in ours if p["objective"] == name] == epochs:
            curves[name] = found
    label = "validation, 100 samples (nats)"
    if not args.dry:
        plotting.series(epochs, curves, "epoch", label).savefig(RESULTS / f"{NAME}-{args.net}.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", nargs="?", choices=("rates",), help="try rates first")
    parser.add_argument("--only", nargs="+", choices=tuple(TEACHERS), default=MAIN)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200], help="hidden layers, upward")
    parser.add_argument("--rate", type=float, help="instead of the chosen one")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--rows", type=int, default=10_000, help="test rows")
    parser.add_argument("--samples", type=int, default=200, help="importance samples of all test rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="500 epochs in batches of 25")
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--dry", action="store_true", help="print and write nothing")
    args = parser.parse_args()
    if args.full:
        args.epochs, args.batch_size = 500, 25
    args.net = "-".join(str(size) for size in (784, *args.sizes))
    data = datasets.mnist(binarize="fixed", validation=1000)
    for name in args.only:
        if args.first:
            rates(name, data, args)
        final(name, data, args)


if __name__ == "__main__":
    main()
