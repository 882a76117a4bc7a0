"""Identities 1, 3, 4, 5, 6 and 7: what every density, sampler and implementation owes its reader."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.backend import asarray
from minidgm.checks.case import Case, call
from minidgm.checks.comparison import (
    Comparison,
    at_most,
    chi_square,
    equal,
    host,
    identical,
    kolmogorov_smirnov,
    mean_of,
)
from minidgm.checks.enumeration import index_of, log_integral
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject, with_parameters

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"
ROWS = {
    "energy": "vh",
    "free_energy": "v",
    "hidden_free_energy": "h",
    "log_prob": "v",
    "log_prob_bound": "v",
    "pseudo_log_likelihood": "v",
    "score": "v",
    "transform": "v",
    "hidden_given_visible": "v",
    "visible_given_hidden": "h",
    "log_joint": "vh",
    "log_recognition": "vh",
}
OF_LISTED = ("log_joint", "log_recognition")  # of real latent units they overflow where their nets do
NEEDS_KIND = {"score": ("real",), "pseudo_log_likelihood": ("bernoulli", "spin", "softmax", "listed")}


def row_values(
    subject: Subject, model: Any, v: np.ndarray, h: np.ndarray, backend: str, dtype: str
) -> dict[str, np.ndarray]:
    """Everything the model says about rows: method -> array with one entry a row (means of conditionals)."""
    rows = {"v": asarray(v, backend, dtype), "h": asarray(h, backend, dtype)}
    values = {}
    for method, arguments in ROWS.items():
        kinds = NEEDS_KIND.get(method)
        if not subject.has(method) or (kinds and not subject.visible.kind.startswith(kinds)):
            continue
        if method in OF_LISTED and not subject.hidden.discrete:
            continue
        found = call(subject, model, method, *(rows[a] for a in arguments))
        values[method] = host(mean_of(found))
    return values


@identity(
    name="normalisation",
    number="1",
    equation="sum_v exp(log_prob(v)) = 1, or its integral",
    source=f"{BOOK}, eq. 3.3 and 16.4",
    requires=("log_prob",),
    likely_cause="a partition function of another model, a missing or doubled term, or bits for nats",
    applies=lambda s: "" if s.visible.discrete or s.visible.n <= 2 else "needs listable or <= 2 real units",
)
def normalisation(case: Case) -> tuple[Any, Any]:
    if case.subject.visible.discrete:
        return np.exp(case.call("log_prob", case.V)).sum(), 1.0
    return np.exp(log_integral(lambda v: case.call("log_prob", v), case.subject.visible, 1e-11)), 1.0


@identity(
    name="exact likelihood",
    number="1",
    equation="log_prob(v) = log sum_h exp(-E(v,h)) - log Z, log_partition() = log sum_{v,h} exp(-E(v,h))",
    source=f"{BOOK}, eq. 20.4 and 20.6",
    requires=("energy", "log_prob"),
    likely_cause="a sign, hidden states summed twice, or an estimated log Z where the exact one is promised",
)
def exact_likelihood(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    yield equal(case.call("log_prob", v), case.log_sum_hidden(v) - case.log_z, "log_prob")
    if case.subject.has("log_partition"):
        yield equal(float(case.model.log_partition()), case.log_z, "log_partition")


@identity(
    name="samples follow the density",
    number="3",
    equation="frequencies of sample(n, rng) = exp(log_prob), by chi-square; one-dimensional margins by KS",
    source="Pearson (1900); Massart (1990); false alarms at most 1e-6",
    requires=("sample",),
    likely_cause="variance for standard deviation, a wrong conditional, or a chain that is too short",
    largest=0.5,
    examples=3,
    applies=lambda s: "" if s.has("log_prob") or s.has("energy") else "needs log_prob or energy",
)
def samples_follow_density(case: Case) -> Iterator[Comparison]:
    subject = case.subject
    options: dict[str, Any] = {"rng": case.rng()} if subject.takes("sample", "rng") else {}
    if subject.takes("sample", "steps"):
        # 3 + 2 spins with every coupling at 1/2 forget their start by a factor 0.73 a sweep.
        options["steps"] = 50
    draws = host(case.model.sample(4000, **options))
    if subject.visible.discrete:
        p = np.exp(case.call("log_prob", case.V)) if subject.has("log_prob") else case.p_visible
        yield chi_square(np.bincount(index_of(draws, case.V), minlength=len(case.V)), p)
    else:
        log_density = case.log_mass if subject.has("energy") else lambda v: case.call("log_prob", v)
        for i in range(subject.visible.n):
            cdf = case.cdf(log_density, subject.visible, i, np.sort(draws[:, i]))
            yield kolmogorov_smirnov(draws[:, i], cdf, f"v_{i}")


@identity(
    name="rows are independent",
    number="4",
    equation="f(rows)[i] = f(rows[i]), for batches of any size, and f(permuted) = permuted f",
    source="a density of one example does not depend on the others",
    likely_cause="a sum over the wrong axis, a squeeze of a batch of one, or [n] broadcast with [n, 1]",
    applies=lambda s: "" if any(s.has(m) for m in ROWS) else "needs a method of rows",
    examples=15,
)
def rows_are_independent(case: Case) -> Iterator[Comparison]:
    v = case.visible(min_size=0)
    h = case.hidden(len(v)) if len(v) else np.zeros((0, case.subject.hidden.n))
    where = (case.subject.backend, case.subject.dtype)
    together = row_values(case.subject, case.model, v, h, *where)
    for method, value in together.items():
        yield equal(value.shape[:1], [len(v)], f"rows of {method}")
    if len(v) == 0:
        return
    for i in range(len(v)):
        alone = row_values(case.subject, case.model, v[i : i + 1], h[i : i + 1], *where)
        for method, value in alone.items():
            yield equal(value, together[method][i : i + 1], f"{method}, row {i} alone")
    turned = row_values(case.subject, case.model, v[::-1].copy(), h[::-1].copy(), *where)
    for method, value in turned.items():
        yield equal(value, together[method][::-1], f"{method}, rows reversed")


@identity(
    name="precisions and backends agree",
    number="5",
    equation="f in float32, and on the strict device, = f in float64 on the host",
    source="the same line of code is the density everywhere; 5e-4 of the largest energy in the example",
    likely_cause="overflow of an exponential, a difference of large numbers, or a constant of float64",
    tolerance=5e-4,
    largest=3000.0,
    applies=lambda s: "" if any(s.has(m) for m in ROWS) else "needs a method of rows",
    examples=10,
)
def precisions_agree(case: Case) -> Iterator[Comparison]:
    subject = case.subject
    v = case.visible()
    h = case.hidden(len(v))
    seed = case.seed()
    exact = row_values(subject, case.reference, v, h, "numpy", "float64")
    far = {}
    if subject.of_library:
        far = row_values(subject, _enlarged(case.reference), v, h, "numpy", "float64")
    for values, where in ((exact, ""), (far, ", parameters times 1000")):
        for method, value in values.items():
            yield equal(np.isfinite(value), np.ones(value.shape), f"{method} is finite in float64{where}")
    scales = dict.fromkeys(exact, 1.0)
    energies = [method for method in exact if "energy" in method or "log" in method]
    scales |= dict.fromkeys(energies, max([1.0, *(float(np.abs(exact[m]).max()) for m in energies)]))
    for backend, dtype in _places(subject):
        model = _moved(case, backend, dtype)
        for method, value in row_values(subject, model, v, h, backend, dtype).items():
            scale = scales[method]
            yield equal(value / scale, exact[method] / scale, f"{method} in {dtype} on {backend}")
        if subject.has("gibbs_step") and subject.of_library and _away_from_ties(case):
            ends = []
            for m, where, kind in ((model, backend, dtype), (case.reference, "numpy", "float64")):
                start = (asarray(v, where, kind), asarray(h, where, kind))
                ends.append(m.gibbs_step(*start, case.replay(seed, where)))
            for side, left, right in zip("vh", *ends, strict=True):
                yield equal(left, right, f"gibbs_step {side} in {dtype} on {backend}, noise replayed")


def _enlarged(model: Any) -> Any:
    """The model with every parameter times 1000 that is free to be so large."""
    kept = getattr(model, "parameter_bounds", {})
    scaled = {n: p if "log" in n or n in kept else 1000.0 * p for n, p in model.params.items()}
    return with_parameters(model, scaled)


def _places(subject: Subject) -> list[tuple[str, str]]:
    if subject.backend != "numpy" or subject.float32:
        return [(subject.backend, subject.dtype)]
    places = [("numpy", "float32")]
    return [*places, ("strict", "float32"), ("strict", "float64")] if subject.has("to") else places


def _moved(case: Case, backend: str, dtype: str) -> Any:
    if (backend, dtype) == (case.subject.backend, case.subject.dtype):
        return case.model
    if case.subject.has("to"):
        return case.model.to(backend=backend, dtype=dtype)
    return with_parameters(
        case.model, {n: asarray(p, backend, dtype) for n, p in case.subject.parameters.items()}
    )


def _away_from_ties(case: Case) -> bool:
    """Whether no drawn parameter is so large that rounding alone could turn a replayed draw."""
    return all(float(np.abs(host(p)).max(initial=0.0)) <= 10.0 for p in case.subject.parameters.values())


@identity(
    name="methods are pure",
    number="4",
    equation="parameters and inputs are the same to the bit after every call",
    source="the contract of a model: methods read, they never write",
    likely_cause="an in-place operation (+=, out=, an assignment to a slice) on an argument or a parameter",
    applies=lambda s: "" if any(s.has(m) for m in ROWS) else "needs a method of rows",
    examples=5,
)
def methods_are_pure(case: Case) -> Iterator[Comparison]:
    subject, model = case.subject, case.model
    v, h = case.visible(), None
    h = case.hidden(len(v))
    inputs = {"v": case.device(v), "h": case.device(h), "weights": case.device(case.weights(len(v)))}
    before = {name: host(value).copy() for name, value in {**subject.parameters, **inputs}.items()}
    calls: list[tuple[str, tuple[str, ...]]] = [(m, tuple(a)) for m, a in ROWS.items()]
    calls += [("energy_gradient", ("v", "h", "weights")), ("free_energy_gradient", ("v", "weights"))]
    calls += [(f"log_{side}_gradient", ("v", "h", "weights")) for side in ("joint", "recognition")]
    for method, arguments in calls:
        kinds = NEEDS_KIND.get(method)
        if not subject.has(method) or (kinds and not subject.visible.kind.startswith(kinds)):
            continue
        given = [
            inputs[a] for a in arguments if a != "h" or subject.energy_arguments() == 2 or method != "energy"
        ]
        getattr(model, method)(*given)
        yield from _unchanged(before, {**subject.parameters, **inputs}, method)
    if subject.has("gibbs_step"):
        model.gibbs_step(inputs["v"], inputs["h"], case.rng(0))
        yield from _unchanged(before, {**subject.parameters, **inputs}, "gibbs_step")


def _unchanged(before: dict[str, np.ndarray], now: dict[str, Any], method: str) -> Iterator[Comparison]:
    for name, value in before.items():
        yield identical(now[name], value, f"{name} after {method}")


@identity(
    name="save and load",
    number="6",
    equation="load(save(model)).log_prob(v) = log_prob(v), to the bit",
    source="the contract of a model file",
    requires=("save", "config"),
    likely_cause="a constructor argument that config() leaves out, or an array saved in another order",
    examples=3,
    applies=lambda s: "" if s.of_library else "needs minidgm.model.Model",
)
def save_and_load(case: Case) -> Iterator[Comparison]:
    from minidgm.serialization import load

    subject = case.subject
    v = case.visible()
    h = case.hidden(len(v))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        case.model.save(path)
        loaded = load(path, backend=subject.backend, expected=subject.model_class)
    where = (subject.backend, subject.dtype)
    saved = row_values(subject, case.model, v, h, *where)
    for method, value in row_values(subject, loaded, v, h, *where).items():
        yield identical(value, saved[method], method)


@identity(
    name="bounds",
    number="7",
    equation="log_prob_bound(v) <= log_prob(v)",
    source=f"{BOOK}, eq. 19.1",
    requires=("log_prob", "log_prob_bound"),
    likely_cause="an entropy with the wrong sign, or an expectation under another distribution",
)
def bounds(case: Case) -> Comparison:
    v = case.visible()
    return at_most(case.call("log_prob_bound", v), case.call("log_prob", v))


@identity(
    name="mean-field bound",
    number="7",
    equation="H(q) - E_q[E(v,h)] <= -F(v); no sweep lowers it; its gradient in q vanishes at the end",
    source=f"{BOOK}, eq. 19.7 and 20.33 (coordinate ascent on the evidence lower bound)",
    requires=("energy", "mean_field"),
    likely_cause="a coupling counted once that enters twice, or an update from stale means",
    largest=3.0,
    examples=15,
    applies=lambda s: "" if s.hidden.kind == "bernoulli" and s.hidden.n else "needs hidden bits",
)
def mean_field_bound(case: Case) -> Iterator[Comparison]:
    import autograd.numpy as anp

    v = case.visible()
    reference = case.reference
    tiny = 1e-300

    def bound(mu: Any) -> Any:
        entropy = -anp.sum(mu * anp.log(mu + tiny) + (1.0 - mu) * anp.log(1.0 - mu + tiny), axis=1)
        return entropy - case.energy(reference, v, mu)

    sweeps = [1, 2, 3, 1000]
    means = [host(case.model.mean_field(case.device(v), max_iterations=k).mean) for k in sweeps]
    bounds_found = [bound(mu) for mu in means]
    yield at_most(bounds_found[-1], case.log_sum_hidden(v), "the bound is one")
    for earlier, later in itertools.pairwise(bounds_found):
        yield at_most(earlier, later, "sweeps never lower it")
    from minidgm.checks import oracle

    slope = oracle.derivative(lambda mu: anp.sum(bound(mu)), np.clip(means[-1], 1e-12, 1.0 - 1e-12))
    inside = (means[-1] > 1e-6) & (means[-1] < 1.0 - 1e-6)
    yield equal(
        np.where(inside, slope * means[-1] * (1.0 - means[-1]), 0.0), np.zeros_like(slope), "slope", 1e-4
    )
