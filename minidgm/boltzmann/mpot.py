"""Mean and product of Student's t (Ranzato, Mnih and Hinton 2010; Deep Learning, section 20.5.2).

    E(x, h^m, h^c) = E_m(x, h^m) + sum_k (h^c_k (1 + u_k(x)) + (1 - gamma_k) log h^c_k) (20.48, 20.49)

with E_m the energy of the mean units as in the mcRBM and h^c_k > 0. Symbols and conventions are those of
`minidgm.boltzmann.mean_covariance`; gamma = exp(log_gamma) [n_covariance]. The text has one filter a unit
(``n_factors=None``), u_k = (x^T R_k)^2 / 2. As a function of h^c_k, exp(-E) is a gamma density:

    p(h^c_k | x) = Gamma(shape gamma_k, rate 1 + u_k(x)),     E[h^c_k | x] = gamma_k / (1 + u_k(x)),

whose integral, Gamma(gamma_k) (1 + u_k)^-gamma_k, is a Student-t expert with 2 gamma_k - 1 degrees of freedom
along R_k. Hence the free energy of a product of experts,

    F(x) = lambda.x^2 / 2 - b.x - sum_j softplus(c_j + (x W)_j)
         + sum_k gamma_k log(1 + u_k(x)) - log Gamma(gamma_k).

p(x | h) is the normal of the mcRBM, with positive reals in place of bits. The derivation, beside this code:
docs/models/mpot.rst.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_xp, special
from minidgm.boltzmann.covariance_gradients import MeanCovariance
from minidgm.distributions import Gamma
from minidgm.errors import IntractableError


class BitsAndGammas:
    """The hidden side: bits first, then positive reals; it cannot be enumerated."""

    name = "bernoulli and gamma"
    bounded = False

    def __init__(self, n_bits: int):
        self.n_bits = n_bits

    def kinds(self, n: int) -> tuple[str, ...]:
        """What each of ``n`` columns is."""
        return ("bernoulli",) * self.n_bits + ("positive",) * (n - self.n_bits)

    def n_states(self, n: int) -> float:
        """Infinite: there are positive reals among them."""
        return math.inf


class MeanProductOfStudentT(MeanCovariance):
    """mPoT: Bernoulli mean units and gamma-distributed covariance units on real values.

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
    [n_visible], c [n_mean], visible_log_precision [n_visible], log_gamma [n_covariance].

    Examples
    --------
    >>> import numpy as np
    >>> model = MeanProductOfStudentT(4, 3, 2, dtype="float64", seed=0)
    >>> p = model.hidden_given_visible(np.zeros((1, 4)))
    >>> model.split(p.mean)[1].tolist()
    [[1.0, 1.0]]
    """

    equations: Mapping[str, str] = {
        "energy": "E(x, h) = E_m(x, h^m) + sum_k h^c_k (1 + u_k(x)) + (1 - gamma_k) log h^c_k",
        "mean_energy": "E_m(x, h^m) = lambda.x^2/2 - b.x - x^T W h^m - c.h^m",
        "pooled_squares": "u_k(x) = sum_f P_fk (x^T R_f)^2 / 2",
        "hidden_given_visible": "p(h^m = 1 | x) = sigmoid(c + x W), p(h^c | x) = Gamma(gamma, rate 1 + u)",
        "visible_given_hidden": "p(x | h) = N(L^-1 (b + W h^m), L^-1), L = diag(lambda) + R diag(P h^c) R^T",
        "free_energy": "F(x) = lambda.x^2/2 - b.x - sum softplus(c + x W)"
        " + sum_k gamma_k log(1 + u_k) - ln Gamma(gamma_k)",
        "free_energy_input_gradient": "dF/dx = lambda x - b - E[h^m] W^T + ((x R) * (E[h^c] P^T)) R^T",
    }
    reference = (
        "Ranzato, Mnih and Hinton (2010), Generating more realistic images using gated MRF's; "
        "Welling, Hinton and Osindero (2003); Deep Learning, 20.5.2"
    )

    small_covariance = 1  # a quadrature over each

    @property
    def hidden(self) -> BitsAndGammas:
        """The kinds of the hidden columns."""
        return BitsAndGammas(self.n_mean)

    def _own_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"c": (self.n_mean,), "log_gamma": (self.n_covariance,)}

    def _start(self) -> None:
        self.params["c"][...] = -2.0

    # Covariance units: positive, with energy h^c + (1 - gamma) log h^c

    @property
    def gamma(self) -> Any:
        """Shapes of the gamma variables, [n_covariance]."""
        return get_xp(self.params["log_gamma"]).exp(self.params["log_gamma"])

    def covariance_base(self, h_c: Any) -> Any:
        xp = get_xp(h_c, self.params["log_gamma"])
        return xp.sum(h_c + (1.0 - self.gamma) * xp.log(h_c), axis=-1)

    def covariance_cgf(self, u: Any) -> Any:
        """log Gamma(gamma) - gamma log(1 + u): log of the integral of h^(gamma - 1) exp(-h (1 + u))."""
        xp, gamma = get_xp(u, self.params["log_gamma"]), self.gamma
        return special(xp).gammaln(gamma) - gamma * xp.log1p(u)

    def covariance_given(self, u: Any) -> Gamma:
        return Gamma(self.gamma, 1.0 + u)

    def _base_gradient(self, h_c: Any, weights: Any, out: Any) -> None:
        """dA/dlog gamma = -gamma log h^c."""
        out["log_gamma"][...] = -self.gamma * (weights @ get_xp(h_c).log(h_c))

    def _mean_base_gradient(self, u: Any, h_c: Any, weights: Any, out: Any) -> None:
        """E[log h^c | x] = digamma(gamma) - log(1 + u)."""
        xp = get_xp(u)
        mean_log = special(xp).digamma(self.gamma) - xp.log1p(u)
        out["log_gamma"][...] = -self.gamma * (weights @ mean_log)

    def _covariance_constants(self) -> Any:
        return self.gamma

    def _fill_covariance_mean(self, s: Any, constants: Any) -> None:
        """gamma / (1 + u)."""
        xp = get_xp(s)
        xp.add(s, 1.0, out=s)
        xp.divide(constants, s, out=s)

    # Exact values, by quadrature

    def log_partition(self) -> Any:
        """log Z in nats for one or two visible units, by quadrature to about 1e-11: a 0-d array.

        Raises
        ------
        IntractableError
            For more visible units: there is no closed form.
        """
        from minidgm.evaluation.quadrature import log_integral

        if self.n_visible > 2:
            raise IntractableError(
                f"log Z of {self.n_visible} visible units has no closed form (quadrature is for at most 2); "
                "use minidgm.evaluation.ais(model) for an estimate"
            )
        double = self.double()
        xp, params = self.xp, double.params
        precision = xp.exp(params["visible_log_precision"])
        # The mean units move the mode by at most |W| / lambda; nothing is wider than the containing normal.
        center, reach = params["b"] / precision, xp.sum(xp.abs(params["W"]), axis=1) / precision
        half = reach + 12.0 / xp.sqrt(precision)
        return log_integral(lambda v: -double.free_energy(v), center - half, center + half)
