"""Parallel tempering: chains at several inverse temperatures that exchange states (Swendsen & Wang 1986).

Temperature t runs Gibbs sweeps of the tempered model

    p_t(v, h) proportional to exp(-(1 - beta_t) E_0(v, h) - beta_t E(v, h)),   1 = beta_0 > beta_1 > ... >= 0,

with E_0 the energy of independent units (``model.tempered(0, base)``). Then neighbours (t, t+1) exchange
their states with probability

    min(1, exp((beta_t - beta_{t+1}) (U(x_t) - U(x_{t+1})))),          U = E - E_0,

first the even pairs, then the odd ones. Both moves leave the product of all p_t invariant: in the ratio of
the products after and before, everything but the exponent above cancels (Desjardins et al. 2010; Cho, Raiko
& Ilin 2010). Hot chains cross between modes; exchanges bring them down to beta = 1, which is the model.

>>> from minidgm import RBM, Generator
>>> rbm, rng = RBM(4, 3, seed=0), Generator(0)
>>> betas = linear(5)
>>> state = init(rbm, betas, 10, rng)
>>> state, info = step(rbm, state, betas, rng)
>>> state.v.shape, info.swap_rate.shape
((5, 10, 4), (4,))
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from minidgm.arguments import count
from minidgm.backend import asarray, get_xp
from minidgm.samplers import gibbs

__all__ = ["TemperingInfo", "TemperingState", "init", "linear", "step", "swap"]


class TemperingState(NamedTuple):
    """Chains of T temperatures: v [T, m, n_visible] and h [T, m, n_hidden]; row 0 is the model itself."""

    v: Any
    h: Any


class TemperingInfo(NamedTuple):
    """Mean acceptance probability of each pair of neighbouring temperatures, [T - 1]."""

    swap_rate: Any


def linear(n_temperatures: int) -> list[float]:
    """Inverse temperatures evenly spaced from 1 to 0; a single one is 1.

    >>> linear(3)
    [1.0, 0.5, 0.0]
    """
    if n_temperatures < 1:
        raise ValueError(f"n_temperatures={n_temperatures!r}; expected at least 1")
    return [1.0 - t / max(n_temperatures - 1, 1) for t in range(n_temperatures)]


def init(model: Any, betas: Sequence[float], m: int, rng: Any) -> TemperingState:
    """Start ``m`` chains a temperature at ``model.sample(steps=0)``, hidden states drawn given them."""
    check_betas(betas)
    v, h = gibbs.init(model, model.sample(len(betas) * m, rng, steps=0), rng)
    return TemperingState(v.reshape(len(betas), m, -1), h.reshape(len(betas), m, model.n_hidden))


def step(
    model: Any, state: TemperingState, betas: Sequence[float], rng: Any, k: int = 1, base: Any = None
) -> tuple[TemperingState, TemperingInfo]:
    """Advance every chain by ``k`` sweeps at its own temperature, then exchange neighbours.

    Parameters
    ----------
    model : Model
        With ``tempered(beta, base)``, ``energy`` and ``gibbs_step``.
    betas : sequence of T floats
        From 1 downwards.
    k : int
        At least 1.
    base : array [n_visible], optional
        Visible biases at beta = 0; zeros if not given.

    Raises
    ------
    ValueError
        If ``betas`` do not fall from 1 to at least 0, or their number is not that of the chains.
    """
    v, h = state
    check_betas(betas)
    count("k", k)
    if len(betas) != v.shape[0]:
        raise ValueError(
            f"{len(betas)} inverse temperatures for chains of {v.shape[0]}; pass those that init was given"
        )
    if gibbs.has_blocks(model):
        v, h = _sweeps_in_one(model, v, h, betas, rng, k, base)
    else:
        pairs = []
        for t, beta in enumerate(betas):
            chains, _ = gibbs.step(model.tempered(beta, base), gibbs.GibbsState(v[t], h[t]), rng, k)
            pairs.append(chains)
        xp = get_xp(v)
        v, h = xp.stack([p.v for p in pairs]), xp.stack([p.h for p in pairs])
    return swap(model, TemperingState(v, h), betas, rng, base)


def swap(
    model: Any, state: TemperingState, betas: Sequence[float], rng: Any, base: Any = None
) -> tuple[TemperingState, TemperingInfo]:
    """Exchange the states of neighbouring temperatures, even pairs first, then odd ones."""
    v, h = state
    xp, (T, m) = get_xp(v), v.shape[:2]
    rows_v, rows_h = v.reshape(T * m, -1), h.reshape(T * m, -1)
    u = model.energy(rows_v, rows_h) - model.tempered(0.0, base).energy(rows_v, rows_h)
    u = u.reshape(T, m)
    beta = asarray(list(betas), model.backend, str(v.dtype))
    source = xp.zeros((T, m), dtype="int64") + xp.arange(T)[:, None]  # where each chain's new state lies
    rates = xp.ones(T - 1, dtype=v.dtype)
    for first in (0, 1):
        cold, hot = slice(first, T - 1, 2), slice(first + 1, T, 2)
        if T - 1 <= first:
            continue
        p = xp.exp(xp.minimum((beta[cold] - beta[hot])[:, None] * (u[cold] - u[hot]), 0.0))
        accept = rng.bernoulli(p) > 0.5
        for x in (u, source):
            below, above = xp.where(accept, x[hot], x[cold]), xp.where(accept, x[cold], x[hot])
            x[cold], x[hot] = below, above
        rates[cold] = p.mean(axis=1)
    chain = xp.arange(m)[None, :]
    return TemperingState(v[source, chain], h[source, chain]), TemperingInfo(rates)


def _sweeps_in_one(
    model: Any, v: Any, h: Any, betas: Sequence[float], rng: Any, k: int, base: Any
) -> tuple[Any, Any]:
    """Sweeps of all temperatures as one stack: fields times the row's beta, biases moved to the base."""
    xp, (T, m) = get_xp(v), v.shape[:2]
    h = h.reshape(T * m, -1)
    beta = xp.repeat(asarray(list(betas), model.backend, str(v.dtype)), m)[:, None]  # [T m, 1]
    start = 0.0 if base is None else (1.0 - beta) * base
    visible, hidden = model._own("visible"), model._own("hidden")
    for _ in range(k):
        rows = model.visible.sample(start + beta * model.visible_field(h), rng, **visible)
        h = model.hidden.sample(beta * model.hidden_field(rows), rng, **hidden)
    return rows.reshape(T, m, -1), h.reshape(T, m, -1)


def check_betas(betas: Sequence[float]) -> None:
    """Refuse a ladder that does not fall from 1 to at least 0."""
    values = [float(beta) for beta in betas]
    falling = all(a > b for a, b in itertools.pairwise(values))
    if not values or values[0] != 1.0 or values[-1] < 0.0 or not falling:
        raise ValueError(f"inverse temperatures fall from 1 to at least 0, got {values}; see linear(n)")
