"""Identity 18: deep Boltzmann machines, their conditionals, mean field, bound and exact sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minidgm.checks import strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, at_most, equal, host
from minidgm.checks.enumeration import log_sum_exp
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"
PAPER = "Salakhutdinov and Hinton (2009), Deep Boltzmann machines"
NEEDS = ("energy", "layers", "layer_given_others", "mean_field")

Arrays = Mapping[str, Any]


def states_of(case: Case, v: np.ndarray, h: np.ndarray) -> list[np.ndarray]:
    """[x_0, ..., x_L], cut by the sizes alone."""
    return [v, *np.split(h, np.cumsum(case.model.sizes[1:-1]), axis=1)]


def params_of(case: Case) -> dict[str, np.ndarray]:
    return {name: host(value) for name, value in case.reference.params.items()}


def field_of(params: Arrays, layer: int, states: Any) -> Any:
    """b_l + x_{l-1} W_l + x_{l+1} W_{l+1}^T, from the parameters' names alone (traceable)."""
    total = params[f"b{layer}"]
    if layer > 0:
        total = total + states[layer - 1] @ params[f"W{layer}"]
    if f"W{layer + 1}" in params:
        total = total + states[layer + 1] @ params[f"W{layer + 1}"].T
    return total


def few_states(subject: Subject) -> str:
    return subject.cannot_list(64)


@identity(
    name="layers given their neighbors",
    number="18",
    equation="log p(x_l,j = 1 | rest) / p(x_l,j = 0 | rest) = E(x_l,j = 0) - E(x_l,j = 1), for every layer",
    source=f"{BOOK}, eq. 20.26-20.28",
    requires=NEEDS,
    likely_cause="a neighboring layer left out, W for its transpose, or layers cut at the wrong columns",
)
def layers_given_their_neighbors(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    h = case.hidden(len(v))
    states = states_of(case, v, h)
    on_device = [case.device(x) for x in states]
    for layer, x in enumerate(states):
        if layer == 0 and not case.subject.visible.discrete:
            continue
        odds = np.zeros_like(x)
        for j in range(x.shape[1]):
            energies = []
            for value in (0.0, 1.0):
                changed = [part.copy() for part in states]
                changed[layer][:, j] = value
                rest = np.concatenate(changed[1:], axis=1)
                energies.append(host(case.energy(case.reference, changed[0], rest)))
            odds[:, j] = energies[0] - energies[1]
        mean = host(case.model.layer_given_others(layer, on_device).mean)
        yield equal(mean, np.exp(-np.logaddexp(0.0, -odds)), f"layer {layer}")


@identity(
    name="mean field's fixed point",
    number="18",
    equation="mu_l = sigmoid(b_l + mu_(l-1) W_l + mu_(l+1) W_(l+1)^T); half sweeps raise H(q) - E(v, mu)",
    source=f"{BOOK}, eq. 20.33-20.34",
    requires=NEEDS,
    likely_cause="layers of one parity updated from stale means, or a sweep that stops too early",
    largest=2.0,
    examples=10,
    tolerance=1e-7,
)
def mean_field_fixed_point(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    params, depth = params_of(case), case.model.depth
    found = case.model.mean_field(case.device(v), tolerance=1e-10, max_iterations=20000)
    mu = states_of(case, v, host(found.mean))
    converged = host(found.converged)[:, None] > 0
    for layer in range(1, depth + 1):
        new = np.exp(-np.logaddexp(0.0, -field_of(params, layer, mu)))
        yield equal(np.where(converged, new, mu[layer]), mu[layer], f"layer {layer}")
    start = case.draw(strategies.arrays((len(v), sum(case.model.sizes[1:])), 3.0), "start") / 6.0 + 0.5
    once = case.model.mean_field(
        case.device(v), tolerance=None, max_iterations=1, init=case.device(start)
    ).mean
    states = states_of(case, v, start)
    value = _bound(case, v, start)
    for layer in [*range(1, depth + 1, 2), *range(2, depth + 1, 2)]:
        states[layer] = np.exp(-np.logaddexp(0.0, -field_of(params, layer, states)))
        raised = _bound(case, v, np.concatenate(states[1:], axis=1))
        yield at_most(value, raised, f"the update of layer {layer} raises the bound")
        value = raised
    yield equal(once, np.concatenate(states[1:], axis=1), "one sweep: odd layers, then even ones")


def _bound(case: Case, v: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """E_q[-E(v, h) - log q(h)], [n], as a sum over every hidden state."""
    log_q = np.zeros((len(v), len(case.H)))
    tiny = np.finfo(float).tiny
    for j in range(mu.shape[1]):
        on, off = np.log(np.maximum(mu[:, j], tiny)), np.log(np.maximum(1.0 - mu[:, j], tiny))
        log_q += np.where(case.H[None, :, j] > 0, on[:, None], off[:, None])
    table = -host(case.energy_table(case.reference, v, case.H))
    return (np.exp(log_q) * (table - log_q)).sum(axis=1)


@identity(
    name="variational bound",
    number="18",
    equation="elbo(v) = E_q[-E(v,h) - log q(h)] - log Z = log p(v) - KL(q(h) || p(h|v)) <= log p(v)",
    source=f"{BOOK}, eq. 19.1-19.7 and 20.4.2",
    requires=(*NEEDS, "elbo", "log_prob"),
    likely_cause="an entropy of the wrong sign, a partition function left out, or a bound at other means",
    largest=3.0,
    examples=15,
    tolerance=1e-7,
    tolerance_float32=1e-3,
)
def variational_bound(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    elbo = case.call("elbo", v)
    mu = host(case.model.mean_field(case.device(v)).mean)
    yield equal(elbo, _bound(case, v, mu) - case.log_z, "enumerated")
    yield at_most(elbo, case.log_sum_hidden(v) - case.log_z, "a bound")


@identity(
    name="alternate layers summed out",
    number="18",
    equation="log sum over even layers of exp(-E) = sum_odd b_l.x_l + sum_even cgf(field), and odd likewise",
    source=f"{PAPER}, section 4",
    requires=(*NEEDS, "alternate_log_mass"),
    likely_cause="a bias counted with both parities, or a kept layer taken for a free one",
    applies=few_states,
)
def alternate_layers_summed_out(case: Case) -> Iterator[Comparison]:
    pairs = np.repeat(case.V, len(case.H), axis=0), np.tile(case.H, (len(case.V), 1))
    states = states_of(case, *pairs)
    log_p = -host(case.energy(case.reference, *pairs))
    for parity in (0, 1):
        which = range(parity, len(states), 2)
        kept = np.concatenate([states[layer] for layer in which], axis=1)
        rows, place = np.unique(kept, axis=0, return_inverse=True)
        right = [log_sum_exp(log_p[place.reshape(-1) == i]) for i in range(len(rows))]
        cuts = np.cumsum([case.model.sizes[layer] for layer in which])[:-1]
        given = dict(zip(which, map(case.device, np.split(rows, cuts, axis=1)), strict=True))
        yield equal(case.model.alternate_log_mass(given), right, "odd kept" if parity else "even kept")
