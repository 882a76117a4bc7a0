"""Identity 30: directed nets of bits, their bounds, wake-sleep and what is reweighted by importance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.checks import oracle
from minidgm.checks.case import Case, traced_log_sum_exp
from minidgm.checks.comparison import Comparison, at_most, equal, gradients, host
from minidgm.checks.enumeration import index_of, log_sum_exp
from minidgm.checks.exhaustive import expectation, outcomes
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"
RWS = "Bornschein and Bengio (2015), Reweighted wake-sleep"
BIHM = "Bornschein et al. (2016), Bidirectional Helmholtz machines"
NEEDS = ("log_joint", "log_recognition")
MOST = 64


def listed(subject: Subject) -> str:
    """Say why the joint states are not listed, or ``""``."""
    return subject.cannot_list(MOST)


def trained_by(*names: str) -> Any:
    """Return ``applies`` for identities of objectives."""

    def applies(subject: Subject) -> str:
        return listed(subject) or next(filter(None, map(subject.cannot_train, names)), "")

    return applies


def tables(case: Case, v: np.ndarray, model: Any = None) -> tuple[Any, Any]:
    """log p(v, h) and log q(h | v) of every row and hidden state, [n, m], traceable."""
    model = case.reference if model is None else model
    rows, h = np.repeat(v, len(case.H), axis=0), np.tile(case.H, (len(v), 1))
    shape = (len(v), len(case.H))
    return model.log_joint(rows, h).reshape(shape), model.log_recognition(rows, h).reshape(shape)


def run_on(case: Case, objective: Any, v: np.ndarray, state: dict[str, Any] | None = None) -> Any:
    """``f(rng)``: a copy of the gradient of an objective on a host batch, its state put back first."""

    def run(rng: Any) -> dict[str, Any]:
        objective.set_state(state or {})
        found, _ = objective.gradient(case.model, case.device(v), rng)
        return {name: host(g).copy() for name, g in found.items()}

    return run


@identity(
    name="belief net's joint",
    number="30",
    equation="log p(x,z) = log p(h_L) + sum_l log p(h_(l-1)|h_l), from the parameters alone",
    source=f"{BOOK}, 20.10.1; Neal (1992), Connectionist learning of belief networks",
    requires=(*NEEDS, "layers", "prior", "down", "up"),
    likely_cause="W for its transpose, a bias of the neighboring layer, or a layer counted twice",
    applies=listed,
)
def joint(case: Case) -> Iterator[Comparison]:
    p = {name: host(value) for name, value in case.reference.params.items()}
    v = case.visible()
    h = case.hidden(len(v))
    depth = case.model.depth
    states = [v, *np.split(h, np.cumsum(case.model.sizes[1:-1]), axis=1)]
    log_p = _log_bits(states[-1], p[f"b{depth}"] + 0.0 * states[-1])
    log_q: Any = 0.0
    for layer in range(1, depth + 1):
        below, above = states[layer - 1], states[layer]
        log_p = log_p + _log_bits(below, above @ p[f"W{layer}"].T + p[f"b{layer - 1}"])
        log_q = log_q + _log_bits(above, below @ p[f"R{layer}"] + p[f"r{layer}"])
    yield equal(case.call("log_joint", v, h), log_p, "log p(x, z)")
    yield equal(case.call("log_recognition", v, h), log_q, "log q(z | x)")


def _log_bits(x: np.ndarray, field: np.ndarray) -> np.ndarray:
    return np.where(x == 1.0, -np.logaddexp(0.0, -field), -np.logaddexp(0.0, field)).sum(axis=1)


@identity(
    name="ancestral sampling",
    number="30",
    equation="P(dream = (x, z)) = p(x, z), over every outcome; sum_x p(x) = 1",
    source=f"{BOOK}, 16.3; normalized conditionals multiply to a normalized joint",
    requires=(*NEEDS, "dream", "log_prob"),
    likely_cause="a mean sent down for a draw, a layer drawn from the recognition net, or a bias left out",
    largest=3.0,
    examples=5,
    applies=listed,
)
def ancestral_sampling(case: Case) -> Iterator[Comparison]:
    found = np.zeros((len(case.V), len(case.H)))
    for probability, (x, z) in outcomes(lambda rng: case.model.dream(1, rng), case.subject.backend):
        found[index_of(host(x), case.V)[0], index_of(host(z), case.H)[0]] += probability
    p, _ = tables(case, case.V)
    yield equal(found, np.exp(p))
    yield equal(np.exp(p).sum(), 1.0, "sum p(x, z)")


@identity(
    name="importance weights",
    number="30",
    equation="E_q[w] = p(x) = sum_z p(x,z); elbo = E_q[log w] <= E[log mean_k w] <= log p, rising with k",
    source="Burda, Grosse and Salakhutdinov (2016), theorem 1; " + f"{BOOK}, eq. 19.1-19.3",
    requires=(*NEEDS, "importance_weights", "elbo", "log_prob_estimate"),
    likely_cause="an entropy with the wrong sign, q of another row, or a sum for the mean of the weights",
    largest=3.0,
    examples=6,
    applies=listed,
)
def importance_weights(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 2)
    log_p, log_q = tables(case, v)
    yield equal(np.exp(log_q).sum(axis=1), np.ones(len(v)), "sum_z q(z|x)")
    bound = (np.exp(log_q) * (log_p - log_q)).sum(axis=1)
    exact = log_sum_exp(log_p, axis=1)
    yield equal(case.call("elbo", v), bound, "elbo")
    if not case.subject.has("log_prob_bound"):
        yield equal(case.call("log_prob", v), exact, "log_prob")
    for i, row in enumerate(v[:, None]):

        def run(rng: Any, row: np.ndarray = row) -> dict[str, Any]:
            z, log_w = case.model.importance_weights(case.device(row), 2, rng)
            found = [host(getattr(case.reference, m)(np.repeat(row, 2, 0), host(z)[:, 0])) for m in NEEDS]
            two = host(log_w)[:, 0]
            gap = found[0] - found[1] - two
            return {"w": np.exp(two).mean(), "log": log_sum_exp(two) - math.log(2.0), "gap": gap}

        mean = expectation(run, case.subject.backend)
        yield equal(mean["gap"], np.zeros(2), "log_w is that of z")
        yield equal(mean["w"], np.exp(exact[i]), "E[mean w] = p(x)")
        yield at_most(bound[i], mean["log"], "elbo <= two draws")
        yield at_most(mean["log"], exact[i], "two draws <= log p")

        def one(rng: Any, row: np.ndarray = row) -> dict[str, Any]:
            return {"log": case.model.elbo(case.device(row), rng=rng, n_samples=1)}

        drawn = expectation(one, case.subject.backend)["log"]
        yield equal(drawn, bound[i : i + 1], "E[elbo by draws]")


@identity(
    name="joint gradient",
    number="30",
    equation="log_joint_gradient(x, z, w) = d/dtheta sum_i w_i log p(x_i, z_i)",
    source=f"{BOOK}, 20.10.1; autograd of log p(x, z)",
    requires=(*NEEDS, "log_joint_gradient"),
    likely_cause="a transpose, a sign, a layer's output for its input, or the prior left out",
    applies=lambda s: "" if s.hidden.discrete else "needs latent units that can be listed",
)
def joint_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    h = case.hidden(len(v))
    weights = case.weights(len(v))
    right = oracle.gradient(case.model, lambda m: (weights * m.log_joint(v, h)).sum())
    arrays = (case.device(v), case.device(h), case.device(weights))
    yield from gradients(case.model.log_joint_gradient(*arrays), right)


@identity(
    name="weighted draws",
    number="30",
    equation="draw(x, k): densities and weighted gradients are those of its (x, z), by autograd",
    source="the contract of minidgm.latent.directed.Draws",
    requires=(*NEEDS, "draw"),
    likely_cause="draws of one row paired with another, or a sum over draws shared that is not",
    largest=3.0,
    examples=10,
    applies=listed,
)
def weighted_draws(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 3)
    n, k = len(v), 3
    weights = case.weights(n * k)
    drawn = case.model.draw(case.device(v), k, case.rng())
    rows, z = np.tile(v, (k, 1)), host(drawn.z).reshape(n * k, -1)
    for side in ("joint", "recognition"):
        density = f"log_{side}"
        right = host(getattr(case.reference, density)(rows, z)).reshape(k, n)
        yield equal(getattr(drawn, density), right, density)
    for side in ("recognition", "joint", "recognition"):
        density = f"log_{side}"
        found = getattr(drawn, f"{density}_gradient")(case.device(weights.reshape(k, n)))

        def weighted(model: Any, density: str = density) -> Any:
            return (weights * getattr(model, density)(rows, z)).sum()

        yield from gradients(found, oracle.gradient(case.model, weighted), f"{density}:")


@identity(
    name="wake-sleep phases",
    number="30",
    equation="E[WakeSleep] = -d/dtheta (mean_i E_q[log p(x_i,z)] + E_p[log q(z|x)]), over every outcome",
    source=f"Hinton, Dayan, Frey and Neal (1995), The wake-sleep algorithm; {BOOK}, 20.10.6",
    requires=(*NEEDS, "dream"),
    likely_cause="dreams for p or data for q, a phase with the wrong sign, or dreams not divided by how many",
    largest=3.0,
    examples=2,
    applies=trained_by("WakeSleep"),
)
def wake_sleep_phases(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 1)
    left = expectation(run_on(case, case.subject.objective("WakeSleep")(), v), case.subject.backend)
    yield from gradients(left, _reweighted(case, v, 1, 0.0, 1.0))


def _reweighted(case: Case, v: np.ndarray, k: int, wake: float, sleep: float) -> Any:
    """Gradient of -(E[sum w~ (log p + wake log q)] + sleep E_p[log q]), weights fixed, over all k-tuples."""
    log_p, log_q = tables(case, v)
    tuples = np.asarray(list(itertools.product(range(len(case.H)), repeat=k)))
    chance = np.exp(log_q[0][tuples].sum(axis=1))
    log_w = (log_p - log_q)[0][tuples]
    share = np.exp(log_w - log_sum_exp(log_w, axis=1)[:, None]) * chance[:, None]
    weights = np.bincount(tuples.reshape(-1), share.reshape(-1), minlength=len(case.H))
    dreams = np.exp(tables(case, case.V)[0])

    def loss(m: Any) -> Any:
        at_data = tables(case, v, m)
        at_dreams = tables(case, case.V, m)[1]
        return -(weights * (at_data[0] + wake * at_data[1])).sum() - sleep * (dreams * at_dreams).sum()

    return oracle.gradient(case.model, loss)


@identity(
    name="reweighted wake-sleep",
    number="30",
    equation="E[RWS] = -d/dtheta E[sum_s w~_s (log p(x,z_s) + log q(z_s|x))], w~ fixed; dreams for q's sleep",
    source=f"{RWS}, sections 2.1-2.3",
    requires=(*NEEDS, "draw", "dream"),
    likely_cause="weights not normalized over the draws of one row, or p/q where q/p belongs",
    largest=3.0,
    examples=2,
    applies=trained_by("ReweightedWakeSleep"),
)
def reweighted_wake_sleep(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 1)
    few = 2 if case.subject.n_joint <= 16 else 1  # each draw of each dream is an outcome
    for phase, k, wake, sleep in (("wake", 2, 1.0, 0.0), ("sleep", 1, 0.0, 1.0), ("both", few, 0.5, 0.5)):
        objective = case.subject.objective("ReweightedWakeSleep")(k=k, phase=phase)
        left = expectation(run_on(case, objective, v), case.subject.backend)
        yield from gradients(left, _reweighted(case, v, k, wake, sleep), f"{phase}, k = {k}:")


@identity(
    name="reweighting's bias shrinks",
    number="30",
    equation="E[weight of state z] -> p(z|x) as k grows: its distance halves from 1 draw to 32",
    source=f"{RWS}, section 2: a self-normalized estimate, biased by O(1/k)",
    requires=(*NEEDS, "draw", "dream"),
    likely_cause="weights not normalized, or of a power of p/q",
    largest=0.75,
    examples=4,
    applies=trained_by("ReweightedWakeSleep"),
)
def bias_shrinks(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 1)
    log_p, log_q = (t[0] for t in tables(case, v))
    posterior = np.exp(log_p - log_sum_exp(log_p))
    # Draws matter by their log-weight alone: merge states into two, sorted by it, so that k draws are
    # k + 1 counts.
    order = np.argsort(log_p - log_q)
    groups = np.array_split(order, 2)
    q = np.asarray([np.exp(log_q[g]).sum() for g in groups])
    p = np.asarray([np.exp(log_p[g]).sum() for g in groups])
    distances = []
    for k in (1, 8, 32):
        count = np.arange(k + 1)
        chance = np.asarray([math.comb(k, int(c)) for c in count]) * q[0] ** count * q[1] ** (k - count)
        log_w = np.where(np.arange(k)[:, None] < count[None, :], *np.log(p / q))  # [k, k + 1]
        weigh = case.subject.objective("ReweightedWakeSleep")(k=k, phase="wake").weigh
        u = host(weigh(case.model, None, case.device(log_w))[0])
        first = (u * (np.arange(k)[:, None] < count[None, :])).sum(axis=0)
        yield equal(u.sum(axis=0), np.ones(k + 1), "weights sum to 1", 1e-6)
        distances.append(abs(float(chance @ first) - float(posterior[groups[0]].sum())))
    yield at_most(distances[1], distances[0], "8 draws <= 1 draw")
    yield at_most(distances[2], 0.5 * distances[0], "32 draws <= 1 draw / 2")


@identity(
    name="bidirectional model",
    number="30",
    equation="p*(x) = (sum_z sqrt(p(x,z) q(z|x)))^2 / Z, Z <= 1; log_prob_bound <= log p*; E[exp Z^] = Z",
    source=f"{BIHM}, section 2",
    requires=(*NEEDS, "log_prob_bound", "log_prob", "log_partition", "log_partition_estimate"),
    likely_cause="the square or the root left out, or Z of the joint in place of that of p*(x)",
    largest=3.0,
    examples=4,
    applies=listed,
)
def bidirectional_model(case: Case) -> Iterator[Comparison]:
    log_p, log_q = tables(case, case.V)
    bound = 2.0 * log_sum_exp(0.5 * (log_p + log_q), axis=1)
    log_z = log_sum_exp(bound)
    yield equal(case.call("log_prob_bound", case.V), bound, "log p~")
    yield equal(float(case.model.log_partition()), log_z, "log Z")
    yield at_most(log_z, 0.0, "Z <= 1")
    yield equal(case.call("log_prob", case.V), bound - log_z, "log p*")
    yield at_most(case.call("elbo", case.V), bound, "elbo <= log p~")
    found = expectation(
        lambda rng: {"Z": np.exp(host(case.model.log_partition_estimate(rng, n_samples=1, k=1)))},
        case.subject.backend,
    )
    yield equal(found["Z"], np.exp(log_z), "E[estimate of Z]")


@identity(
    name="bidirectional importance",
    number="30",
    equation="E[BidirectionalImportance] = -d/dtheta E[sum_s v_s (log p + log q)], v ~ sqrt(w) fixed",
    source=f"{BIHM}, section 3",
    requires=(*NEEDS, "draw"),
    likely_cause="w for its root, or a gradient for one direction only",
    largest=3.0,
    examples=2,
    applies=trained_by("BidirectionalImportance"),
)
def bidirectional_importance(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 1)
    objective = case.subject.objective("BidirectionalImportance")(k=2)
    left = expectation(run_on(case, objective, v), case.subject.backend)
    log_p, log_q = (t[0] for t in tables(case, v))
    m = len(case.H)
    first, second = (i.reshape(-1) for i in np.indices((m, m)))
    root = 0.5 * (log_p - log_q)
    share = np.exp(log_q[first] + log_q[second] + root[first] - np.logaddexp(root[first], root[second]))
    weights = 2.0 * np.bincount(first, share, minlength=m)

    def loss(model: Any) -> Any:
        at_data = tables(case, v, model)
        return -(weights * (at_data[0] + at_data[1])).sum()

    yield from gradients(left, oracle.gradient(case.model, loss))
    # At the exact weights it is the gradient of the bound itself.
    exact = oracle.gradient(
        case.model, lambda model: -2.0 * traced_log_sum_exp(0.5 * sum(tables(case, v, model)))
    )
    every = case.device(np.exp(0.5 * (log_p + log_q) - log_sum_exp(0.5 * (log_p + log_q))))
    rows, z = case.device(np.tile(v, (m, 1))), case.device(case.H)
    total = {name: -host(g) for name, g in case.model.log_joint_gradient(rows, z, every).items()}
    other = case.model.log_recognition_gradient(rows, z, every)
    total = {name: g - host(other[name]) for name, g in total.items()}
    yield from gradients(total, exact, "weights ~ sqrt(pq):")
