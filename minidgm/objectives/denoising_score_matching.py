r"""Denoising score matching: the score learnt from noisy copies (Vincent 2011; Swersky et al. 2011).

    loss  =  1/n sum_n 1/2 | psi(v + sigma e) - (v - (v + sigma e)) / sigma^2 |^2,        e ~ N(0, I).

The target -e/sigma is the score of the noise kernel at the copy. The mean of the loss over e is, up to a
constant, score matching on the data blurred by N(0, sigma^2 I); it needs no second derivative. With the
residual r = psi + e/sigma held fixed,

    gradient  =  1/n sum_n (dpsi/dtheta)^T r        at the noisy copies.

The configurations are the noisy copies; the estimator is pathwise, so the model offers ``score_vjp``.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import real
from minidgm.objectives.base import Objective
from minidgm.objectives.score_matching import not_gaussian

__all__ = ["DenoisingScoreMatching"]


class DenoisingScoreMatching(Objective):
    """Denoising score matching of RBMs with Gaussian visible units.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise, in units of the data, above 0. The model fitted is that of the
        blurred data: its variances carry sigma^2.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Metric ``loss``: the mean of the objective over the batch and one draw of noise a row.
    """

    needs = ("score", "score_vjp")

    def __init__(
        self,
        sigma: float = 0.1,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.sigma = real("sigma", sigma)
        if self.sigma == 0.0:
            raise ValueError("sigma must be above 0: without noise there is no score to learn from")

    @classmethod
    def obstacle(cls, model: Any) -> str | None:
        return super().obstacle(model) or not_gaussian(model)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        noise = rng.normal(batch.shape, dtype=batch.dtype)
        noisy = batch + self.sigma * noise
        residual = model.score(noisy) + noise / self.sigma
        model.score_vjp(noisy, residual / batch.shape[0], grads)
        return {"loss": 0.5 * (residual * residual).sum(axis=1).mean()}
