r"""Persistent CD = stochastic maximum likelihood (Younes 1999; Tieleman 2008; Deep Learning, algorithm 18.3).

The chains never go back to the data: each step continues them for k sweeps under the current parameters. If
the parameters move slowly against the chains' mixing, the chains stay near p and their mean is the model's
expectation in the gradient of the likelihood:

    g  =  1/n sum_i dF(v_i)/dtheta  -  1/m sum_j dF(v'_j)/dtheta,    v'_j: m chains, independent of the batch.

| configurations | weights |
|---|---|
| (v, E[h given v]), the batch | 1/n |
| (v', E[h given v']), the chains | -1/m |

Chains that are at p stay at p, so at fixed parameters the estimate becomes unbiased for the likelihood.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.objectives.two_phase import TwoPhase, contrast, mean_gap
from minidgm.samplers import gibbs

__all__ = ["PersistentContrastiveDivergence", "StochasticMaximumLikelihood"]


class PersistentContrastiveDivergence(TwoPhase):
    """PCD-k on every model with ``free_energy_gradient``, ``gibbs_step`` and ``sample``.

    Parameters
    ----------
    k : int
        Gibbs sweeps a step, at least 1.
    n_chains : int
        Chains, whatever the size of the batch.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    The chains start at ``model.sample(n_chains, rng, steps=0)`` in the first call: for an RBM independent
    draws from the visible biases, the same whatever the batch. ``state`` holds them as ``v`` [n_chains,
    n_visible] and ``h`` [n_chains, n_hidden]. Metric ``mean_gap``: mean absolute difference between the
    visible means of data and chains.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import RBM, Generator
    >>> rbm, objective = RBM(4, 2, seed=0), PersistentContrastiveDivergence(n_chains=7)
    >>> grads, metrics = objective.gradient(rbm, np.eye(4, dtype="float32"), Generator(0))
    >>> objective.state["v"].shape, objective.state["h"].shape
    ((7, 4), (7, 2))
    """

    needs = (*TwoPhase.needs, "sample")

    def __init__(
        self,
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
        self.k, self.n_chains = count("k", k), count("n_chains", n_chains)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        if not self._started(model, (self.n_chains,)):
            chains = gibbs.init(model, model.sample(self.n_chains, rng, steps=0), rng)
            self._state["v"], self._state["h"] = chains.v, chains.h
        if gibbs.has_fills(model):
            self._in_place(model, batch, rng, grads)
        else:
            chains, _ = gibbs.step(model, gibbs.GibbsState(self._state["v"], self._state["h"]), rng, self.k)
            contrast(model, batch, chains, grads)
            self._state["v"], self._state["h"] = chains.v, chains.h
        return {"mean_gap": mean_gap(grads, model)}

    def _in_place(self, model: Any, batch: Any, rng: Any, grads: Any) -> None:
        m, h = self.n_chains, self._state["h"]
        v, means, weights = self._arrays(model, batch, m)
        for _ in range(self.k - 1):
            gibbs.fill_visible(model, h, rng, draw=v[:m])
            gibbs.fill_hidden(model, v[:m], rng, draw=h)
        gibbs.fill_visible(model, h, rng, draw=v[:m])
        if gibbs.has_blocks(model):
            # The last hidden fields of the chains and those of the data are one product.
            get_xp(v).matmul(v, model.params["W"], out=means)
            c, own = model.params["c"], model._own("hidden")
            model.hidden.fill(means[:m], c, rng, draw=h, mean=means[:m], **own)
            model.hidden.fill(means[m:], c, mean=means[m:], **own)
        else:
            gibbs.fill_hidden(model, v[:m], rng, draw=h, mean=means[:m])
            gibbs.fill_hidden(model, v[m:], mean=means[m:])
        model.energy_gradient(v, means, weights, grads, self._weighted(model, means))
        self._state["v"] = v[:m]


StochasticMaximumLikelihood = PersistentContrastiveDivergence
