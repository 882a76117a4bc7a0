"""Digits 8 x 8: one table for all families, on one split, each figure with its kind, seeds and seconds.

    PYTHONPATH=benchmarks python benchmarks/published/digits_table.py [--rows "RBM 64-16" KDE] [--quick]

Bits: a pixel is 1 where at least half of its ink is there (``digits(binarize="threshold")``), so that nothing
is drawn. Gray levels: the 17 levels, level + u over 17 with u uniform, drawn once; densities on [0, 1]^64.
Take 64 log 17 = 181.3 nats off to have a lower bound on the log-probability of the levels themselves.

Every model has the same three chances: 50, 200 or 800 epochs of Adam on batches of 100, rate 0.003 falling to
0 (what has no epochs: three values of its one setting). The 250 validation rows choose, with seed 0; the
setting is trained again with seeds 1 and 2; test figures are taken of these three alone. Sizes were set once
and not tuned. "stderr" is that of the 250 test rows, "spread" the standard deviation over seeds, "CPU
seconds" those of one training with the chosen setting. Importance weights give a lower bound in expectation
where nothing else is estimated. ``--rows`` runs a part; other rows are kept.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import kept, write

import minidgm as dgm
from minidgm import datasets, evaluation, objectives, optim
from minidgm.latent import nets

EPOCHS = (50, 200, 800)
RATE, BATCH = 0.003, 100
DRAWS = 500  # importance samples a row
PARZEN = 10_000
SEEDS = (0, 1, 2)

Parts = dict[str, Any]
Scores = Callable[[Any], Any]  # rows -> log p of each, nats


@dataclass(frozen=True)
class Row:
    """A model of the table: `train(data, setting, seed)` and `score(model, data, seed)` -> log p of rows."""

    block: str
    kind: str
    train: Callable[[Parts, Any, int], Any]
    score: Callable[[Any, Parts, int], Scores]
    settings: tuple[Any, ...] = EPOCHS
    setting: str = "epochs"


def fitted(make: Callable[[int], Any], objective: Callable[[], Any] | None = None) -> Any:
    """A `train` by Adam from `make(seed)`."""

    def train(data: Parts, epochs: Any, seed: int) -> Any:
        model = make(seed)
        X = data["train"]
        if hasattr(model, "initialize"):
            model.initialize(X)
        adam = optim.Adam(optim.Linear(RATE))
        options = {"optimizer": adam, "epochs": epochs, "batch_size": BATCH, "seed": seed}
        model.fit(X, objective=objective() if objective else None, **options)
        return model

    return train


# Bits


class Mixture:
    """Mixture of products of Bernoullis by expectation-maximization; one component is independent bits."""

    def __init__(self, X: Any, n_components: int, seed: int, steps: int = 100):
        r = np.random.default_rng(seed).dirichlet(np.full(n_components, 0.1), len(X))
        for _ in range(steps if n_components > 1 else 1):
            mass = r.sum(axis=0)
            p = (r.T @ X + 0.5) / (mass[:, None] + 1.0)
            self.log_odds, self.rest = np.log(p / (1.0 - p)), np.log1p(-p).sum(axis=1)
            self.log_share = np.log((mass + 0.5) / (len(X) + 0.5 * n_components))
            r = np.exp(self.joint(X) - self.log_prob(X)[:, None])
        self.n_parameters = p.size + n_components - 1

    def joint(self, X: Any) -> Any:
        """log p(x, component), [n, n_components]."""
        return X @ self.log_odds.T + self.rest + self.log_share

    def log_prob(self, X: Any) -> Any:
        """log p(x), [n], exact, nats."""
        return np.logaddexp.reduce(self.joint(X), axis=1)


def exact(model: Any, data: Parts, seed: int) -> Scores:
    """log p by its sum or integral."""
    return model.log_prob


def enumerated(model: Any, data: Parts, seed: int) -> Scores:
    """log p with log Z by enumeration."""
    log_z = model.log_partition()
    return lambda X: model.log_prob(X, log_partition=log_z)


def annealed(model: Any, data: Parts, seed: int) -> Scores:
    """-F - log Z, log Z by AIS."""
    base = evaluation.base_rate(model, data["train"])
    log_z = evaluation.ais(model, 100, 1000, base=base, rng=seed).value
    if hasattr(model, "log_prob_estimate"):
        return lambda X: model.log_prob_estimate(X, seed, DRAWS, log_partition=log_z)
    return lambda X: -model.free_energy(X) - log_z


def stacked(model: Any, data: Parts, seed: int) -> Scores:
    """Importance samples of a deep belief network, log Z of its top enumerated."""
    log_z = model.top.log_partition()
    return lambda X: model.log_prob_estimate(X, seed, DRAWS, log_partition=log_z)


def weighted(model: Any, data: Parts, seed: int) -> Scores:
    """Importance samples from the recognition net."""
    return lambda X: model.log_prob_estimate(X, seed, DRAWS)


def two_sided(model: Any, data: Parts, seed: int) -> Scores:
    """Importance samples of a bidirectional machine, log Z by its own dreams."""
    log_z = model.log_partition_estimate(seed, 5000, 20)
    return lambda X: model.log_prob_estimate(X, seed, DRAWS, log_partition=log_z)


def labeled(data: Parts, epochs: Any, seed: int) -> Any:
    """A machine of pairs, persistent chains of pairs."""
    model = dgm.DiscriminativeRBM(64, 16, n_classes=10, seed=seed)
    adam = optim.Adam(optim.Linear(RATE))
    options = {"optimizer": adam, "epochs": epochs, "batch_size": BATCH, "seed": seed}
    model.fit(data["train"], data["labels"], objective="PCD", **options)
    return model


def of_inputs(model: Any, data: Parts, seed: int) -> Scores:
    """log p(x), the label summed out."""
    log_z = model.log_partition()
    return lambda X: model.input_log_prob(X, log_partition=log_z)


# Gray levels


def parzen(model: Any, data: Parts, seed: int) -> Scores:
    """A window on samples, its width chosen on validation rows."""
    kde = dgm.KDE.from_samples(model.sample(PARZEN, seed))
    kde.choose_bandwidth(data["validation"])
    return kde.log_prob


def window(data: Parts, bandwidth: float, seed: int) -> Any:
    """A window on the training rows."""
    return dgm.KDE.from_samples(data["train"], bandwidth)


def full_normal(data: Parts, shrinkage: float, seed: int) -> Any:
    """One normal distribution; its covariance is widened by a share of the mean variance."""
    X = data["train"]
    width = math.sqrt(shrinkage * float(X.var(axis=0).mean()))
    noise = width * np.random.default_rng(seed).normal(size=(50 * len(X), 64))
    return dgm.AffineGenerator(64, seed=seed).match((np.tile(X, (50, 1)) + noise).astype("float32"))


def components(data: Parts, k: int, seed: int) -> Any:
    """Probabilistic principal components, in closed form."""
    return dgm.LinearGaussianVAE(64, k, seed=seed).maximize_likelihood(data["train"])


def vae(seed: int) -> Any:
    return dgm.VAE(*nets.dense(64, 10, [128]), 10, seed=seed)


def two_layers(seed: int) -> Any:
    return dgm.HierarchicalVAE(*nets.layered(64, (20, 10), [(128,), (64,)]), (20, 10), seed=seed)


def bits_vae(seed: int) -> Any:
    return dgm.DiscreteVAE(*nets.dense(64, 32, [128], codes=1), 32, seed=seed)


def gray_vae(seed: int) -> Any:
    return dgm.VAE(*nets.dense(64, 10, [128], outputs=2), 10, "gaussian", seed=seed)


def gmmn(seed: int) -> Any:
    return dgm.GMMN(64, 10, (64, 256), "sigmoid", seed=seed)


def mixture(data: Parts, n_components: int, seed: int) -> Any:
    return Mixture(data["train"].astype("float64"), n_components, seed)


PCD = objectives.PersistentContrastiveDivergence
ROWS = {
    "independent bits": Row("bits", "exact", mixture, exact, (1,), "components"),
    "mixture of independent bits": Row("bits", "exact", mixture, exact, (30, 100, 300), "components"),
    "Boltzmann machine, 64 visible": Row(
        "bits", "estimate", fitted(lambda s: dgm.BoltzmannMachine(64, 0, seed=s), PCD), annealed
    ),
    "RBM 64-16": Row("bits", "exact", fitted(lambda s: dgm.RBM(64, 16, seed=s), PCD), enumerated),
    "RBM 64-64": Row("bits", "estimate", fitted(lambda s: dgm.RBM(64, 64, seed=s), PCD), annealed),
    "DiscriminativeRBM 64-16, of digit and label": Row("bits", "exact", labeled, of_inputs),
    "DBN 64-64-16": Row("bits", "lower bound", fitted(lambda s: dgm.DBN([64, 64, 16], seed=s)), stacked),
    "DBM 64-64-16": Row("bits", "estimate", fitted(lambda s: dgm.DBM([64, 64, 16], seed=s)), annealed),
    "HelmholtzMachine 64-64": Row(
        "bits", "lower bound", fitted(lambda s: dgm.HelmholtzMachine([64, 64], seed=s)), weighted
    ),
    "SigmoidBeliefNet 64-16, RWS": Row(
        "bits",
        "exact",
        fitted(lambda s: dgm.SigmoidBeliefNet([64, 16], seed=s), lambda: objectives.ReweightedWakeSleep(10)),
        exact,
    ),
    "SigmoidBeliefNet 64-64, RWS": Row(
        "bits",
        "lower bound",
        fitted(lambda s: dgm.SigmoidBeliefNet([64, 64], seed=s), lambda: objectives.ReweightedWakeSleep(10)),
        weighted,
    ),
    "BidirectionalHelmholtz 64-64": Row(
        "bits", "estimate", fitted(lambda s: dgm.BidirectionalHelmholtz([64, 64], seed=s)), two_sided
    ),
    "VAE 64-128-10": Row("bits", "lower bound", fitted(vae), weighted),
    "VAE 64-128-10, bound of 50": Row(
        "bits", "lower bound", fitted(vae, lambda: objectives.ImportanceWeighted(50)), weighted
    ),
    "VAE of two layers, 64-128-20-64-10": Row("bits", "lower bound", fitted(two_layers), weighted),
    "DiscreteVAE 64-128-32": Row("bits", "lower bound", fitted(bits_vae), weighted),
    "one normal": Row("gray", "exact", full_normal, exact, (0.0, 0.01, 0.1), "shrinkage"),
    "LinearGaussianVAE": Row("gray", "exact", components, exact, (32, 48, 60), "codes"),
    "KDE on the training rows": Row("gray", "exact", window, exact, (0.1, 0.125, 0.15), "bandwidth"),
    "GaussianRBM 64-16": Row("gray", "exact", fitted(lambda s: dgm.GaussianRBM(64, 16, seed=s)), enumerated),
    "VAE 64-128-10, Gaussian": Row("gray", "lower bound", fitted(gray_vae), weighted),
    "GMMN 10-64-256-64, Parzen window": Row("gray", "estimate", fitted(gmmn), parzen),
}


def parts(block: str) -> Parts:
    """The rows of a block, float32, and the training labels."""
    data = datasets.digits(binarize="threshold" if block == "bits" else None)
    found: Parts = {"labels": data.train_labels}
    rng = np.random.default_rng(0)
    for part in ("train", "validation", "test"):
        X = getattr(data, part)
        found[part] = X if block == "bits" else ((16 * X + rng.random(X.shape)) / 17).astype("float32")
    return found


def measure(name: str, row: Row, data: Parts, quick: bool) -> dict[str, Any]:
    """Choose on validation rows, train with all seeds, take the test figures."""
    choices = row.settings
    if quick and choices is EPOCHS:
        choices = tuple(max(1, n // 10) for n in choices)
    seconds, scores, models = {}, {}, {}

    def train(setting: Any, seed: int) -> None:
        start = time.process_time()
        models[setting, seed] = row.train(data, setting, seed)
        seconds[setting, seed] = time.process_time() - start
        scores[setting, seed] = row.score(models[setting, seed], data, seed)

    for setting in choices:
        train(setting, SEEDS[0])
    found = {setting: float(scores[setting, 0](data["validation"]).mean()) for setting in choices}
    best = max(choices, key=lambda setting: found[setting])
    for seed in SEEDS[1:]:
        train(best, seed)
    values = np.array([scores[best, seed](data["test"]) for seed in SEEDS], dtype="float64")
    model = models[best, 0]
    size = getattr(model, "n_parameters", None) or model.params.size
    line = {
        "data": row.block,
        "model": name,
        "test LL (nats)": round(float(values.mean()), 2),
        "stderr": round(float(values.mean(axis=0).std(ddof=1)) / math.sqrt(values.shape[1]), 2),
        "spread": round(float(values.mean(axis=1).std(ddof=1)), 2),
        "kind": row.kind,
        "seeds": len(SEEDS),
        "validation LL": round(found[best], 2),
        "chosen": f"{best} {row.setting}",
        "of": ", ".join(f"{s}: {v:.1f}" for s, v in found.items()),
        "parameters": int(size),
        "CPU seconds": round(statistics.median(seconds[best, seed] for seed in SEEDS), 2),
    }
    print(line, flush=True)
    return line


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="MODEL")
    parser.add_argument("--quick", action="store_true", help="a tenth of the epochs, another file")
    args = parser.parse_args()
    name = "digits-table-quick" if args.quick else "digits-table"
    settings = {
        "data": "digits 8 x 8; 1,297 train, 250 validation, 250 test rows; bits: threshold 1/2",
        "epochs": [max(1, n // 10) for n in EPOCHS] if args.quick else list(EPOCHS),
        "rate": RATE,
        "batch": BATCH,
        "importance samples": DRAWS,
        "AIS": "100 chains, 1,000 temperatures",
        "seeds": list(SEEDS),
    }
    for key in args.rows:
        line = measure(key, ROWS[key], parts(ROWS[key].block), args.quick)
        rows = {**kept(name, settings, "model"), key: line}
        write(name, [rows[model] for model in ROWS if model in rows], settings)


if __name__ == "__main__":
    main()
