r"""Persistent chains moved by Hamiltonian (hybrid) Monte Carlo (Ranzato & Hinton 2010; Teh et al. 2003).

Where p(v | h) is costly (a covariance a row in mcRBM and mPoT), block Gibbs is no way to continue the chains
of persistent CD. The hidden units are summed out instead, and each step moves the chains by one trajectory on
F(v):

    g  =  1/n sum_i dF(v_i)/dtheta  -  1/m sum_j dF(v'_j)/dtheta,    v'_j: m chains, independent of the batch.

| configurations | weights |
|---|---|
| v, the batch | 1/n |
| v', the chains | -1/m |

The hidden units enter by their exact means within dF/dtheta (Rao-Blackwell). All chains share one step size,
which follows their mean acceptance and is part of the state, hence of a checkpoint.

**Restarts.** Chains that have settled near the data never report a second region of mass far away, which the
model is then free to grow: a shell where the containing Gaussian has most of its volume. With ``restart`` > 0
each chain begins anew in that Gaussian with this probability before a step. Where there is no shell it is
back among the data within tens of steps, and the estimate is biased by about that many times ``restart``;
where there is one, it stays, and learning removes the shell.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import get_xp
from minidgm.objectives.base import Objective
from minidgm.objectives.two_phase import mean_gap, signed_weights
from minidgm.samplers import hmc

__all__ = ["HybridPersistent"]


class HybridPersistent(Objective):
    """Persistent CD through HMC on every model with ``free_energy`` and its gradients in v and in theta.

    Parameters
    ----------
    n_leapfrog : int
        Leapfrog steps of a trajectory.
    n_chains : int
        Chains, whatever the size of the batch.
    k : int
        Trajectories a step.
    target : float
        Wanted acceptance, in (0, 1).
    step_size : float
        To start from; it adapts.
    restart : float
        Chance of a chain to begin anew before a step, in [0, 1).
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    The chains start at ``model.sample(n_chains, rng, steps=0)``. ``state`` holds them as ``v`` [n_chains,
    n_visible], and ``step_size`` [1]. Metrics: ``mean_gap`` as in persistent CD, ``acceptance`` and
    ``step_size`` of the last trajectory. After an epoch in which nothing was accepted, `review` warns.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import Generator, MeanCovarianceRBM
    >>> model, objective = MeanCovarianceRBM(4, 3, 2, seed=0), HybridPersistent(n_chains=7)
    >>> grads, metrics = objective.gradient(model, np.eye(4, dtype="float32"), Generator(0))
    >>> objective.state["v"].shape, objective.state["step_size"].shape
    ((7, 4), (1,))
    """

    needs = ("free_energy", "free_energy_gradient", "free_energy_input_gradient", "sample")

    def __init__(
        self,
        n_leapfrog: int = hmc.N_LEAPFROG,
        n_chains: int = 100,
        k: int = 1,
        target: float = hmc.TARGET,
        step_size: float = 0.05,
        restart: float = 0.0,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.n_leapfrog, self.n_chains = count("n_leapfrog", n_leapfrog), count("n_chains", n_chains)
        self.k, self.target = count("k", k), real("target", target, below=1.0, positive=True)
        self.step_size = real("step_size", step_size, positive=True)
        self.restart = real("restart", restart, below=1.0)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        state = self._chains(model, rng)
        for _ in range(self.k):
            state, info = hmc.step(
                model, state, rng, self.n_leapfrog, self.target, hmc.ADAPTATION, self._scratch
            )
        m, n = self.n_chains, batch.shape[0]
        v = self._scratch.array("both", (m + n, model.n_visible), batch)
        v[:m], v[m:] = state.v, batch
        model.free_energy_gradient(v, signed_weights(n, m, batch), grads)
        self._state["v"], self._state["step_size"] = state
        return {
            "mean_gap": mean_gap(grads),
            "acceptance": info.acceptance[0],
            "step_size": state.step_size[0],
        }

    def _chains(self, model: Any, rng: Any) -> hmc.HMCState:
        if "v" not in self._state:
            return hmc.init(model.sample(self.n_chains, rng, steps=0), self.step_size)
        found, expected = self._state["v"].shape, (self.n_chains, model.n_visible)
        if found != expected:
            raise ValueError(
                f"the chains have shape {found}, this model and objective need {expected}: call reset() to "
                "start new chains"
            )
        v = self._state["v"]
        if self.restart:
            anew = rng.uniform((self.n_chains, 1), dtype=model.dtype) < self.restart
            v = get_xp(v).where(anew, model.sample(self.n_chains, rng, steps=0), v)
        return hmc.HMCState(v, self._state["step_size"])

    def review(self, means: dict[str, float]) -> None:
        """Look at the means of an epoch's metrics: warn when no trajectory was accepted."""
        if "acceptance" in means:
            hmc.warn_if_stuck(means["acceptance"], means["step_size"], "the chains of HybridPersistent")
