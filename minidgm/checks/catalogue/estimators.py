"""Identities 11 and 12 for gradient estimators that compare data with the model or with its Markov chains."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidgm.checks import oracle
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, chi_square, equal, gradients, host
from minidgm.checks.enumeration import index_of, transition_matrix
from minidgm.checks.exhaustive import Exhaustive, expectation
from minidgm.checks.registry import identity

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"
MOST = 64
BY_ROW = ("ExactLikelihood", "ContrastiveDivergence", "PseudoLikelihood", "RatioMatching", "ScoreMatching")
PERSISTENT = ("PersistentContrastiveDivergence", "FastPersistent", "TemperedPersistent")
SMALL = {
    "PersistentContrastiveDivergence": {"n_chains": 3},
    "FastPersistent": {"n_chains": 3},
    "TemperedPersistent": {"n_chains": 3, "n_temperatures": 3},
}


def gradient(case: Case, objective: Any, v: np.ndarray, rng: Any = None) -> dict[str, np.ndarray]:
    """Copy of an objective's gradient on a host batch, as float64.

    Of a centred model it is the plain gradient: what centring makes of it is identity 11d.
    """
    model = case.model
    if getattr(model, "centered", False):
        model = copy.copy(model)
        model.centered = False
    return {name: host(g).copy() for name, g in objective.gradient(model, case.device(v), rng)[0].items()}


def signed(case: Case, states: np.ndarray, weights: np.ndarray) -> oracle.Gradients:
    """Gradient of sum_i weights_i F(states_i) by autograd of the enumerated free energy."""
    return oracle.gradient(case.model, lambda m: (weights * case.free_energy(m, states)).sum())


def _discrete(name: str) -> Any:
    return lambda s: s.cannot_train(name) or s.cannot_list(MOST)


@identity(
    name="exact likelihood objective",
    number="11",
    equation="ExactLikelihood().gradient = d/dtheta mean_i -log p(v_i)",
    source=f"{BOOK}, eq. 18.4",
    requires=("energy", "log_prob"),
    likely_cause="a sum for the mean over the batch, or model states weighted without normalisation",
    applies=lambda s: s.cannot_train("ExactLikelihood"),
    examples=15,
)
def exact_likelihood_objective(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    objective = case.subject.objective("ExactLikelihood")()
    right = oracle.gradient(case.model, lambda m: -case.log_likelihood(m, v).sum() / len(v))
    yield from gradients(gradient(case, objective, v), right)


@identity(
    name="contrastive divergence is unbiased",
    number="12",
    equation="E[CD-k gradient] = <dF>_data - <dF>_{data T^k}, over every outcome of the chain",
    source=f"Hinton (2002), Training products of experts; {BOOK}, algorithm 18.2",
    requires=("energy",),
    likely_cause="chains divided by another count, or a step too many or too few, or a sample for a mean",
    largest=3.0,
    examples=3,
    applies=_discrete("ContrastiveDivergence"),
)
def contrastive_divergence_is_unbiased(case: Case) -> Iterator[Comparison]:
    k = case.draw(st.sampled_from([1, 2] if case.subject.n_joint <= 40 else [1]), "k")
    v = case.visible(1, 1)
    objective = case.subject.objective("ContrastiveDivergence")(k=k)
    left = expectation(lambda rng: gradient(case, objective, v, rng), case.subject.backend, limit=2**12)
    at_data = np.zeros(len(case.V))
    at_data[index_of(v, case.V)] = 1.0
    chain = (at_data[:, None] * case.hidden_posterior).reshape(-1)
    for _ in range(k):
        chain = chain @ transition_matrix(case.subject)
    chain = chain.reshape(len(case.V), len(case.H)).sum(axis=1)
    yield from gradients(left, signed(case, case.V, at_data - chain), f"k = {k}:")


@identity(
    name="CD-infinity is maximum likelihood",
    number="12",
    equation="<dF>_data - <dF>_{data T^k} -> d/dtheta mean -log p(v) as k grows",
    source="Hinton (2002), Training products of experts, section 3",
    requires=("energy", "free_energy_gradient", "gibbs_step"),
    likely_cause="a kernel that leaves another distribution invariant",
    largest=1.0,
    examples=10,
    tolerance=1e-7,
    applies=lambda s: s.cannot_list(MOST),
)
def cd_infinity(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    data = np.bincount(index_of(v, case.V), minlength=len(case.V)) / len(v)
    chain = (data[:, None] * case.hidden_posterior).reshape(-1)
    T = np.linalg.matrix_power(transition_matrix(case.subject), 2**16)
    chain = (chain @ T).reshape(len(case.V), len(case.H)).sum(axis=1)
    weights = case.device(data - chain / chain.sum())
    left = case.model.free_energy_gradient(case.device(case.V), weights)
    right = oracle.gradient(case.model, lambda m: -case.log_likelihood(m, v).sum() / len(v))
    yield from gradients(left, right)


@identity(
    name="persistent chains at the model",
    number="12",
    equation="chains at p exactly: E[PCD gradient] = d/dtheta mean -log p(v)",
    source="Younes (1999); Tieleman (2008); Tieleman and Hinton (2009) for fast weights at 0",
    requires=("energy",),
    likely_cause="chains divided by the batch size, reset to the data, or advanced under other parameters",
    largest=3.0,
    examples=2,
    applies=_discrete("PersistentContrastiveDivergence"),
)
def persistent_chains_at_the_model(case: Case) -> Iterator[Comparison]:
    v = case.visible(2, 4)
    right = oracle.gradient(case.model, lambda m: -case.log_likelihood(m, v).sum() / len(v))
    for name in PERSISTENT[:2]:
        if case.subject.cannot_train(name):
            continue
        objective = case.subject.objective(name)(k=1, n_chains=1)
        extra = {"fast": 0.0 * case.model.params.buffer} if name == "FastPersistent" else {}
        total: dict[str, Any] = {}
        for i, row in enumerate(case.V):
            for j, hidden in enumerate(case.H):
                start = {"v": case.device(row[None]), "h": case.device(hidden[None]), **extra}

                def run(rng: Any, start: dict[str, Any] = start, objective: Any = objective) -> Any:
                    objective.set_state(start)
                    return gradient(case, objective, v, rng)

                for key, value in expectation(run, case.subject.backend).items():
                    total[key] = total.get(key, 0.0) + case.p_joint[i, j] * value
        yield from gradients(total, right, f"{name}:")
        if name == "FastPersistent":
            yield from _fast_step(case, objective, v)


def _fast_step(case: Case, objective: Any, v: np.ndarray) -> Iterator[Comparison]:
    """One step from fast parameters other than 0: whose energy the chains feel, and where it moves to."""
    ahead = case.model.to()
    fast = 0.1 + 0.0 * ahead.params.buffer
    ahead.params.buffer[...] += fast
    objective.set_state({"v": case.device(case.V[:1]), "h": case.device(case.H[:1]), "fast": fast})
    left = gradient(case, objective, v, case.replay(case.seed()))
    weights = np.full(len(v), 1.0 / len(v))
    data = case.model.free_energy_gradient(case.device(v), case.device(weights))
    chain = ahead.free_energy_gradient(objective.state["v"])
    yield from gradients(
        left, {key: host(data[key]) - host(chain[key]) for key in left}, "fast weights at 0.1:"
    )
    moved = type(ahead.params)(chain.shapes, chain.backend, chain.dtype, objective.state["fast"])
    decayed, rate = 0.1 * objective.decay, objective.fast_learning_rate
    yield from gradients(moved, {key: decayed - rate * g for key, g in left.items()}, "fast weights, next:")


@identity(
    name="batches of any size",
    number="12",
    equation="gradient(rows) = mean_i gradient(row_i); persistent chains do not see the batch",
    source="an expectation over the data is a mean over the batch, ragged or not",
    requires=("energy",),
    likely_cause="the chains' part divided by the batch's size, or a partial batch by a full one's",
    largest=3.0,
    examples=8,
    applies=lambda s: "" if s.of_library and s.has("energy_gradient") else "needs objectives",
)
def batches_of_any_size(case: Case) -> Iterator[Comparison]:
    v = case.visible(2, 5)
    seed = case.seed()
    for name in BY_ROW:
        if case.subject.cannot_train(name):
            continue
        objective = case.subject.objective(name)()
        rows = [gradient(case, objective, row[None], case.replay(seed, shared=True)) for row in v]
        mean = {key: np.mean([g[key] for g in rows], axis=0) for key in rows[0]}
        yield from gradients(gradient(case, objective, v, case.replay(seed, shared=True)), mean, f"{name}:")
    for name in PERSISTENT:
        if case.subject.cannot_train(name):
            continue
        found = []
        for batch in (v, v[:1]):
            objective = case.subject.objective(name)(**SMALL[name])
            found.append(gradient(case, objective, batch, case.replay(seed)))
        difference = {key: found[0][key] - found[1][key] for key in found[0]}
        weights = np.full(len(v), 1.0 / len(v)) - (np.arange(len(v)) == 0)
        right = case.model.free_energy_gradient(case.device(v), case.device(weights))
        yield from gradients(difference, right, f"{name}, difference of two batches:")


@identity(
    name="tempering stationarity",
    number="14",
    equation="pi(x_0, x_1) = p_1(x_0) p_beta(x_1) is left as it is by exchanges, over every outcome",
    source="Swendsen and Wang (1986); Desjardins et al. (2010), Tempered MCMC",
    requires=("energy", "tempered", "gibbs_step"),
    likely_cause="an acceptance ratio of the wrong sign, or energies where differences to the base belong",
    largest=3.0,
    examples=5,
    applies=lambda s: s.cannot_list(MOST),
)
def tempering_stationarity(case: Case) -> Iterator[Comparison]:
    from minidgm.samplers import TemperingState, tempering

    size = case.log_joint.size
    betas = [1.0, case.draw(st.integers(0, 9), "10 * beta") / 10.0]
    tables = [
        -host(case.energy_table(case.reference.tempered(beta), case.V, case.H)).reshape(-1) for beta in betas
    ]
    p = [np.exp(table - table.max()) for table in tables]
    pi = np.multiply.outer(p[0] / p[0].sum(), p[1] / p[1].sum()).reshape(-1)

    start = np.repeat(np.arange(size * size), 2)
    chains = np.stack([start // size, start % size])
    state = TemperingState(
        *(case.device(x) for x in (case.V[chains // len(case.H)], case.H[chains % len(case.H)]))
    )
    rng = Exhaustive(np.tile([0, 1], size * size), case.subject.backend, axis=1)
    after, _ = tempering.swap(case.model, state, betas, rng)
    v, h = (host(x).reshape(2 * len(start), -1) for x in after)
    end = (index_of(v, case.V) * len(case.H) + index_of(h, case.H)).reshape(2, -1)
    flow = np.bincount(end[0] * size + end[1], pi[start] * np.exp(rng.log_probability), minlength=size * size)
    yield equal(flow, pi)


@identity(
    name="tempered chains stay",
    number="14",
    equation="chains at p_beta for every beta: after sweeps and exchanges they still are, by chi-square",
    source="Desjardins et al. (2010); false alarms at most 1e-6",
    requires=("energy", "tempered"),
    likely_cause="a temperature applied to one side only, or exchanges that move v without its h",
    largest=1.0,
    examples=2,
    applies=_discrete("TemperedPersistent"),
)
def tempered_chains_stay(case: Case) -> Iterator[Comparison]:
    m, T = 4000, 3
    betas = np.linspace(1.0, 0.0, T)
    rng = case.rng()
    # A stream of its own: the model's first uniforms must not be those that chose the start.
    exact = np.random.Generator(np.random.SFC64([case.example["seed"], 1]))
    objective = case.subject.objective("TemperedPersistent")(n_temperatures=T, n_chains=m)
    p = [
        np.exp(-host(case.energy_table(case.reference.tempered(b), case.V, case.H)).reshape(-1))
        for b in betas
    ]
    p = [x / x.sum() for x in p]
    start = np.stack([exact.choice(len(x), size=m, p=x) for x in p])
    n_h = len(case.H)
    objective.set_state({"v": case.device(case.V[start // n_h]), "h": case.device(case.H[start % n_h])})
    v = case.visible(1, 2)
    left = gradient(case, objective, v, rng)
    end = np.concatenate([v, host(objective.state["v"])[0]])
    weights = np.concatenate([np.full(len(v), 1.0 / len(v)), np.full(m, -1.0 / m)])
    right = case.model.free_energy_gradient(case.device(end), case.device(weights))
    yield from gradients(left, right, "the chains at beta = 1 enter the gradient:")
    for t, x in enumerate(p):
        v, h = (host(objective.state[side])[t] for side in "vh")
        end = index_of(v, case.V) * n_h + index_of(h, case.H)
        yield chi_square(np.bincount(end, minlength=len(x)), x, f"beta = {betas[t]:g}")
