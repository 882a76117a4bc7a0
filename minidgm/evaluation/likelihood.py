"""Log-likelihood of data under an unnormalised model, whose kind follows from that of log Z."""

from __future__ import annotations

from typing import Any

from minidgm.evaluation.estimate import Estimate
from minidgm.evaluation.exact import log_partition_exact

ROWS = 8192


def mean_free_energy(model: Any, v: Any) -> float:
    """Mean of F(v) over the rows of ``v`` [n, n_visible], exact, nats."""
    return mean_over_rows(model, v, model.free_energy)


def mean_over_rows(model: Any, v: Any, function: Any) -> float:
    """Mean of ``function(rows)`` [n] over all rows of ``v``, in float64, a block of rows at a time."""
    v = model.check_data(v)
    if not v.shape[0]:
        raise ValueError("v has no rows; a mean needs at least one example")
    blocks = [function(v[i : i + ROWS]).sum(dtype="float64") for i in range(0, v.shape[0], ROWS)]
    return float(sum(blocks[1:], start=blocks[0])) / v.shape[0]


def log_likelihood(model: Any, v: Any, log_partition: Estimate | None = None) -> Estimate:
    """Mean log-likelihood of the rows of ``v``, -mean F(v) - log Z, in nats.

    Parameters
    ----------
    model : RBM or BoltzmannMachine
    v : array [n, n_visible]
    log_partition : Estimate, optional
        From `ais`, `reverse_ais`, `bridge_sampling` or `log_partition_exact`, which is the default.

    Returns
    -------
    Estimate
        Of the opposite kind: a lower bound on log Z bounds the log-likelihood from above. ``stderr`` is that
        of log Z; how the rows were sampled is not in it. Where F is not summed exactly (a DBM of many hidden
        units), its variational upper bound stands for it: with exact log Z the value is a lower bound, with
        an estimated one an estimate of that bound.

    Raises
    ------
    IntractableError
        Without ``log_partition``, where it cannot be enumerated.
    TypeError
        For a bare number, which does not say whether it is exact.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm.boltzmann.rbm import RBM
    >>> rbm = RBM(2, 3)
    >>> rbm.params["W"][...] = 0.0
    >>> print(log_likelihood(rbm, np.array([[0.0, 1.0]])).to("bits"))
    -2.0000 bits (exact; log Z by enumeration)
    >>> print(log_likelihood(rbm, np.array([[0.0, 1.0]]), Estimate(3.0, "lower bound")))
    <= -0.9206 nats (upper bound)
    """
    if log_partition is None:
        log_partition = log_partition_exact(model)
    if not isinstance(log_partition, Estimate):
        raise TypeError(
            f"log_partition is a {type(log_partition).__name__}; wrap it as Estimate(value, kind) so that "
            "the result knows whether it is exact"
        )
    if log_partition.unit != "nats":
        log_partition = log_partition.to("nats")
    how = f"log Z by {log_partition.how}" if log_partition.how else ""
    if getattr(model, "exact_free_energy", True):
        difference = -mean_free_energy(model, v) - log_partition
    else:
        bound = -mean_over_rows(model, v, model.variational_free_energy)
        difference = Estimate(bound, "lower bound") - log_partition
        how = f"mean-field bound; {how}".rstrip("; ")
    return Estimate(
        difference.value,
        difference.kind,
        difference.stderr,
        how=how,
        ess=difference.ess,
        settings=dict(log_partition.settings),
    )
