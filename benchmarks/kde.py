"""Log-density of 10,000 rows under a Parzen window of 10,000 centers in 784 dimensions, beside its product.

    OMP_NUM_THREADS=1 python benchmarks/kde.py [--rows 10000] [--samples 10000] [--columns 784] [--rounds 3]

Distances are one product of matrices, [rows, columns] by [columns, samples]; the rest (exponentials, sums)
is overhead. The goal is less than 1 GB, and the product's speed. Memory is the peak of what NumPy allocates
during a call, samples and rows not counted.
"""

from __future__ import annotations

import argparse
import statistics
import tracemalloc

from common import interleaved, ratio, write

from minidgm import KDE, Generator
from minidgm.backend import namespace, synchronize


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=784)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    args = parser.parse_args()
    xp, rng = namespace(args.backend), Generator(0, args.backend)
    samples, x = rng.uniform((args.samples, args.columns)), rng.uniform((args.rows, args.columns))
    model = KDE.from_samples(samples, 0.2, backend=args.backend)
    block = min(1000, args.rows)
    table = xp.empty((block, args.samples), "float32")

    def product() -> None:
        for i in range(0, args.rows, block):
            rows = x[i : i + block]
            xp.matmul(rows, samples.T, out=table[: rows.shape[0]])
        synchronize(args.backend)

    def density() -> None:
        model.log_prob(x)
        synchronize(args.backend)

    seconds = interleaved({"log density": density, "its product": product}, args.rounds)
    tracemalloc.start()
    density()
    peak = tracemalloc.get_traced_memory()[1]
    rows = [
        {
            "what": "log density",
            "seconds": round(statistics.median(seconds["log density"]), 3),
            "times its product": round(ratio(seconds, "log density", "its product"), 3),
            "peak MB": round(peak / 1e6, 1) if args.backend == "numpy" else None,
        },
        {"what": "its product", "seconds": round(statistics.median(seconds["its product"]), 3)},
    ]
    settings = {key: getattr(args, key) for key in ("rows", "samples", "columns", "rounds")}
    write("kde" if args.backend == "numpy" else f"kde-{args.backend}", rows, settings, args.backend)


if __name__ == "__main__":
    main()
