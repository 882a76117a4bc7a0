"""Identities 8, 9, 10 and 2: what an energy says about free energies, units and conditionals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.backend import is_array
from minidgm.checks import strategies
from minidgm.checks.case import Case, conditional_log_prob
from minidgm.checks.comparison import Comparison, equal, host
from minidgm.checks.enumeration import log_integral, log_sum_exp, quadrature_nodes
from minidgm.checks.registry import identity
from minidgm.checks.subject import Domain

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"


@identity(
    name="free energy",
    number="8",
    equation="F(v) = -log sum_h exp(-E(v, h))",
    source=f"{BOOK}, 16.2.4 and 20.2; Hinton (2012), A practical guide to training RBMs, 16.1",
    requires=("energy", "free_energy"),
    likely_cause="a sign, a bias left out, softplus of the wrong field, or a sum over the wrong axis",
)
def free_energy(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    left = case.call("free_energy", v)
    yield equal(left, -case.log_sum_hidden(v), "summed over h")
    yield equal(case.call("free_energy", v), left, "called twice: it must not draw", 0.0)


@identity(
    name="hidden free energy",
    number="8",
    equation="F(h) = -log sum_v exp(-E(v, h))",
    source=f"{BOOK}, 20.2",
    requires=("energy", "hidden_free_energy"),
    likely_cause="a bias left out, W in place of its transpose, or a precision that the energy does not have",
)
def hidden_free_energy(case: Case) -> tuple[Any, Any]:
    h = case.hidden()
    return case.call("hidden_free_energy", h), -case.log_sum_visible(h)


@identity(
    name="unit cumulants",
    number="9",
    equation="cgf(a) = log sum_x exp(a.x + log_base(x)); cgf' = mean, cgf'' = variance",
    source="Wainwright and Jordan (2008), Graphical models, exponential families ..., 3.1",
    requires=("visible.cgf", "hidden.cgf"),
    likely_cause="a variance for its root, a precision for a variance, or a base measure left out",
)
def unit_cumulants(case: Case) -> Iterator[Comparison]:
    for side in ("visible", "hidden"):
        unit = getattr(case.model, side)
        own = {
            name: case.draw(strategies.arrays(shape, 1.0), f"{side} {name}") / 3.0
            for name, shape in unit.parameter_shapes(unit.k).items()
        }
        a = case.draw(strategies.arrays((1, unit.k), 9.0), f"{side} field")
        on_device = {name: case.device(value) for name, value in own.items()}
        cgf = host(unit.cgf(case.device(a), **on_device))
        yield equal(cgf, [[_log_normalizer(unit, a[0], own)]], f"{side} cgf = log normalizer")
        mean, variance = (host(getattr(unit, m)(case.device(a), **on_device)) for m in ("mean", "variance"))
        first, second = _cumulants(unit, a, own)
        yield equal(mean, first, f"{side} mean = cgf'", 1e-8)
        yield equal(variance, second, f"{side} variance = cgf''", 1e-8)


def _log_normalizer(unit: Any, a: np.ndarray, own: dict[str, Any]) -> float:
    if np.isinf(unit.n_states(unit.k)):
        kind = "nonnegative" if "rectified" in unit.name else "real"
        domain = Domain(1, kind)
        return log_integral(lambda x: x @ a + host(unit.log_base(x, **own)).sum(axis=-1), domain)
    x = host(unit.states(unit.k))
    return float(log_sum_exp(x @ a + host(unit.log_base(x, **own)).sum(axis=-1)))


def _cumulants(unit: Any, a: np.ndarray, own: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """First two cumulants of one unit from moments of its own density: sums, or an integral of exp."""
    if not np.isinf(unit.n_states(unit.k)):
        x = host(unit.states(unit.k))
        log_p = x @ a[0] + host(unit.log_base(x, **own)).sum(axis=-1)
        p = np.exp(log_p - log_sum_exp(log_p))
    else:

        def log_density(x: np.ndarray) -> np.ndarray:
            return x @ a[0] + host(unit.log_base(x, **own)).sum(axis=-1)

        kind = "nonnegative" if "rectified" in unit.name else "real"
        x, w = quadrature_nodes(log_density, Domain(1, kind), level=3)
        log_p = log_density(x) + np.log(w)
        p = np.exp(log_p - log_sum_exp(log_p))
    mean = p @ x
    return mean[None, :], (p @ (x - mean) ** 2)[None, :]


@identity(
    name="conditionals",
    number="10",
    equation="p(h|v) = p(v,h) / sum_h p(v,h), and p(v|h) likewise",
    source=f"{BOOK}, eq. 20.7-20.16",
    requires=("energy", "hidden_given_visible"),
    likely_cause="W for its transpose, a bias of the other side, a sign, or a precision for a variance",
)
def conditionals(case: Case) -> Iterator[Comparison]:
    visible, hidden = case.subject.visible, case.subject.hidden
    methods = ["hidden_given_visible", "visible_given_hidden"]
    for method in methods[: 1 + case.subject.has("visible_given_hidden")]:
        up = method == "hidden_given_visible"
        given_side, target_side = (visible, hidden) if up else (hidden, visible)
        given = given_side.states if given_side.discrete else _draw(case, given_side, f"given of {method}")
        target = (
            target_side.states if target_side.discrete else _draw(case, target_side, f"target of {method}")
        )
        log_sum = (case.log_sum_hidden if up else case.log_sum_visible)(given)
        bayes = -_energies(case, method, given, target) - log_sum[:, None]
        left = conditional_log_prob(case.subject, method, given, target)
        if is_array(case.conditional(method, given[:1])):
            yield equal(np.exp(left), np.exp(bayes), method)
        else:
            # exp(-700) is the smallest float64: below it two zeros are compared.
            yield equal(np.maximum(left, -700.0), np.maximum(bayes, -700.0), f"log {method}")
        if target_side.discrete:
            mean = case.conditional_mean(method, given)
            yield equal(mean, np.exp(bayes) @ target, f"mean of {method}")


def _draw(case: Case, side: Domain, name: str) -> np.ndarray:
    return case.draw(strategies.batches(side, min_size=1), name)


def _energies(case: Case, method: str, given: np.ndarray, target: np.ndarray) -> np.ndarray:
    if method == "hidden_given_visible":
        return host(case.energy_table(case.reference, given, target))
    return host(case.energy_table(case.reference, target, given)).T


@identity(
    name="conditionals factorise",
    number="10",
    equation="p(h|v) = prod_j p(h_j|v), p(v|h) = prod_i p(v_i|h), from the joint alone",
    source=f"{BOOK}, eq. 20.9 and 20.14 (no connections within a layer)",
    requires=("energy", "hidden_given_visible", "visible_given_hidden"),
    likely_cause="the energy couples units of one layer, so the factorial conditionals cannot be right",
    applies=lambda s: (
        "hidden units are coupled"
        if hasattr(s.model, "exact_posterior")
        else ("" if s.discrete else "needs units that can be listed")
    ),
)
def conditionals_factorise(case: Case) -> Iterator[Comparison]:
    joint = case.log_joint
    for label, table, domain in (
        ("p(h|v)", joint, case.subject.hidden),
        ("p(v|h)", joint.T, case.subject.visible),
    ):
        posterior = np.exp(table - log_sum_exp(table, axis=1)[:, None])
        product = np.ones_like(posterior)
        for columns in _groups(case, domain):
            group = domain.states[:, columns]
            same = (group[:, None, :] == group[None, :, :]).all(axis=-1)
            product = product * (posterior @ same)
        yield equal(posterior, product, label)


def _groups(case: Case, domain: Domain) -> list[slice]:
    """The columns of each unit of a side."""
    if domain.kind == "listed" and hasattr(case.model, "row_unit"):
        return case.model.row_unit.groups()
    k = int(domain.kind[domain.kind.index("(") + 1 : -1]) if domain.kind.endswith(")") else 1
    return [slice(first, first + k) for first in range(0, domain.n, k)]


@identity(
    name="chain rule",
    number="2",
    equation="log p(v|h) + log p(h) = log p(h|v) + log p(v) = -E(v,h) - log Z",
    source=f"{BOOK}, eq. 3.6 and 20.4",
    requires=("energy", "hidden_given_visible", "visible_given_hidden", "log_prob"),
    likely_cause="log_prob and a conditional belong to different models: a bias or a normaliser differs",
)
def chain_rule(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    h = case.hidden(len(v))
    joint = -host(case.energy(case.reference, v, h)) - case.log_z
    up = np.diag(conditional_log_prob(case.subject, "hidden_given_visible", v, h))
    yield equal(case.call("log_prob", v) + up, joint, "log p(v) + log p(h|v)")
    if case.subject.has("hidden_free_energy"):
        down = np.diag(conditional_log_prob(case.subject, "visible_given_hidden", h, v))
        yield equal(down - case.call("hidden_free_energy", h) - case.log_z, joint, "log p(h) + log p(v|h)")
