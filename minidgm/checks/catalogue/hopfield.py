"""The deterministic limit of identity 14: a Gibbs sweep at temperature zero only ever goes down."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, at_most, equal, host
from minidgm.checks.registry import identity


@identity(
    name="energy descent",
    number="14d",
    equation="E never rises along v_i <- [f_i > 0], and no single unit can lower it where the descent ends",
    source="Hopfield (1982), Proceedings of the National Academy of Sciences 79, eq. 7-8",
    requires=("descend", "potential", "field"),
    likely_cause="all units updated at once, a coupling counted once for twice, or a field of the wrong sign",
)
def energy_descent(case: Case) -> Iterator[Comparison]:
    v, n = case.visible(), case.subject.visible.n
    scale = float(sum(np.abs(host(p)).sum() for p in case.subject.parameters.values())) + 1.0
    end, energies, _, converged = (
        host(x) if hasattr(x, "shape") else x for x in case.model.descend(case.device(v))
    )
    yield equal(converged, np.ones(len(v)), "the descent ends")
    steps = np.diff(energies, axis=0) / scale
    yield at_most(steps, np.zeros_like(steps), "E along the descent")

    def energy(states: np.ndarray) -> np.ndarray:
        return host(case.energy(case.reference, states, states[:, :0]))

    yield equal(energies[-1], energy(end), "E where it ends")
    for i in range(n):
        other = end.copy()
        other[:, i] = 1.0 - other[:, i]
        yield at_most(energy(end) / scale, energy(other) / scale, f"E with unit {i} flipped")
        low, high = end.copy(), end.copy()
        low[:, i], high[:, i] = 0.0, 1.0
        yield equal(case.call("field", end)[:, i], energy(low) - energy(high), f"f_{i} = difference of E")


@identity(
    name="zero temperature",
    number="14d",
    equation="p(v_i = 1 | rest) = sigmoid(f_i / T) -> [f_i > 0]: Gibbs sweeps at T -> 0 are the descent",
    source="Hopfield (1982); Ackley, Hinton and Sejnowski (1985)",
    requires=("descend", "at_temperature", "potential", "field"),
    likely_cause="a temperature that multiplies where it divides, or another order of the units",
)
def zero_temperature(case: Case) -> Iterator[Comparison]:
    v = case.device(case.visible())
    frozen = case.model.at_temperature(1e-6)
    swept = host(frozen.gibbs_step(v, v[:, :0], case.rng())[0])
    once = host(case.model.descend(v, max_sweeps=1).v)
    # Where two energies tie, the limit is a fair coin; the descent stays.
    fields = [host(case.model.field(case.device(x))) for x in (host(v), once)]
    clear = all(np.all(np.abs(f) > 1e-3) for f in fields) and _no_tie(case, host(v))
    if clear:
        yield equal(swept, once, "one sweep")


def _no_tie(case: Case, v: np.ndarray) -> bool:
    for i in range(case.subject.visible.n):
        f = host(case.model.field(case.device(v)))[:, i]
        if np.any(np.abs(f) <= 1e-3):
            return False
        v = v.copy()
        v[:, i] = f > 0.0
    return True
