"""Annealing with all hidden units summed out: parameters go in a straight line from a base to the model,

    log f_beta(x) = -F_beta(x),     F_beta the free energy of the model at ((1 - beta) theta_0 + beta theta).

At theta_0 the visible biases are the base's, couplings and hidden biases are 0: independent visible units
beside idle hidden ones, and f_0 sums to 2^n_hidden times the base's Z. An energy that is linear in theta is
mixed as E_0 and E are; couplings made of three factors fade in with the third power of beta, which moves the
path and not its ends. Weights come from free energies, so that the hidden units, which a joint path would
carry along, add no variance to them (Salakhutdinov and Murray 2008, equation 18, for any machine with a
tractable free energy).
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.evaluation.path import Path

__all__ = ["SummedPath", "path_between", "summed_path"]


class SummedPath(Path):
    """Path between two models of one structure; states are rows [n, n_columns].

    Parameters
    ----------
    a, b : Model
        Of one structure, with ``free_energy`` and a ``gibbs_step(v, h, rng)`` that starts from v alone.
    side : Unit or None
        Type of a whole row, where ``a`` is a base to draw from.
    biases : array [n_columns] or None
        Of the base.
    """

    reversible = False
    sweeps = "block"

    def __init__(self, a: Any, b: Any, side: Any, biases: Any):
        self.a, self.b, self.side, self.biases = a, b, side, biases

    def at(self, beta: float) -> Any:
        """The model at ``beta``."""
        start, end = self.a.params, self.b.params
        return self.b.with_params({k: (1.0 - beta) * start[k] + beta * end[k] for k in end})

    def log_increment(self, state: Any, here: float, there: float) -> Any:
        was, becomes = self.at(here).free_energy(state), self.at(there).free_energy(state)
        return (was - becomes).astype("float64")

    def sweep(self, state: Any, beta: float, rng: Any) -> Any:
        return self.at(beta).gibbs_step(state, None, rng)[0]

    def log_constants(self) -> Any:
        return 0.0

    def sample_base(self, n: int, rng: Any) -> Any:
        """Independent rows of the base, [n, n_columns]."""
        return self.side.sample(self.b.xp.zeros((n, 1), dtype=self.b.dtype) + self.biases, rng)


def path_between(a: Any, b: Any) -> SummedPath:
    """The path from one model to another of the same structure: their parameters mix.

    Raises
    ------
    TypeError
        For models of two classes, structures, backends or dtypes.
    """
    kinds = [(type(m), m.config(), m.backend, m.dtype) for m in (a, b)]
    if kinds[0] != kinds[1]:
        raise TypeError(f"no path from {a!r} to {b!r}: both must be of one structure, backend and dtype")
    return SummedPath(a, b, None, None)


def summed_path(model: Any, base: Any, side: Any, biases: dict[str, slice]) -> tuple[SummedPath, float]:
    """The path of a model whose parameters but ``biases`` vanish at the start, and the base's log Z.

    Parameters
    ----------
    model : Model
    base : None, "biases", "uniform" or array [n_columns]
        None takes the model's own biases.
    side : Unit
        Type of a row, without parameters of its own.
    biases : mapping of str to slice
        The observed units' biases and their columns.

    Raises
    ------
    ValueError
        For another shape of ``base``, or a value that is not finite.
    """
    xp, params = model.xp, model.params
    own = xp.concatenate([params[name] for name in biases])
    if base is None or (isinstance(base, str) and base == "biases"):
        base = own
    elif isinstance(base, str) and base == "uniform":
        base = xp.zeros_like(own)
    elif isinstance(base, str):
        raise ValueError(f"base={base!r}; expected 'biases', 'uniform', or an array [{own.shape[0]}]")
    base = xp.asarray(base, dtype=own.dtype)
    if base.shape != own.shape or not bool(xp.isfinite(base).all()):
        raise ValueError(f"base has shape {tuple(base.shape)}; expected {own.shape[0]} finite biases")
    start = {name: base[biases[name]] if name in biases else xp.zeros_like(p) for name, p in params.items()}
    log_z = float(side.cgf(base.astype("float64")[None, :]).sum()) + model.n_hidden * math.log(2.0)
    return SummedPath(model.with_params(start), model, side, base), log_z
