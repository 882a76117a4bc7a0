"""What enumeration gives exactly: partition functions and independent samples of small models."""

from __future__ import annotations

import math
from typing import Any

from minidgm.arguments import count
from minidgm.backend import to_numpy
from minidgm.boltzmann.bm import MAX_BITS
from minidgm.boltzmann.rbm import BLOCK
from minidgm.evaluation.estimate import Estimate

MAX_SAMPLED_STATES = 2**20
TABLE = 2**20  # joint states that a free energy lists at a time


def log_partition_exact(model: Any) -> Estimate:
    """log Z of an energy model by enumeration of its smaller enumerable side, in float64; exact, nats.

    Raises
    ------
    IntractableError
        Beyond 2^25 states; `ais` and `bridge_sampling` estimate there.
    TypeError
        For a model without ``log_partition``.

    Examples
    --------
    >>> import math
    >>> from minidgm.boltzmann import RBM
    >>> rbm = RBM(3, 2)
    >>> rbm.params["W"][...] = 0.0
    >>> math.isclose(log_partition_exact(rbm).value, math.log(2**5))
    True
    """
    if not hasattr(model, "log_partition"):
        ways = {"log_prob_estimate": "evaluation.importance_weighted(model, v, rng=...)"}
        ways |= {"generate": "evaluation.parzen(model.sample(n), ...)", "log_prob": "model.log_prob(v)"}
        way = next((f"; use {way}" for name, way in ways.items() if hasattr(model, name)), "")
        raise TypeError(f"{type(model).__name__} has no log_partition() to enumerate{way}")
    return Estimate(float(model.log_partition()), "exact", how="enumeration")


def can_sample_exactly(model: Any) -> bool:
    """Whether `exact_samples` can enumerate one side of the model (at most 2^20 states)."""
    return _n_states(model)[0] <= MAX_SAMPLED_STATES


def exact_samples(model: Any, n: int, rng: Any = None) -> Any:
    """Independent draws [n, n_visible] from p(v), by inverting the table of the enumerated side.

    Where the hidden side is the smaller, h is drawn from its table and v from p(v | h).

    Raises
    ------
    ValueError
        If no side has at most 2^20 states; ``model.sample`` runs a chain there.
    """
    n, rng, xp = count("n", n), model.generator(rng), model.xp
    total, unit, width, method = _n_states(model)
    if total > MAX_SAMPLED_STATES:
        raise ValueError(
            f"exact samples need a side of at most 2^20 states, the smaller has {total:.3g}; "
            "use model.sample(n, rng, steps=...)"
        )
    double = model.double()
    total, free_energy = int(total), getattr(double, method)
    # Without a hidden free energy each visible state costs a row of all hidden states.
    step = BLOCK if hasattr(model, "hidden_free_energy") else max(1, min(BLOCK, TABLE >> model.n_hidden))

    def states(start: int) -> Any:
        return unit.states(width, start, min(start + step, total), xp=xp)

    log_mass = xp.concatenate([-free_energy(states(start)) for start in range(0, total, step)])
    cdf = xp.cumsum(xp.exp(log_mass - log_mass.max()))
    u = rng.uniform((n,), dtype="float64") * cdf[-1]
    index = to_numpy(xp.searchsorted(cdf, u, side="right")).clip(0, total - 1)
    drawn = xp.empty((n, width), dtype=model.dtype)
    for start in range(0, total, step):
        rows = ((index >= start) & (index < start + step)).nonzero()[0]
        if rows.size:
            drawn[xp.asarray(rows)] = states(start)[xp.asarray(index[rows] - start)].astype(model.dtype)
    return drawn if method == "free_energy" else model.visible_given_hidden(drawn).sample(rng)


def _n_states(model: Any) -> tuple[float, Any, int, str]:
    """Size of the smaller enumerable side, its units, columns and free energy's name."""
    unit, width = getattr(model, "row_unit", model.visible), getattr(model, "n_columns", model.n_visible)
    sides = [(unit.n_states(width), unit, width, "free_energy")]
    if hasattr(model, "hidden_free_energy"):
        n_states = model.hidden.n_states(model.n_hidden)
        sides.append((n_states, model.hidden, model.n_hidden, "hidden_free_energy"))
        if not getattr(model, "exact_free_energy", True):
            return sides[1]
    elif not getattr(model, "exact_posterior", True) or width + model.n_hidden > MAX_BITS:
        return (math.inf, *sides[0][1:])
    return min(sides, key=lambda side: side[0])
