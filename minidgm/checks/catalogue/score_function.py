"""Identity 27: score-function estimators, their baselines, and the k-sample bound's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.checks import oracle
from minidgm.checks.case import Case
from minidgm.checks.catalogue.belief_networks import NEEDS, run_on, tables, trained_by
from minidgm.checks.comparison import Comparison, equal, gradients, host
from minidgm.checks.exhaustive import expectation
from minidgm.checks.registry import identity

WILLIAMS = "Williams (1992), Simple statistical gradient-following algorithms"
NVIL = "Mnih and Gregor (2014), Neural variational inference and learning in belief networks"


def bound(case: Case, model: Any, v: np.ndarray) -> Any:
    """Sum over rows of E_q[log p - log q], traceable in p and q."""
    import autograd.numpy as anp

    log_p, log_q = tables(case, v, model)
    return anp.sum(anp.exp(log_q) * (log_p - log_q))


@identity(
    name="REINFORCE is unbiased",
    number="27",
    equation="E[Reinforce] = -d/dtheta mean_i E_q[log p - log q] for every baseline that does not see z",
    source=f"{WILLIAMS}; Goodfellow, Bengio and Courville (2016), Deep Learning, eq. 20.61-20.65",
    requires=(*NEEDS, "draw"),
    likely_cause="a baseline that sees its own draw, a signal without -log q, or a sum for a mean",
    largest=3.0,
    examples=2,
    applies=trained_by("Reinforce"),
)
def reinforce_is_unbiased(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 1)
    right = oracle.gradient(case.model, lambda m: -bound(case, m, v) / len(v))
    make = case.subject.objective("Reinforce")
    state = {"mean": case.device(np.asarray(-1.5)), "variance": case.device(np.asarray(4.0)), "count": 3}
    for baseline, k, start in ((None, 1, {}), (2.5, 1, {}), ("mean", 1, state), ("leave_one_out", 2, {})):
        objective = make(baseline, k, normalize=False)
        left = expectation(run_on(case, objective, v, start), case.subject.backend)
        yield from gradients(left, right, f"baseline {baseline}, k = {k}:")


@identity(
    name="NVIL",
    number="27",
    equation="E[Reinforce('input')] = -d mean elbo; normalized, the part of q divided by max(1, deviation)",
    source=f"{NVIL}, section 2.3",
    requires=(*NEEDS, "draw"),
    likely_cause="the net's update before its use, or p's gradient divided too",
    largest=3.0,
    examples=2,
    applies=trained_by("Reinforce"),
)
def nvil(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 1)
    rng = np.random.Generator(np.random.SFC64(case.seed()))
    state: dict[str, Any] = {
        "mean": case.device(np.asarray(-1.5)),
        "variance": case.device(np.asarray(4.0)),
        "count": 3,
        "net_x": case.device(rng.normal(size=v.shape[1])),
        "net_U": case.device(rng.normal(size=(v.shape[1], 3))),
        "net_a": case.device(rng.normal(size=3)),
        "net_v": case.device(rng.normal(size=3)),
    }
    make = case.subject.objective("Reinforce")
    parts = [oracle.gradient(case.model, _half(case, v, side)) for side in ("p", "q")]
    for normalize, scale in ((False, 1.0), (True, 0.5)):
        objective = make("input", units=3, normalize=normalize)
        left = expectation(run_on(case, objective, v, state), case.subject.backend)
        right = {name: parts[0][name] + scale * parts[1][name] for name in parts[0]}
        yield from gradients(left, right, f"normalize={normalize}:")


def _half(case: Case, v: np.ndarray, side: str) -> Any:
    """Minus the mean bound, of a model whose parameters move in p alone or in q alone."""
    import autograd.numpy as anp

    fixed = tables(case, v)

    def loss(model: Any) -> Any:
        log_p, log_q = tables(case, v, model)
        if side == "p":
            return -anp.sum(np.exp(fixed[1]) * log_p) / len(v)
        return -anp.sum(anp.exp(log_q) * (fixed[0] - log_q)) / len(v)

    return loss


@identity(
    name="VIMCO is unbiased",
    number="27",
    equation="E[Vimco(2)] = -d/dtheta mean_i E_q[log (w_1 + w_2)/2]",
    source="Mnih and Rezende (2016), Variational inference for Monte Carlo objectives, eq. 8-10",
    requires=(*NEEDS, "draw"),
    likely_cause="the weights' share left out of q's gradient, or the bound of the others with w_s in it",
    largest=3.0,
    examples=2,
    applies=trained_by("Vimco"),
)
def vimco_is_unbiased(case: Case) -> Iterator[Comparison]:
    import autograd.numpy as anp

    v = case.visible(1, 1)
    objective = case.subject.objective("Vimco")(k=2)
    left = expectation(run_on(case, objective, v), case.subject.backend)
    first, second = (i.reshape(-1) for i in np.indices((len(case.H), len(case.H))))

    def loss(m: Any) -> Any:
        log_p, log_q = (t[0] for t in tables(case, v, m))
        log_w = log_p - log_q
        pair = anp.logaddexp(log_w[first], log_w[second]) - math.log(2.0)
        return -anp.sum(anp.exp(log_q[first] + log_q[second]) * pair)

    yield from gradients(left, oracle.gradient(case.model, loss))


@identity(
    name="optimal baseline",
    number="27",
    equation="V(b) = Var[(f - b) d log q]: V(b* + t) = V(b*) + t^2 E|d log q|^2, b* = E[f |s|^2]/E|s|^2",
    source="Weaver and Tao (2001), The optimal reward baseline for gradient-based reinforcement learning",
    requires=(*NEEDS, "log_recognition_gradient"),
    likely_cause="the mean of the signal for its mean weighted by squared scores",
    tolerance=1e-8,
    largest=3.0,
    examples=5,
    applies=trained_by("Reinforce"),
)
def optimal_baseline(case: Case) -> Iterator[Comparison]:
    from minidgm.evaluation import optimal_baseline as best_constant

    v = case.visible(1, 1)
    log_p, log_q = (t[0] for t in tables(case, v))
    q, signal = np.exp(log_q), log_p - log_q
    found = [case.model.log_recognition_gradient(case.device(v), case.device(z[None])) for z in case.H]
    scores = np.stack([np.concatenate([host(g).reshape(-1) for g in one.values()]) for one in found])
    best = best_constant(q, signal, scores)
    at_best = _variance(q, (signal - best)[:, None] * scores)
    for t in (-1.0, 0.5):
        excess = _variance(q, (signal - best - t)[:, None] * scores) - at_best
        yield equal(excess, t * t * float(q @ (scores**2).sum(axis=1)), f"t = {t}")


def _variance(q: np.ndarray, g: np.ndarray) -> float:
    mean = q @ g
    return float(q @ ((g - mean) ** 2).sum(axis=1))
