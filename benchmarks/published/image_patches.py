"""Whitened image patches: real-valued models with as many parameters, on held-out likelihood.

    python benchmarks/published/image_patches.py [--models gaussian ssrbm] [--data photographs mnist] [--full]

Patches of 8 x 8 pixels of scikit-learn's two photographs and of MNIST, ZCA-whitened; training and test share
no pixel. The log-likelihood of the test rows is exact where the hidden states can be enumerated, else by AIS,
with the reverse estimate beside it (the truth lies between their expectations). The normal distribution with
the training rows' mean and covariance is the line that a model without hidden units draws.

A model is a line of MODELS. Rows of models that are not asked for are kept from the last run of the same
settings.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import RESULTS, write

from minidgm import (
    GaussianRBM,
    MeanCovarianceRBM,
    MeanProductOfStudentT,
    SpikeAndSlabRBM,
    datasets,
    evaluation,
    objectives,
    optim,
    plotting,
)

NAME = "image-patches"
EXACT = 2**12  # hidden states


def pcd(model: Any, X: Any, epochs: int, rate: float, seed: int) -> Any:
    """PCD-1 with 100 chains and Adam, its rate falling to 0."""
    adam = optim.Adam(optim.schedules.Cosine(rate, 0.0))
    chains = objectives.PersistentContrastiveDivergence(1, n_chains=100)
    model.fit(X, objective=chains, optimizer=adam, epochs=epochs, batch_size=100, seed=seed)
    return model


def gaussian(X: Any, budget: int, epochs: int, seed: int) -> Any:
    """W [d, k], b, c, precisions: k (d + 1) + 2 d parameters."""
    d = X.shape[1]
    return pcd(GaussianRBM(d, (budget - 2 * d) // (d + 1), seed=seed), X, epochs, 5e-3, seed)


def ssrbm(X: Any, budget: int, epochs: int, seed: int) -> Any:
    """W and Phi [d, k], b, mu, alpha, Lambda: k (2 d + 3) + d parameters."""
    d = X.shape[1]
    return pcd(SpikeAndSlabRBM(d, (budget - d) // (2 * d + 3), seed=seed), X, epochs, 5e-3, seed)


def by_hmc(kind: Any, X: Any, budget: int, epochs: int, seed: int) -> Any:
    """W and R [d, k] in all (a mean unit for seven covariance units), a number a unit, b and precisions."""
    d = X.shape[1]
    k = (budget - 2 * d) // (d + 1)
    model = kind(d, k // 8, k - k // 8, seed=seed).initialize(X)
    adam = optim.Adam(optim.schedules.Cosine(5e-3, 0.0))
    model.fit(X, optimizer=adam, epochs=epochs, batch_size=100, seed=seed)
    return model


def mcrbm(X: Any, budget: int, epochs: int, seed: int) -> Any:
    """k (d + 1) + 2 d parameters."""
    return by_hmc(MeanCovarianceRBM, X, budget, epochs, seed)


def mpot(X: Any, budget: int, epochs: int, seed: int) -> Any:
    """k (d + 1) + 2 d parameters."""
    return by_hmc(MeanProductOfStudentT, X, budget, epochs, seed)


MODELS: dict[str, Callable[[Any, int, int, int], Any]] = {
    "gaussian": gaussian,
    "mcrbm": mcrbm,
    "mpot": mpot,
    "ssrbm": ssrbm,
}


def measure(model: Any, X: Any, T: Any, betas: int, seed: int) -> dict[str, Any]:
    """Mean log-likelihood of training and test rows, and how log Z was found."""
    parts = {"train": X, "test": T}
    free = {part: float(model.free_energy(rows).mean(dtype="float64")) for part, rows in parts.items()}
    if model.hidden.n_states(model.n_hidden) <= EXACT:
        log_z, more = float(model.log_partition()), {"log Z": "exact"}
    else:
        common = {"n_chains": 100, "n_temperatures": betas, "rng": seed}
        forward = evaluation.ais(model, **common)
        back = evaluation.reverse_ais(model, init=forward.samples, gibbs_steps=100, **common)
        log_z, gap = forward.value, back.value - forward.value
        more = {"log Z": "AIS", "stderr": round(forward.stderr, 3), "reverse - forward": round(gap, 3)}
    return {**{f"{part} LL (nats)": round(-value - log_z, 3) for part, value in free.items()}, **more}


def normal(X: Any, T: Any) -> dict[str, Any]:
    """The normal distribution of the training rows' mean and covariance."""
    mean, covariance = X.mean(axis=0, dtype="float64"), np.cov(X.T.astype("float64"), bias=True)
    precision, log_det = np.linalg.inv(covariance), np.linalg.slogdet(covariance)[1]
    row: dict[str, Any] = {"model": "normal distribution", "parameters": X.shape[1] * (X.shape[1] + 3) // 2}
    for part, rows in (("train", X), ("test", T)):
        square = np.einsum("ni,ij,nj->n", rows - mean, precision, rows - mean).mean()
        value = -0.5 * (square + log_det + X.shape[1] * np.log(2.0 * np.pi))
        row[f"{part} LL (nats)"] = round(float(value), 3)
    return {**row, "log Z": "exact"}


def run(source: str, names: list[str], budget: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    data = datasets.patches(source, size=8, n=args.rows, whiten="zca", seed=args.seed)
    X, T = data.train, data.test
    rows = [{"data": source, "budget": budget, **normal(X, T)}]
    for name in names:
        start = time.perf_counter()
        model = MODELS[name](X, budget, args.epochs, args.seed)
        seconds = time.perf_counter() - start
        row = {"data": source, "budget": budget, "model": type(model).__name__, "hidden": model.n_hidden}
        row |= {"parameters": model.params.size, **measure(model, X, T, args.betas, args.seed)}
        rows.append({**row, "train seconds": round(seconds, 1)})
        print(rows[-1], flush=True)
    return rows


def picture(args: argparse.Namespace) -> None:
    """Covariance filters of an mcRBM, as pixels, on photographs brought to one contrast.

    The photographs' local mean and deviation (a Gaussian window of 4 pixels) are taken out, and each whitened
    patch is divided by the root of its mean square plus 0.1: where contrast is left in, it is what most
    filters model. Ranzato and Hinton (2010) divide by the norm within the energy.
    """
    from scipy.ndimage import gaussian_filter

    images = []
    for image in datasets.photographs():
        detail = image - gaussian_filter(image, 4)
        deviation = np.sqrt(gaussian_filter(detail**2, 4))
        images.append(detail / np.maximum(deviation, deviation.mean()))
    data = datasets.patches(np.stack(images), size=8, n=2 * args.rows, whiten="zca", seed=args.seed)
    X = data.train / np.sqrt((data.train**2).mean(axis=1, keepdims=True) + 0.1)
    model = mcrbm(X, 8450, args.epochs, args.seed)
    R = model.params["R"] / np.abs(model.params["R"]).max(axis=0)
    figure = plotting.filters(R[:, :96], shape=(8, 8), ncols=16, title="covariance filters of an mcRBM")
    figure.savefig(RESULTS / f"{NAME}-mcrbm-filters.png", dpi=110)


def merge(rows: list[dict[str, Any]], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Put rows beside those of other models, where the last run had the same settings."""
    path = RESULTS / f"{NAME}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"rows": [], "settings": settings}
    found = {(row["data"], row["budget"], row["model"]): row for row in rows}
    old = {(row["data"], row["budget"], row["model"]): row for row in kept["rows"]}
    merged = {**old, **found} if kept["settings"] == settings else found
    order = sorted(merged, key=lambda key: (*key[:2], key[2] != "normal distribution"))
    return [merged[key] for key in order]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=sorted(MODELS))
    parser.add_argument("--data", nargs="+", default=["photographs", "mnist"])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--betas", type=int, default=1000)
    parser.add_argument("--budgets", type=int, nargs="+", default=[1100, 8450], help="parameters of a model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", action="store_true", help="draw the covariance filters only")
    parser.add_argument("--full", action="store_true", help="100,000 rows, 200 epochs, 10,000 temperatures")
    args = parser.parse_args()
    if args.full:
        args.rows, args.epochs, args.betas = 100_000, 200, 10_000
    if args.picture:
        picture(args)
        return
    asked = [(source, budget) for source in args.data for budget in args.budgets]
    rows = [row for source, budget in asked for row in run(source, args.models, budget, args)]
    settings = {
        "data": f"{args.rows} patches, 8 x 8, ZCA, a tenth of them for the test",
        "training": f"{args.epochs} epochs; rates and objectives are those of the functions in the script",
        "AIS": f"100 chains x {args.betas} even temperatures",
        "seed": args.seed,
    }
    write(NAME, merge(rows, settings), settings)


if __name__ == "__main__":
    main()
