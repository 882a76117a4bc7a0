"""Gradients of the models with mean and covariance units, in the parameters and in x.

Written once for both: they differ only in what a subclass says about its covariance units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.mean_covariance import MeanCovarianceEnergy
from minidgm.numerics import sigmoid
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

    pool_factor = 1.0  # of u and of E[h^c | x] below: what spares a pass over them
    mean_factor = 1.0

    def _covariance_constants(self) -> Any:
        """What `_fill_covariance_mean` needs of the parameters, [n_covariance]."""
        raise NotImplementedError

    def _fill_covariance_mean(self, s: Any, constants: Any) -> None:
        """Overwrite s = pool_factor u with mean_factor E[h^c | x], all [n_covariance, n]: a unit a row."""
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

    def input_gradient_in_place(self, n: int, scratch: Workspace) -> Callable[[Any, Any], None]:
        """The hot twin of `free_energy_input_gradient`: a function that writes dF/dx of x [n, n_visible].

        What depends on the parameters alone is laid out once, for a whole trajectory: filters one below the
        other, so that their products with x, and those back to x, are one each. Here a unit is a row, which
        keeps every block of units contiguous. Factors of the activations go into the filters, and a mean unit
        is tanh((c + x W) / 2), that is 2 E[h^m] - 1: the constant joins b. Valid until a parameter or
        ``scratch`` changes.

        Returns
        -------
        callable
            ``fill(v, out)``.
        """
        params, W, R = self.params, self.params["W"], self.params["R"]
        xp, (d, f), m = get_xp(R), R.shape, self.n_mean
        scale = (0.5 * self.pool_factor) ** 0.5  # of t: then its square, pooled, is pool_factor u
        there, back = scratch.array("there", (f + m, d), R), scratch.array("back", (f + m, d), R)
        there[:f], there[f:] = scale * R.T, 0.5 * W.T
        back[:f], back[f:] = R.T / (scale * self.mean_factor), -0.5 * W.T
        k = self.n_covariance
        shapes = {"z": f + m, "u": k, "g": f, "c": m, "constants": k}
        z, u, g, c, constants = (scratch.array(name, (rows, n), R) for name, rows in shapes.items())
        t, h_m, P = z[:f], z[f:], None if self.n_factors is None else params["P"]
        c[...], constants[...] = 0.5 * params["c"][:m, None], self._covariance_constants()[:, None]
        precision, b, part = scratch.array("rows", (3, n, d), R)
        precision[...], b[...] = xp.exp(params["visible_log_precision"]), params["b"] + 0.5 * W.sum(axis=1)

        def fill(v: Any, out: Any) -> None:
            xp.matmul(there, v.T, out=z)
            if P is None:
                xp.multiply(t, t, out=u)
                self._fill_covariance_mean(u, constants)
                xp.multiply(t, u, out=t)
            else:
                xp.matmul(P.T, xp.multiply(t, t, out=g), out=u)
                self._fill_covariance_mean(u, constants)
                xp.multiply(t, xp.matmul(P, u, out=g), out=t)
            if m:
                xp.tanh(xp.add(h_m, c, out=h_m), out=h_m)
            xp.matmul(z.T, back, out=out)
            xp.add(out, xp.multiply(v, precision, out=part), out=out)
            xp.subtract(out, b, out=out)

        return fill
