"""Bars and stripes, 3 x 3: every objective against the best possible mean log-likelihood, exactly.

    python benchmarks/published/bars_and_stripes.py [--quick]

The data set is its 14 patterns, each once, so no model can exceed -log 14 = -2.6391 nats. Log-likelihoods are
exact (512 visible states). Six hidden units for exact maximum likelihood, twelve for every objective.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import write

from minidgm import RBM, datasets, evaluation, objectives, optim, training

# Objective, its arguments, learning rate, momentum. Chains want small steps: they follow the model.
RUNS = {
    "exact ML": (objectives.ExactLikelihood, {}, 0.5, 0.9),
    "PCD-1": (objectives.PersistentContrastiveDivergence, {"k": 1, "n_chains": 1000}, 0.1, 0.0),
    "CD-1": (objectives.ContrastiveDivergence, {"k": 1}, 0.1, 0.0),
    "CD-10": (objectives.ContrastiveDivergence, {"k": 10}, 0.1, 0.0),
    "pseudo-likelihood": (objectives.PseudoLikelihood, {}, 0.05, 0.9),
    "ratio matching": (objectives.RatioMatching, {}, 0.2, 0.9),
}


def train(name: str, n_hidden: int, epochs: int, seed: int) -> dict[str, object]:
    """Full-batch training; the rate decays to a hundredth in a straight line."""
    objective, arguments, rate, momentum = RUNS[name]
    X = datasets.bars_and_stripes(3).train
    model = RBM(9, n_hidden, dtype="float64", seed=seed)
    model.params["W"][...] *= 10.0
    optimizer = optim.SGD(optim.Linear(rate, rate / 100), momentum=momentum)
    start = time.perf_counter()
    batch = np.repeat(X, 10, axis=0) if name.startswith("CD") else X
    training.fit(
        model, batch, objective(**arguments), optimizer, epochs=epochs, batch_size=len(batch), seed=seed
    )
    exact = evaluation.log_partition_exact(model)
    mean = float(np.mean(model.log_prob(X, log_partition=exact.value)))
    return {
        "objective": name,
        "n_hidden": n_hidden,
        "updates": epochs,
        "seed": seed,
        "mean log-likelihood (exact, nats)": round(mean, 4),
        "below the maximum": round(-np.log(14) - mean, 4),
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the updates")
    args = parser.parse_args()
    scale = 10 if args.quick else 1
    rows = [train("exact ML", 6, 60_000 // scale, seed) for seed in (0, 1, 2)]
    rows += [train(name, 12, 30_000 // scale, 0) for name in RUNS]
    write("bars-and-stripes", rows, {"data": "3 x 3, 14 patterns once", "maximum": float(-np.log(14))})


if __name__ == "__main__":
    main()
