"""Hopfield network: the Boltzmann machine without hidden units, at temperature zero (Hopfield 1982).

    E(v) = -v^T R v - b.v,        v_i <- 1 if f_i > 0, 0 if f_i < 0, as it was if f_i = 0,
    f_i = b_i + R_ii + sum_{j != i} (R_ij + R_ji) v_j = E(v with v_i = 0) - E(v with v_i = 1)

| symbol | shape | meaning |
|---|---|---|
| v | [n, n_visible] | states in {0, 1} |
| R | [n_visible, n_visible] | couplings, of which only R + R^T matters |
| b | [n_visible] | biases |

A Gibbs sampler at temperature T draws v_i = 1 with probability sigmoid(f_i / T), which becomes that rule as
T -> 0. Visited one after the other, units never raise E: a change of v_i moves it by -|f_i|. There are
finitely many states, so that the descent ends, in a state that no single unit can improve: a memory.

Hebb's rule stores patterns xi (written with spins, 2 v - 1) as such states, if they are few against n_visible
(up to about 0.14 n_visible random ones; Amit, Gutfreund and Sompolinsky 1985):

    w_ij = sum_p xi^p_i xi^p_j / n_visible,      R_ij = 2 w_ij (i != j),      b_i = -2 sum_{j != i} w_ij

turns the spins' E = -sum_{i != j} w_ij x_i x_j / 2 into bits, up to a constant. Everything else, learning by
Boltzmann's rule included, is the machine's. The derivation, beside this code: docs/models/hopfield.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from minidgm.arguments import count, real
from minidgm.backend import Generator
from minidgm.boltzmann.bm import BoltzmannMachine, column_field
from minidgm.errors import DataError


class Descent(NamedTuple):
    """Where a descent led: states [n, n_visible], energies [sweeps + 1, n], sweeps, converged [n]."""

    v: Any
    energies: Any
    sweeps: int
    converged: Any


class Hopfield(BoltzmannMachine):
    """Hopfield network on bits: `store` patterns, `recall` them from corrupted ones.

    Parameters
    ----------
    n_visible : int
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> pattern = np.array([[1.0, 1.0, 0.0, 0.0, 1.0, 0.0]])
    >>> network = Hopfield(6).store(pattern)
    >>> network.recall(np.array([[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]])).tolist()
    [[1.0, 1.0, 0.0, 0.0, 1.0, 0.0]]
    """

    equations: Mapping[str, str] = {
        "energy": "E(v) = -v^T R v - b.v",
        "update": "v_i <- [f_i > 0], f_i = b_i + R_ii + sum_{j != i} (R_ij + R_ji) v_j",
        "store": "R_ij = 2 sum_p xi^p_i xi^p_j / n_visible (i != j), xi = 2 v - 1; b_i = -sum_{j != i} R_ij",
        "zero_temperature": "sigmoid(f_i / T) -> [f_i > 0] as T -> 0",
    }
    reference = "Hopfield (1982), Neural networks and physical systems with emergent collective abilities"

    def __init__(
        self,
        n_visible: int,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(n_visible, 0, backend=backend, dtype=dtype, seed=seed)

    def config(self) -> dict[str, Any]:
        return {"n_visible": self.n_visible}

    @classmethod
    def of(cls, machine: BoltzmannMachine) -> Hopfield:
        """The deterministic limit of a Boltzmann machine without hidden units: the same R and b.

        Raises
        ------
        ValueError
            For a machine with hidden units.
        """
        if machine.n_hidden:
            raise ValueError(
                f"the machine has {machine.n_hidden} hidden units; a Hopfield network has none"
            )
        network = cls(machine.n_visible, backend=machine.backend, dtype=machine.dtype)
        for name in ("R", "b"):
            network.params[name][...] = machine.params[name]
        return network

    def store(self, patterns: Any) -> Hopfield:
        """Set R and b by Hebb's rule, from patterns [p, n_visible] of bits; what was there is replaced.

        Raises
        ------
        DataError
            For anything but 0 and 1, or no pattern.
        """
        v = self.check_bits(patterns, "patterns")
        if not v.shape[0]:
            raise DataError("patterns has no rows: nothing to store")
        spins = 2.0 * v - 1.0
        eye = self.xp.eye(self.n_visible, dtype=self.dtype)
        self.params["R"][...] = (2.0 / self.n_visible) * (spins.T @ spins) * (1.0 - eye)
        self.params["b"][...] = -self.params["R"].sum(axis=1)
        return self

    def check_bits(self, v: Any, what: str = "v") -> Any:
        """Return states [n, n_visible] of 0 and 1 on this model's device, or raise `DataError`."""
        v = self.check_data(v, what)
        if bool(((v != 0.0) & (v != 1.0)).any()):
            raise DataError(f"{what} must be bits, 0 or 1; threshold them first, e.g. v > 0.5")
        return v

    def field(self, v: Any) -> Any:
        """f, [n, n_visible]: what E falls by when a unit goes from 0 to 1."""
        return self.visible_field(v, v[:, :0])

    def potential(self, v: Any) -> Any:
        """E(v), [n]."""
        return self.energy(v, v[:, :0])

    def descend(
        self, v: Any, max_sweeps: int = 100, rng: Generator | int | None = None
    ) -> Descent:
        """Update unit after unit until none moves, in order or, with ``rng``, in a new random order a sweep.

        Parameters
        ----------
        v : array [n, n_visible]
            Bits.
        max_sweeps : int
        rng : Generator or int, optional

        Returns
        -------
        Descent
            ``energies`` never rise from row to row; ``converged`` says which states no unit would leave.

        Raises
        ------
        DataError
            For anything but 0 and 1: between them the descent would not be one.
        """
        v = self.check_bits(v).copy()
        rng = None if rng is None else self.generator(rng)
        R, b, xp = self.params["R"], self.params["b"], self.xp
        energies, sweeps = [self.potential(v)], 0
        moved = xp.ones(v.shape[0], dtype=bool)
        while sweeps < count("max_sweeps", max_sweeps) and bool(moved.any()):
            before = v.copy()
            order = range(self.n_visible) if rng is None else rng.permutation(self.n_visible).tolist()
            for i in order:
                f = b[i] + column_field(v, R, i)
                v[:, i] = xp.where(f > 0.0, 1.0, xp.where(f < 0.0, 0.0, v[:, i]))
            moved = (v != before).any(axis=1)
            energies.append(self.potential(v))
            sweeps += 1
        return Descent(v, xp.stack(energies), sweeps, ~moved)

    def recall(self, v: Any, max_sweeps: int = 100) -> Any:
        """The memory that each row of ``v`` [n, n_visible] descends to, [n, n_visible]."""
        return self.descend(v, max_sweeps).v

    def at_temperature(self, temperature: float) -> Any:
        """The Boltzmann machine p(v) ~ exp(-E(v) / T), whose Gibbs sweep tends to `descend` as T -> 0."""
        return self.tempered(1.0 / real("temperature", temperature, positive=True))
