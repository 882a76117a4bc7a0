"""What the command measures on models that only generate: densities where they have any, or samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.backend import Generator
from minidgm.cli.measure import Figure
from minidgm.evaluation import Estimate, GaussianKernel, mmd2, parzen

N_SAMPLES = 10_000


def generated(model: Any, rows: Mapping[str, Any], seed: int) -> list[Figure]:
    """Exact log-likelihood of an invertible generator; Parzen windows on samples, and their MMD, of others.

    The window's bandwidth is chosen on validation rows, or on every tenth training row where there are none;
    the training rows as samples have a figure beside, the one to compare with.
    """
    if "log_prob" not in model.intractable:
        values = {part: exact(model, x) for part, x in rows.items()}
        return [Figure("log-likelihood", "change of variables", values)]
    samples = model.sample(N_SAMPLES, Generator(seed, model.backend))
    train = rows["train"]
    held = rows["validation"] if "validation" in rows else train[::10]
    measured = {part: x for part, x in rows.items() if part != "validation"}
    windows = {part: parzen(samples, x, held) for part, x in measured.items()}
    figures = [Figure("log-likelihood", "Parzen window", windows)]
    others = {part: x for part, x in measured.items() if part != "train"}
    if others:
        own = {part: parzen(train, x, held) for part, x in others.items()}
        figures.append(Figure("the same of training rows", "Parzen window", own))
    kernel = GaussianKernel.around(train)
    distances = {part: mmd2(samples, x, kernel) for part, x in rows.items()}
    return [*figures, Figure("squared MMD", "U-statistic", distances)]


def exact(model: Any, x: Any) -> Estimate:
    """Mean log-density of the rows."""
    return Estimate(float(model.log_prob(x).mean(dtype="float64")), "exact", how="change of variables")
