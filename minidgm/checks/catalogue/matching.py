"""Identity 13: objectives without a partition function, against conditionals and scores of the enumerated
joint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.checks import oracle
from minidgm.checks.case import Case
from minidgm.checks.catalogue.estimators import gradient
from minidgm.checks.comparison import Comparison, equal, gradients
from minidgm.checks.enumeration import index_of, log_sum_exp
from minidgm.checks.registry import identity

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"


def values_of_units(case: Case, v: np.ndarray) -> np.ndarray:
    """Index of every state that differs from a row in one unit at most, [n, units, k]; the row itself is
    first.
    """
    V, kind = case.V, case.subject.visible.kind
    k = int(kind[8:-1]) if kind.startswith("softmax(") else 1
    here = index_of(v, V)
    found = []
    for first in range(0, V.shape[1], k):
        others = np.delete(V, np.s_[first : first + k], axis=1)
        same = (others[here][:, None, :] == others[None, :, :]).all(axis=-1)
        rows = [
            np.concatenate([[i], np.setdiff1d(np.flatnonzero(row), [i])])
            for i, row in zip(here, same, strict=True)
        ]
        found.append(np.stack(rows))
    return np.stack(found, axis=1)


def _needs(name: str) -> Any:
    def reason(subject: Any) -> str:
        listed = "" if subject.visible.discrete else "needs visible units that can be listed"
        return listed or subject.cannot_train(name)

    return reason


@identity(
    name="pseudo-likelihood",
    number="13",
    equation="pseudo_log_likelihood(v) = sum_i log p(v_i | v_-i), conditionals of the enumerated joint",
    source=f"Besag (1975), Statistical analysis of non-lattice data; {BOOK}, eq. 18.20",
    requires=("energy", "pseudo_log_likelihood"),
    likely_cause="a unit compared with itself, a sign of the flip, or a mean over units for their sum",
    applies=lambda s: "" if s.visible.discrete else "needs visible units that can be listed",
)
def pseudo_likelihood(case: Case) -> tuple[Any, Any]:
    v = case.visible()
    log_p = case.log_p_visible[values_of_units(case, v)]
    return case.call("pseudo_log_likelihood", v), (log_p[:, :, 0] - log_sum_exp(log_p, axis=2)).sum(axis=1)


@identity(
    name="pseudo-likelihood objective",
    number="13",
    equation="PseudoLikelihood().gradient = d/dtheta mean -sum_i log p(v_i|v_-i); its mean under p is 0",
    source=f"Besag (1975); {BOOK}, 18.3; Hyvarinen (2006), Consistency of pseudolikelihood estimation",
    requires=("energy",),
    likely_cause="the configurations with a flipped unit weighted with the wrong sign or probability",
    applies=_needs("PseudoLikelihood"),
    examples=8,
)
def pseudo_likelihood_objective(case: Case) -> Iterator[Comparison]:
    import autograd.numpy as anp

    v = case.visible()
    units = values_of_units(case, v)

    def loss(model: Any) -> Any:
        log_p = -case.free_energy(model, case.V)[units]
        top = anp.max(log_p, axis=2, keepdims=True)
        normal = anp.log(anp.sum(anp.exp(log_p - top), axis=2)) + top[:, :, 0]
        return -(log_p[:, :, 0] - normal).sum() / len(v)

    yield from _objective(case, "PseudoLikelihood", v, oracle.gradient(case.model, loss))
    yield from _passes(case, "PseudoLikelihood", v)


@identity(
    name="ratio matching objective",
    number="13",
    equation="RatioMatching().gradient = d/dtheta mean sum_i p(flip_i v | v_-i)^2; its mean under p is 0",
    source=f"Hyvarinen (2007), Some extensions of score matching, eq. 17; {BOOK}, eq. 18.26",
    requires=("energy",),
    likely_cause="g(u) for g(u)^2, a ratio upside down, or a factor q (1 - q) left out",
    applies=_needs("RatioMatching"),
    examples=8,
)
def ratio_matching_objective(case: Case) -> Iterator[Comparison]:
    import autograd.numpy as anp

    v = case.visible()
    units = values_of_units(case, v)

    def loss(model: Any) -> Any:
        free = case.free_energy(model, case.V)[units]
        q = 0.5 * (1.0 + anp.tanh(0.5 * (free[:, :, 0] - free[:, :, 1])))
        return (q * q).sum() / len(v)

    yield from _objective(case, "RatioMatching", v, oracle.gradient(case.model, loss))
    yield from _passes(case, "RatioMatching", v)


@identity(
    name="score matching objective",
    number="13",
    equation="ScoreMatching().gradient = d/dtheta mean [|s|^2/2 + div s], s = dlog p/dv; 0 under p",
    source=f"Hyvarinen (2005), JMLR 6, eq. 4; {BOOK}, eq. 18.25",
    requires=("energy", "free_energy", "score"),
    likely_cause="the divergence of the score left out, of the wrong sign, or without a variance",
    applies=lambda s: (
        ("" if s.visible.kind == "real" else "needs real visible units") or s.cannot_train("ScoreMatching")
    ),
    examples=6,
    tolerance=1e-8,
)
def score_matching_objective(case: Case) -> Iterator[Comparison]:
    from autograd import grad

    v = case.visible()

    def loss(model: Any) -> Any:
        score = grad(lambda x: -case.free_energy(model, x).sum())
        s = score(v)
        divergence = sum(grad(lambda x, i=i: score(x)[:, i].sum())(v)[:, i].sum() for i in range(v.shape[1]))
        return (0.5 * (s * s).sum() + divergence) / len(v)

    yield from _objective(case, "ScoreMatching", v, oracle.gradient(case.model, loss))


@identity(
    name="denoising score matching objective",
    number="13",
    equation="DenoisingScoreMatching(s).gradient = d/dtheta mean |score(v + s e) + e/s|^2/2, same noise e",
    source="Vincent (2011), A connection between score matching and denoising autoencoders, eq. 9",
    requires=("score",),
    likely_cause="the noise with the wrong sign, or not divided by its standard deviation",
    applies=lambda s: s.cannot_train("DenoisingScoreMatching"),
    examples=8,
)
def denoising_score_matching_objective(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    seed, sigma = case.seed(), 0.5
    objective = case.subject.objective("DenoisingScoreMatching")(sigma=sigma)
    noise = np.asarray(case.replay(seed, "numpy").normal(v.shape, case.subject.dtype), np.float64)

    def loss(model: Any) -> Any:
        residual = model.score(v + sigma * noise) + noise / sigma
        return 0.5 * (residual * residual).sum() / len(v)

    yield from gradients(gradient(case, objective, v, case.replay(seed)), oracle.gradient(case.model, loss))


def _objective(case: Case, name: str, v: np.ndarray, right: oracle.Gradients) -> Iterator[Comparison]:
    """The gradient on a batch, then its expectation under the model itself, which is 0."""
    objective = case.subject.objective(name)()
    yield from gradients(gradient(case, objective, v, case.replay(0)), right)
    states, p = case.visible_expectation
    total = {key: np.zeros_like(g) for key, g in right.items()}
    scale = 1.0
    for weight, state in zip(p, states, strict=True):
        if weight > 1e-16:
            for key, g in gradient(case, objective, state[None], case.replay(0)).items():
                total[key] = total[key] + weight * g
                scale = max(scale, weight * float(np.abs(g).max(initial=0.0)))
    for key, value in total.items():
        yield equal(value / scale, np.zeros_like(value), f"expectation under the model, d/d{key}")


def _passes(case: Case, name: str, v: np.ndarray) -> Iterator[Comparison]:
    """One unit a step: the mean over a pass is the gradient over all units."""
    full = gradient(case, case.subject.objective(name)(), v)
    one, rng = case.subject.objective(name)(n_units=1), case.rng(0)
    n_units = values_of_units(case, v).shape[1]
    steps = [gradient(case, one, v, rng) for _ in range(n_units)]
    mean = {key: np.mean([step[key] for step in steps], axis=0) for key in full}
    yield from gradients(mean, full, "stochastic, one pass:")
