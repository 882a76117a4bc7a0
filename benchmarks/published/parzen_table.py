"""Parzen-window figures of GMMN, GMMN in an autoencoder's codes, VAE and the training set, on MNIST.

    python benchmarks/published/parzen_table.py [--quick | --full] [--rows training gmmn codes vae]

Real-valued MNIST (grey levels in [0, 1]), 10,000 samples, a Gaussian window whose sigma is chosen on 1,000
validation rows, the mean over 10,000 test rows. Published (Li, Swersky & Zemel 2015, table 1): GMMN 147 +- 2,
GMMN in code space 282 +- 2, in nats. VAE samples are means of p(x | z).

The nets of GMMN are those of the paper, 10-64-256-256-1024-784 in data space and 32 sigmoid codes; kernels
are Gaussians with 2b^2 in {4, 10, 20, 40, 80, 160} in data space, and a mixture in units of the codes'
distance in code space. Three things are not the paper's: batches of 200 and Adam instead of batches of 1,000
and momentum, for steps are what a processor's minutes buy too few of; hidden weights 1.5 times He's, so that
untrained samples differ from each other; the last biases at the log-odds of what is to be generated. The
autoencoder 784-1024-32 has rectifiers and dropout in its encoder, and is not pretrained layer by layer.

``--rows`` runs a part; rows of earlier runs with the same settings are kept. --quick stops far short of
convergence.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

from common import RESULTS, kept, write

from minidgm import GMMN, VAE, Autoencoder, CodeGMMN, Generator, datasets, evaluation, optim, plotting
from minidgm.backend import asarray
from minidgm.evaluation import GaussianKernel
from minidgm.objectives import MaximumMeanDiscrepancy

PUBLISHED = {"GMMN": 147.0, "GMMN+autoencoder": 282.0}
SIZES = (64, 256, 256, 1024)
# Epochs of GMMN, of the autoencoder, of GMMN in its codes, of the VAE.
EPOCHS = {"quick": (8, 2, 8, 2), "usual": (80, 10, 80, 20), "full": (1000, 100, 1000, 100)}
N_SAMPLES = 10_000
RATE = 2e-3  # of GMMN
GAIN = 1.5  # of hidden weights at the start
SHOWN = 40


def adam(rate: float) -> Any:
    """Adam whose rate falls to 0 linearly."""
    return optim.Adam(optim.Linear(rate))


def start(model: Any, X: Any) -> Any:
    """Widen hidden weights, and let the last biases make the mean of ``X``."""
    names = [name for name in model.params if name.endswith("/W")]
    for name in names[:-1]:
        model.params[name][...] *= GAIN
    return bias(model, names[-1][:-1] + "b", X)


def bias(model: Any, name: str, X: Any) -> Any:
    """Set last biases to the log-odds of the means of ``X``."""
    mean = model.xp.clip(X.mean(axis=0), 0.005, 0.995)
    model.params[name][...] = model.xp.log(mean / (1.0 - mean))
    return model


def gmmn(X: Any, epochs: tuple[int, ...], seed: int, backend: str, batch: int) -> Any:
    """GMMN in data space; the paper's sigma is our b^2."""
    model = start(GMMN(784, 10, SIZES, "sigmoid", seed=seed, backend=backend), X)
    kernel = GaussianKernel([math.sqrt(sigma) for sigma in (2, 5, 10, 20, 40, 80)])
    objective = MaximumMeanDiscrepancy(kernel, root=True, scale=1.0)
    model.fit(X, objective=objective, optimizer=adam(RATE), epochs=epochs[0], batch_size=batch, seed=seed)
    return model.sample(N_SAMPLES, Generator(seed, backend))


def codes(X: Any, epochs: tuple[int, ...], seed: int, backend: str, batch: int) -> Any:
    """GMMN that draws the codes of an autoencoder 784-1024-32."""
    encoder = [("dropout", 0.2), ("dense", 1024), "relu", ("dropout", 0.5), ("dense", 32), "sigmoid"]
    decoder = [("dense", 1024), "relu", ("dense", 784)]
    auto = bias(Autoencoder(encoder, decoder, 32, "bernoulli", seed=seed, backend=backend), "decoder/2/b", X)
    auto.fit(X, optimizer=adam(1e-3), epochs=epochs[1], batch_size=100, seed=seed)
    net = start(GMMN(32, 10, SIZES, "sigmoid", seed=seed, backend=backend), auto.transform(X[:10_000]))
    model = CodeGMMN(net, auto.transform, lambda h: auto.visible_given_latent(h).mean)
    objective = MaximumMeanDiscrepancy(root=True)
    model.fit(X, objective=objective, optimizer=adam(RATE), epochs=epochs[2], batch_size=batch, seed=seed)
    return model.sample(N_SAMPLES, Generator(seed, backend))


def vae(X: Any, epochs: tuple[int, ...], seed: int, backend: str, batch: int) -> Any:
    """VAE 784-500-20 with tanh, cross entropy of grey levels."""
    encoder, decoder = [("dense", 500), "tanh", ("dense", 40)], [("dense", 500), "tanh", ("dense", 784)]
    model = VAE(encoder, decoder, 20, seed=seed, backend=backend)
    model.fit(X, optimizer=adam(1e-3), epochs=epochs[3], batch_size=100, seed=seed)
    z = Generator(seed, backend).normal((N_SAMPLES, 20))
    return model.visible_given_latent(z).mean


def training(X: Any, epochs: tuple[int, ...], seed: int, backend: str, batch: int) -> Any:
    """As many training rows as the others draw."""
    order = Generator(seed, backend).permutation(X.shape[0])
    return X[order[:N_SAMPLES]]


MAKERS: dict[str, tuple[str, Callable[..., Any]]] = {
    "training": ("training set as samples", training),
    "gmmn": ("GMMN", gmmn),
    "codes": ("GMMN+autoencoder", codes),
    "vae": ("VAE", vae),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    setting = parser.add_mutually_exclusive_group()
    setting.add_argument("--quick", action="store_true", help="a few epochs each")
    setting.add_argument("--full", action="store_true", help="for a GPU, or a night")
    parser.add_argument("--rows", nargs="+", choices=MAKERS, default=list(MAKERS))
    parser.add_argument("--epochs", type=int, help="of every training, in place of the setting's")
    parser.add_argument("--batch-size", type=int, default=200, help="of GMMN")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    parser.add_argument("--name", default="parzen-table")
    args = parser.parse_args()
    name = "quick" if args.quick else "full" if args.full else "usual"
    epochs = EPOCHS[name] if args.epochs is None else (args.epochs,) * 4
    batch = args.batch_size
    data = datasets.mnist()
    X, validation, test = (
        asarray(x, args.backend) for x in (data.train, data.validation[:1000], data.test)
    )
    settings = {
        "data": "MNIST, grey levels; 50,000 train, 1,000 of 10,000 validation rows, 10,000 test",
        "setting": name,
        "epochs of GMMN, autoencoder, GMMN of codes, VAE": list(epochs),
        "batch of GMMN": batch,
        "rate of GMMN": RATE,
        "samples": N_SAMPLES,
        "seed": args.seed,
    }
    for key in args.rows:
        label, make = MAKERS[key]
        began = time.perf_counter()
        samples = make(X, epochs, args.seed, args.backend, batch)
        seconds = time.perf_counter() - began
        value = evaluation.parzen(samples, test, validation)
        row = {
            "samples of": label,
            "Parzen test LL (nats)": round(value.value, 1),
            "stderr": round(value.stderr or 0.0, 1),
            "sigma": round(value.settings["bandwidth"], 3),
            "kind": value.kind,
            "published": PUBLISHED.get(label),
            "train seconds": round(seconds, 1),
        }
        print(row, flush=True)
        rows = {**kept(args.name, settings, "samples of"), label: row}
        write(args.name, [rows[k] for k, _ in MAKERS.values() if k in rows], settings, args.backend)
        picture = plotting.image_grid(samples[:SHOWN], (28, 28), ncols=10)
        picture.savefig(RESULTS / f"{args.name}-{key}.png", dpi=100)


if __name__ == "__main__":
    main()
