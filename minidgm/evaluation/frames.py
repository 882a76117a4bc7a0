"""Log-likelihood of sequences: exact where a frame's RBM can be enumerated, else annealed for all at once.

The RBMs of the frames share W and differ in their biases b_i, c_i, so that the chains of all frames advance
together: one matrix product a half sweep. The path of frame i starts from independent units with biases s_i,

    log f_beta(v) = (1 - beta) s_i.v + beta b_i.v + log_base(v) + sum_j cgf(beta (v W + c_i)_j),

and its weights average to Z_i / Z of the start, exactly, whatever s_i (see `minidgm.evaluation.ais`). By
default s_i is the visible field at the fixed point that a few mean-field sweeps of frame i approach.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.errors import DivergenceError
from minidgm.evaluation.estimate import Estimate
from minidgm.evaluation.schedule import check_betas
from minidgm.numerics import logsumexp

ROWS = 4096  # chains that advance together
EXACT_STATES = 2**12
SWEEPS = 5  # of mean field, to the biases of the start


def frame_log_likelihood(
    model: Any,
    X: Any,
    n_chains: int = 10,
    n_temperatures: int = 300,
    betas: Sequence[float] | None = None,
    rng: Generator | int | None = None,
    exact: bool | None = None,
) -> Estimate:
    """Mean over frames of log p(v_t | past), in nats.

    Parameters
    ----------
    model : ConditionalRBM or RNNRBM
    X : list of arrays [T_i, n_visible]
        A conditional RBM has no density for the first n_context frames of a sequence: they are left out.
    n_chains, n_temperatures : int
        Of annealed importance sampling, for every frame.
    betas : sequence of float, optional
        From 0 to 1, strictly increasing, in place of evenly spaced ones.
    rng : Generator or int, optional
    exact : bool, optional
        Whether to enumerate; by default where a side of the RBM has at most 2^12 states.

    Returns
    -------
    Estimate
        Exact, or an upper bound in expectation, because annealing errs below every log Z. ``stderr`` is that
        of the partition functions; how the sequences were sampled is not in it. ``ess`` is the mean over
        frames of the effective number of chains.

    Raises
    ------
    DivergenceError
        Log-weights that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import RNNRBM
    >>> model = RNNRBM(3, 2, 2, seed=0)
    >>> piece = [np.ones((6, 3), dtype="float32")]
    >>> sure = frame_log_likelihood(model, piece)
    >>> estimate = frame_log_likelihood(model, piece, exact=False, rng=0)
    >>> sure.kind, abs(estimate.value - sure.value) < 0.01
    ('exact', True)
    """
    generator, schedule = model.generator(rng), check_betas(betas, n_temperatures)
    n_chains = count("n_chains", n_chains)
    if exact is None:
        sides = (model.visible.n_states(model.n_visible), model.hidden.n_states(model.n_hidden))
        exact = min(sides) <= EXACT_STATES
    total, variance, ess, n = 0.0, 0.0, 0.0, 0
    for v, rbms in _parts(model, X, 1 if exact else n_chains):
        n += v.shape[0]
        if exact:
            total += float(rbms.log_prob(v).sum(dtype="float64"))
            continue
        log_z, stderr, effective = anneal_frames(rbms, v.shape[0], n_chains, schedule, generator)
        total -= float(rbms.free_energy(v).sum(dtype="float64")) + float(log_z.sum())
        variance += float((stderr**2).sum())
        ess += float(effective.sum())
    if exact:
        return Estimate(total / n, "exact", how=f"enumeration for each of {n} frames")
    return Estimate(
        total / n,
        "upper bound",
        stderr=math.sqrt(variance) / n if n_chains > 1 else None,
        how=f"AIS for each of {n} frames; at least the truth in expectation",
        ess=ess / n,
        settings={"n_chains": n_chains, "n_temperatures": len(schedule)},
    )


def anneal_frames(
    rbms: Any, n: int, n_chains: int, betas: Sequence[float], rng: Generator, start: Any = None
) -> tuple[Any, Any, Any]:
    """log Z_i of ``n`` RBMs with shared W, standard errors, and effective numbers of chains, each [n].

    Parameters
    ----------
    rbms : BiasedRBMs
    n, n_chains : int
    betas : sequence of float
    rng : Generator
    start : array [n, n_visible], optional
        Biases of the starting distributions.
    """
    xp = get_xp(rbms.W)
    n_h = rbms.W.shape[1]
    zero = xp.zeros((n, 1), dtype=rbms.W.dtype)
    b, c = rbms.b + zero, rbms.c + zero  # [n, n_visible], [n, n_hidden]
    if start is None:
        start = mean_field_biases(rbms, b, c)
    log_z = xp.sum(rbms.visible.cgf(start, **rbms.own), axis=-1, dtype="float64")
    log_z = log_z + xp.sum(rbms.hidden.cgf(0.0 * c), axis=-1, dtype="float64")
    b, c, s = (xp.repeat(x, n_chains, axis=0) for x in (b, c, start))
    v = rbms.visible.sample(s, rng, **rbms.own)
    drift, log_w = b - s, xp.zeros(n * n_chains, dtype="float64")
    x, y = xp.empty((n * n_chains, n_h), dtype=v.dtype), xp.empty_like(v)
    for here, there in pairwise(betas):
        xp.matmul(v, rbms.W, out=x)
        xp.add(x, c, out=x)
        change = rbms.hidden.cgf(there * x) - rbms.hidden.cgf(here * x)
        log_w += (there - here) * xp.sum(v * drift, axis=-1) + xp.sum(change, axis=-1)
        if there == betas[-1]:
            break  # where the chain goes from here weighs nothing
        h = rbms.hidden.sample(xp.multiply(x, there, out=x), rng, out=x)
        xp.multiply(h, there, out=h)
        xp.matmul(h, rbms.W.T, out=y)
        y += s
        y += there * drift
        rbms.visible.sample(y, rng, out=v, **rbms.own)
    if not bool(xp.isfinite(log_w).all()):
        raise DivergenceError("log-weights are not finite; a parameter is NaN, infinite or far too large")
    log_w = log_w.reshape(n, n_chains)
    top = logsumexp(log_w, axis=1)
    share = xp.exp(log_w - top[:, None])  # [n, n_chains], sums to 1
    square = (share * share).sum(axis=1)
    spread = (square * n_chains - 1.0) / max(n_chains - 1, 1)
    stderr = xp.sqrt(xp.maximum(spread, 0.0))
    return log_z + top - math.log(n_chains), stderr, 1.0 / square


def mean_field_biases(rbms: Any, b: Any, c: Any) -> Any:
    """Visible field at the end of a few mean-field sweeps of every RBM, [n, n_visible], from idle hiddens."""
    own = rbms.own
    field = b + rbms.hidden.mean(0.0 * c) @ rbms.W.T
    for _ in range(SWEEPS):
        hidden = rbms.hidden.mean(rbms.visible.mean(field, **own) @ rbms.W + c)
        field = b + hidden @ rbms.W.T
    return field


def _parts(model: Any, X: Any, n_chains: int) -> Any:
    """Frames and their RBMs, joined and cut so that about `ROWS` chains advance together."""
    from minidgm.boltzmann.biased_rbms import BiasedRBMs

    xp, size = model.xp, max(1, ROWS // n_chains)
    waiting: list[Any] = []

    def joined() -> Any:
        v = xp.concatenate([v for v, _ in waiting])
        first = waiting[0][1]
        b, c = (xp.concatenate([getattr(r, name) for _, r in waiting]) for name in ("b", "c"))
        return v, BiasedRBMs(first.W, b, c, first.visible, first.hidden, first.own)

    for v, rbms in model.frame_blocks(X):
        for i in range(0, v.shape[0], size):
            part = slice(i, i + size)
            waiting.append((v[part], rbms.take(part)))
        if sum(v.shape[0] for v, _ in waiting) >= size:
            yield joined()
            waiting = []
    if waiting:
        yield joined()
