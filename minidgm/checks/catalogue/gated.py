"""Identity 26: third-order machines. One energy that is linear in each of three layers, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.checks import strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, equal, gradients, host
from minidgm.checks.enumeration import index_of, log_sum_exp, transition_matrix
from minidgm.checks.exhaustive import expectation
from minidgm.checks.oracle import gradient as traced_gradient
from minidgm.checks.registry import identity
from minidgm.checks.subject import enumerate_states

SOURCE = "Memisevic and Hinton (2010), Learning to represent spatial transformations"


def _pairs(case: Case) -> tuple[np.ndarray, np.ndarray, int]:
    v = case.visible()
    n = int(case.model.n_input)
    return v[:, :n], v[:, n:], n


@identity(
    name="multilinear energy",
    number="26",
    equation="E is linear in x, in y and in h: E((x + x')/2, y, h) = (E(x, y, h) + E(x', y, h))/2, and so on",
    source=f"{SOURCE}, eq. 1 and 6",
    requires=("energy", "input_given", "output_given"),
    likely_cause="a square of a filter response, or a layer that meets itself",
)
def multilinear_energy(case: Case) -> Iterator[Comparison]:
    x, y, _ = _pairs(case)
    h = case.hidden(len(x))
    layers = [x, y, h]

    def energy(parts: list[np.ndarray]) -> np.ndarray:
        return case.call("energy", np.concatenate(parts[:2], axis=1), parts[2])

    for i, name in enumerate(("x", "y", "h")):
        other = case.draw(strategies.arrays(layers[i].shape, 2.0), f"another {name}")
        moved = [other if j == i else part for j, part in enumerate(layers)]
        middle = [0.5 * (a + b) for a, b in zip(layers, moved, strict=True)]
        yield equal(energy(middle), 0.5 * (energy(layers) + energy(moved)), f"linear in {name}")


@identity(
    name="three conditionals",
    number="26",
    equation="p(x | y,h), p(y | x,h), p(h | x,y) = p(x,y,h) normalised over one layer",
    source=f"{SOURCE}, eq. 3-5",
    requires=("energy", "input_given", "output_given"),
    likely_cause="the tensor contracted over the wrong pair of layers, or a bias of another layer",
)
def three_conditionals(case: Case) -> Iterator[Comparison]:
    x, y, n = _pairs(case)
    h = case.hidden(len(x))
    X, Y = enumerate_states(n), enumerate_states(y.shape[1])
    for name, states, join, found in (
        ("x", X, lambda s, i: (s, y[i], h[i]), case.model.input_given(case.device(y), case.device(h))),
        ("y", Y, lambda s, i: (x[i], s, h[i]), case.model.output_given(case.device(x), case.device(h))),
    ):
        means = []
        for i in range(len(x)):
            layers = [np.broadcast_to(part, (len(states), part.shape[-1])) for part in join(states, i)]
            log_p = -host(case.energy(case.reference, np.concatenate(layers[:2], axis=1), layers[2]))
            means.append(np.exp(log_p - log_sum_exp(log_p)) @ states)
        yield equal(found.mean, np.asarray(means), f"mean of p({name} | the others)")


@identity(
    name="conditional likelihood",
    number="26",
    equation="p(y | x) = sum_h p(x,y,h) / sum_{y',h} p(x,y',h)",
    source="Memisevic and Hinton (2007), Unsupervised learning of image transformations, eq. 4",
    requires=("energy", "conditional_log_prob", "split"),
    likely_cause="a normaliser that is shared by inputs, or one that also sums over them",
)
def conditional_likelihood(case: Case) -> Comparison:
    x, y, n = _pairs(case)
    every = case.log_sum_hidden(case.V)
    same = (case.V[:, None, :n] == x[None]).all(axis=-1)  # [states, n]
    total = log_sum_exp(np.where(same, every[:, None], -np.inf), axis=0)
    right = every[index_of(np.concatenate([x, y], axis=1), case.V)] - total
    return equal(case.call("conditional_log_prob", x, y), right)


@identity(
    name="composed tensor",
    number="26",
    equation="E of Wx, Wy, Wh = E of W_ijk = sum_f Wx_if Wy_jf Wh_kf",
    source=f"{SOURCE}, eq. 6",
    requires=("energy", "tensor", "unfactored"),
    likely_cause="a factor's filters of two layers exchanged, or a factor left out",
)
def composed_tensor(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    h = case.hidden(len(v))
    p, twin = case.subject.parameters, case.model.unfactored()
    device_v, device_h = case.device(v), case.device(h)
    yield equal(twin.energy(device_v, device_h), case.call("energy", v, h), "E")
    yield equal(twin.free_energy(device_v), case.call("free_energy", v), "F")
    if "Wx" in p:
        W = np.einsum("if,jf,kf->ijk", *(host(p[name]) for name in ("Wx", "Wy", "Wh")))
        yield equal(case.model.tensor(), W, "W_ijk")


@identity(
    name="chains of outputs",
    number="26",
    equation="p(v) K = p(v) for the kernel that holds x; E[its CD-1] = <dF>_data - <dF>_{data K}",
    source="Memisevic and Hinton (2007), section 3.1",
    requires=("energy", "conditional_gibbs_step", "free_energy_gradient"),
    likely_cause="an input that moves with its chain, or a chain of one row beside the data of another",
    largest=3.0,
    examples=3,
    applies=lambda s: s.cannot_list(64) or s.cannot_train("OutputContrastiveDivergence"),
)
def chains_of_outputs(case: Case) -> Iterator[Comparison]:
    from minidgm.checks.catalogue.estimators import gradient

    K = transition_matrix(case.subject, case.model.conditional_gibbs_step)
    p = case.p_joint.reshape(-1)
    yield equal(p @ K, p, "pK = p")
    n = int(case.model.n_input)
    held = (case.V[:, None, :n] == case.V[None, :, :n]).all(axis=-1)
    moved = K.reshape(len(case.V), len(case.H), len(case.V), len(case.H)).sum(axis=(1, 3))
    yield equal(np.where(held, 0.0, moved), np.zeros_like(moved), "x is held")
    v = case.visible(1, 1)
    start = (case.V == v).all(axis=1).astype(np.float64)
    chain = (start[:, None] * case.hidden_posterior).reshape(-1) @ K
    signed = start - chain.reshape(len(case.V), len(case.H)).sum(axis=1)
    objective = case.subject.objective("OutputContrastiveDivergence")()

    def run(rng: Any) -> Any:
        return gradient(case, objective, v, rng)

    right = traced_gradient(case.model, lambda m: (signed * case.free_energy(m, case.V)).sum())
    yield from gradients(expectation(run, case.subject.backend, limit=2**12), right)
