"""What the machines of this folder share beside their energies."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_backend
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

    def default_objective(self) -> Any:
        """Persistent contrastive divergence, one sweep, 100 chains."""
        from minidgm.objectives import PersistentContrastiveDivergence

        return PersistentContrastiveDivergence()
