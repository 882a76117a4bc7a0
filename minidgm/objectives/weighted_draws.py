r"""Estimators that weigh draws: k latent states z_s ~ q(z | x) a row, a weight of each for two gradients.

    grads = -1/n sum_i sum_s [u_si d log p(x_i, z_si)/dtheta + c_si d log q(z_si | x_i)/dtheta]

An estimator is its two tables of coefficients, u and c, functions of the log-weights
log w_si = log p(x_i, z_si) - log q(z_si | x_i):

| objective | u | c |
|---|---|---|
| `WakeSleep` | 1/k | none; dreams (x, z) ~ p with 1/m instead |
| `ReweightedWakeSleep` | w_s / sum w | the same, or dreams, or half of each |
| `BidirectionalImportance` | sqrt(w_s) / sum sqrt(w) | the same |
| `Reinforce` | 1/k | (log w_s - baseline) / k |
| `Vimco` | w_s / sum w | L - L without s - w_s / sum w |
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.numerics import logsumexp
from minidgm.objectives.base import Objective

__all__ = ["WeightedDraws", "importance_metrics", "normalized"]


class WeightedDraws(Objective):
    """Base of the estimators that choose coefficients of draws; ``k`` draws a row."""

    needs: tuple[str, ...] = ("draw",)

    def __init__(self, k: int, *, low: int = 1, weight_decay: float = 0.0):
        super().__init__(weight_decay=weight_decay)
        self.k = count("k", k, low)
        self._part: Any = None

    def weigh(self, model: Any, batch: Any, log_w: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return u and c of the table above, [k, n] each (c may be None), and the metrics."""
        raise NotImplementedError

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        drawn = model.draw(batch, self.k, rng, self._scratch)
        u, c, metrics = self.weigh(model, batch, drawn.log_weights)
        scale, dtype = -1.0 / batch.shape[0], batch.dtype
        drawn.log_joint_gradient((scale * u).astype(dtype), grads)
        if c is not None:
            grads.buffer += drawn.log_recognition_gradient(
                (scale * c).astype(dtype), self.part(model)
            ).buffer
        return metrics

    def part(self, model: Any) -> Any:
        """A buffer of the parameters' layout for a second gradient."""
        params, part = model.params, self._part
        if part is None or (part.shapes, part.backend, part.dtype) != (
            params.shapes,
            params.backend,
            params.dtype,
        ):
            self._part = params.like()
        return self._part

    def add_dreams(self, model: Any, n: int, scale: float, rng: Any, grads: Any) -> None:
        """Add the sleep phase: -scale/n sum_j d log q(z_j | x_j) at n dreams (x_j, z_j) ~ p."""
        x, z = model.dream(n, rng)
        weights = get_xp(x).full(n, -scale / n, dtype=x.dtype)
        grads.buffer += model.log_recognition_gradient(x, z, weights, self.part(model)).buffer


def normalized(log_w: Any) -> Any:
    """Weights w_s / sum_s w_s of the draws of each row, [k, n], from their logarithms."""
    return get_xp(log_w).exp(log_w - logsumexp(log_w, axis=0))


def importance_metrics(log_w: Any, u: Any) -> dict[str, Any]:
    """Metrics of k weighted draws: minus the k-sample bound, and the effective number of samples."""
    return {
        "loss": math.log(log_w.shape[0]) - logsumexp(log_w, axis=0).mean(),
        "effective_samples": (1.0 / (u * u).sum(axis=0)).mean(),
    }
