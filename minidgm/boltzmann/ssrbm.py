"""Spike-and-slab RBM (Courville, Bergstra and Bengio 2011; Deep Learning, section 20.5.4).

    E(x, s, h) = - sum_i x^T W_i s_i h_i + x^T (Lambda + sum_i Phi_i h_i) x / 2
                 + sum_i (alpha_i s_i^2 / 2 - alpha_i mu_i s_i h_i - b_i h_i + alpha_i mu_i^2 h_i)

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | reals: the visible units, `v` in the methods |
| h | [n, n_hidden] | spikes, bits |
| s | [n, n_hidden] | slabs, reals |
| W | [n_visible, n_hidden] | directions along which a unit adds variance (and mean, by mu) |
| b | [n_hidden] | spike biases |
| mu | [n_hidden] | means of the slabs of spikes that are on |
| Lambda = exp(log_Lambda) | [n_visible] | precision of x without spikes, diagonal |
| Phi = exp(log_Phi) | [n_visible, n_hidden] | precision that each spike adds, diagonal |
| alpha = exp(log_alpha) | [n_hidden] | precision of the slabs |

Every one of the three sets is independent within, given the two others:

    p(s_i | x, h) = N(h_i (t_i / alpha_i + mu_i), 1 / alpha_i),        t = x W
    p(x | s, h)   = N(C W (s * h), C),        C = diag(Lambda + Phi h)^-1: diagonal, nothing is inverted
    p(h_i = 1 | x) = sigmoid(a_i),      a_i = t_i^2 / (2 alpha_i) + mu_i t_i - alpha_i mu_i^2 / 2
                                              - x^T Phi_i x / 2 + b_i

(the slabs summed out, so that spikes and slabs are one exact block), and with spikes summed out too

    F(x) = x^T Lambda x / 2 - sum_i log(2 pi / alpha_i) / 2 - sum_i softplus(a_i(x)).

**When there is a model at all.** Given the spikes alone, x has the full covariance of

    C_{x|h}^-1 = Lambda + sum_i h_i (Phi_i - W_i W_i^T / alpha_i),

which must be positive definite for every h. With r_i = sum_d W_di^2 / (alpha_i Phi_di), unit i alone cannot
break it if r_i <= 1; of the others only the part (1 - 1/r_i) of W_i W_i^T / alpha_i counts, so that

    Lambda - sum_i e_i W_i W_i^T  positive definite,      e_i = max(0, 1 - 1 / r_i) / alpha_i

is enough for all 2^n_hidden states at once. `project` keeps to it after every step of training.
The derivation, beside this code: docs/models/spike_and_slab_rbm.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.slab_annealing import SlabAnnealing
from minidgm.boltzmann.slab_precisions import SlabPrecisions
from minidgm.boltzmann.state_sums import log_sum_states, too_many
from minidgm.boltzmann.units import Bernoulli, Gaussian
from minidgm.distributions import Bernoulli as Bits
from minidgm.distributions import Normal
from minidgm.distributions.multivariate import MultivariateNormal
from minidgm.numerics import softplus
from minidgm.parameters import Parameters

LOG_2PI = 1.8378770664093453
MAX_STATES = 2**20
BLOCK = 2**20  # numbers of the precision matrices built at a time


class SpikeAndSlabRBM(SlabAnnealing, SlabPrecisions):
    """ssRBM: each hidden unit is a spike (a bit) and a slab (a real number) that x sees as their product.

    Parameters
    ----------
    n_visible, n_hidden : int
    alpha, Phi, Lambda, mu : float
        What alpha (> 0), Phi (>= 0; 0 for none at all, without a parameter), Lambda (> 0) and mu start from.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Notes
    -----
    ``hidden`` stands for the spikes: `energy(v, h)` has the slabs integrated out, `slab_energy(v, s, h)` is
    the text's. There is no visible bias: center the data.

    Raises
    ------
    ValueError
        For a negative Phi, or an alpha or Lambda that is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> model = SpikeAndSlabRBM(3, 2, dtype="float64", seed=0)
    >>> h = np.array([[1.0, 0.0]])
    >>> model.visible_given_hidden(h).covariance.shape
    (1, 3, 3)
    >>> model.log_prob(np.zeros((2, 3))).shape
    (2,)
    """

    equations: Mapping[str, str] = {
        "energy": "E(x, s, h) = -sum_i x.W_i s_i h_i + x.(Lambda + sum_i Phi_i h_i) x / 2 "
        "+ sum_i (alpha_i s_i^2 / 2 - alpha_i mu_i s_i h_i - b_i h_i + alpha_i mu_i^2 h_i)",
        "hidden_given_visible": "p(h_i = 1 | x) = sigmoid(a_i), a_i = (x.W_i)^2 / (2 alpha_i) + mu_i x.W_i "
        "- alpha_i mu_i^2 / 2 - x.Phi_i x / 2 + b_i",
        "slabs_given": "p(s_i | x, h) = N(h_i (x.W_i / alpha_i + mu_i), 1 / alpha_i)",
        "visible_given_slabs": "p(x | s, h) = N(C W (s * h), C), C = 1 / (Lambda + Phi h)",
        "visible_given_hidden": "p(x | h): precision Lambda + sum_i h_i (Phi_i - W_i W_i^T / alpha_i)",
        "free_energy": "F(x) = x.Lambda x / 2 - sum_i log(2 pi / alpha_i) / 2 - sum_i softplus(a_i)",
    }
    reference = (
        "Courville, Bergstra and Bengio (2011), A spike and slab restricted Boltzmann machine; Deep Learning "
        "(2016), 20.5.4"
    )
    visible, hidden = Gaussian(), Bernoulli()
    exact_posterior = True  # and its own gibbs_step, which never inverts the covariance of p(x | h)
    parameter_bounds = {"W": (-0.45, 0.45), "log_alpha": (0.0, 1.0), "log_Lambda": (0.0, 1.0)}  # of `small`

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        alpha: float = 1.0,
        Phi: float = 0.1,
        Lambda: float = 1.0,
        mu: float = 0.0,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_visible, self.n_hidden = count("n_visible", n_visible), count("n_hidden", n_hidden)
        self.alpha_0 = real("alpha", alpha, positive=True)
        self.Lambda_0 = real("Lambda", Lambda, positive=True)
        self.Phi_0, self.mu_0 = real("Phi", Phi), real("mu", mu, low=-1e30)
        shapes: dict[str, tuple[int, ...]] = {
            "W": (n_visible, n_hidden),
            "b": (n_hidden,),
            "mu": (n_hidden,),
            "log_alpha": (n_hidden,),
            "log_Lambda": (n_visible,),
        }
        if self.Phi_0:
            shapes["log_Phi"] = (n_visible, n_hidden)
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        noise = Generator(seed, self.backend).normal((n_visible, n_hidden), dtype=self.dtype)
        self.params["W"][...] = noise * (0.1 * self.Lambda_0 * self.alpha_0 / n_visible) ** 0.5
        self.params["mu"][...] = self.mu_0
        self.set(alpha=alpha, Lambda=Lambda, **({"Phi": Phi} if self.Phi_0 else {}))
        self.project()

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> SpikeAndSlabRBM:
        """Two visible and two hidden units; ``parameter_bounds`` keep every drawn model definite."""
        return cls(2, 2, Phi=0.1 if like is None else like.Phi_0, **options)

    def config(self) -> dict[str, Any]:
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden}
        return {**sizes, "alpha": self.alpha_0, "Phi": self.Phi_0, "Lambda": self.Lambda_0, "mu": self.mu_0}

    def _own(self, side: str) -> dict[str, Any]:
        return {"log_precision": self.params["log_Lambda"]} if side == "visible" else {}

    # Energies and densities

    def slab_energy(self, v: Any, s: Any, h: Any) -> Any:
        """E(x, s, h) of the text, [n], from x [n, n_visible], s and h [n, n_hidden] (20.50, 20.51)."""
        xp = get_xp(v, s, h, self.params["W"])
        alpha, mu, b = self.alpha, self.params["mu"], self.params["b"]
        quadratic = 0.5 * xp.sum(v * v * self.conditional_precision(h), axis=-1)
        units = 0.5 * alpha * s * s - h * (s * (v @ self.params["W"]) + alpha * mu * s + b - alpha * mu * mu)
        return quadratic + xp.sum(units, axis=-1)

    def energy(self, v: Any, h: Any) -> Any:
        """-log of the integral of exp(-E(x, s, h)) over the slabs, [n]: linear in every spike."""
        xp = get_xp(v, h, self.params["W"])
        return self._idle_energy(v) - xp.sum(h * self.hidden_field(v), axis=-1)

    def _idle_energy(self, v: Any) -> Any:
        """x.Lambda x / 2 - sum_i log(2 pi / alpha_i) / 2, [n]: no spike is on, the slabs are summed out."""
        slabs = get_xp(v, self.params["W"]).sum(LOG_2PI - self.params["log_alpha"])
        return 0.5 * (v * v) @ self.Lambda - 0.5 * slabs

    def hidden_field(self, v: Any) -> Any:
        """a, [n, n_hidden]: t^2 / (2 alpha) + mu t - alpha mu^2 / 2 - x.Phi_i x / 2 + b, with t = x W."""
        t, alpha, mu = v @ self.params["W"], self.alpha, self.params["mu"]
        slabs = 0.5 * t * t / alpha + mu * t - 0.5 * alpha * mu * mu + self.params["b"]
        return slabs - 0.5 * (v * v) @ self.Phi if "log_Phi" in self.params else slabs

    def hidden_given_visible(self, v: Any) -> Bits:
        """p(h | x), independent bits, the slabs summed out."""
        return Bits(self.hidden_field(v))

    def slabs_given(self, v: Any, h: Any) -> Normal:
        """p(s | x, h), independent normals."""
        mean = h * ((v @ self.params["W"]) / self.alpha + self.params["mu"])
        return Normal(mean * self.alpha, self.params["log_alpha"])

    def visible_given_slabs(self, s: Any, h: Any) -> Normal:
        """p(x | s, h), independent normals: C is diagonal."""
        precision = self.conditional_precision(h)
        return Normal((s * h) @ self.params["W"].T, get_xp(precision).log(precision))

    def visible_given_hidden(self, h: Any) -> MultivariateNormal:
        """p(x | h), the slabs summed out: normals with C_{x|h}^-1 times their mean = W (mu * h) (20.53).

        Raises
        ------
        DataError
            Where the precision is not positive definite; names the unit and what to lower.
        """
        precision = self.visible_precision(h)
        self._check_definite(precision, h)
        return MultivariateNormal((h * self.params["mu"]) @ self.params["W"].T, precision)

    def free_energy(self, v: Any) -> Any:
        """F(x), [n], nats: slabs and spikes summed out."""
        xp = get_xp(v, self.params["W"])
        return self._idle_energy(v) - xp.sum(softplus(self.hidden_field(v)), axis=-1)

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the integral of exp(-E) over x and s, [n]: a Gaussian integral, d^3 / 3 a row.

        = -h.(b - alpha mu^2 / 2) - log of that of p(x | h) - sum_i log(2 pi / alpha_i) / 2.
        """
        alpha, mu, xp = self.alpha, self.params["mu"], get_xp(h, self.params["W"])
        given = MultivariateNormal((h * mu) @ self.params["W"].T, self.visible_precision(h))
        slabs = 0.5 * xp.sum(LOG_2PI - self.params["log_alpha"])
        return -(h @ (self.params["b"] - 0.5 * alpha * mu * mu)) - given.log_normalizer() - slabs

    def log_partition(self) -> Any:
        """log Z in nats, exact: a 0-d array. Sums over the spikes, a determinant each, in float64.

        Raises
        ------
        IntractableError
            Beyond 2^20 states of the spikes.
        DataError
            Where a covariance is not positive definite, so that there is no model.
        """
        total = self.hidden.n_states(self.n_hidden)
        if total > MAX_STATES:
            raise too_many(total, "states of the spikes", MAX_STATES)
        double, rows = self.double(), max(1, BLOCK // self.n_visible**2)

        def log_mass(h: Any) -> Any:
            double._check_definite(double.visible_precision(h), h)
            return -double.hidden_free_energy(h)

        return log_sum_states(log_mass, self.hidden, self.n_hidden, self.xp, rows)

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One block Gibbs sweep, (h, s) ~ p(h | x) p(s | x, h), then x ~ p(x | s, h); ignores ``h``."""
        h = self.hidden_given_visible(v).sample(rng)
        s = self.slabs_given(v, h).sample(rng)
        return self.visible_given_slabs(s, h).sample(rng), h

    def start(self, n: int, rng: Generator) -> Any:
        """Rows [n, n_visible] drawn from the model without spikes, N(0, Lambda^-1)."""
        idle = self.xp.zeros((n, self.n_visible), dtype=self.dtype)
        return Normal(idle, self.params["log_Lambda"]).sample(rng)

    def sample(self, n: int, rng: Generator | int | None = None, steps: int = 1000, init: Any = None) -> Any:
        """Draw x [n, n_visible]: ``steps`` sweeps from ``init``, or from the model without spikes.

        Raises
        ------
        DataError
            Where chains run away because a covariance is not positive definite; says which unit's.
        """
        rng = self.generator(rng)
        v, h = self.chains(n, rng, init), None
        for i in range(count("steps", steps, 0)):
            v, h = self.gibbs_step(v, h, rng)
            if i % 10 == 9 or i + 1 == steps:
                self._check_chains(v, h)
        return v

    def reconstruct(self, v: Any, rng: Generator | None = None) -> Any:
        """Mean of p(x | s, h), [n, n_visible], at the means of spikes and slabs, or at draws if ``rng``."""
        hidden = self.hidden_given_visible(self.check_data(v))
        h = hidden.mean if rng is None else hidden.sample(rng)
        ones = self.xp.ones_like(h)
        slabs = self.slabs_given(v, ones).mean if rng is None else self.slabs_given(v, h).sample(rng)
        return self.visible_given_slabs(slabs, h).mean

    # Gradients

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(x_i, h_i)/dtheta of `energy`, for any signed weights [n]; h may be a mean.

        E = x.Lambda x / 2 - sum_i log(2 pi / alpha_i) / 2 - h.a, with t = x W and m = t / alpha + mu the
        slab's mean where its spike is on:

            da/dW_i = m_i x,    da/db = 1,    da/dmu = t - alpha mu,    da/dlog Phi_i = -Phi_i x^2 / 2,
            da/dlog alpha = -(t^2 / alpha + alpha mu^2) / 2,    dE/dlog Lambda = Lambda x^2 / 2.
        """
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        w = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        alpha, mu = self.alpha, self.params["mu"]
        t, wh, squares = v @ self.params["W"], w[:, None] * h, v * v
        xp.matmul(v.T, -wh * (t / alpha + mu), out=out["W"])
        xp.matmul(-w, h, out=out["b"])
        out["mu"][...] = -(wh * (t - alpha * mu)).sum(axis=0)
        slabs = (wh * (t * t / alpha + alpha * mu * mu)).sum(axis=0)
        out["log_alpha"][...] = 0.5 * (w.sum() + slabs)
        out["log_Lambda"][...] = 0.5 * self.Lambda * (w @ squares)
        if "log_Phi" in out:
            xp.multiply(0.5 * self.Phi, squares.T @ wh, out=out["log_Phi"])
        return out

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(x_i)/dtheta: the energy's, at the mean of the spikes, which enter linearly; exact."""
        return self.energy_gradient(v, self.hidden_given_visible(v).mean, weights, out)
