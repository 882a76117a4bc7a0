"""Identity 17: deep belief networks, their recognition net, greedy and up-down training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.checks import oracle
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, at_most, equal, gradients, host
from minidgm.checks.enumeration import index_of, log_sum_exp
from minidgm.checks.exhaustive import expectation
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject, enumerate_states

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"
HINTON = "Hinton, Osindero and Teh (2006), A fast learning algorithm for deep belief nets"
NEEDS = ("energy", "layers", "up", "down", "rbm")
STEPS = 4


def _listed(subject: Subject) -> str:
    return "" if subject.hidden.discrete else "needs hidden units that can be listed"


def _two_layers(subject: Subject) -> str:
    return _listed(subject) or ("" if subject.model.depth > 1 else "needs two hidden layers")


def _mirrors(subject: Subject) -> str:
    sizes = subject.model.sizes
    if subject.visible.kind != "bernoulli":
        return "needs visible bits"
    fits = len(sizes) > 2 and all(a == b for a, b in zip(sizes, sizes[2:], strict=False))
    return "" if fits else "needs sizes with n_(l+1) = n_(l-1)"


def _pairs(v: np.ndarray, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(v, len(H), axis=0), np.tile(H, (len(v), 1))


def _log_q(case: Case, v: np.ndarray) -> np.ndarray:
    """log q(h | v) of every hidden state, [n, m], from the conditionals ``up``."""
    rows, h = _pairs(v, case.H)
    states = [rows, *case.reference.layers(h)]
    total: Any = 0.0
    for layer in range(1, len(states)):
        total = total + host(case.reference.up(layer, states[layer - 1]).log_prob(states[layer]))
    return np.reshape(total, (len(v), len(case.H)))


@identity(
    name="belief network's joint",
    number="17",
    equation="exp(-E(v,h))/Z = p_RBM(h_(L-1), h_L) prod_l<L p(h_(l-1)|h_l), from the parameters alone",
    source=f"{BOOK}, eq. 20.17-20.19",
    requires=NEEDS,
    likely_cause="W for its transpose, a bias of the neighboring layer, or a conditional not normalized",
    applies=_listed,
)
def joint(case: Case) -> Iterator[Comparison]:
    p = {name: host(value) for name, value in case.reference.params.items()}
    depth = case.model.depth
    v = case.visible()
    h = case.hidden(len(v))
    states = [v, *np.split(h, np.cumsum(case.model.sizes[1:-1]), axis=1)]
    below, above = states[-2], states[-1]
    W, b, c = p[f"W{depth}"], p[f"b{depth - 1}"], p[f"b{depth}"]
    left = ((below @ W) * above).sum(axis=1) + below @ b + above @ c
    if depth == 1 and case.subject.visible.kind == "real":
        left = left - 0.5 * (np.exp(p["visible_log_precision"]) * v**2).sum(axis=1)
    for layer in range(1, depth):
        field = states[layer] @ p[f"W{layer}"].T + p[f"b{layer - 1}"]
        x = states[layer - 1]
        if layer == 1 and case.subject.visible.kind == "real":
            precision = np.exp(p["visible_log_precision"])
            density = 0.5 * np.log(precision / (2 * math.pi)) - 0.5 * precision * (x - field / precision) ** 2
        else:
            density = np.where(x == 1.0, -np.logaddexp(0.0, -field), -np.logaddexp(0.0, field))
        left = left + density.sum(axis=1)
    if case.subject.visible.kind in ("bernoulli", "real"):
        yield equal(left, -case.call("energy", v, h))


@identity(
    name="recognition bound",
    number="17",
    equation="elbo(v) = sum_h q(h|v) [-E(v,h) - log q(h|v)] - log Z <= log p(v); E_q[w] = Z p(v)",
    source=f"{HINTON}, section 4; {BOOK}, eq. 19.1-19.3 and 20.3",
    requires=(*NEEDS, "elbo", "log_prob", "log_weight", "log_recognition"),
    likely_cause="an entropy with the wrong sign, the top layer counted twice, or R and W exchanged",
    applies=_listed,
)
def recognition_bound(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    log_q = _log_q(case, v)
    yield equal(np.exp(log_q).sum(axis=1), np.ones(len(v)), "sum_h q(h|v)")
    rows, h = _pairs(v, case.H)
    minus_energy = -host(case.energy(case.reference, rows, h)).reshape(log_q.shape)
    right = (np.exp(log_q) * (minus_energy - log_q)).sum(axis=1) - case.log_z
    left = case.call("elbo", v)
    yield equal(left, right, "elbo")
    exact = case.call("log_prob", v)
    yield at_most(left, exact, "elbo <= log p")
    log_w = case.call("log_weight", rows, h).reshape(log_q.shape)
    yield equal(log_sum_exp(log_q + log_w, axis=1), exact + case.log_z, "log E_q[w]")
    yield equal((np.exp(log_q) * log_w).sum(axis=1), left + case.log_z, "E_q[log w]")


@identity(
    name="recognition gradient",
    number="17",
    equation="log_recognition_gradient(v, h, w) = d/dtheta sum_i w_i log q(h_i | v_i)",
    source=f"{HINTON}, appendix B (the sleep phase); autograd of log q",
    requires=("log_recognition", "log_recognition_gradient"),
    likely_cause="a transpose, a sign, or a layer's input in place of its output",
)
def recognition_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    h = case.hidden(len(v))
    weights = case.weights(len(v))
    right = oracle.gradient(case.model, lambda m: (weights * m.log_recognition(v, h)).sum())
    arrays = (case.device(v), case.device(h), case.device(weights))
    yield from gradients(case.model.log_recognition_gradient(*arrays), right)


@identity(
    name="mirrored layer",
    number="17",
    equation="with RBM l + 1 the mirror image of RBM l (W^T, c, b), p(v) is RBM 1's, and elbo = log p",
    source=f"{HINTON}, section 4 (a directed net with tied weights); {BOOK}, 20.3",
    requires=(*NEEDS, "log_prob", "elbo"),
    tolerance=1e-12,
    likely_cause="W not transposed, visible and hidden biases not exchanged, or a recognition bias lost",
    applies=_mirrors,
)
def mirrored_layer(case: Case) -> Iterator[Comparison]:
    from minidgm.boltzmann.greedy import start_layer

    model = _copy(case)
    first = start_layer(model, 1, None, "random")
    v = case.V
    expected = host(first.log_prob(case.device(v)))
    model.place(1, first)
    for layer in range(2, model.depth + 1):
        model.place(layer, start_layer(model, layer, None, "transpose"))
    log_p = host(model.log_prob(case.device(v)))
    yield equal(log_p, expected, "log p(v) = that of RBM 1")
    yield equal(host(model.elbo(case.device(v))), log_p, "the bound is tight")


@identity(
    name="greedy steps raise the bound",
    number="17",
    equation="elbo(new top) - elbo(old) = E_q[log p_new(h_(L-1)) - log p_old(h_(L-1))], >= 0 uphill",
    source=f"{HINTON}, section 4; {BOOK}, 20.3",
    requires=(*NEEDS, "elbo"),
    likely_cause="greedy training that moves frozen layers, or a bound in which the top has another prior",
    largest=2.0,
    examples=8,
    applies=_two_layers,
)
def greedy_steps(case: Case) -> Iterator[Comparison]:
    from minidgm.objectives import ExactLikelihood

    model, v = _copy(case), case.visible()
    layer = model.depth
    H = enumerate_states(model.sizes[layer - 1])
    log_q = _log_q(case, v)
    # Under q, layer L - 1 has this distribution, averaged over the rows: the data of the next RBM.
    seen = host(case.reference.layers(case.H)[layer - 2])
    data = np.bincount(index_of(seen, H), np.exp(log_q).mean(axis=0), minlength=len(H))
    rows, rate = case.device(H), 0.02
    for step in range(STEPS):
        rbm = _top(model)
        before, prior = host(model.elbo(case.device(v))), host(rbm.log_prob(rows))
        grads, _ = ExactLikelihood().gradient(rbm, rows, None)
        # The objective's data are all states alike; its model side is the one that is wanted.
        grads.buffer += rbm.free_energy_gradient(rows, case.device(data - 1.0 / len(H))).buffer
        rbm.params.buffer -= rate * grads.buffer
        model.place(layer, rbm)
        after, moved = host(model.elbo(case.device(v))), host(rbm.log_prob(rows))
        gain = data @ (moved - prior)
        yield equal((after - before).mean(), gain, f"gain of the bound, step {step}")
        yield at_most(before.mean(), after.mean(), f"the bound rises, step {step}")


def _top(model: Any) -> Any:
    """The top RBM with parameters of its own."""
    from minidgm import RBM

    rbm = RBM(*model.sizes[-2:], backend=model.backend, dtype=model.dtype)
    for name, value in model.top.params.items():
        rbm.params[name] = value
    return rbm


def _copy(case: Case) -> Any:
    """A copy of the model under test that may be written to."""
    return case.model.to(case.model.backend, case.model.dtype)


def _enumerable(subject: Subject) -> str:
    reason = subject.cannot_train("UpDown") or subject.cannot_list(64)
    return reason or ("" if subject.model.depth == 2 else "is written out for two hidden layers")


@identity(
    name="up-down gradient",
    number="17",
    equation="E[UpDown] = d/dtheta (E_q[E(v,h)] - E_chain[E_top] - E_dream[log q]), over every outcome",
    source=f"{HINTON}, appendix B; Hinton, Dayan, Frey and Neal (1995), The wake-sleep algorithm",
    requires=(*NEEDS, "log_recognition_gradient", "hidden_free_energy"),
    likely_cause="a phase with the wrong sign, dreams of another layer, or top chains that do not move",
    largest=3.0,
    examples=3,
    applies=_enumerable,
)
def up_down_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 1)
    backend = case.subject.backend

    def run(rng: Any) -> dict[str, Any]:
        objective = case.subject.objective("UpDown")()
        found, _ = objective.gradient(case.model, case.device(v), rng)
        return {name: host(g).copy() for name, g in found.items()}

    left = expectation(run, backend)
    H = enumerate_states(case.model.sizes[1])
    reference, top = case.reference, case.reference.top
    q = np.exp(host(reference.up(1, np.tile(v, (len(H), 1))).log_prob(H)))
    above = enumerate_states(case.model.sizes[2])
    up = _table(top.hidden_given_visible, H, above)
    down = _table(top.visible_given_hidden, above, H)
    chain = q @ up @ down
    dreams = chain[:, None] * _table(lambda h: reference.down(1, h), H, case.V)

    def loss(m: Any) -> Any:
        wide = np.tile(v, (len(H), 1))
        wake = -(q * m.down(1, H).log_prob(wide)).sum() + ((q - chain) * m.top.free_energy(H)).sum()
        dreamt, state = np.tile(case.V, (len(H), 1)), np.repeat(H, len(case.V), axis=0)
        return wake - (dreams.reshape(-1) * m.up(1, dreamt).log_prob(state)).sum()

    yield from gradients(left, oracle.gradient(case.model, loss))


def _table(conditional: Any, given: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Probability of each row of ``target`` given each row of ``given``, [m_given, m_target]."""
    rows, states = _pairs(given, target)
    return np.exp(host(conditional(rows).log_prob(states))).reshape(len(given), len(target))
