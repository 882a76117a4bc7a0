"""Maximum mean discrepancy of 1000 x 1000 rows of 784 numbers, beside the matrix products that it takes.

    python benchmarks/mmd.py [--rows 1000] [--columns 784] [--rounds 15] [--backend numpy|cupy]

A value takes three products of all pairs (x with x, y with y, x with y); with its gradient two more, of the
slopes with the samples. Everything else (distances, kernel, sums) is overhead: the goal is at most 1.3 times
the products. Both reuse their scratch memory, as a training does; NumPy's product of a matrix with its own
transpose costs half of another. Figures of a loaded machine mean little: look at the ratio.
"""

from __future__ import annotations

import argparse
import statistics

from common import interleaved, ratio, write

from minidgm import Generator
from minidgm.backend import namespace, synchronize
from minidgm.evaluation import GaussianKernel, mmd2, mmd2_gradient
from minidgm.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--columns", type=int, default=784)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    args = parser.parse_args()
    xp, rng = namespace(args.backend), Generator(0, args.backend)
    x, y = rng.uniform((args.rows, args.columns)), rng.uniform((args.rows, args.columns))
    kernel = GaussianKernel.around(y)
    scratch = Workspace()
    square, wide = xp.empty((args.rows, args.rows), "float32"), xp.empty_like(x)
    slopes = rng.uniform(square.shape)

    def products(gradient: bool) -> None:
        for a, b in ((x, x), (y, y), (x, y)):
            xp.matmul(a, b.T, out=square)
        if gradient:
            for rows in (x, y):
                xp.matmul(slopes, rows, out=wide)
        synchronize(args.backend)

    def gradient() -> None:
        mmd2_gradient(x, y, kernel, unbiased=False, scratch=scratch)
        synchronize(args.backend)

    jobs = {
        "MMD^2": lambda: mmd2(x, y, kernel, scratch=scratch),
        "its 3 products": lambda: products(False),
        "MMD^2 and gradient": gradient,
        "its 5 products": lambda: products(True),
    }
    seconds = interleaved(jobs, args.rounds)
    rows = [
        {
            "what": what,
            "milliseconds": round(1e3 * statistics.median(seconds[what]), 2),
            "times its products": round(ratio(seconds, what, products_of), 3),
        }
        for what, products_of in (("MMD^2", "its 3 products"), ("MMD^2 and gradient", "its 5 products"))
    ]
    rows += [
        {"what": what, "milliseconds": round(1e3 * statistics.median(seconds[what]), 2)}
        for what in ("its 3 products", "its 5 products")
    ]
    settings = {"rows": args.rows, "columns": args.columns, "kernel": repr(kernel), "dtype": "float32"}
    write("mmd" if args.backend == "numpy" else f"mmd-{args.backend}", rows, settings, args.backend)


if __name__ == "__main__":
    main()
