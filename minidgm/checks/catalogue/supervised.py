"""Identity 25: machines with label units. p(y | v) and its gradient against the enumerated joint.

Rows are x = [v | y]; everything exact is a sum over the rows and hidden states that the energy gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidgm.checks import oracle, strategies
from minidgm.checks.case import Case, traced_log_sum_exp
from minidgm.checks.catalogue.estimators import gradient
from minidgm.checks.comparison import Comparison, equal, gradients, host
from minidgm.checks.enumeration import index_of, log_sum_exp, transition_matrix
from minidgm.checks.exhaustive import expectation
from minidgm.checks.registry import identity

SOURCE = "Larochelle and Bengio (2008), Classification using discriminative RBMs"
WEIGHTS = ((1, "2 alpha"), (0, "2 beta"), (0, "2 gamma"))


def _classes(case: Case) -> int:
    return int(case.model.n_classes)


def _inputs(case: Case, name: str = "v") -> np.ndarray:
    """Visible states alone, [n, n_visible]."""
    return case.visible(name=name)[:, : -_classes(case)]


def _with_every_label(case: Case, v: np.ndarray) -> np.ndarray:
    """Rows [v | k], [n * n_classes, n_columns], labels fastest."""
    k = _classes(case)
    return np.concatenate([np.repeat(v, k, axis=0), np.tile(np.eye(k), (len(v), 1))], axis=1)


def _label_free_energy(case: Case, model: Any, v: np.ndarray) -> Any:
    """-log sum_h exp(-E(v, k, h)) of every label, [n, n_classes], traceable."""
    return case.free_energy(model, _with_every_label(case, v)).reshape((len(v), _classes(case)))


def _log_posterior(case: Case, model: Any, v: np.ndarray) -> Any:
    scores = -_label_free_energy(case, model, v)
    return scores - traced_log_sum_exp(scores, axis=1)[:, None]


@identity(
    name="label posterior",
    number="25",
    equation="p(y | v) = sum_h p(v,y,h) / sum_{y',h} p(v,y',h)",
    source=f"{SOURCE}, eq. 2-3",
    requires=("energy", "label_log_prob", "split"),
    likely_cause="a label's bias or row of U left out, or a softmax over rows in place of labels",
)
def label_posterior(case: Case) -> Iterator[Comparison]:
    v = _inputs(case)
    right = host(_log_posterior(case, case.reference, v))
    log_p = case.call("label_log_prob", v)
    yield equal(np.maximum(log_p, -700.0), np.maximum(right, -700.0), "log p(y | v)")
    if case.subject.has("predict_proba"):
        yield equal(case.call("predict_proba", v), np.exp(right), "predict_proba")
    if case.subject.has("label_free_energy"):
        exact = host(_label_free_energy(case, case.reference, v))
        yield equal(case.call("label_free_energy", v), exact, "F(v, y) of every label")
    if case.subject.has("input_free_energy"):
        exact = -log_sum_exp(-host(_label_free_energy(case, case.reference, v)), axis=1)
        yield equal(case.call("input_free_energy", v), exact, "F(v)")


@identity(
    name="weighted label gradient",
    number="25a",
    equation="label_gradient(v, w) = d/dtheta sum_ik w_ik F(v_i, k)",
    source=f"{SOURCE}, section 4; autograd of -log sum_h exp(-E)",
    requires=("energy", "label_gradient"),
    likely_cause="a label's hidden means used for another label, or weights summed over the wrong axis",
)
def weighted_label_gradient(case: Case) -> Iterator[Comparison]:
    v = _inputs(case)
    weights = case.weights(len(v) * _classes(case)).reshape(len(v), _classes(case))
    right = oracle.gradient(case.model, lambda m: (weights * _label_free_energy(case, m, v)).sum())
    yield from gradients(case.model.label_gradient(case.device(v), case.device(weights)), right)


@identity(
    name="discriminative gradient",
    number="25b",
    equation="DiscriminativeLikelihood().gradient = d/dtheta mean_i -log p(y_i | v_i)",
    source=f"{SOURCE}, eq. 4; autograd of the enumerated posterior",
    requires=("energy", "label_log_prob"),
    likely_cause="p(y | v) with the wrong sign, or a sum for the mean",
    applies=lambda s: s.cannot_train("DiscriminativeLikelihood"),
)
def discriminative_gradient(case: Case) -> Iterator[Comparison]:
    x = case.visible()
    v, y = x[:, : -_classes(case)], x[:, -_classes(case) :]
    right = oracle.gradient(case.model, lambda m: -(y * _log_posterior(case, m, v)).sum() / len(x))
    objective = case.subject.objective("DiscriminativeLikelihood")()
    yield from gradients(gradient(case, objective, x), right)
    # A row whose label is unknown says nothing about p(y | v), but counts as one of n.
    known = np.concatenate([x, np.concatenate([v[:1], 0.0 * y[:1]], axis=1)])
    scaled = {name: g * len(x) / (len(x) + 1.0) for name, g in right.items()}
    yield from gradients(gradient(case, objective, known), scaled, "with a row without label:")


@identity(
    name="hybrid gradient",
    number="25c",
    equation="E[g] = gamma d(-log p(y|v)) + alpha (<dF>_{v,y} - <dF>_{v,y T}) + beta (so, y ~ p(y|v))",
    source=f"{SOURCE}, sections 5 and 6, over every outcome of the chain",
    requires=("energy", "label_log_prob", "gibbs_step"),
    likely_cause="another weight on the data than on its chain, or rows without label that count as labelled",
    largest=3.0,
    examples=8,
    applies=lambda s: s.cannot_list(64) or s.cannot_train("HybridLikelihood"),
)
def hybrid_gradient(case: Case) -> Iterator[Comparison]:
    x = case.visible(1, 1)
    v, y = x[:, : -_classes(case)], x[:, -_classes(case) :]
    alpha, beta, gamma = (case.draw(st.integers(low, 4), n) / 2.0 for low, n in WEIGHTS)
    objective = case.subject.objective("HybridLikelihood")(alpha=alpha, beta=beta, gamma=gamma)
    posterior = np.exp(host(_log_posterior(case, case.reference, v)))
    rows = index_of(_with_every_label(case, v), case.V)
    T = transition_matrix(case.subject)
    for labelled, weight in ((True, alpha), (False, beta)):
        data = x if labelled else np.concatenate([v, 0.0 * y], axis=1)
        start = np.zeros(len(case.V))
        start[rows] = y[0] if labelled else posterior[0]
        chain = (start[:, None] * case.hidden_posterior).reshape(-1) @ T
        end = chain.reshape(len(case.V), len(case.H)).sum(axis=1)

        def loss(
            m: Any, labelled: bool = labelled, weight: float = weight, signed: np.ndarray = start - end
        ) -> Any:
            own = -gamma * (y * _log_posterior(case, m, v)).sum() if labelled else 0.0
            return own + weight * (signed * case.free_energy(m, case.V)).sum()

        right = oracle.gradient(case.model, loss)

        def run(rng: Any, data: np.ndarray = data) -> Any:
            return gradient(case, objective, data, rng)

        left = expectation(run, case.subject.backend, limit=2**12)
        yield from gradients(left, right, "labelled row:" if labelled else "row without label:")


@identity(
    name="marginal of the inputs",
    number="25",
    equation="input_log_prob(v) = log sum_y p(v, y), log_prob(v, y) = log p(v, y)",
    source=f"{SOURCE}, section 6",
    requires=("energy", "input_log_prob", "log_prob", "join"),
    likely_cause="labels counted twice, or a free energy of the joint row in place of the marginal",
    applies=lambda s: s.cannot_list(),
)
def marginal_of_the_inputs(case: Case) -> Iterator[Comparison]:
    x = case.draw(strategies.batches(case.subject.visible, 1, 5), "v")
    k = _classes(case)
    v, y = x[:, :-k], x[:, -k:].argmax(axis=1)
    log_p = case.log_p_visible[index_of(_with_every_label(case, v), case.V)].reshape(len(x), k)
    yield equal(case.call("input_log_prob", v), log_sum_exp(log_p, axis=1), "log p(v)")
    joint = host(case.model.log_prob(case.device(v), y))
    yield equal(joint, log_p[np.arange(len(x)), y], "log p(v, y)")
