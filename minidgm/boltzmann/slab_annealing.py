"""From independent normals to a spike-and-slab RBM: the family of models that annealing goes through.

At beta the fields of the spikes are beta a(x), whose four terms are t^2 / (2 alpha), mu t, -alpha mu^2 / 2
and b - x^T Phi_i x / 2, with t = x W: each is linear in beta if W and mu go by its root and Phi and b by beta
itself. The covariances of p(x | h) lie between Lambda^-1 and the model's: they stay definite.
"""

from __future__ import annotations

from typing import Any

from minidgm.boltzmann.energy_model import EnergyModel

LOG_2PI = 1.8378770664093453


class SlabAnnealing(EnergyModel):
    """Part of `SpikeAndSlabRBM`: the path to it, see `minidgm.evaluation.spike_and_slab`."""

    n_hidden: int

    def weakened(self, beta: float) -> Any:
        """The model whose spike fields are beta a: W and mu times the root of beta, Phi and b times beta.

        beta = 1 is this model, at beta = 0 x is independent of the spikes, N(0, Lambda^-1).
        """
        xp, root = self.xp, beta**0.5
        twin = {"W": root * self.params["W"], "mu": root * self.params["mu"], "b": beta * self.params["b"]}
        if "log_Phi" in self.params:
            twin["log_Phi"] = self.params["log_Phi"] + xp.log(xp.full((), max(beta, 1e-30), dtype=self.dtype))
        return self.with_params({**self.params, **twin})

    def path_from_base(self, base: Any) -> tuple[Any, float]:
        """Annealing path from N(0, Lambda^-1) with idle units, whatever ``base`` is, and its log Z."""
        from minidgm.evaluation.spike_and_slab import SpikeAndSlabPath

        double = {name: self.params[name].astype("float64") for name in ("log_Lambda", "log_alpha")}
        constants = (LOG_2PI - double["log_Lambda"]).sum() + (LOG_2PI - double["log_alpha"]).sum()
        return SpikeAndSlabPath(self), 0.5 * float(constants) + self.n_hidden * 0.6931471805599453
