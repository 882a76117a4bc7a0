r"""Contrastive divergence: chains of k steps that start at the data (Hinton 2002; algorithm 18.2).

The likelihood's gradient needs the model's expectation. CD-k replaces it by the expectation after k Gibbs
sweeps from the batch itself, v^0 -> h^0 -> v^1 -> ... -> v^k:

    g  =  1/n sum_i dF(v_i^0)/dtheta  -  1/n sum_i dF(v_i^k)/dtheta,     h^t ~ p(h|v^t),  v^{t+1} ~ p(v|h^t).

| configurations | weights |
|---|---|
| (v^0, E[h given v^0]) | 1/n |
| (v^k, E[h given v^k]) | -1/n |

The energy is linear in h given v, so the hidden means replace samples at both ends (Rao-Blackwell). The
estimate is unbiased for its own expectation, sum_v p_data(v) [dF(v) - sum_v' T^k(v'|v) dF(v')], which is
not the gradient of any function for finite k, and tends to the likelihood's gradient as T^k(.|v) tends to
p: CD-inf = ML.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.objectives.two_phase import TwoPhase, contrast, mean_gap, reconstruction_error
from minidgm.samplers import gibbs

__all__ = ["ContrastiveDivergence"]


class ContrastiveDivergence(TwoPhase):
    """CD-k on every model with ``free_energy_gradient`` and ``gibbs_step``.

    Parameters
    ----------
    k : int
        Gibbs sweeps from the data, at least 1.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Metrics: ``reconstruction_error``, the mean squared difference of a visible unit between data and the
    end of its chain (first 32 rows of the batch), and ``mean_gap``, the mean absolute difference between
    the visible means of data and chains. Nothing of the chain is kept between calls.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import RBM, Generator
    >>> rbm = RBM(4, 2, seed=0)
    >>> grads, metrics = ContrastiveDivergence(k=1).gradient(rbm, np.eye(4, dtype="float32"), Generator(0))
    >>> grads["W"].shape, sorted(metrics)
    ((4, 2), ['mean_gap', 'reconstruction_error'])
    """

    def __init__(
        self,
        k: int = 1,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.k = count("k", k)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        if gibbs.has_fills(model):
            v = self._in_place(model, batch, rng, grads)
        else:
            state, _ = gibbs.step(model, gibbs.init(model, batch, rng), rng, self.k)
            contrast(model, batch, state, grads)
            v = state.v
        return {"reconstruction_error": reconstruction_error(batch, v), "mean_gap": mean_gap(grads, model)}

    def _in_place(self, model: Any, batch: Any, rng: Any, grads: Any) -> Any:
        n = batch.shape[0]
        v, means, weights = self._arrays(model, batch, n)
        h = self._scratch.array("draw", (n, model.n_hidden), batch)
        gibbs.fill_hidden(model, v[n:], rng, draw=h, mean=means[n:])
        for _ in range(self.k - 1):
            gibbs.fill_visible(model, h, rng, draw=v[:n])
            gibbs.fill_hidden(model, v[:n], rng, draw=h)
        gibbs.fill_visible(model, h, rng, draw=v[:n])
        gibbs.fill_hidden(model, v[:n], mean=means[:n])
        model.energy_gradient(v, means, weights, grads, self._weighted(model, means))
        return v[:n]
