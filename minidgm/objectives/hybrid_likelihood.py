r"""Hybrid of classifier and model: discriminative, generative and unlabelled terms in one gradient.

Larochelle & Bengio (ICML 2008), sections 4 to 6, minimize over rows with label and rows without

    L  =  gamma mean[-log p(y|v)]  +  alpha mean[-log p(v, y)]  +  beta mean[-log p(v)]

The three share their configurations, the batch with every label. With p_k = p(k|v) and t = 1 for a row with
label (t = 0 for one without),

| configurations | weights |
|---|---|
| (v, k), t = 1 | (gamma (1[k = y] - p_k) + alpha 1[k = y])/n |
| (v, k), t = 0 | beta p_k/n |
| the end of the chain of row i | -(alpha t + beta (1 - t))/n |
| or m persistent chains | -(the same, summed over the batch)/m |

Only the chains are an estimate: log Z appears in the second and third terms, and its gradient is the model's
expectation, by k sweeps from the data (a missing label is drawn from p(y|v) first) or by chains that
persist. -log p(v) = -log sum_k exp(-F(v, k)) + log Z gives beta p_k, the responsibilities of the labels.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import get_xp
from minidgm.objectives.base import Objective
from minidgm.objectives.discriminative import DiscriminativeLikelihood, known, label_metrics

__all__ = ["HybridLikelihood"]


class HybridLikelihood(Objective):
    """gamma (-log p(y|v)) + alpha (-log p(v, y)) + beta (-log p(v)) for every model with label units.

    Parameters
    ----------
    alpha : float
        Weight of the generative term, rows with labels. Larochelle and Bengio chose 0.01 for MNIST.
    beta : float, optional
        Weight of the rows without labels; by default alpha.
    gamma : float
        Weight of the discriminative term; 0 trains the joint model only, with unlabelled rows too.
    k : int
        Gibbs sweeps a step.
    n_chains : int, optional
        Persistent chains; by default none, and the chains start at the batch (contrastive divergence).
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Weights are per row of the batch, so that each term's share is that of its rows. Metrics: those of
    `DiscriminativeLikelihood`. ``state`` holds persistent chains as ``v`` [n_chains, n_columns].

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DiscriminativeRBM, Generator
    >>> model = DiscriminativeRBM(3, 2, n_classes=2, seed=0)
    >>> rows = model.join(np.eye(3), [0, 1, 1])
    >>> rows[2, 3:] = 0.0  # no label
    >>> grads, metrics = HybridLikelihood(alpha=0.1).gradient(model, rows, Generator(0))
    >>> sorted(metrics), grads["U"].shape
    (['error', 'loss'], (2, 2))
    """

    needs = (*DiscriminativeLikelihood.needs, "gibbs_step", "free_energy_gradient", "complete", "sample")
    takes_unlabelled = True
    learns_unlabelled = True

    def __init__(
        self,
        alpha: float = 0.01,
        beta: float | None = None,
        gamma: float = 1.0,
        k: int = 1,
        n_chains: int | None = None,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.alpha, self.gamma = real("alpha", alpha), real("gamma", gamma)
        self.beta = None if beta is None else real("beta", beta)
        self.k, self.n_chains = count("k", k), None if n_chains is None else count("n_chains", n_chains)
        if not (self.alpha or self.gamma or self.beta):
            raise ValueError("alpha, beta and gamma are all 0: there is nothing to train")

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, n = get_xp(batch), batch.shape[0]
        beta = self.alpha if self.beta is None else self.beta
        v, y = model.split(batch)
        field = model.input_field(v)
        log_p = model.label_log_prob(v, field)
        p, labelled = xp.exp(log_p), known(y)
        weights = (self.gamma + self.alpha) * y + (beta * (1.0 - labelled) - self.gamma * labelled) * p
        model.label_gradient(v, weights / n, grads, field)
        if self.alpha or beta:
            pull = (self.alpha * labelled + beta * (1.0 - labelled))[:, 0] / n
            chains = self._chains(model, batch, log_p, rng)
            if self.n_chains is not None:
                pull = xp.zeros(self.n_chains, dtype=v.dtype) + pull.sum() / self.n_chains
            grads.buffer += model.free_energy_gradient(chains, -pull).buffer
        return label_metrics(log_p, y)

    def _chains(self, model: Any, batch: Any, log_p: Any, rng: Any) -> Any:
        """Rows of the model: k sweeps from the batch, or the persistent chains k sweeps on."""
        if self.n_chains is None:
            x = model.complete(batch, rng, log_p)
        else:
            if "v" not in self._state:
                self._state["v"] = model.sample(self.n_chains, rng, steps=0)
            x = self._state["v"]
            if x.shape != (self.n_chains, model.n_columns):
                raise ValueError(
                    f"the chains have shape {tuple(x.shape)}, this model and objective need "
                    f"{(self.n_chains, model.n_columns)}: call reset() to start new chains"
                )
        h = None
        for _ in range(self.k):
            x, h = model.gibbs_step(x, h, rng)
        if self.n_chains is not None:
            self._state["v"] = x
        return x
