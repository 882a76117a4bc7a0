"""A sigmoid belief net of 200 hidden units on binarized MNIST, trained three ways: wake-sleep, NVIL, RWS.

    python benchmarks/published/mnist_sbn.py [--full] [--backend numpy|cupy] [--dry]

Log-likelihood of test images by importance weighting, a lower bound in expectation. Bornschein and Bengio
(2015) report for 784-200, on another draw of the bits and with 100,000 samples: wake-sleep -116.3, NVIL
-113.1, reweighted wake-sleep -103.1. All take 5 draws a row here. The piece of training kept is that of the
best validation figure; the test images are looked at once. Quick: 10,000 images, 10 epochs, 200 samples of
200 images. Full: all images, 500 epochs, 5,000 samples of 1,000 images.
"""

from __future__ import annotations

import argparse
import time

from common import write

from minidgm import SigmoidBeliefNet, datasets, evaluation, objectives, optim

TEACHERS = {
    "wake-sleep": lambda: objectives.WakeSleep(5),
    "NVIL": lambda: objectives.Reinforce("input", 5),
    "reweighted wake-sleep": lambda: objectives.ReweightedWakeSleep(5),
}
PUBLISHED = {"wake-sleep": -116.3, "NVIL": -113.1, "reweighted wake-sleep": -103.1}
RATE, BATCH, PIECES = 1e-3, 100, 10


def run(name: str, full: bool, backend: str, seed: int) -> dict[str, object]:
    """Train one net, and measure the piece of training that was best on validation images."""
    data = datasets.mnist(binarize="fixed")
    train = data.train if full else data.train[:10_000]
    epochs, n_samples, n_rows = (500, 5000, 1000) if full else (10, 200, 200)
    net = SigmoidBeliefNet([784, 200], seed=seed, backend=backend).initialize(train)
    objective, optimizer = TEACHERS[name](), optim.Adam(RATE)
    start, best, kept = time.perf_counter(), None, net
    for piece in range(PIECES):
        net.fit(
            train,
            objective=objective,
            optimizer=optimizer,
            epochs=max(1, epochs // PIECES),
            batch_size=BATCH,
            seed=seed + piece,
        )
        found = evaluation.importance_weighted(net, data.validation[:n_rows], rng=0, n_samples=100)
        print(f"{name}, piece {piece + 1}: validation {found}", flush=True)
        if best is None or found.value > best:
            best, kept = found.value, net.to()
    seconds = time.perf_counter() - start
    test = evaluation.importance_weighted(kept, data.test[:n_rows], rng=1, n_samples=n_samples)
    bound = evaluation.lower_bound(kept, data.test[:n_rows], rng=2, n_samples=20)
    return {
        "objective": name,
        "test log-likelihood (lower bound, nats)": test.value,
        "+-": test.stderr,
        "variational bound (nats)": bound.value,
        "published": PUBLISHED[name],
        "training images": len(train),
        "epochs": epochs,
        "importance samples": n_samples,
        "test images": n_rows,
        "seed": seed,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=tuple(TEACHERS))
    parser.add_argument("--dry", action="store_true", help="print and write nothing")
    args = parser.parse_args()
    names = [args.only] if args.only else list(TEACHERS)
    rows = [run(name, args.full, args.backend, args.seed) for name in names]
    for row in rows:
        print(row, flush=True)
    settings = {"sizes": [784, 200], "optimizer": f"Adam({RATE})", "batch": BATCH, "draws a row": 5}
    if not args.dry:
        write(f"mnist-sbn-{'full' if args.full else 'quick'}", rows, settings, args.backend)


if __name__ == "__main__":
    main()
