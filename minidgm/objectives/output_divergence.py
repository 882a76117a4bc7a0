r"""Contrastive divergence of a conditional model: the chain moves y and keeps x (Memisevic & Hinton 2007).

    g  =  1/n sum_i dF(x_i, y_i)/dtheta  -  1/n sum_i dF(x_i, y_i^k)/dtheta,     y^{t+1}, h^t by Gibbs at x_i.

The loss is -log p(y|x) = F(x, y) + log sum_y' exp(-F(x, y')). Whatever in F depends on x alone is in both
terms and cancels, and each row has a partition function of its own, so the chain of row i belongs to x_i and
starts at y_i: chains that persist would have to be kept for every row of the data.

| configurations | weights |
|---|---|
| (x, y), E[h given x, y], the batch | 1/n |
| (x, y^k), E[h given x, y^k] | -1/n |
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.objectives.base import Objective
from minidgm.objectives.two_phase import contrast, reconstruction_error
from minidgm.samplers.gibbs import GibbsState

__all__ = ["OutputContrastiveDivergence"]


class OutputContrastiveDivergence(Objective):
    """CD-k of p(y|x) on every model with ``conditional_gibbs_step`` and ``free_energy_gradient``.

    Parameters
    ----------
    k : int
        Gibbs sweeps from the data, at least 1.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Metric ``reconstruction_error``: mean squared difference of a visible unit between data and the end of its
    chain, over the first 32 rows (x contributes 0).

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import GatedRBM, Generator
    >>> model = GatedRBM(2, 2, 3, seed=0)
    >>> rows = np.array([[1, 0, 0, 1], [0, 1, 1, 0]], dtype="float32")
    >>> grads, metrics = OutputContrastiveDivergence().gradient(model, rows, Generator(0))
    >>> grads["a"].tolist(), grads["W"].shape
    ([0.0, 0.0], (2, 2, 3))
    """

    needs = ("conditional_gibbs_step", "free_energy_gradient", "hidden_given_visible")

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
        v, h = batch, None
        for _ in range(self.k):
            v, h = model.conditional_gibbs_step(v, h, rng)
        contrast(model, batch, GibbsState(v, h), grads)
        return {"reconstruction_error": reconstruction_error(batch, v)}
