"""Identities 15 and 16: tempered models and annealed importance weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from minidgm.checks import strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, equal, host
from minidgm.checks.registry import identity


@identity(
    name="tempered energy",
    number="16",
    equation="E_beta = beta E + (1 - beta) E_0, with E_0 free of h and of couplings; beta = 1 is the model",
    source="Salakhutdinov and Murray (2008), On the quantitative analysis of deep belief networks, eq. 16",
    requires=("energy", "tempered"),
    likely_cause="a bias or a precision that is not tempered with the others",
)
def tempered_energy(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    h = case.hidden(len(v))
    beta = case.draw(st.integers(0, 20), "20 * beta") / 20.0
    model, reference = case.model, case.reference
    base = None
    if case.subject.takes("tempered", "base"):
        base = case.draw(strategies.arrays((case.subject.visible.n,), 1.0), "base")
    given = {} if base is None else {"base": case.device(base)}

    def energy(b: float) -> np.ndarray:
        return host(case.energy(model.tempered(b, **given), case.device(v), case.device(h)))

    own = host(case.energy(reference, v, h))
    yield equal(energy(1.0), own, "beta = 1")
    yield equal(energy(beta), beta * own + (1.0 - beta) * energy(0.0), "beta between")
    if base is not None and case.subject.discrete:
        yield equal(energy(0.0), -v @ base, "beta = 0 is the base")
