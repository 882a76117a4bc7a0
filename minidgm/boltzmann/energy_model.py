"""What the machines of this folder share beside their energies."""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_backend
from minidgm.boltzmann.units import Unit
from minidgm.model import Model


class EnergyModel(Model):
    """Base of the models with visible units of one type: guarded data, a default objective."""

    n_visible: int
    visible: Unit

    def check_data(self, v: Any, what: str = "v") -> Any:
        """Return ``v`` on this model's device, or raise `DataError` for a wrong shape, dtype or domain."""
        if get_backend(v) == "autograd":
            return v
        v = self.check_matrix(v, self.n_visible, what)
        self.visible.check(v, what)
        return v

    def start(self, n: int, rng: Generator) -> Any:
        """Visible states [n, n_visible] for chains to start from, independent of any data."""
        raise NotImplementedError

    def chains(self, n: int, rng: Generator, init: Any = None) -> Any:
        """Where ``n`` chains begin: the rows ``init`` [n, n_visible], checked, or else `start`."""
        v = self.start(count("n", n), rng) if init is None else self.check_data(init, "init")
        same_rows(v, count("n", n))
        return v

    def sample(self, n: int, rng: Generator | int | None = None, steps: int = 1000, init: Any = None) -> Any:
        """Draw visible states [n, n_visible]: ``steps`` Gibbs sweeps from ``init``, or from `start`."""
        rng = self.generator(rng)
        v, h = self.chains(n, rng, init), None
        for _ in range(count("steps", steps, 0)):
            v, h = self.gibbs_step(v, h, rng)  # type: ignore[attr-defined]
        return v

    def default_objective(self) -> Any:
        """Persistent contrastive divergence, one sweep, 100 chains."""
        from minidgm.objectives import PersistentContrastiveDivergence

        return PersistentContrastiveDivergence()


class TwoSidedModel(EnergyModel):
    """Base of the machines with a free energy and conditionals of each side: what follows from these."""

    free_energy: Any
    log_partition: Any
    hidden_given_visible: Any
    visible_given_hidden: Any

    def log_prob(self, v: Any, log_partition: Any = None) -> Any:
        """log p(v) = -F(v) - log Z, [n], exact, nats; ``log_partition`` saves the enumeration."""
        v = self.check_data(v)
        return -self.free_energy(v) - (self.log_partition() if log_partition is None else log_partition)

    def reconstruct(self, v: Any, rng: Generator | None = None) -> Any:
        """Mean of p(v | h), [n, n_visible], at the mean of p(h | v), or at a draw if ``rng`` is given."""
        hidden = self.hidden_given_visible(self.check_data(v))
        return self.visible_given_hidden(hidden.mean if rng is None else hidden.sample(rng)).mean

    def transform(self, v: Any) -> Any:
        """Mean of p(h | v), [n, n_hidden]: the features of v."""
        return self.hidden_given_visible(self.check_data(v)).mean


def same_rows(init: Any, n: int) -> None:
    """Refuse starting states that are not ``n``."""
    if init.shape[0] != n:
        raise ValueError(f"init has {init.shape[0]} rows; expected one for each of n={n} samples")
