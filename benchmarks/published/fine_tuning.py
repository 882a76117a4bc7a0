"""Fine-tuned MNIST classifiers: weights learned without labels against random ones, by number of labels.

    python benchmarks/published/fine_tuning.py [--quick | --full] [--pretrained FILE] [--dbm FILE]

A deep belief network 784-500-500-500 learns the 60,000 training images greedily, without labels, by sparse
CD-1. Its recognition net, or that of its first layer alone (an RBM), is the start of a classifier that is
fine-tuned by back-propagation on 100, 1,000, 10,000 or all labels; the other starts are random weights of the
same two shapes.

**Settings** are chosen for every start alike: the learning rate of SGD out of four (then a third of the
lowest, for as long as the lowest is best) and the epoch out of a grid, by accuracy on 10,000 training images
that no start sees the labels of; with 60,000 labels, by training on 50,000 of them first. Labels are balanced
random subsets of the 50,000; figures for 100 and 1,000 labels are means over five subsets. Every accuracy in
the table is on the 10,000 test images, looked at once.

``--dbm FILE`` adds the net of a deep Boltzmann machine, such as ``mnist_dbm.py`` leaves: it reads the image
and the mean field of the second layer (`DBM.features`, `DBM.to_mlp`). ``--labels`` and ``--starts`` run a
part; the other lines are kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, write

from minidgm import DBM, DBN, SigmoidClassifier, datasets
from minidgm.objectives import ContrastiveDivergence, DiscriminativeLikelihood
from minidgm.optim import SGD, Linear
from minidgm.training import Callback

SIZES = (784, 500, 500, 500)
RATES = (0.03, 0.1, 0.3, 1.0)
LOWEST = 0.001
MOMENTUM = 0.9
# Number of labels: epochs, batch size, subsets to average over, epochs that are looked at.
RUNS = {
    100: (40, 20, 5, (5, 10, 20, 30, 40)),
    1_000: (24, 50, 5, (4, 8, 12, 18, 24)),
    10_000: (12, 100, 1, (2, 4, 6, 9, 12)),
    60_000: (8, 100, 1, (2, 4, 6, 8)),
}
PUBLISHED = {100: (81.70, 76.02), 1_000: (93.65, 88.71), 10_000: (97.27, 94.73), 60_000: (98.73, 98.20)}


class Curve(Callback):
    """Accuracy on a validation and a test set at some epochs."""

    def __init__(self, epochs: tuple[int, ...], sets: dict[str, tuple[Any, Any]]):
        self.epochs, self.sets = epochs, sets
        self.found: dict[str, dict[int, float]] = {name: {} for name in sets}

    def on_epoch_end(self, training: Any) -> None:
        if training.epoch in self.epochs:
            for name, (X, y) in self.sets.items():
                self.found[name][training.epoch] = training.model.accuracy(X, y)


def pretrain(X: Any, epochs: int, seed: int) -> tuple[DBN, float]:
    """Layers one after the other by sparse CD-1 on the images alone; returns the network and seconds."""
    start = time.perf_counter()
    dbn = DBN(SIZES, seed=seed).initialize(X)
    for layer in range(1, len(SIZES)):
        dbn.params[f"b{layer}"][...] = -2.0
        if layer < dbn.depth:
            dbn.params[f"r{layer}"][...] = -2.0
    objective = ContrastiveDivergence(weight_decay=2e-4, sparsity_target=0.1, sparsity_cost=0.1)
    optimizer = SGD(Linear(0.1, 0.01), momentum=0.9)
    dbn.fit(X, objective=objective, optimizer=optimizer, epochs=epochs, inputs="means", seed=seed)
    return dbn, time.perf_counter() - start


def subset(y: Any, n: int, seed: int) -> Any:
    """Rows of n labels, as many of each class, drawn at random; all rows if n is not smaller."""
    if n >= len(y):
        return np.arange(len(y))
    rng = np.random.default_rng(seed)
    each = [rng.permutation(np.flatnonzero(y == k))[: n // 10] for k in range(10)]
    return rng.permutation(np.concatenate(each))


def tune(make: Any, n: int, data: Any, rates: tuple[float, ...]) -> tuple[float, int, dict[float, float]]:
    """Rate and epoch of the best validation accuracy on the first subset, and the best of each rate."""
    epochs, batch, _, looked = RUNS[n]
    rows = subset(data.train_labels, min(n, 50_000), 0)
    best, ahead = {}, list(rates)
    while ahead:
        rate = ahead.pop()
        curve = Curve(looked, {"validation": (data.validation, data.validation_labels)})
        fine_tune(make(0), data.train[rows], data.train_labels[rows], rate, epochs, batch, 0, curve)
        best[rate] = max((value, -epoch) for epoch, value in curve.found["validation"].items())
        if not ahead and rate == max(best, key=lambda r: best[r]) and rate > LOWEST:
            ahead = [rate / 3]
    rate = max(best, key=lambda r: best[r])
    return rate, -best[rate][1], {r: best[r][0] for r in sorted(best)}


def fine_tune(
    net: SigmoidClassifier, X: Any, y: Any, rate: float, epochs: int, batch: int, seed: int, *callbacks: Any
) -> None:
    """Back-propagation, SGD with momentum at a constant rate."""
    net.fit(
        X,
        y,
        objective=DiscriminativeLikelihood(),
        optimizer=SGD(rate, momentum=MOMENTUM),
        epochs=epochs,
        batch_size=batch,
        callbacks=callbacks,
        seed=seed,
    )


def compare(name: str, make: Any, n: int, data: Any, rates: tuple[float, ...]) -> dict[str, object]:
    """Test accuracy of one start at one number of labels, with settings chosen on validation images."""
    start = time.perf_counter()
    rate, epoch, seen = tune(make, n, data, rates)
    _, batch, repeats, _ = RUNS[n]
    accuracies = []
    for seed in range(repeats):
        X, y = data.train, data.train_labels
        if n >= 60_000:
            X, y = np.concatenate([X, data.validation]), np.concatenate([y, data.validation_labels])
        rows = subset(y, n, seed)
        net = make(seed)
        fine_tune(net, X[rows], y[rows], rate, epoch, batch, seed)
        accuracies.append(100.0 * net.accuracy(data.test, data.test_labels))
    row = {
        "labels": n,
        "start": name,
        "test accuracy (%)": round(float(np.mean(accuracies)), 2),
        "standard error": round(float(np.std(accuracies, ddof=1) / repeats**0.5), 2) if repeats > 1 else None,
        "learning rate": round(rate, 5),
        "epochs": epoch,
        "validation by rate (%)": " ".join(f"{100 * value:.1f}" for value in seen.values()),
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(row, flush=True)
    return row


def starts_of(dbn: DBN) -> dict[str, Any]:
    """Functions of a seed that make a classifier: random, from the RBM, from the network."""

    def from_layers(layers: Any) -> Any:
        return lambda seed: SigmoidClassifier.from_layers(layers, 10, "bernoulli", seed=seed)

    layers = dbn.upward_layers()
    return {
        "random, 1 layer": lambda seed: SigmoidClassifier(SIZES[:2], 10, seed=seed),
        "random, 3 layers": lambda seed: SigmoidClassifier(SIZES, 10, seed=seed),
        "RBM": from_layers(layers[:1]),
        "DBN": from_layers(layers),
    }


def seen_by(dbm: DBM, data: Any) -> Any:
    """The data with what the machine's net reads instead of images."""
    X = {part: dbm.features(getattr(data, part)) for part in ("train", "validation", "test")}
    return dataclasses.replace(data, **X)


def kept(name: str, settings: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of an earlier run of the same settings, but for those that are replaced by ``rows``."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return []
    record = json.loads(path.read_text())
    same = record["settings"] == json.loads(json.dumps(settings))
    lines = [row for row in record["rows"] if same and "learning rate" in row]
    new = [(row["labels"], row["start"]) for row in rows]
    lines = [row for row in lines if (row["labels"], row["start"]) not in new]
    return [row for row in lines if row["learning rate"] is not None]


def gains(rows: list[dict[str, Any]]) -> list[dict[str, object]]:
    """Gain of the best start without labels over the better random one."""
    found: list[dict[str, object]] = []
    for n in dict.fromkeys(row["labels"] for row in rows):
        here = {row["start"]: row["test accuracy (%)"] for row in rows if row["labels"] == n}
        random = max(value for name, value in here.items() if name.startswith("random"))
        best = max((value, name) for name, value in here.items() if not name.startswith("random"))
        theirs = PUBLISHED[n]
        found.append(
            {
                "labels": n,
                "start": f"gain of {best[1]} over the better random start",
                "test accuracy (%)": round(best[0] - random, 2),
                "published gain (re-implementation, RBM)": round(theirs[0] - theirs[1], 2),
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one subset, 100 and 1,000 labels only")
    parser.add_argument("--full", action="store_true", help="50 epochs of pretraining a layer")
    parser.add_argument("--epochs", type=int, default=10, help="of pretraining, each layer (10)")
    parser.add_argument("--labels", type=int, nargs="*", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--pretrained", help="file of the network: read if it is there, else written")
    parser.add_argument("--dbm", metavar="FILE", help="a saved DBM, another start")
    parser.add_argument("--starts", nargs="*", default=None, help="those to run; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="fine-tuning")
    args = parser.parse_args()
    data = datasets.mnist()
    epochs = 50 if args.full else args.epochs
    if args.pretrained and Path(args.pretrained).exists():
        dbn = DBN.load(args.pretrained)
    else:
        dbn, seconds = pretrain(np.concatenate([data.train, data.validation]), epochs, args.seed)
        print(f"pretrained in {seconds:.0f} s", flush=True)
        if args.pretrained:
            dbn.save(args.pretrained)
    labels = [n for n in args.labels if n <= 1_000] if args.quick else args.labels
    if args.quick:
        RUNS.update({n: (*RUNS[n][:2], 1, RUNS[n][3]) for n in labels})
    starts = {name: (make, data) for name, make in starts_of(dbn).items()}
    if args.dbm:
        dbm = DBM.load(args.dbm)
        starts["DBM"] = (lambda seed: dbm.to_mlp(10), seen_by(dbm, data))
    names = list(starts) if args.starts is None else args.starts
    rows = [compare(name, starts[name][0], n, starts[name][1], RATES) for n in labels for name in names]
    settings: dict[str, Any] = {
        "sizes": SIZES,
        "pretraining": "CD-1, sparsity 0.1, SGD 0.1 to 0.01, momentum 0.9, grey levels as probabilities",
        "pretraining epochs a layer": epochs,
        "fine-tuning": "SGD, momentum 0.9; rate and epoch by accuracy on 10,000 validation images",
        "seed": args.seed,
    }
    rows = kept(args.name, settings, rows) + rows
    rows.sort(key=lambda row: row["labels"])
    write(args.name, rows + gains(rows), settings)


if __name__ == "__main__":
    main()
