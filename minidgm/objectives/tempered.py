r"""Persistent chains with parallel tempering (Desjardins et al. 2010; Cho, Raiko & Ilin 2010).

The estimate is PCD's,

    g  =  1/n sum_i dF(v_i)/dtheta  -  1/m sum_j dF(v'_j)/dtheta,

and only the chains differ: m at each of T inverse temperatures 1 = beta_0 > ... > beta_T-1 = 0, which
exchange states after every k sweeps (`minidgm.samplers.tempering`). Those at beta = 1 enter the gradient.

| configurations | weights |
|---|---|
| (v, E[h given v]), the batch | 1/n |
| (v', E[h given v']), the chains at beta = 1 | -1/m |
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.objectives.two_phase import TwoPhase, contrast, mean_gap
from minidgm.samplers import GibbsState, TemperingState, tempering

__all__ = ["TemperedPersistent"]


class TemperedPersistent(TwoPhase):
    """Stochastic maximum likelihood with tempered chains, on every model that has ``tempered``.

    Parameters
    ----------
    n_temperatures : int
        Inverse temperatures, evenly spaced from 1 to 0; 1 is plain PCD.
    k : int
        Sweeps between exchanges.
    n_chains : int
        Chains a temperature.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    All temperatures of an RBM sweep as one stack of ``n_temperatures * n_chains`` rows. ``state`` holds
    them as ``v`` [T, m, n_visible] and ``h`` [T, m, n_hidden]. Metrics: ``mean_gap``, and ``swap_rate``,
    the mean acceptance probability of an exchange.
    """

    needs = (*TwoPhase.needs, "energy", "tempered", "sample")

    def __init__(
        self,
        n_temperatures: int = 10,
        k: int = 1,
        n_chains: int = 100,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.n_temperatures = count("n_temperatures", n_temperatures)
        self.k, self.n_chains = count("k", k), count("n_chains", n_chains)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        betas = tempering.linear(self.n_temperatures)
        if not self._started(model, (self.n_temperatures, self.n_chains)):
            chains = tempering.init(model, betas, self.n_chains, rng)
        else:
            chains = TemperingState(self._state["v"], self._state["h"])
        chains, info = tempering.step(model, chains, betas, rng, self.k)
        contrast(model, batch, GibbsState(chains.v[0], chains.h[0]), grads)
        self._state["v"], self._state["h"] = chains.v, chains.h
        metrics = {"mean_gap": mean_gap(grads)}
        if self.n_temperatures > 1:
            metrics["swap_rate"] = info.swap_rate.mean()
        return metrics
