"""Annealed importance sampling: partition functions from chains that travel from a simple model to a target.

A chain starts at a draw from f_0, whose normaliser is known, and passes inverse temperatures
0 = beta_0 < ... < beta_K = 1 along a path of unnormalised densities f_beta (`minidgm.evaluation.path`):

    w = prod_k f_{beta_k}(v_k) / f_{beta_{k-1}}(v_k),      v_{k+1} ~ T_{beta_k}(. | v_k),

where T_beta leaves f_beta invariant (Neal 2001; Salakhutdinov and Murray 2008; Deep Learning, 18.7.1). Then
E[w] = Z_1 / Z_0 exactly, for any temperatures and however badly T mixes.

**On which side it errs.** Jensen: E[log mean w] <= log(Z_1 / Z_0), so a forward run lies below log Z in
expectation (and, by Markov, above log Z + a with probability at most exp(-a)); a log-likelihood computed with
it lies above the truth. A run in reverse, from exact samples of the target down to the base, estimates
Z_0 / Z_1 and errs on the other side (Burda, Grosse and Salakhutdinov 2015). Report both.

The standard error is the delta method's, sd(w) / (mean(w) sqrt(n)). With a small effective sample size,
(sum w)^2 / sum w^2, it understates: the chains that matter may not have been seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, to_numpy
from minidgm.evaluation.annealing import (
    BLOCK_SIZE,
    describe,
    describe_base,
    log_mean_exp,
    path_between,
    path_from_base,
    run,
    sample_base,
    sample_model,
)
from minidgm.evaluation.estimate import AnnealedEstimate
from minidgm.evaluation.schedule import check_betas


def ais(
    model: Any,
    n_chains: int = 100,
    n_temperatures: int = 1000,
    betas: Sequence[float] | None = None,
    base: Any = None,
    rng: Generator | int | None = None,
    executor: Any = None,
    block_size: int = BLOCK_SIZE,
    sweeps: str | None = None,
) -> AnnealedEstimate:
    """Estimate log Z, in nats, by annealing from independent visible units; E[value] <= log Z.

    Parameters
    ----------
    model : RBM or BoltzmannMachine
        Any units. A BoltzmannMachine is annealed jointly in (v, h).
    n_chains : int
    n_temperatures : int
        Evenly spaced inverse temperatures, 0 and 1 included; unused if ``betas`` is given.
    betas : sequence of float, optional
        From 0 to 1, strictly increasing; e.g. `published_betas`.
    base : None, "biases", "uniform" or array [n_visible]
        Visible biases of the base. Best are those of the training data's means, ``base_rate(model, train)``;
        None takes the visible field while the hidden units are idle, "biases" the biases alone. Every choice
        is unbiased for Z; a closer one has less variance.
    rng : Generator or int, optional
    executor : concurrent.futures.Executor, optional
        Runs blocks of ``block_size`` chains, each with a generator spawned for it: the result depends on
        ``rng`` and ``block_size``, never on the executor or its number of workers.
    block_size : int
        Chains a block. To spread 100 chains over workers, use fewer than 100.
    sweeps : {"block", "collapsed"}, optional
        How the chains of an RBM move between temperatures: block Gibbs, or draws of single hidden units with
        the visible ones summed out (`minidgm.evaluation.collapsed`), which mix far better where few hidden
        units face many visible ones. None takes the collapsed ones for at most 32 two-valued hidden units
        and at least ten times as many visible ones.

    Returns
    -------
    AnnealedEstimate
        ``value`` log Z; ``log_weights`` [n_chains]; ``samples`` the final v [n_chains, n_visible], which
        represent the model when weighted.

    Raises
    ------
    ValueError
        Temperatures that do not rise from 0 to 1; fewer than one chain; a base of another shape.
    TypeError
        A model without a path, or arrays of two backends.
    DivergenceError
        Log-weights that are not finite.

    Examples
    --------
    >>> from minidgm.boltzmann.rbm import RBM
    >>> from minidgm.evaluation import log_partition_exact
    >>> rbm = RBM(6, 3, seed=0)
    >>> estimate = ais(rbm, n_temperatures=10, rng=0)
    >>> abs(estimate.value - log_partition_exact(rbm).value) < 0.01
    True
    """
    schedule = check_betas(betas, n_temperatures)
    n_chains = count("n_chains", n_chains)
    path, log_z_base = path_from_base(model, base, sweeps)
    generator = model.generator(rng)
    log_w, state = run(
        path, sample_base(path, n_chains, generator), schedule, generator, executor, block_size
    )
    value, stderr, ess = log_mean_exp(log_w)
    return AnnealedEstimate(
        log_z_base + float(path.log_constants()) + value,
        stderr=stderr,
        how="AIS; at most log Z in expectation",
        ess=ess,
        settings=describe(n_chains, schedule, block_size, base=describe_base(base), sweeps=path.sweeps),
        log_weights=to_numpy(log_w),
        samples=path.visible(state),
    )


def reverse_ais(
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
    """Estimate log Z, in nats, by annealing from samples of the model down to the base.

    From exact samples E[value] >= log Z. They are drawn by enumeration where a side has at most 2^20 states.
    Elsewhere the chains start at ``init``, or at the end of a forward run, and the side on which the value
    errs is sure only as far as these have reached the model's distribution; ``how`` says which was done.

    Parameters
    ----------
    model, n_chains, n_temperatures, betas, base, rng, executor, block_size, sweeps
        As for `ais`; ``betas`` are given rising and used in reverse.
    init : array [n_chains, n_visible], optional
        Samples of the model to start from.
    gibbs_steps : int, optional
        Sweeps of the model before the annealing: 0 from exact samples and from ``init``, else 1000.

    Returns
    -------
    AnnealedEstimate
        ``value`` log Z; ``log_weights`` [n_chains] of the estimate of Z_base / Z.

    Raises
    ------
    ValueError, TypeError, DataError, DivergenceError
        As for `ais`, and for ``init`` of another shape or domain.
    """
    schedule = check_betas(betas, n_temperatures)
    n_chains = count("n_chains", n_chains)
    path, log_z_base = path_from_base(model, base, sweeps)
    generator = model.generator(rng)

    def forward() -> Any:
        return run(path, sample_base(path, n_chains, generator), schedule, generator, executor, block_size)[1]

    approach = (forward, "the end of a forward run")
    start, steps, source = sample_model(path, n_chains, generator, init, gibbs_steps, 1.0, approach)
    # A beta that repeats weighs nothing: the sweeps before the annealing.
    log_w, state = run(path, start, [1.0] * steps + schedule[::-1], generator, executor, block_size)
    value, stderr, ess = log_mean_exp(log_w)
    exact = source == "exact samples"
    side = "at least log Z in expectation" if exact else "so too if these are samples of the model"
    return AnnealedEstimate(
        log_z_base + float(path.log_constants()) - value,
        stderr=stderr,
        how=f"reverse AIS from {source}; {side}",
        ess=ess,
        settings=describe(
            n_chains,
            schedule,
            block_size,
            base=describe_base(base),
            sweeps=path.sweeps,
            gibbs_steps=steps,
        ),
        log_weights=to_numpy(log_w),
        samples=path.visible(state),
    )


def ais_between(
    model_a: Any,
    model_b: Any,
    n_chains: int = 100,
    n_temperatures: int = 1000,
    betas: Sequence[float] | None = None,
    rng: Generator | int | None = None,
    executor: Any = None,
    block_size: int = BLOCK_SIZE,
    init: Any = None,
    gibbs_steps: int | None = None,
) -> AnnealedEstimate:
    """Estimate log Z_B - log Z_A, in nats, of two trained models of the same visible units.

    The joint path has both hidden layers, A's fading out and B's fading in, so that they may differ in size
    and unit type; two Boltzmann machines need equal sizes. From exact samples of A,
    E[value] <= log Z_B - log Z_A.

    Parameters
    ----------
    model_a, model_b : RBM, or BoltzmannMachine
    n_chains, n_temperatures, betas, rng, executor, block_size
        As for `ais`.
    init : array [n_chains, n_visible], optional
        Samples of A to start from. By default they are exact where A can be enumerated, else Gibbs samples
        from A's visible biases.
    gibbs_steps : int, optional
        Sweeps of A before the annealing: 0 from exact samples and from ``init``, else 1000.

    Returns
    -------
    AnnealedEstimate
        ``log_weights`` [n_chains] of Z_B / Z_A, without the constants of the idle layers; ``samples`` of B.

    Raises
    ------
    TypeError, ValueError
        Models without a common path, and as for `ais`.

    Examples
    --------
    >>> from minidgm.boltzmann.rbm import RBM
    >>> from minidgm.evaluation import log_partition_exact
    >>> a, b = RBM(5, 2, seed=0), RBM(5, 4, seed=1)
    >>> difference = log_partition_exact(b) - log_partition_exact(a)
    >>> abs(ais_between(a, b, n_temperatures=10, rng=0).value - difference.value) < 0.01
    True
    """
    schedule = check_betas(betas, n_temperatures)
    n_chains = count("n_chains", n_chains)
    path = path_between(model_a, model_b)
    generator = model_b.generator(rng)

    def from_biases() -> Any:
        return path.join(model_a.sample(n_chains, generator, steps=0), 0.0, generator)

    approach = (from_biases, "the biases")
    start, steps, source = sample_model(path, n_chains, generator, init, gibbs_steps, 0.0, approach)
    log_w, state = run(path, start, [0.0] * steps + schedule, generator, executor, block_size)
    value, stderr, ess = log_mean_exp(log_w)
    exact = "; at most log Z_B - log Z_A in expectation" if source == "exact samples" else ""
    return AnnealedEstimate(
        float(path.log_constants()) + value,
        stderr=stderr,
        how=f"AIS between models from {source}{exact}",
        ess=ess,
        settings=describe(n_chains, schedule, block_size, gibbs_steps=steps),
        log_weights=to_numpy(log_w),
        samples=path.visible(state),
    )
