"""Bridge sampling: the acceptance-ratio estimator, which joins chains from both ends.

A forward run gives log-weights of Z_1 / Z_0, a reverse run from samples of the target those of Z_0 / Z_1.
Every forward path has a reverse twin, and the log-ratio of their densities is log w - r with
r = log(Z_1 / Z_0); so the two runs are samples from two densities whose overlap fixes r. Of all bridges
between them the one of least variance (Bennett 1976; Meng and Wong 1996; Deep Learning, 18.7.2, equations
18.62 - 18.63; for paths Crooks 2000) makes r the root of

    sum_forward sigmoid(log w_i - r - M) = sum_reverse sigmoid(log w'_j + r + M),      M = log(n_f / n_r).

The left side falls and the right side rises with r: bisection finds the only root. With two temperatures this
is the classical bridge between base and model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidgm.backend import Generator, get_xp
from minidgm.evaluation.ais import ais, reverse_ais
from minidgm.evaluation.annealing import BLOCK_SIZE, describe, describe_base, path_from_base
from minidgm.evaluation.estimate import AnnealedEstimate
from minidgm.evaluation.schedule import check_betas
from minidgm.numerics import log_sigmoid, logsumexp


def bridge_sampling(
    model: Any,
    n_chains: int = 100,
    n_temperatures: int = 1000,
    betas: Sequence[float] | None = None,
    base: Any = None,
    rng: Generator | int | None = None,
    executor: Any = None,
    block_size: int = BLOCK_SIZE,
    init: Any = None,
    gibbs_steps: int | None = None,
    sweeps: str | None = None,
) -> AnnealedEstimate:
    """Estimate log Z, in nats, from ``n_chains`` forward and as many reverse chains.

    Consistent from exact samples of the model, and of less variance than either run alone; neither bound nor
    unbiased. Where samples cannot be exact, ``how`` says what the reverse chains started from.

    Parameters
    ----------
    model : RBM
        Any units: block Gibbs sweeps are reversible, as twins of paths need. (The sequential sweeps of a
        BoltzmannMachine are not.)
    n_chains, n_temperatures, betas, base, rng, executor, block_size, init, gibbs_steps, sweeps
        As for `reverse_ais`. Two temperatures are the plain bridge between base and model.

    Returns
    -------
    AnnealedEstimate
        ``log_weights`` [2, n_chains] of the forward and the reverse run; ``samples`` of the forward run.
        ``stderr`` is Bennett's; ``ess`` the number of independent weights that would give it.

    Raises
    ------
    TypeError
        A model whose sweeps are not reversible.
    ValueError, DataError, DivergenceError
        As for `reverse_ais`.

    Examples
    --------
    >>> from minidgm.boltzmann.rbm import RBM
    >>> from minidgm.evaluation import log_partition_exact
    >>> rbm = RBM(6, 3, seed=0)
    >>> estimate = bridge_sampling(rbm, n_temperatures=2, rng=0)
    >>> abs(estimate.value - log_partition_exact(rbm).value) < 0.01
    True
    """
    schedule = check_betas(betas, n_temperatures)
    path, log_z_base = path_from_base(model, base, sweeps)
    if not path.reversible:
        raise TypeError(
            f"bridge sampling needs reversible sweeps, those of {type(model).__name__} are not; "
            "use ais and reverse_ais"
        )
    generator = model.generator(rng)
    common = {
        "betas": schedule,
        "base": base,
        "rng": generator,
        "executor": executor,
        "block_size": block_size,
        "sweeps": sweeps,
    }
    up = ais(model, n_chains, **common)
    down = reverse_ais(model, n_chains, init=init, gibbs_steps=gibbs_steps, **common)
    ratio, stderr = acceptance_ratio(up.log_weights, down.log_weights)
    xp = get_xp(up.log_weights)
    steps = down.settings["gibbs_steps"]
    return AnnealedEstimate(
        log_z_base + float(path.log_constants()) + ratio,
        stderr=stderr,
        how=down.how.split(";")[0].replace("reverse AIS", "acceptance ratio of forward and reverse chains"),
        ess=1.0 / (stderr**2 + 0.5 / n_chains) if math.isfinite(stderr) else None,
        settings=describe(n_chains, schedule, block_size, base=describe_base(base), gibbs_steps=steps),
        log_weights=xp.stack([up.log_weights, down.log_weights]),
        samples=up.samples,
    )


def acceptance_ratio(forward: Any, reverse: Any) -> tuple[float, float]:
    """Solve Bennett's equation for log(Z_1 / Z_0).

    Parameters
    ----------
    forward : array [n_f]
        Log-weights of Z_1 / Z_0 along paths from the start.
    reverse : array [n_r]
        Log-weights of Z_0 / Z_1 along paths from the end.

    Returns
    -------
    (value, standard error)
        The asymptotic error of Bennett (1976), with the means of both runs; infinite where the runs do not
        overlap.

    Examples
    --------
    >>> import numpy as np
    >>> acceptance_ratio(np.array([1.5, 1.5]), np.array([-1.5]))
    (1.5, 0.0)
    """
    get_xp(forward=forward, reverse=reverse)
    n_f, n_r = forward.shape[0], reverse.shape[0]
    shift = math.log(n_f / n_r)

    def excess(r: float) -> float:
        # In logarithms, for acceptances far out in the tails.
        accepted = (log_sigmoid(forward - (r + shift)), log_sigmoid(reverse + (r + shift)))
        return float(logsumexp(accepted[0])) - float(logsumexp(accepted[1]))

    # At the smallest single-path value the left side is the larger, at the largest the right one.
    low = min(float(forward.min()), float(-reverse.max()))
    high = max(float(forward.max()), float(-reverse.min()))
    while high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
    r = 0.5 * (low + high)
    n = n_f + n_r
    # Overlap of the two densities of paths, <1 / (2 + 2 cosh u)> = <sigmoid(u) sigmoid(-u)> over both runs.
    overlap = 0.0
    for u in (forward - (r + shift), -reverse - (r + shift)):
        overlap += float(get_xp(u).exp(log_sigmoid(u) + log_sigmoid(-u)).sum()) / n
    variance = (1.0 / overlap - n / n_f - n / n_r) / n if overlap > 0.0 else math.inf
    return r, math.sqrt(max(variance, 0.0))
