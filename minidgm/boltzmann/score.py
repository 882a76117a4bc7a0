"""The score of an RBM with Gaussian visible units, and what score matching needs of it (Swersky et al. 2011).

    psi(v) = d log p(v)/dv = b - lambda v + m W^T,        m = E[h | v] = mean(x),      x = v W + c,
    div psi = sum_i dpsi_i/dv_i = sum_j s_j sum_i W_ij^2 - sum_i lambda_i,

with s the hidden variances; lambda = exp(visible_log_precision). No partition function in either. The other
side of a Gaussian layer takes finitely many values, so its units have no parameters of their own.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.energy_model import EnergyModel

__all__ = ["GaussianScore"]


class GaussianScore(EnergyModel):
    """Part of `RBM`: derivatives of log p(v) in v, and derivatives of those in the parameters."""

    hidden: Any

    def _precision(self) -> Any:
        if self.visible.name != "gaussian":
            raise TypeError(
                f"the score needs Gaussian visibles, not {self.visible.name}; use visible='gaussian'"
            )
        log_precision = self.params["visible_log_precision"]
        return get_xp(log_precision).exp(log_precision)

    def score(self, v: Any) -> Any:
        """d log p(v)/dv = b - lambda v + mean(v W + c) W^T, [n, n_visible]; Gaussian visibles."""
        precision, W, c = self._precision(), self.params["W"], self.params["c"]
        return self.params["b"] - precision * v + self.hidden.mean(v @ W + c) @ W.T

    def score_divergence(self, v: Any) -> Any:
        """sum_i d^2 log p(v)/dv_i^2, [n]: sum_j s_j sum_i W_ij^2 - sum_i lambda_i; independent hiddens."""
        xp, W = get_xp(v), self.params["W"]
        if self.hidden.k > 1:
            raise TypeError(
                f"the divergence needs hidden units that are independent given v, not {self.hidden.name}; "
                "use bernoulli or spin units"
            )
        s = self.hidden.variance(v @ W + self.params["c"])
        return s @ (W * W).sum(axis=0) - xp.sum(self._precision())

    def score_vjp(self, v: Any, r: Any, out: Any = None) -> Any:
        """Gradient of sum r . score(v), for r [n, n_visible], in the parameters.

        m moves with the field by J = dm/dx, symmetric, so u = J (r W) is the gradient in x:

            dW = r^T m + v^T u,      dc = sum u,      db = sum r,      dlog lambda = -lambda sum r v.
        """
        out = self.zero_gradient() if out is None else out
        W = self.params["W"]
        field = v @ W + self.params["c"]
        u = self.hidden.mean_jvp(field, r @ W)
        out["W"][...] = r.T @ self.hidden.mean(field) + v.T @ u
        out["b"][...], out["c"][...] = r.sum(axis=0), u.sum(axis=0)
        out["visible_log_precision"][...] = -self._precision() * (r * v).sum(axis=0)
        return out

    def score_divergence_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """Gradient of sum_i w_i div psi(v_i) in the parameters.

        With q_j = sum_i W_ij^2 and t the hidden third cumulants (ds/dx = t), u = w t q is the gradient in x:

            dW = 2 W diag(sum w s) + v^T u,      dc = sum u,      db = 0,      dlog lambda = -lambda sum w.
        """
        xp, W = get_xp(v, weights), self.params["W"]
        out = self.zero_gradient() if out is None else out
        weights = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        field = v @ W + self.params["c"]
        u = weights[:, None] * self.hidden.third(field) * (W * W).sum(axis=0)
        out["W"][...] = 2.0 * W * (weights @ self.hidden.variance(field)) + v.T @ u
        out["b"][...], out["c"][...] = 0.0, u.sum(axis=0)
        out["visible_log_precision"][...] = -self._precision() * weights.sum()
        return out
