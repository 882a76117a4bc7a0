"""Energy models over real values whose free energy has a gradient in x: Gibbs and HMC chains, annealing.

What follows from ``free_energy``, ``free_energy_input_gradient`` and the two conditionals alone.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import Generator
from minidgm.boltzmann.energy_model import TwoSidedModel
from minidgm.boltzmann.gaussian_start import LEAST
from minidgm.samplers import hmc
from minidgm.workspace import Workspace


class HamiltonianModel(TwoSidedModel):
    """Base of models sampled by Hamiltonian Monte Carlo on F(x)."""

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One exact block Gibbs sweep, h ~ p(h | x), then x ~ p(x | h); ignores ``h``.

        A row costs a Cholesky factor of an [n_visible, n_visible] matrix: for small models, and for proofs.
        """
        h = self.hidden_given_visible(v).sample(rng)
        return self.visible_given_hidden(h).sample(rng), h

    def start(self, n: int, rng: Generator) -> Any:
        """Visible states [n, n_visible] drawn from the containing Gaussian: x with no hidden units."""
        field = self.xp.zeros((n, 1), dtype=self.dtype) + self.params["b"]
        return self.visible.sample(field, rng, log_precision=self.params["visible_log_precision"])

    def sample(
        self,
        n: int,
        rng: Generator | int | None = None,
        steps: int = 100,
        init: Any = None,
        n_leapfrog: int = hmc.N_LEAPFROG,
        step_size: float = 0.1,
        target: float = hmc.TARGET,
    ) -> Any:
        """Draw visible states [n, n_visible] by ``steps`` HMC trajectories from ``init``.

        Parameters
        ----------
        n : int
        rng : Generator or int, optional
        steps : int
            Trajectories of ``n_leapfrog`` gradients each.
        init : array [n, n_visible], optional
            By default draws from the containing Gaussian: `start`.
        step_size : float
            To start from; it is adapted in the first half of the trajectories and then kept.
        target : float
            Wanted acceptance.

        Warns
        -----
        RuntimeWarning
            When the second half of the run accepts nothing.
        """
        rng = self.generator(rng)
        n, steps = count("n", n), count("steps", steps, 0)
        target = real("target", target, below=1.0, positive=True)
        v = self.chains(n, rng, init)
        state, scratch, accepted = hmc.init(v, step_size), Workspace(), None
        for i in range(steps):
            adaptation = hmc.ADAPTATION if 2 * i < steps - 1 else 0.0
            state, info = hmc.step(self, state, rng, n_leapfrog, target, adaptation, scratch)
            if not adaptation:
                accepted = info.acceptance if accepted is None else accepted + info.acceptance
        if accepted is not None:
            hmc.warn_if_stuck(float(accepted[0]), float(state.step_size[0]), f"{type(self).__name__}.sample")
        return state.v

    def default_objective(self) -> Any:
        """Persistent chains moved by HMC, of which one in a hundred begins anew at each step."""
        from minidgm.objectives import HybridPersistent

        return HybridPersistent(restart=0.01)

    # Annealing

    def base_rate(self, v: Any) -> tuple[Any, Any]:
        """Biases and log-precisions [n_visible] of independent normal units with the moments of ``v``."""
        v, xp = self.check_data(v), self.xp
        variance = v.var(axis=0)
        # A base much narrower than the model, in a column that never varied, would make its weights useless.
        precision = 1.0 / xp.maximum(variance, LEAST * variance.mean() + 1e-12)
        return v.mean(axis=0) * precision, xp.log(precision)

    def path_from_base(self, base: Any) -> tuple[Any, float]:
        """The path from a factorial Gaussian to this model, and the Gaussian's log Z.

        ``base`` is None or "biases" (the containing Gaussian, without hidden units), "uniform" (the same with
        b = 0), biases [n_visible], or a pair of biases and log-precisions, each [n_visible].
        """
        from minidgm.evaluation.hamiltonian import gaussian_base

        return gaussian_base(self, base)

    def path_to(self, other: Any) -> Any:
        """The path from this model to another one of the same visible units."""
        from minidgm.evaluation.hamiltonian import FreeEnergyPath

        if not hasattr(other, "free_energy_input_gradient"):
            raise TypeError(
                f"no annealing path from {type(self).__name__} to {type(other).__name__}: it has no "
                "free_energy_input_gradient(v)"
            )
        if (self.n_visible, self.backend, self.dtype) != (other.n_visible, other.backend, other.dtype):
            raise ValueError(
                f"model_a has {self.n_visible} visible units in {self.dtype} on {self.backend}, model_b "
                f"{other.n_visible} in {other.dtype} on {other.backend}; both must see the same v"
            )
        return FreeEnergyPath(self, other)
