"""Random images and their shifts: a GatedRBM learns what a shift is, names it, applies it to other images.

    python benchmarks/published/gated_rbm_shifts.py [--epochs 40] [--seeds 0 1 2]

The task is that of Memisevic and Hinton (2007, 2010), the protocol our own, so that there is no published
figure beside it. Two machines (the whole tensor, factors) each see 10,000 pairs of 8 x 8 random dots (15 % of
the pixels on), the second image rotated by one of nine shifts of at most one pixel, and are never told which.
Measured on 2,000 other pairs:

* the shift that the code h names: the nearest of nine mean codes (of the training pairs with each shift);
* transfer: h of a pair applied to a third image, against that image shifted in truth.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from common import write

from minidgm import GatedRBM, optim

SIDE, DENSITY, REACH = 8, 0.15, 1


def pairs(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random images [n, 64], the same shifted, and which of the nine shifts [n]."""
    images = (rng.random((n, SIDE, SIDE)) < DENSITY).astype("float32")
    index = rng.integers(0, (2 * REACH + 1) ** 2, n)
    return images.reshape(n, -1), shifted(images, index), index


def shifted(images: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Images [n, ...] rotated by shift ``index`` [n], as rows."""
    width = 2 * REACH + 1
    by = [(i // width - REACH, i % width - REACH) for i in index.tolist()]
    images = images.reshape(-1, SIDE, SIDE)
    moved = [np.roll(image, s, axis=(0, 1)) for image, s in zip(images, by, strict=True)]
    return np.stack(moved).reshape(len(images), -1)


def run(n_factors: int | None, n_hidden: int, epochs: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x, y, index = pairs(10_000, rng)
    x_test, y_test, index_test = pairs(2_000, rng)
    x_new = pairs(2_000, rng)[0]
    model = GatedRBM(SIDE**2, SIDE**2, n_hidden, n_factors=n_factors, seed=seed)
    start = time.perf_counter()
    model.fit(model.join(x, y), optimizer=optim.Adam(0.01), epochs=epochs, batch_size=100, seed=seed)
    seconds = time.perf_counter() - start
    codes = model.transform(x, y)
    means = np.stack([codes[index == i].mean(axis=0) for i in range(9)])
    distance = ((model.transform(x_test, y_test)[:, None] - means[None]) ** 2).sum(axis=-1)
    found = np.round(model.transfer(x_test, y_test, x_new))
    right = found == shifted(x_new, index_test)
    return {
        "couplings": "whole tensor" if n_factors is None else f"{n_factors} factors",
        "hidden": n_hidden,
        "parameters": model.params.size,
        "seed": seed,
        "shift named %": round(100.0 * float((distance.argmin(axis=1) == index_test).mean()), 1),
        "transfer, whole images %": round(100.0 * float(right.all(axis=1).mean()), 1),
        "transfer, pixels %": round(100.0 * float(right.mean()), 2),
        "unmoved copy, pixels %": round(100.0 * float((x_new == shifted(x_new, index_test)).mean()), 2),
        "train seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    machines = ((None, 20), (100, 50))
    rows = [run(*machine, args.epochs, seed) for machine in machines for seed in args.seeds]
    settings = {
        "data": "10,000 pairs of 8 x 8 random dots, 15 % on, nine shifts with wrap-around; 2,000 test pairs",
        "objective": "CD-1 of y given x, Adam 0.01, batch 100",
        "epochs": args.epochs,
        "selection": "sizes and rate from one earlier run of 10 and 20 epochs on other pairs",
    }
    write("gated-rbm-shifts", rows, settings)


if __name__ == "__main__":
    main()
