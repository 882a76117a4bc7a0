r"""Fast persistent contrastive divergence: chains in a landscape that runs ahead (Tieleman & Hinton 2009).

The chains sample not the model theta but theta + theta_fast. The fast parameters learn at their own, large
rate from the same gradient g and decay by 1/20 a step:

    g           =  1/n sum_i dF(v_i; theta)/dtheta  -  1/m sum_j dF(v'_j; theta + theta_fast)/dtheta
    theta_fast <-  decay * theta_fast  -  fast_learning_rate * g

Where chains linger the fast parameters raise the energy until they leave, so they mix even while the slow
ones move little. theta_fast is no part of the model: it stays in this objective's state.

| configurations | weights |
|---|---|
| (v, E[h given v; theta]), the batch | 1/n |
| (v', E[h given v'; theta + theta_fast]), the chains | -1/m |
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import get_xp
from minidgm.objectives.two_phase import TwoPhase, mean_gap, phase
from minidgm.parameters import Parameters
from minidgm.samplers import gibbs

__all__ = ["FastPersistent"]


class FastPersistent(TwoPhase):
    """PCD with fast weights, on every model that PCD trains and that has ``with_params``.

    Parameters
    ----------
    k : int
        Gibbs sweeps a step.
    n_chains : int
    fast_learning_rate : float
        Rate of the fast parameters, constant; the paper starts the slow one at the same value and lets it
        fall to 0.
    decay : float
        What the fast parameters keep a step, in [0, 1); the paper's 19/20.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`; they act on the slow parameters only.

    Notes
    -----
    ``state`` holds the chains ``v``, ``h`` and the fast parameters ``fast`` [params.size]. Unit precisions
    have no fast part: a landscape of another width would not be traversed faster. Metric ``mean_gap`` as in
    PCD.
    """

    needs = (*TwoPhase.needs, "with_params", "sample")

    def __init__(
        self,
        k: int = 1,
        n_chains: int = 100,
        fast_learning_rate: float = 0.01,
        decay: float = 0.95,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.k, self.n_chains = count("k", k), count("n_chains", n_chains)
        self.fast_learning_rate = real("fast_learning_rate", fast_learning_rate)
        self.decay = real("decay", decay)
        if self.decay >= 1.0:
            raise ValueError(f"decay must lie in [0, 1), got {decay!r}: at 1 the fast weights never fade")

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, params = get_xp(batch), model.params
        if not self._started(model, (self.n_chains,)):
            chains = gibbs.init(model, model.sample(self.n_chains, rng, steps=0), rng)
            self._state["fast"] = xp.zeros_like(params.buffer)
        else:
            chains = gibbs.GibbsState(self._state["v"], self._state["h"])
        fast = model.with_params(self._layout(params, params.buffer + self._state["fast"]))
        chains, _ = gibbs.step(fast, chains, rng, self.k)
        self._state["v"], self._state["h"] = chains.v, chains.h

        part = self._layout(params, self._scratch.array("part", (params.size,), batch))
        phase(model, batch, 1.0, grads)
        grads.buffer += phase(fast, chains.v, -1.0, part, chains.h).buffer
        self._learn(grads)
        return {"mean_gap": mean_gap(grads)}

    def _learn(self, grads: Any) -> None:
        rate = self.fast_learning_rate
        for name in grads:
            if not name.endswith("log_precision"):
                part = slice(grads.offset(name), grads.offset(name) + grads[name].size)
                self._state["fast"][part] = self.decay * self._state["fast"][part] - rate * grads.buffer[part]

    @staticmethod
    def _layout(params: Parameters, buffer: Any) -> Parameters:
        return Parameters(params.shapes, params.backend, params.dtype, buffer)
