"""MNIST, fixed binarization, RBM 784-500: test log-likelihood by AIS with reverse AIS beside it.

    python benchmarks/published/mnist_rbm500.py [--epochs 200] [--backend numpy|cupy]

Published: -86.34 nats (CD-25, AIS with 100 chains). PCD with a linearly decaying rate and centred units.
"""

from __future__ import annotations

import argparse
import time

from common import RESULTS, write

from minidgm import RBM, Generator, datasets, evaluation, objectives, optim, training
from minidgm.backend import asarray


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--k", type=int, default=1, help="Gibbs sweeps an update")
    parser.add_argument("--n-chains", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--betas", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--out", default=None, help="save the model here")
    parser.add_argument("--name", default="mnist-rbm500")
    args = parser.parse_args()
    data = datasets.mnist(binarize="fixed", validation=0)
    train = asarray(data.train, args.backend) if args.backend == "cupy" else data.train
    model = RBM(784, 500, centered=True, backend=args.backend, seed=args.seed)
    model.initialize(train)
    start = time.perf_counter()
    training.fit(
        model,
        train,
        objectives.PersistentContrastiveDivergence(args.k, n_chains=args.n_chains),
        optim.SGD(optim.Linear(args.rate)),
        epochs=args.epochs,
        batch_size=args.batch_size,
        seed=args.seed,
        progress=True,
    )
    seconds = time.perf_counter() - start
    if args.out:
        model.save(args.out)
    base = evaluation.base_rate(model, train)
    rows = []
    for name, estimator in (("AIS", evaluation.ais), ("reverse AIS", evaluation.reverse_ais)):
        began = time.perf_counter()
        rng = Generator(args.seed, args.backend)
        log_z = estimator(model, n_chains=100, n_temperatures=args.betas, base=base, rng=rng)
        test = evaluation.log_likelihood(model, data.test, log_z)
        rows.append(
            {
                "estimator": name,
                "log Z": round(log_z.value, 3),
                "stderr": round(log_z.stderr, 3),
                "ESS": round(log_z.ess, 1),
                "test LL (nats)": round(test.value, 3),
                "train LL (nats)": round(evaluation.log_likelihood(model, train, log_z).value, 3),
                "kind": test.kind,
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
    settings = {
        "data": "MNIST, fixed binarization, 60,000 train, 10,000 test",
        "model": "RBM 784-500, centred",
        "objective": f"PCD-{args.k}, {args.n_chains} chains, SGD {args.rate} decaying linearly to 0",
        "batch": args.batch_size,
        "epochs": args.epochs,
        "train seconds": round(seconds, 1),
        "AIS": f"100 chains x {args.betas} betas, base rate from the training means",
        "seed": args.seed,
    }
    write(args.name, rows, settings, args.backend)
    print("kept under", RESULTS)


if __name__ == "__main__":
    main()
