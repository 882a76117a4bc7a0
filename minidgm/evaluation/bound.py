"""Log-likelihood of models with a recognition net: the variational bound, and importance weighting.

For a deep belief network, with w the unnormalized weights of `minidgm.boltzmann.recognition` and Z of its top
RBM,

    mean E_q[log w] - log Z <= mean log p(v),      mean log 1/K sum_k w_k - log Z, in expectation between.

A directed model is normalized by itself, log Z = 0 (`minidgm.latent.directed`).

What such a figure is depends on that of log Z: with an exact Z, draws from q give an unbiased estimate of a
lower bound, called a lower bound here (with its standard error); with Z by annealing, an estimate.
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.evaluation.estimate import Estimate
from minidgm.evaluation.exact import log_partition_exact
from minidgm.numerics import logsumexp

ROWS = 1024


def lower_bound(
    model: Any, v: Any, log_partition: Estimate | None = None, rng: Any = None, n_samples: int = 10
) -> Estimate:
    """Mean of ``model.elbo`` over the rows of ``v``, nats.

    Parameters
    ----------
    model : DBN or DirectedModel
    v : array [n, n_visible]
    log_partition : Estimate, optional
        log Z of ``model.top``, by `ais` or `log_partition_exact`, which is the default; 0 without a top.
    rng : Generator or int, optional
        Draws from q; without it the expectation is enumerated, and the bound exact.
    n_samples : int
        Draws a row.

    Returns
    -------
    Estimate
        A lower bound where log Z is exact or from above, else an estimate. ``stderr``: of log Z and, with
        ``rng``, of the draws; how the rows were sampled is not in it.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DBN
    >>> dbn = DBN([3, 2, 2], seed=0)
    >>> dbn.params.buffer[...] = 0.0
    >>> print(lower_bound(dbn, np.eye(3)).to("bits"))
    >= -3.0000 bits (lower bound; recognition net, enumerated; log Z by enumeration)
    """
    if rng is None:
        mean = _mean(model, v, lambda rows: (model.mean_log_weight(rows), None))[0]
        return _less_log_z(model, mean, None, log_partition, "recognition net, enumerated")
    rng = model.generator(rng)

    def draws(rows: Any) -> tuple[Any, Any]:
        log_w = model.log_weights(rows, rng, n_samples)
        return log_w.mean(axis=0), log_w.var(axis=0) / max(1, n_samples - 1)

    mean, variance = _mean(model, v, draws)
    stderr = math.sqrt(variance) if n_samples > 1 else None
    return _less_log_z(model, mean, stderr, log_partition, f"recognition net, {n_samples} draws a row")


def importance_weighted(
    model: Any, v: Any, log_partition: Estimate | None = None, rng: Any = None, n_samples: int = 100
) -> Estimate:
    """Mean of ``model.log_prob_estimate`` over the rows of ``v``, nats; arguments as for `lower_bound`.

    In expectation it lies below the log-likelihood and rises towards it with ``n_samples``.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DBN
    >>> importance_weighted(DBN([3, 2, 2], seed=0), np.eye(3), rng=0).kind
    'lower bound'
    """
    rng, power = model.generator(rng), getattr(model, "weight_power", 1.0)

    def weighted(rows: Any) -> tuple[Any, Any]:
        log_w = power * model.log_weights(rows, rng, n_samples)
        mean = logsumexp(log_w, axis=0) - math.log(n_samples)
        # The delta method: Var(log mean w) is about Var(w) / (K mean(w)^2).
        variance = get_xp(log_w).exp(log_w - mean).var(axis=0) / max(1, n_samples - 1)
        return mean / power, variance / power**2

    mean, variance = _mean(model, v, weighted)
    stderr = math.sqrt(variance) if n_samples > 1 else None
    return _less_log_z(model, mean, stderr, log_partition, f"{n_samples} importance weights a row")


def _less_log_z(
    model: Any, mean: float, stderr: float | None, log_partition: Estimate | None, how: str
) -> Estimate:
    log_z = log_partition
    if log_z is None:
        top = getattr(model, "top", None)
        log_z = Estimate(0.0, "exact") if top is None else log_partition_exact(top)
    if not isinstance(log_z, Estimate):
        raise TypeError(
            f"log_partition is a {type(log_z).__name__}; wrap it as Estimate(value, kind) so that the result "
            "knows whether it is exact"
        )
    log_z = log_z if log_z.unit == "nats" else log_z.to("nats")
    found = Estimate(mean, "lower bound", stderr) - log_z
    how = f"{how}; log Z by {log_z.how}" if log_z.how else how
    return Estimate(found.value, found.kind, found.stderr, how=how, ess=log_z.ess, settings=log_z.settings)


def _mean(model: Any, v: Any, function: Any) -> tuple[float, float]:
    """Mean over the rows of ``function(rows)``'s values [n], and the variance of that mean."""
    v = model.check_data(v)
    n = v.shape[0]
    if not n:
        raise ValueError("v has no rows; a mean needs at least one example")
    found = [function(v[i : i + ROWS]) for i in range(0, n, ROWS)]
    total = math.fsum(float(values.sum()) for values, _ in found)
    return total / n, math.fsum(float(spread.sum()) for _, spread in found if spread is not None) / n**2
