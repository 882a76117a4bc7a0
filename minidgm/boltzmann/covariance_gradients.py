"""Gradients of the models with mean and covariance units, in the parameters and in x.

Written once for both: they differ only in what a subclass says about its covariance units.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.mean_covariance import MeanCovarianceEnergy
from minidgm.numerics import sigmoid, sigmoid_
from minidgm.workspace import Workspace


class MeanCovariance(MeanCovarianceEnergy):
    """Base of `MeanCovarianceRBM` and `MeanProductOfStudentT`, see `MeanCovarianceEnergy`."""

    # What the covariance units bring to the gradients

    def _base_gradient(self, h_c: Any, weights: Any, out: Any) -> None:
        """Write sum_i w_i dA(h^c_i)/dtheta into ``out``."""
        raise NotImplementedError

    def _mean_base_gradient(self, u: Any, h_c: Any, weights: Any, out: Any) -> None:
        """Write its expectation under p(h^c | x), whose mean is ``h_c``."""
        self._base_gradient(h_c, weights, out)

    def _fill_covariance_mean(self, s: Any) -> None:
        """Overwrite s = 2 u with E[h^c | x], [n, n_covariance]."""
        raise NotImplementedError

    # Gradients in the parameters

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(x_i, h_i)/dtheta for any signed weights [n]; into ``out`` (a `Parameters`) if given.

        With t = x R and g = h^c P^T, both [n, n_factors], E has the term sum_f g_f t_f^2 / 2, so that

            dE/dW = -x h^mT,   dE/dR_f = g_f t_f x,   dE/dP_fk = t_f^2 h^c_k / 2,
            dE/db = -x,        dE/dc = -h^m,          dE/dlog lambda = lambda x^2 / 2,

        and dA/dtheta for the covariance units' own parameters.
        """
        return self._gradient(v, h, weights, out)

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(x_i)/dtheta = sum_i w_i <dE(x_i, h)/dtheta> under p(h | x_i), exact.

        h enters all but A linearly: there its mean replaces it.
        """
        u = self.pooled_squares(v)
        h_c = self.covariance_given(u).mean
        h = get_xp(v).concatenate([sigmoid(self.mean_unit_field(v)), h_c], axis=1)
        return self._gradient(v, h, weights, out, u)

    def _gradient(self, v: Any, h: Any, weights: Any, out: Any, u: Any = None) -> Any:
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        w = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        h_m, h_c = self.split(h)
        wv = w[:, None] * v
        t = v @ self.params["R"]
        xp.matmul(-wv.T, h_m, out=out["W"])
        xp.matmul(wv.T, t * self._spread(h_c), out=out["R"])
        if self.n_factors is not None:
            xp.matmul((t * t).T, 0.5 * w[:, None] * h_c, out=out["P"])
        xp.matmul(-w, v, out=out["b"])
        out["c"][: self.n_mean] = -(w @ h_m)
        precision = xp.exp(self.params["visible_log_precision"])
        out["visible_log_precision"][...] = 0.5 * precision * (w @ (v * v))
        if u is None:
            self._base_gradient(h_c, w, out)
        else:
            self._mean_base_gradient(u, h_c, w, out)
        return out

    # Gradient in x

    def free_energy_input_gradient(self, v: Any) -> Any:
        """dF/dx, [n, n_visible]: with t = x R and means under p(h | x),

        dF/dx = lambda x - b - E[h^m] W^T + (t * (E[h^c] P^T)) R^T,

        because -d cgf(u)/du = E[h^c] and du_k/dx = sum_f P_fk t_f R_f.
        """
        params = self.params
        xp, t = get_xp(v, params["R"]), v @ params["R"]
        h_c = self.covariance_given(0.5 * self._pool(t * t)).mean
        pull = (t * self._spread(h_c)) @ params["R"].T
        h_m = sigmoid(self.mean_unit_field(v))
        return xp.exp(params["visible_log_precision"]) * v - params["b"] - h_m @ params["W"].T + pull

    def fill_free_energy_input_gradient(self, v: Any, out: Any, scratch: Workspace) -> None:
        """The hot twin of `free_energy_input_gradient`: writes into ``out``, in reused arrays."""
        params, xp, n = self.params, get_xp(v, out), v.shape[0]
        W, R = params["W"], params["R"]
        t = xp.matmul(v, R, out=scratch.array("t", (n, R.shape[1]), v))
        u = scratch.array("u", (n, self.n_covariance), v)
        g = scratch.array("g", t.shape, v)
        if self.n_factors is None:
            xp.multiply(t, t, out=u)
            self._fill_covariance_mean(u)
            xp.multiply(t, u, out=t)
        else:
            xp.matmul(xp.multiply(t, t, out=g), params["P"], out=u)
            self._fill_covariance_mean(u)
            xp.multiply(t, xp.matmul(u, params["P"].T, out=g), out=t)
        xp.matmul(t, R.T, out=out)
        part = scratch.array("part", v.shape, v)
        if self.n_mean:
            h_m = xp.matmul(v, W, out=scratch.array("h_m", (n, self.n_mean), v))
            sigmoid_(h_m, bias=params["c"][: self.n_mean])
            xp.subtract(out, xp.matmul(h_m, W.T, out=part), out=out)
        precision = xp.exp(params["visible_log_precision"])
        xp.add(out, xp.multiply(v, precision, out=part), out=out)
        xp.subtract(out, params["b"], out=out)
