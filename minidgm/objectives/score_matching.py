r"""Score matching for real-valued data (Hyvärinen 2005; Swersky et al. 2011; Deep Learning, section 18.4).

    loss  =  1/n sum_n [ 1/2 |psi(v)|^2 + div psi(v) ],        psi = d log p(v)/dv.

Up to a constant it is half the mean squared distance between psi and the data's own score, by parts, and
psi does not know Z. With r = psi held fixed, the gradient is that of sum r . psi plus that of the
divergence:

    gradient  =  1/n sum_n [ (dpsi/dtheta)^T psi + d(div psi)/dtheta ].

This estimator is pathwise: its configurations are the data alone, and the model offers the two derivatives,
``score_vjp`` and ``score_divergence_gradient``, in place of an energy gradient.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.objectives.base import Objective

__all__ = ["ScoreMatching"]


class ScoreMatching(Objective):
    """Score matching of RBMs with Gaussian visible and Bernoulli or spin hidden units, and of `GaussianRBM`.

    Parameters
    ----------
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Metric ``loss``: the mean of 1/2 |psi|^2 + div psi over the batch; it has no lower limit of its own. The
    generator is not used. Precisions grow without limit along directions in which the data do not vary: keep
    them small at first or standardise the data.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import RBM
    >>> rbm = RBM(2, 3, visible="gaussian", dtype="float64")
    >>> rbm.params.buffer[...] = 0.0
    >>> X = np.array([[1.0, -1.0], [-1.0, 1.0]])  # mean 0, variance 1: a standard normal fits best
    >>> grads, metrics = ScoreMatching().gradient(rbm, X, None)
    >>> float(abs(grads["visible_log_precision"]).max()), float(metrics["loss"])
    (0.0, -1.0)
    """

    needs = ("score", "score_vjp", "score_divergence", "score_divergence_gradient")

    def __init__(
        self,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )

    @classmethod
    def obstacle(cls, model: Any) -> str | None:
        reason = super().obstacle(model) or not_gaussian(model)
        if reason is None and getattr(getattr(model, "hidden", None), "k", 1) > 1:
            unit = model.hidden.name
            return f"its {unit} hidden units are coupled within a group; denoising score matching fits"
        return reason

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, n = get_xp(batch), batch.shape[0]
        psi = model.score(batch)
        model.score_vjp(batch, psi / n, grads)
        weights = xp.full(n, 1.0 / n, dtype=batch.dtype)
        grads.buffer += model.score_divergence_gradient(batch, weights).buffer
        return {"loss": (0.5 * (psi * psi).sum(axis=1) + model.score_divergence(batch)).mean()}


def not_gaussian(model: Any) -> str | None:
    """Say why a model's visible units have no score, or None."""
    unit = getattr(model, "visible", None)
    if unit is not None and unit.name != "gaussian":
        return f"its {unit.name} visible units have no score; it needs visible='gaussian'"
    return None
