"""Centring: another parametrisation of the same distribution, and the gradient that it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from autograd import grad

from minidgm.checks import strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, equal, gradients, host
from minidgm.checks.registry import identity
from minidgm.checks.subject import with_parameters

Arrays = Mapping[str, Any]


def _plain(subject: Any) -> str:
    if getattr(subject.model, "own_centering", False):
        return "centres its hidden units only: identity 19a"
    return "" if {"W", "b", "c"} <= set(subject.parameter_names) else "needs parameters W, b, c"


@identity(
    name="enhanced gradient",
    number="11d",
    equation="center_gradient(g, mu, lam) = J J^T g, J the Jacobian of (W, b, c) in the centred (W, b', c')",
    source="Montavon and Mueller (2012); Melchior, Fischer and Wiskott (2016), JMLR 17(99)",
    requires=("energy", "center_gradient", "energy_gradient"),
    likely_cause="an offset of the other side, a transpose, or the uncentred gradient of a bias used for W",
    examples=10,
    applies=lambda s: _plain(s),
)
def enhanced_gradient(case: Case) -> Iterator[Comparison]:
    sides = (case.subject.visible.n, "mu"), (case.subject.hidden.n, "lam")
    mu, lam = (case.draw(strategies.arrays((n,), 3.0), name) for n, name in sides)
    params = {name: host(value) for name, value in case.subject.parameters.items()}
    g = {name: case.draw(strategies.arrays(p.shape, 3.0), f"g[{name}]") for name, p in params.items()}
    v = case.visible()
    h = case.hidden(len(v))

    def energy(values: Arrays) -> np.ndarray:
        return host(case.energy(with_parameters(case.reference, values), v, h))

    base = energy({name: 0.0 * p if name in "Wbc" else p for name, p in params.items()})
    x, y = v - mu, h - lam
    centred = base - x @ params["b"] - y @ params["c"] - ((x @ params["W"]) * y).sum(axis=1)
    constant = centred - energy(uncentre(params, mu, lam))
    yield equal(constant, np.full(len(v), constant[0]), "the centred energy differs by a constant")

    pulled_back = grad(lambda values: inner(uncentre(values, mu, lam), g))(params)
    left = case.model.energy_gradient(*(case.device(rows) for rows in case.zeros(1)))
    for name, value in g.items():
        left[name][...] = case.device(value)
    left = case.model.center_gradient(left, case.device(mu), case.device(lam))
    yield from gradients(left, uncentre(pulled_back, mu, lam))


def uncentre(params: Arrays, mu: np.ndarray, lam: np.ndarray) -> dict[str, Any]:
    """(W, b', c') -> (W, b, c) with b = b' - W lam, c = c' - W^T mu: linear, so it is its own Jacobian."""
    W = params["W"]
    return {**params, "b": params["b"] - W @ lam, "c": params["c"] - mu @ W}


def inner(a: Arrays, b: Arrays) -> Any:
    """Sum of all products of entries."""
    return sum((a[name] * b[name]).sum() for name in b)
