"""Mean and covariance RBM (Ranzato and Hinton 2010; Deep Learning, section 20.5.2).

    E(x, h^m, h^c) = E_m + E_c                                                             (20.43)
    E_m = lambda.x^2 / 2 - b.x - x^T W h^m - c^m.h^m                                        (20.44)
    E_c = sum_k h^c_k (u_k(x) - c^c_k),     u_k(x) = sum_f P_fk (x^T R_f)^2 / 2             (20.45)

The text has lambda = 1, b = 0 and one filter a unit (``n_factors=None``); symbols and conventions are those
of `minidgm.boltzmann.mean_covariance`, and c = (c^m, c^c) is one array. Both hidden sets are bits:

    p(h^m_j = 1 | x) = sigmoid(c^m_j + (x W)_j),    p(h^c_k = 1 | x) = sigmoid(c^c_k - u_k(x))
    p(x | h) = N(Lambda^-1 (b + W h^m), Lambda^-1),  Lambda = diag(lambda) + R diag(P h^c) R^T   (20.47)
    F(x) = lambda.x^2 / 2 - b.x - sum_j softplus(c^m_j + (x W)_j) - sum_k softplus(c^c_k - u_k(x)).

A covariance unit is on as long as x is small along its filters, and then keeps it small; it switches off, at
a price of about c^c_k, where x violates the constraint: F is flat there, which makes tails heavy.

F needs no inverse, p(x | h) does: learning and sampling go by Hamiltonian Monte Carlo on F. With at most 2^20
hidden states log Z is exact, a Gaussian integral for each. The derivation, beside this code:
docs/models/mcrbm.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.covariance_gradients import MeanCovariance
from minidgm.boltzmann.state_sums import log_sum_states, too_many
from minidgm.boltzmann.units import Bernoulli
from minidgm.distributions import Bernoulli as Bits
from minidgm.numerics import softplus

MAX_STATES = 2**20
BLOCK = 2**20  # numbers of the precision matrices built at a time


class MeanCovarianceRBM(MeanCovariance):
    """mcRBM: Bernoulli mean units and Bernoulli covariance units on real values.

    Parameters
    ----------
    n_visible, n_mean, n_covariance : int
        Columns of x, h^m and h^c.
    n_factors : int, optional
        Covariance filters, pooled by P; None: one a unit.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Notes
    -----
    Parameters W [n_visible, n_mean], R [n_visible, n_factors], P [n_factors, n_covariance] (with factors), b
    [n_visible], c [n_mean + n_covariance], visible_log_precision [n_visible].

    Examples
    --------
    >>> import numpy as np
    >>> model = MeanCovarianceRBM(4, 3, 2, dtype="float64", seed=0)
    >>> h = np.array([[1.0, 0.0, 0.0, 1.0, 1.0]])
    >>> model.visible_given_hidden(h).covariance.shape
    (1, 4, 4)
    >>> model.log_prob(np.zeros((2, 4))).shape
    (2,)
    """

    equations: Mapping[str, str] = {
        "energy": "E(x, h) = lambda.x^2/2 - b.x - x^T W h^m - c^m.h^m + sum_k h^c_k (u_k(x) - c^c_k)",
        "pooled_squares": "u_k(x) = sum_f P_fk (x^T R_f)^2 / 2",
        "hidden_given_visible": "p(h^m = 1 | x) = sigmoid(c^m + x W), p(h^c = 1 | x) = sigmoid(c^c - u)",
        "visible_given_hidden": "p(x | h) = N(L^-1 (b + W h^m), L^-1), L = diag(lambda) + R diag(P h^c) R^T",
        "free_energy": "F(x) = lambda.x^2/2 - b.x - sum_j softplus(c^m + x W)_j - sum_k softplus(c^c - u)_k",
        "free_energy_input_gradient": "dF/dx = lambda x - b - E[h^m] W^T + ((x R) * (E[h^c] P^T)) R^T",
    }
    reference = (
        "Ranzato and Hinton (2010), Modeling pixel means and covariances using factorized third-order "
        "Boltzmann machines; Deep Learning, 20.5.2"
    )
    hidden = Bernoulli()

    def _own_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"c": (self.n_hidden,)}

    def _start(self) -> None:
        # Mean units begin off, covariance units on: constraints first (Ranzato and Hinton's settings).
        self.params["c"][: self.n_mean] = -2.0
        self.params["c"][self.n_mean :] = 2.0

    # Covariance units: bits with energy -c^c.h^c

    @property
    def _bias(self) -> Any:
        return self.params["c"][self.n_mean :]

    def covariance_base(self, h_c: Any) -> Any:
        return -(h_c @ self._bias)

    def covariance_cgf(self, u: Any) -> Any:
        """softplus(c^c - u): log of 1 + exp(c^c - u)."""
        return softplus(self._bias - u)

    def covariance_given(self, u: Any) -> Bits:
        return Bits(self._bias - u)

    def _base_gradient(self, h_c: Any, weights: Any, out: Any) -> None:
        out["c"][self.n_mean :] = -(weights @ h_c)

    pool_factor, mean_factor = 0.5, 2.0

    def _covariance_constants(self) -> Any:
        return 0.5 * self._bias

    def _fill_covariance_mean(self, s: Any, constants: Any) -> None:
        """2 sigmoid(c^c - u) = 1 + tanh(c^c / 2 - u / 2)."""
        xp = get_xp(s)
        xp.tanh(xp.subtract(constants, s, out=s), out=s)
        xp.add(s, 1.0, out=s)

    # Exact values, by the hidden states

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the integral of exp(-E(x, h)) over x, [n], nats: a Gaussian integral, cost n d^3.

        = -c.h - (d log 2 pi - log det Lambda + m^T Lambda m) / 2,   Lambda m = b + W h^m.
        """
        return -(h @ self.params["c"]) - self.visible_given_hidden(h).log_normalizer()

    def hidden_free_energy_gradient(self, h: Any, weights: Any = None, out: Any = None) -> Any:
        """The gradient of sum_i w_i times the above: sum_i w_i <dE(x, h_i)/dtheta> under p(x | h_i), exact.

        E is quadratic in x: with M = E[x x^T | h] = Lambda^-1 + m m^T the formulas of `energy_gradient` hold
        with m for x, M R_f for t_f x, R_f^T M R_f for t_f^2 and M_ii for x_i^2.
        """
        xp = get_xp(h, weights)
        out = self.zero_gradient() if out is None else out
        w = xp.ones(h.shape[0], dtype=h.dtype) if weights is None else weights
        given, (h_m, h_c) = self.visible_given_hidden(h), self.split(h)
        m, g, R = given.mean, self._spread(h_c), self.params["R"]
        second = given.covariance + m[:, :, None] * m[:, None, :]  # [n, d, d]
        MR = second @ R  # [n, d, n_factors]
        xp.matmul(-(w[:, None] * m).T, h_m, out=out["W"])
        out["R"][...] = xp.sum(MR * (w[:, None] * g)[:, None, :], axis=0)
        if self.n_factors is not None:
            xp.matmul((0.5 * w[:, None] * xp.sum(MR * R, axis=1)).T, h_c, out=out["P"])
        xp.matmul(-w, m, out=out["b"])
        xp.matmul(-w, h, out=out["c"])
        precision = xp.exp(self.params["visible_log_precision"])
        squares = xp.sum(second * xp.eye(self.n_visible, dtype=R.dtype), axis=2)
        out["visible_log_precision"][...] = 0.5 * precision * (w @ squares)
        return out

    def log_partition(self) -> Any:
        """log Z in nats, exact: a 0-d array. Sums over the hidden states, in float64.

        Raises
        ------
        IntractableError
            Beyond 2^20 hidden states.
        """
        total = self.hidden.n_states(self.n_hidden)
        if total > MAX_STATES:
            raise too_many(total, "hidden states", MAX_STATES)
        double, rows = self.double(), max(1, BLOCK // self.n_visible**2)
        return log_sum_states(
            lambda h: -double.hidden_free_energy(h), self.hidden, self.n_hidden, self.xp, rows
        )
