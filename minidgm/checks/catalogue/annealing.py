"""Identities 15 and 16: tempered models and annealed importance weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidgm.checks import oracle, strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, equal, host
from minidgm.checks.enumeration import log_sum_exp
from minidgm.checks.exhaustive import Exhaustive
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject


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
    elif base is not None:
        flat = model.tempered(0.0, base=case.device(0.0 * base))
        without = host(case.energy(flat, case.device(v), case.device(h)))
        yield equal(energy(0.0), without - v @ base, "beta = 0 has the biases of the base")
        if case.subject.hidden.discrete:
            other = host(case.energy(flat, case.device(v), case.device(h[::-1].copy())))
            yield equal(other, without, "beta = 0 is free of h")


def _paths(subject: Subject) -> str:
    return subject.cannot_list(64) if subject.of_library else "needs minidgm.model.Model"


@identity(
    name="annealed importance weights",
    number="15",
    equation="E[w] = Z_b / Z_a, over every path of chains; reverse runs from p give Z_a / Z_b",
    source="Neal (2001), Annealed importance sampling, eq. 11; Salakhutdinov and Murray (2008)",
    requires=("energy", "log_partition"),
    likely_cause="a weight taken after the move in place of before it, or a base without its own Z",
    largest=3.0,
    examples=3,
    applies=_paths,
)
def annealed_importance_weights(case: Case) -> Iterator[Comparison]:
    from minidgm import evaluation

    backend = case.subject.backend
    beta = case.draw(st.integers(1, 9), "10 * beta") / 10.0
    base = case.device(case.draw(strategies.arrays((case.subject.visible.n,), 1.0), "base"))
    for betas in ([0.0, 1.0], [0.0, beta, 1.0]):

        def run(path: np.ndarray, betas: list[float] = betas) -> tuple[Any, Exhaustive]:
            rng = Exhaustive(path, backend)
            size: dict[str, Any] = {"n_chains": len(path), "block_size": len(path)}
            return evaluation.ais(case.model, betas=betas, base=base, rng=rng, **size), rng

        n_paths = run(np.zeros(1, dtype=np.int64))[1].n_paths
        estimate, rng = run(np.arange(n_paths))
        yield equal(_expected_log(estimate, rng, 0.0), case.log_z, f"AIS, betas {betas}")

        def back(path: np.ndarray, rows: np.ndarray, betas: list[float] = betas) -> tuple[Any, Exhaustive]:
            rng = Exhaustive(path, backend)
            size: dict[str, Any] = {"n_chains": len(path), "block_size": len(path), "init": case.device(rows)}
            return evaluation.reverse_ais(case.model, betas=betas, base=base, rng=rng, **size), rng

        n_paths = back(np.zeros(1, dtype=np.int64), case.V[:1])[1].n_paths
        rows = np.repeat(np.arange(len(case.V)), n_paths)
        estimate, rng = back(np.tile(np.arange(n_paths), len(case.V)), case.V[rows])
        left = _expected_log(estimate, rng, case.log_p_visible[rows], sign=-1.0)
        yield equal(left, case.log_z, f"reverse AIS, betas {betas}")


def _expected_log(estimate: Any, rng: Exhaustive, log_start: Any, sign: float = 1.0) -> float:
    """log E[w] over all paths, on the scale of the estimate (whose value holds log-mean-exp of the same
    weights).
    """
    log_w = host(estimate.log_weights)
    mean = log_sum_exp(log_w) - np.log(len(log_w))
    expected = log_sum_exp(log_w + rng.log_probability + log_start)
    return float(estimate.value + sign * (expected - mean))


@identity(
    name="annealing between models",
    number="15",
    equation="E[w] = Z_b / Z_a between two trained models, over every path",
    source="Salakhutdinov and Murray (2008), section 4.1",
    requires=("energy", "log_partition"),
    likely_cause="an idle hidden layer whose constant is left out, or the two ends exchanged",
    largest=2.0,
    examples=3,
    applies=_paths,
)
def annealing_between_models(case: Case) -> Comparison:
    from minidgm import evaluation

    backend = case.subject.backend
    other = case.model.to()
    for name, value in case.draw(strategies.parameters(case.subject, 2.0), "parameters of b").items():
        other.params[name][...] = case.device(value)

    def run(path: np.ndarray, rows: np.ndarray) -> tuple[Any, Exhaustive]:
        rng = Exhaustive(path, backend)
        size = {"n_chains": len(path), "block_size": len(path), "init": case.device(rows)}
        return evaluation.ais_between(case.model, other, betas=[0.0, 0.5, 1.0], rng=rng, **size), rng

    n_paths = run(np.zeros(1, dtype=np.int64), case.V[:1])[1].n_paths
    rows = np.repeat(np.arange(len(case.V)), n_paths)
    estimate, rng = run(np.tile(np.arange(n_paths), len(case.V)), case.V[rows])
    log_z_b = log_sum_exp(-host(case.energy_table(oracle.reference(other), case.V, case.H)))
    return equal(_expected_log(estimate, rng, case.log_p_visible[rows]), log_z_b - case.log_z)
