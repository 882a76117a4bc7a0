"""MNIST, thresholded, RBM 784-16 by PCD-1: centred against uncentred, upright and flipped, with exact log Z.

    python benchmarks/published/mnist_rbm16.py [--epochs 50] [--seeds 0 1 2]

Published (PyDeep): exact test log-likelihood -142.56 centred, -149.05 not; on flipped images 1 - x, -142.09
and -183.36. Learning rate 0.01, batch 100, 50 epochs; visible biases start from the data's means.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import write

from minidgm import RBM, Generator, datasets, evaluation, objectives, optim, training


def run(flipped: bool, centered: bool, epochs: int, seed: int, betas: int) -> dict[str, object]:
    data = datasets.mnist(binarize="threshold", validation=0)
    train, test = (1.0 - x if flipped else x for x in (data.train, data.test))
    model = RBM(784, 16, centered=centered, seed=seed)
    model.initialize(train)
    start = time.perf_counter()
    objective = objectives.PersistentContrastiveDivergence(1, n_chains=100)
    training.fit(model, train, objective, optim.SGD(0.01), epochs=epochs, batch_size=100, seed=seed)
    seconds = time.perf_counter() - start
    log_z = float(model.log_partition())
    row: dict[str, object] = {
        "images": "flipped" if flipped else "upright",
        "gradient": "centred" if centered else "plain",
        "seed": seed,
        "test LL (exact, nats)": round(float(np.mean(model.log_prob(test, log_z), dtype="float64")), 2),
        "train LL (exact, nats)": round(float(np.mean(model.log_prob(train, log_z), dtype="float64")), 2),
        "log Z exact": round(log_z, 3),
    }
    if betas:
        base = evaluation.base_rate(model, train)
        common = {"n_chains": 100, "n_temperatures": betas, "base": base}
        forward = evaluation.ais(model, **common, rng=Generator(seed))
        reverse = evaluation.reverse_ais(model, **common, rng=Generator(seed))
        row["AIS - exact"] = round(forward.value - log_z, 4)
        row["AIS stderr"] = round(forward.stderr, 4)
        row["reverse AIS - exact"] = round(reverse.value - log_z, 4)
    return {**row, "train seconds": round(seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--betas", type=int, default=10_000)
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        for flipped in (False, True):
            for centered in (True, False):
                rows.append(run(flipped, centered, args.epochs, seed, args.betas))
                print(rows[-1], flush=True)
    settings = {
        "data": "MNIST threshold 0.5, 60,000 train, 10,000 test",
        "model": "RBM 784-16",
        "objective": "PCD-1, 100 chains, SGD 0.01, batch 100",
        "epochs": args.epochs,
        "AIS": f"100 chains x {args.betas} even betas, base from the training means",
    }
    write("mnist-rbm16", rows, settings)


if __name__ == "__main__":
    main()
