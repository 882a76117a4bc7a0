"""Identity 18, continued: how deep Boltzmann machines learn, are pretrained, centred, and predict blocks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from autograd import grad
from hypothesis import strategies as st

from minidgm.checks import oracle, strategies
from minidgm.checks.case import Case, traced_log_sum_exp
from minidgm.checks.catalogue.deep_boltzmann import (
    BOOK,
    NEEDS,
    PAPER,
    Arrays,
    few_states,
    field_of,
    params_of,
    states_of,
)
from minidgm.checks.comparison import Comparison, equal, gradients, host
from minidgm.checks.exhaustive import expectation
from minidgm.checks.registry import identity
from minidgm.checks.subject import with_parameters

SWEEPS = 10


@identity(
    name="variational SML at the model",
    number="18",
    equation="chains at p: E[VariationalSML gradient] = d/dtheta mean (E(v, mu) - H(q) + log Z), mu fixed",
    source=f"{BOOK}, algorithm 20.1 and eq. 20.35",
    requires=NEEDS,
    likely_cause="chains divided by the batch's size, means of layers that were drawn together, stale layers",
    largest=3.0,
    examples=2,
    applies=lambda s: s.cannot_train("VariationalSML") or few_states(s),
)
def variational_sml_at_the_model(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 3)
    mu = host(case.model.mean_field(case.device(v), tolerance=None, max_iterations=SWEEPS).mean)

    def negative_bound(model: Any) -> Any:
        log_z = traced_log_sum_exp(-case.energy_table(model, case.V, case.H))
        return case.energy(model, v, mu).sum() / len(v) + log_z

    right = oracle.gradient(case.model, negative_bound)
    plain = case.model
    if getattr(plain, "centered", False):
        plain = plain.with_params(plain.params)
        plain.centered = False
    for rao_blackwell in (True, False):
        options = {"n_chains": 1, "mean_field_sweeps": SWEEPS, "rao_blackwell": rao_blackwell}
        objective = case.subject.objective("VariationalSML")(**options)
        total: dict[str, Any] = {}
        for (i, row), (j, hidden) in itertools.product(enumerate(case.V), enumerate(case.H)):
            start = {"v": case.device(row[None]), "h": case.device(hidden[None])}

            def run(rng: Any, start: dict[str, Any] = start, objective: Any = objective) -> Any:
                objective.set_state(start)
                grads = objective.gradient(plain, case.device(v), rng)[0]
                return {name: host(g).copy() for name, g in grads.items()}

            for key, value in expectation(run, case.subject.backend).items():
                total[key] = total.get(key, 0.0) + case.p_joint[i, j] * value
        yield from gradients(total, right, f"rao_blackwell={rao_blackwell}:")


@identity(
    name="stacking doubled machines",
    number="18",
    equation="logits of p(h_l|rest) = mean of the two machines' own; L = 2: p(h_1) ~ sqrt(p_1(h_1) p_2(h_1))",
    source=f"{PAPER}, section 3.1; Salakhutdinov and Hinton (2012), A better way to pretrain DBMs",
    requires=(*NEEDS, "pretrain"),
    likely_cause="a weight not halved or doubled, or a bias taken from one machine alone",
    largest=3.0,
    examples=10,
)
def stacking_doubled_machines(case: Case) -> Iterator[Comparison]:
    from minidgm.boltzmann import dbm_pretraining

    reference = case.reference
    machines = dbm_pretraining.machines_of(reference)
    for i, machine in enumerate(machines, start=1):
        for name, value in machine.params.items():
            largest = 1.0 if "log" in name else 3.0
            value[...] = np.clip(
                case.draw(strategies.arrays(value.shape, largest), f"{name} of machine {i}"), -5.0, 5.0
            )
    dbm = dbm_pretraining.compose(reference.to(), machines)
    v = case.visible()
    h = case.hidden(len(v))
    states = states_of(case, v, h)
    params = {name: host(value) for name, value in dbm.params.items()}
    last = dbm.depth
    for layer in range(1, last):
        below, above = machines[layer - 1], machines[layer]
        from_below = below.hidden_field(below.unfold(states[layer - 1], below.copies[0]))
        from_above = above.visible_field(above.unfold(states[layer + 1], above.copies[1]))
        width = dbm.sizes[layer]
        right = 0.5 * (from_below[:, :width] + from_above[:, :width])
        yield equal(field_of(params, layer, states), right, f"layer {layer}")
    if last > 1:
        ends = machines[0].visible_field(states[1]), machines[-1].hidden_field(states[-2])
        for layer, right in zip((0, last), ends, strict=True):
            yield equal(field_of(params, layer, states), right[:, : dbm.sizes[layer]], f"layer {layer}")
    if last == 2:
        H = case.subject.hidden.states[:, : dbm.sizes[1]]
        first = -machines[0].hidden_free_energy(H)
        second = -machines[1].free_energy(H)
        own = dbm.alternate_log_mass({1: H})
        difference = own - 0.5 * (first + second)
        yield equal(difference, np.full(len(H), difference[0]), "marginal of layer 1")


@identity(
    name="centered layers",
    number="18",
    equation="the centred and uncentred energies differ by a constant; center_gradient(g) = J J^T g",
    source="Montavon and Mueller (2012), Deep Boltzmann machines and the centering trick",
    requires=(*NEEDS, "center_gradient", "energy_gradient"),
    likely_cause="an offset of another layer, a transpose, or the uncentred gradient of a bias used for W",
    examples=10,
)
def centered_layers(case: Case) -> Iterator[Comparison]:
    sizes = case.model.sizes
    mu, lam = (
        case.draw(strategies.arrays((n,), 3.0), name)
        for n, name in ((sizes[0], "mu"), (sum(sizes[1:]), "lam"))
    )
    offsets = [mu, *np.split(lam, np.cumsum(sizes[1:-1]))]
    params = params_of(case)
    g = {name: case.draw(strategies.arrays(p.shape, 3.0), f"g[{name}]") for name, p in params.items()}
    v = case.visible()
    h = case.hidden(len(v))
    states = states_of(case, v, h)

    def energy(values: Arrays) -> np.ndarray:
        return host(case.energy(with_parameters(case.reference, values), v, h))

    centred = energy({name: 0.0 * p if name[0] in "Wb" else p for name, p in params.items()})
    for layer, (x, m) in enumerate(zip(states, offsets, strict=True)):
        centred = centred - (x - m) @ params[f"b{layer}"]
        if layer:
            left = states[layer - 1] - offsets[layer - 1]
            centred = centred - ((left @ params[f"W{layer}"]) * (x - m)).sum(axis=1)
    constant = centred - energy(_uncentre(params, offsets))
    yield equal(constant, np.full(len(v), constant[0]), "the centred energy differs by a constant")

    pulled_back = grad(
        lambda values: sum((x * g[name]).sum() for name, x in _uncentre(values, offsets).items())
    )(params)
    left = case.model.energy_gradient(*(case.device(rows) for rows in case.zeros(1)))
    for name, value in g.items():
        left[name][...] = case.device(value)
    left = case.model.center_gradient(left, case.device(mu), case.device(lam))
    yield from gradients(left, _uncentre(pulled_back, offsets))


def _uncentre(params: Arrays, offsets: list[np.ndarray]) -> dict[str, Any]:
    """(W, b') -> (W, b), b_l = b'_l - m_{l-1} W_l - m_{l+1} W_{l+1}^T: linear, so it is its own Jacobian."""
    zero = {name: 0.0 * value if name.startswith("b") else value for name, value in params.items()}
    biases = {
        f"b{layer}": params[f"b{layer}"] - field_of(zero, layer, offsets) for layer in range(len(offsets))
    }
    return {**params, **biases}


@identity(
    name="multi-prediction gradient",
    number="18",
    equation="MultiPrediction().gradient = d/dtheta mean sum_missing -log Q(v_j), Q of T unrolled sweeps",
    source="Goodfellow, Mirza, Courville and Bengio (2013), Multi-prediction deep Boltzmann machines",
    requires=(*NEEDS, "infer"),
    likely_cause="a sweep's derivative taken at the means of another sweep, or the start treated as constant",
    largest=3.0,
    examples=8,
    applies=lambda s: s.cannot_train("MultiPrediction"),
)
def multi_prediction_gradient(case: Case) -> Iterator[Comparison]:
    v, seed = case.visible(1, 4), case.seed()
    sweeps = case.draw(st.integers(1, 3), "sweeps")
    objective = case.subject.objective("MultiPrediction")(sweeps=sweeps)
    plain = case.model.with_params(case.model.params)
    plain.centered = False
    left = objective.gradient(plain, case.device(v), case.replay(seed))[0]
    missing = host(case.replay(seed).bernoulli(case.device(np.full(v.shape, objective.missing))))
    real = not case.subject.visible.discrete

    def loss(model: Any) -> Any:
        import autograd.numpy as anp

        p = model.params
        precision = anp.exp(p["visible_log_precision"]) if real else 1.0

        def mean(layer: int, a: Any) -> Any:
            return a / precision if real and layer == 0 else anp.exp(-anp.logaddexp(0.0, -a))

        depth = model.depth
        zero = anp.zeros((len(v), 1))
        x = [mean(layer, p[f"b{layer}"] + zero) for layer in range(depth + 1)]
        x[0] = (1.0 - missing) * v + missing * x[0]
        for _ in range(sweeps):
            for layer in [*range(1, depth + 1, 2), *range(0, depth + 1, 2)]:
                a = field_of(p, layer, x)
                x[layer] = mean(layer, a)
                if layer == 0:
                    last = a
                    x[0] = (1.0 - missing) * v + missing * x[0]
        if real:
            log_q = 0.5 * anp.log(precision / (2.0 * np.pi)) - 0.5 * precision * (v - last / precision) ** 2
        else:
            log_q = v * last - anp.logaddexp(0.0, last)
        return -(missing * log_q).sum() / len(v)

    yield from gradients(left, oracle.gradient(case.model, loss))
    known = case.device(1.0 - missing)
    found = case.model.infer(case.device(v), known, tolerance=None, max_iterations=1)
    states = states_of(case, host(found.visible), host(found.mean))
    given = (1.0 - missing) * (states[0] - v)
    yield equal(given, np.zeros_like(v), "what is known stays")
