"""The score of a `GaussianRBM`, in units of each visible's deviation, and what score matching needs of it.

With rho = 1 / sigma, z = rho v - b, x = z W + c and m = E[h | v] = sigmoid(x),

    psi(v) = d log p(v)/dv = rho (m W^T - z),
    div psi = sum_i dpsi_i/dv_i = sum_i rho_i^2 (sum_j s_j W_ij^2 - 1),

with s = m (1 - m) the hidden variances. No partition function in either. Their derivatives by parameters go
through z and x, and both end in the same chain rule: `StandardizedScore._pull_back`.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.energy_model import TwoSidedModel

__all__ = ["StandardizedScore"]


class StandardizedScore(TwoSidedModel):
    """Part of `GaussianRBM`: derivatives of log p(v) in v, and derivatives of those in the parameters."""

    hidden: Any
    deviation: Any
    standardize: Any
    hidden_field: Any

    def score(self, v: Any) -> Any:
        """d log p(v)/dv = (E[h | v] W^T - z) / sigma, [n, n_visible]."""
        pull = self.hidden.mean(self.hidden_field(v)) @ self.params["W"].T
        return (pull - self.standardize(v)) / self.deviation

    def score_divergence(self, v: Any) -> Any:
        """sum_i d^2 log p(v)/dv_i^2 = sum_i (sum_j s_j W_ij^2 - 1) / sigma_i^2, [n]."""
        xp, scaled = get_xp(v, self.params["W"]), self.params["W"] / self.deviation[:, None]
        s = self.hidden.variance(self.hidden_field(v))
        return s @ xp.sum(scaled * scaled, axis=0) - xp.sum(self.deviation**-2.0)

    def score_vjp(self, v: Any, r: Any, out: Any = None) -> Any:
        """Gradient of sum r . score(v), for r [n, n_visible], in the parameters.

        With q = rho r the sum is q . (m W^T - z). It moves with x by u = s (q W), with z beside x by -q, with
        W beside x by q^T m, and with log lambda by half of r psi, as rho = exp(log lambda / 2).
        """
        field, z = self.hidden_field(v), self.standardize(v)
        q, m = r / self.deviation, self.hidden.mean(field)
        u = self.hidden.mean_jvp(field, q @ self.params["W"])
        return self._pull_back(z, -q, u, q.T @ m, 0.5 * (q * (m @ self.params["W"].T - z)).sum(axis=0), out)

    def score_divergence_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """Gradient of sum_i w_i div psi(v_i) in the parameters.

        With t the third cumulants (ds/dx = t) it moves with x by u_j = w t_j sum_i rho_i^2 W_ij^2; beside x
        with W by 2 rho^2 W (w.s), and with log lambda, as rho^2 = exp(log lambda), by what it is a sum of.
        """
        xp, W, rate = get_xp(v, weights), self.params["W"], self.deviation[:, None] ** -2.0
        weights = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        field, z = self.hidden_field(v), self.standardize(v)
        s = weights @ self.hidden.variance(field)  # [n_hidden]
        u = weights[:, None] * self.hidden.third(field) * (rate * W * W).sum(axis=0)
        terms = rate[:, 0] * ((W * W) @ s - weights.sum())
        return self._pull_back(z, 0.0, u, 2.0 * rate * W * s, terms, out)

    def _pull_back(self, z: Any, dz: Any, u: Any, dW: Any, dlog: Any, out: Any) -> Any:
        """From derivatives in x (u) and, beside x, in z, W and log lambda to those in the parameters.

        x = z W + c and z = exp(log lambda / 2) v - b, so that with g = dz + u W^T the derivative in z

            gW = dW + z^T u,    gc = sum u,    gb = -sum g,    glog lambda = dlog + sum g (z + b) / 2.
        """
        out = self.zero_gradient() if out is None else out
        g = dz + u @ self.params["W"].T
        out["W"][...], out["c"][...], out["b"][...] = dW + z.T @ u, u.sum(axis=0), -g.sum(axis=0)
        out["visible_log_precision"][...] = dlog + 0.5 * (g * (z + self.params["b"])).sum(axis=0)
        return out
