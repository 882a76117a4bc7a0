"""MNIST digits, DiscriminativeRBM with 500 hidden units: generative, discriminative and hybrid training.

    python benchmarks/published/discriminative_rbm.py [--kinds generative discriminative hybrid]
    python benchmarks/published/discriminative_rbm.py --full      more epochs, three seeds

Published (Larochelle and Bengio, ICML 2008, table 1), test error: discriminative RBM of 500 units 1.81 %,
generative RBM of 6000 units 3.39 %, hybrid of 1500 units and alpha 0.01 1.28 %.

The first 50,000 training images train; after every epoch the error on the other 10,000 is measured, and the
parameters of the best epoch are kept. The test images are looked at once, at the end. Rows of a kind that is
not run again stay in the results.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from common import RESULTS, write

from minidgm import DiscriminativeRBM, datasets, objectives, optim
from minidgm.optim import schedules

NAME = "discriminative-rbm"
KINDS = {
    "generative": lambda alpha: objectives.HybridLikelihood(alpha=1.0, gamma=0.0),
    "discriminative": lambda alpha: objectives.DiscriminativeLikelihood(),
    "hybrid": lambda alpha: objectives.HybridLikelihood(alpha=alpha),
}
SCHEDULES = {"constant": lambda rate: rate, "cosine": schedules.Cosine}


class KeepBest:
    """Measures the error on all validation images after every epoch and keeps the best parameters."""

    def __init__(self, data: Any):
        self.data, self.errors, self.best = data, [], None

    def on_epoch_end(self, training: Any) -> None:
        """Measure and keep."""
        model, data = training.model, self.data
        self.errors.append(100.0 * (1.0 - model.accuracy(data.validation, data.validation_labels)))
        print(f"  epoch {len(self.errors)}: validation error {self.errors[-1]:.2f} %", flush=True)
        if self.errors[-1] <= min(self.errors):
            self.best = model.params.buffer.copy()


def run(
    kind: str, data: Any, epochs: int, rate: float, schedule: str, batch: int, alpha: float, seed: int
) -> dict[str, Any]:
    model = DiscriminativeRBM(784, 500, n_classes=10, seed=seed)
    keep = KeepBest(data)
    start = time.perf_counter()
    model.fit(
        data.train,
        data.train_labels,
        objective=KINDS[kind](alpha),
        optimizer=optim.Momentum(SCHEDULES[schedule](rate), 0.9),
        epochs=epochs,
        batch_size=batch,
        callbacks=[keep],
        seed=seed,
    )
    seconds = time.perf_counter() - start
    model.params.buffer[...] = keep.best
    best = min(keep.errors)
    return {
        "training": kind,
        "alpha": alpha if kind == "hybrid" else None,
        "learning rate": rate,
        "schedule": schedule,
        "batch": batch,
        "epochs": epochs,
        "seed": seed,
        "best epoch (validation)": 1 + keep.errors.index(best),
        "validation error %": round(best, 2),
        "test error %": round(100.0 * (1.0 - model.accuracy(data.test, data.test_labels)), 2),
        "train seconds": round(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--schedule", choices=list(SCHEDULES), default="cosine")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--full", action="store_true", help="200 epochs, seeds 0, 1 and 2")
    args = parser.parse_args()
    epochs, seeds = (200, [0, 1, 2]) if args.full else (args.epochs, args.seeds)
    data = datasets.mnist()
    settings = {
        "data": "MNIST gray levels in [0, 1]; 50,000 train, 10,000 validation, 10,000 test",
        "model": "DiscriminativeRBM 784-500-10, float32",
        "optimizer": "momentum 0.9; cosine: from the learning rate to 0",
        "selection": "epoch, learning rate, schedule, batch and alpha by the validation error; test error "
        "measured once a run",
    }
    for seed in seeds:
        for kind in args.kinds:
            row = run(kind, data, epochs, args.rate, args.schedule, args.batch, args.alpha, seed)
            write(NAME, merged(row), settings)


def merged(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The kept rows and this one, which replaces an earlier one of the same settings."""
    file = RESULTS / f"{NAME}.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    same = ("training", "alpha", "learning rate", "schedule", "batch", "epochs", "seed")
    others = [r for r in rows if any(r.get(key) != row[key] for key in same)]
    order = list(KINDS)
    return sorted([*others, row], key=lambda r: (order.index(r["training"]), r["alpha"] or 0.0, r["seed"]))


if __name__ == "__main__":
    main()
