"""Parzen-window log-likelihood: how likely test rows are under Gaussians on samples of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidgm.backend import get_backend
from minidgm.classical.kde import BANDWIDTHS, KDE
from minidgm.evaluation.estimate import Estimate

ROWS = 1000


def parzen(samples: Any, test: Any, validation: Any, bandwidths: Sequence[float] = BANDWIDTHS) -> Estimate:
    """Mean log-density of ``test`` under a Parzen window on ``samples``, bandwidth chosen on ``validation``.

    The usual figure for models without a likelihood (Breuleux, Bengio & Vincent 2011; Goodfellow et al.
    2014). It is exact for the window and tells little about the model in many dimensions (Theis, van den
    Oord & Bethge 2016): compare with ``parzen(training rows, test, validation)``, which a model can exceed
    without being good.

    Parameters
    ----------
    samples : array [m, d]
        Of the model; 10,000 in the published figures.
    test, validation : array [n, d], [k, d]
        Different rows: the bandwidth that suits ``test`` itself would flatter.
    bandwidths : sequence of float
        Candidates for sigma.

    Returns
    -------
    Estimate
        Nats a row, with the standard error over test rows; ``settings["bandwidth"]`` was chosen.

    Raises
    ------
    DataError
        For arrays that are no rows of the same width.
    ValueError
        Without test or validation rows.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(300, 1))
    >>> value = parzen(x[:100], x[100:200], x[200:])
    >>> value.kind, value.settings["n_samples"]
    ('estimate', 100)
    """
    double = str(getattr(samples, "dtype", "")) == "float64"
    kde = KDE.from_samples(
        samples, backend=get_backend(samples) or "numpy", dtype="float64" if double else "float32"
    )
    test, validation = kde.check_data(test, "test"), kde.check_data(validation, "validation")
    for name, rows in (("test", test), ("validation", validation)):
        if not rows.shape[0]:
            raise ValueError(f"{name} has no rows; validation chooses the window, test measures it")
    candidates = kde.choose_bandwidth(validation, bandwidths)
    values = kde.xp.concatenate(
        [kde.log_prob(test[i : i + ROWS]).astype("float64") for i in range(0, test.shape[0], ROWS)]
    )
    n = values.shape[0]
    sigma = max(candidates, key=lambda b: candidates[b])
    edge = sigma in (min(candidates), max(candidates)) and len(candidates) > 1
    return Estimate(
        float(values.mean()),
        "estimate",
        math.sqrt(float(values.var()) / (n - 1)) if n > 1 else None,
        how=f"Parzen window, sigma {sigma:.3g}{' at the edge of the candidates' if edge else ''}",
        settings={"bandwidth": sigma, "n_samples": kde.n_samples, "n_validation": int(validation.shape[0])},
    )
