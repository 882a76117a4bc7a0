"""Identity 14 and 7b: Gibbs sweeps leave the model's distribution as it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minidgm.backend import asarray
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, chi_square, equal, host, kolmogorov_smirnov
from minidgm.checks.enumeration import (
    conditional_matrix,
    index_of,
    log_sum_exp,
    quadrature_nodes,
    transition_matrix,
)
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"
DRAWS = 4000
MOST = 256
_NO_DOWN = "needs visible_given_hidden"


@identity(
    name="Gibbs stationarity",
    number="14",
    equation="sum_x p(x) T(x -> y) = p(y), T the exact matrix of gibbs_step",
    source=f"{BOOK}, eq. 17.20-17.23 (a Markov chain's equilibrium); Geman and Geman (1984)",
    requires=("energy", "gibbs_step"),
    likely_cause="units drawn from stale values, or from a conditional of another energy",
    applies=lambda s: s.cannot_list(MOST),
    examples=10,
)
def gibbs_stationarity(case: Case) -> Iterator[Comparison]:
    T = transition_matrix(case.subject)
    yield equal(T.sum(axis=1), np.ones(len(T)), "rows of T sum to 1")
    p = case.p_joint.reshape(-1)
    yield equal(p @ T, p, "p T = p")


@identity(
    name="detailed balance",
    number="14",
    equation="p(v) T(v -> v') = p(v') T(v' -> v) for the sweep v -> h -> v'",
    source="Liu (2001), Monte Carlo strategies in scientific computing, 6.6 (data augmentation)",
    requires=("energy", "hidden_given_visible", "visible_given_hidden"),
    likely_cause="the two conditionals do not belong to one joint distribution",
    applies=lambda s: s.cannot_list(MOST),
    examples=10,
)
def detailed_balance(case: Case) -> Comparison:
    m_v, m_h = case.log_joint.shape
    T = conditional_matrix(case.subject).reshape(m_v, m_h, m_v, m_h)[:, 0].sum(axis=-1)
    flow = case.p_visible[:, None] * T
    return equal(flow, flow.T)


@identity(
    name="Geweke's joint test",
    number="7b",
    equation="(v, h) ~ p exactly, then one gibbs_step: (v', h') ~ p still",
    source="Geweke (2004), Getting it right; started at p, so slow mixing cannot fail it",
    requires=("energy", "gibbs_step"),
    likely_cause="sampling code and conditionals disagree: a threshold, a variance for its root, old noise",
    largest=3.0,
    examples=8,
    applies=lambda s: _one_listed(s) if s.discrete or s.has("visible_given_hidden") else _NO_DOWN,
)
def geweke(case: Case) -> Iterator[Comparison]:
    subject = case.subject
    rng = case.rng()
    # A stream of its own: the model's first uniforms must not be those that chose the start.
    exact = np.random.Generator(np.random.SFC64([case.example["seed"], 1]))
    if subject.discrete:
        p = case.p_joint.reshape(-1)
        start = exact.choice(len(p), size=DRAWS, p=p / p.sum())
        v, h = case.V[start // len(case.H)], case.H[start % len(case.H)]
        v, h = case.model.gibbs_step(case.device(v), case.device(h), rng)
        end = index_of(v, case.V) * len(case.H) + index_of(h, case.H)
        yield chi_square(np.bincount(end, minlength=len(p)), p, "joint states (v, h)")
        return
    if subject.visible.discrete:
        log_p, states, conditional = case.log_p_visible, case.V, "hidden_given_visible"
    else:
        marginal = case.log_sum_visible(case.H)
        log_p, states, conditional = marginal - log_sum_exp(marginal), case.H, "visible_given_hidden"
    p = np.exp(log_p)
    listed = states[exact.choice(len(p), size=DRAWS, p=p / p.sum())]
    other = case.conditional(conditional, listed).sample(rng)
    pair = (case.device(listed), other) if subject.visible.discrete else (other, case.device(listed))
    v, h = case.model.gibbs_step(*pair, rng)
    listed, reals = (v, h) if subject.visible.discrete else (h, v)
    yield chi_square(np.bincount(index_of(listed, states), minlength=len(states)), p, "listed side")
    draws = host(reals)
    cdf = case.hidden_cdf if subject.visible.discrete else case.visible_cdf
    for i in range(draws.shape[1]):
        yield kolmogorov_smirnov(draws[:, i], cdf(i, np.sort(draws[:, i])), f"real side, unit {i}")


@identity(
    name="conditional samples",
    number="3",
    equation="hidden_given_visible(v).sample(rng), and the other side's, follow the joint",
    source="Pearson (1900); Massart (1990); false alarms at most 1e-6",
    requires=("energy", "hidden_given_visible"),
    likely_cause="variance for standard deviation, or uniforms compared with the field, not its sigmoid",
    largest=3.0,
    examples=8,
    applies=lambda s: "" if _samples(s) else "needs a conditional with a method sample",
)
def conditional_samples(case: Case) -> Iterator[Comparison]:
    rng = case.rng()
    subject = case.subject
    for method, given, target, log_sum in (
        ("hidden_given_visible", case.visible(1, 1), subject.hidden, case.log_sum_hidden),
        ("visible_given_hidden", case.hidden(1), subject.visible, case.log_sum_visible),
    ):
        if not subject.has(method):
            continue
        up = method == "hidden_given_visible"
        draws = host(case.conditional(method, np.tile(given, (DRAWS, 1))).sample(rng))
        if target.discrete:
            table = case.energy_table(
                case.reference, *((given, target.states) if up else (target.states, given))
            )
            p = np.exp(-host(table).reshape(-1) - log_sum(given))
            yield chi_square(np.bincount(index_of(draws, target.states), minlength=len(p)), p, method)
        else:

            def log_density(x: np.ndarray, given: np.ndarray = given, up: bool = up) -> np.ndarray:
                row = np.tile(given, (len(x), 1))
                return -host(case.energy(case.reference, *((row, x) if up else (x, row))))

            nodes, weights = quadrature_nodes(log_density, target, level=2)
            log_p = log_density(nodes) + np.log(weights)
            mean = np.exp(log_p - log_sum_exp(log_p)) @ nodes
            for i in range(target.n):
                if target.kinds[i] == "bernoulli":
                    ones = draws[:, i].sum()
                    p_ones = np.asarray([1.0 - mean[i], mean[i]])
                    yield chi_square(np.asarray([DRAWS - ones, ones]), p_ones, f"{method}, bit {i}")
                    continue
                cdf = case.cdf(log_density, target, i, np.sort(draws[:, i]))
                yield kolmogorov_smirnov(draws[:, i], cdf, f"{method}, unit {i}")


def _samples(subject: Subject) -> bool:
    v = asarray(np.zeros((1, subject.visible.n)), subject.backend, subject.dtype)
    try:
        conditional = subject.model.hidden_given_visible(v)
    except Exception:  # the identity on conditionals reports it
        return False
    return callable(getattr(conditional, "sample", None))


def _one_listed(subject: Subject) -> str:
    return "" if subject.visible.discrete or subject.hidden.discrete else "needs a side that can be listed"
