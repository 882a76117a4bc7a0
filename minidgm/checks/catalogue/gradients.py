"""Identity 11: hand-written gradients against autograd of the density, for any configurations and signed
weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.checks import oracle, strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, equal, gradients, host
from minidgm.checks.enumeration import index_of
from minidgm.checks.registry import identity

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"


def _weighted(case: Case, v: np.ndarray, h: np.ndarray | None, weights: np.ndarray) -> Any:
    method = "free_energy_gradient" if h is None else "energy_gradient"
    arrays = [case.device(x) for x in (v, h) if x is not None]
    if method == "energy_gradient" and case.subject.energy_arguments() == 1:
        arrays = arrays[:1]
    if case.subject.takes(method, "weights"):
        return getattr(case.model, method)(*arrays, weights=case.device(weights))
    return getattr(case.model, method)(*arrays, case.device(weights))


@identity(
    name="weighted energy gradient",
    number="11a",
    equation="energy_gradient(v, h, w) = d/dtheta sum_i w_i E(v_i, h_i)",
    source=f"{BOOK}, eq. 18.4 and 20.5; autograd of the energy",
    requires=("energy", "energy_gradient"),
    likely_cause="a sign, a transpose, a mean for the sum, or weights applied to one factor only",
)
def weighted_energy_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    h = case.hidden(len(v))
    weights = case.weights(len(v))
    right = oracle.gradient(case.model, lambda m: (weights * case.energy(m, v, h)).sum())
    yield from gradients(_weighted(case, v, h, weights), right)
    if case.subject.hidden.kind in ("bernoulli", "spin"):
        means = 0.75 * h + 0.25 * h[::-1]
        right = oracle.gradient(case.model, lambda m: (weights * case.energy(m, v, means)).sum())
        yield from gradients(_weighted(case, v, means, weights), right, "h between its states:")


@identity(
    name="default weights",
    number="11a",
    equation="energy_gradient(v, h) = energy_gradient(v, h, weights=1), and 0 for no rows",
    source="Deep Learning, eq. 20.5: a sum over examples",
    requires=("energy", "energy_gradient"),
    likely_cause="a mean in place of the sum when weights are left out, or a batch without rows that fails",
    examples=5,
    applies=lambda s: "" if s.takes("energy_gradient", "weights", optional=True) else "needs weights=None",
)
def default_weights(case: Case) -> Iterator[Comparison]:
    v = case.visible(min_size=0)
    h = np.tile(_one_hidden(case), (len(v), 1))
    arrays = [case.device(x) for x in ((v,) if case.subject.energy_arguments() == 1 else (v, h))]
    ones = {name: host(g).copy() for name, g in _weighted(case, v, h, np.ones(len(v))).items()}
    yield from gradients(case.model.energy_gradient(*arrays), ones)
    if not len(v):
        yield from gradients(ones, {name: 0.0 * g for name, g in ones.items()}, "no rows")


def _one_hidden(case: Case) -> np.ndarray:
    hidden = case.subject.hidden
    return hidden.states[-1] if hidden.discrete else np.full(hidden.n, 0.5)


@identity(
    name="free energy gradient",
    number="11b",
    equation="free_energy_gradient(v, w) = d/dtheta sum_i w_i F(v_i)",
    source=f"{BOOK}, eq. 18.13; autograd of -log sum_h exp(-E)",
    requires=("energy", "free_energy_gradient"),
    likely_cause="the hidden sample or field for its mean, or a squared mean for a second moment",
)
def free_energy_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    weights = case.weights(len(v))
    right = oracle.gradient(case.model, lambda m: (weights * case.free_energy(m, v)).sum())
    yield from gradients(_weighted(case, v, None, weights), right)


@identity(
    name="likelihood gradient",
    number="11",
    equation="d/dtheta mean_i -log p(v_i) = <dE/dtheta>_data - <dE/dtheta>_model",
    source=f"{BOOK}, eq. 18.4-18.13; Ackley, Hinton and Sejnowski (1985), eq. 7",
    requires=("energy", "energy_gradient"),
    likely_cause="energy_gradient and energy disagree: a sign, a transpose or a missing term",
    applies=lambda s: "" if s.discrete or s.has("free_energy_gradient") else "needs free_energy_gradient",
    examples=15,
)
def likelihood_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    n = len(v)
    right = oracle.gradient(case.model, lambda m: -case.log_likelihood(m, v).sum() / n)
    if case.subject.discrete:
        m_h = len(case.H)
        posterior = case.hidden_posterior[index_of(v, case.V)]
        configurations = np.concatenate([np.repeat(v, m_h, axis=0), np.repeat(case.V, m_h, axis=0)])
        hidden = np.tile(case.H, (n + len(case.V), 1))
        weights = np.concatenate([posterior.reshape(-1) / n, -case.p_joint.reshape(-1)])
        yield from gradients(_weighted(case, configurations, hidden, weights), right, "states (v, h)")
    if case.subject.has("free_energy_gradient"):
        points, p = case.visible_expectation
        weights = np.concatenate([np.full(n, 1.0 / n), -p])
        left = _weighted(case, np.concatenate([v, points]), None, weights)
        yield from gradients(left, right, "states v, hidden units summed out")


@identity(
    name="score",
    number="11c",
    equation="score(v) = d log p(v) / dv = -dF/dv",
    source="Hyvarinen (2005), Estimation of non-normalized statistical models by score matching, eq. 2",
    requires=("score", "energy", "free_energy"),
    likely_cause="a sign, W for its transpose, or a precision left out",
    applies=lambda s: "" if s.visible.kind == "real" else "needs real-valued visible units",
)
def score(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    reference = case.reference
    right = -oracle.derivative(lambda x: case.free_energy(reference, x).sum(), v)
    yield equal(case.call("score", v), right)
    if case.subject.has("score_vjp"):
        r = case.draw(strategies.arrays(v.shape, 3.0), "r")
        left = case.model.score_vjp(case.device(v), case.device(r))
        yield from gradients(left, oracle.gradient(case.model, lambda m: (r * m.score(v)).sum()), "r.score")
