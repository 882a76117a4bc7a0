"""RBM with Gaussian visible units and learned precisions (Deep Learning, section 20.5.1).

    p(v, h) = exp(-E(v, h)) / Z,      E(v, h) = |z|^2 / 2 - c.h - z^T W h,      z = v / sigma - b

The text's energy, v.(beta v) / 2 - (v * beta)^T W h - ..., in units of each visible's standard deviation.

| symbol | shape | meaning |
|---|---|---|
| v, h | [n, n_visible], [n, n_hidden] | reals, bits |
| W | [n_visible, n_hidden] | couplings: a hidden unit moves the mean of v_i by sigma_i W_ij |
| b | [n_visible] | mean of v / sigma where every hidden unit is off |
| c | [n_hidden] | hidden biases |
| visible_log_precision | [n_visible] | -2 log sigma: sigma > 0 whatever the optimizer does |

    p(v | h) = N(sigma (b + W h), diag sigma^2),        p(h_j = 1 | v) = sigmoid(c_j + (z W)_j)
    F(v) = |z|^2 / 2 - sum_j softplus(c_j + (z W)_j)

and p(v) is a mixture of 2^n_hidden Gaussians of one covariance, with means sigma (b + W h) and weights
proportional to exp(c.h + |W h|^2 / 2).

**Why these units.** In `RBM(visible="gaussian")` the couplings are per unit of v: a step of 0.001 that suits
rows of deviation 1 changes hidden fields by hundreds on pixels of 0..255, and a precision that grows drags
every mean along. Here W, b, c and log sigma have no dimension. If the data are multiplied by a number, the
same training takes place with sigma multiplied by it: one learning rate serves all scales. What remains:

* deviations start at the data's (`initialize`, which `fit` calls for an untrained model);
* a column that never varies would draw its precision to infinity: it starts at 1 % of the root mean square
  over all columns, and `project`, after each step, keeps every sigma above 0.1 % of it;
* hidden biases start at -|W_j|^2 / 2, which makes the weight of a component not depend on |W_j|.

Data far from zero (a mean of many deviations) make b large and couple it to sigma: subtract a mean first.
The derivation, beside this code: docs/models/gaussian_rbm.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.natural_twin import NaturalTwin
from minidgm.boltzmann.standardized_score import StandardizedScore
from minidgm.boltzmann.state_sums import MAX_STATES, log_sum_states, too_many
from minidgm.boltzmann.units import Bernoulli, Gaussian
from minidgm.distributions import Bernoulli as Bits
from minidgm.distributions import Normal
from minidgm.errors import IntractableError
from minidgm.numerics import logsumexp, softplus
from minidgm.parameters import Parameters

LOG_2PI = 1.8378770664093453
FLOOR = 0.001  # smallest deviation of a column, over the root mean square of all
CONSTANT = 0.01  # the same for a column that never varies in the data, to start from
MAX_COMPONENTS = 2**16


class Mixture(NamedTuple):
    """A mixture of Gaussians of one covariance: weights [k], means [k, d], covariance [d, d]."""

    weights: Any
    means: Any
    covariance: Any


class GaussianRBM(StandardizedScore, NaturalTwin):
    """Gaussian visibles of learned precision, Bernoulli hiddens, in units free of the data's scale.

    Parameters
    ----------
    n_visible, n_hidden : int
    centered : bool
        Train with the enhanced gradient of centred hidden units (`center_gradient`).
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> model = GaussianRBM(2, 3, dtype="float64", seed=0)
    >>> weights, means, covariance = model.mixture()
    >>> means.shape, bool(np.isclose(weights.sum(), 1.0))
    ((8, 2), True)
    """

    equations: Mapping[str, str] = {
        "energy": "E(v, h) = |z|^2 / 2 - c.h - z^T W h,  z = v / sigma - b",
        "hidden_given_visible": "p(h_j = 1 | v) = sigmoid(c_j + (z W)_j)",
        "visible_given_hidden": "p(v | h) = N(sigma (b + W h), diag sigma^2)",
        "free_energy": "F(v) = |z|^2 / 2 - sum_j softplus(c_j + (z W)_j)",
        "mixture": "p(v) = sum_h pi_h N(v; sigma (b + W h), diag sigma^2), pi_h ~ exp(c.h + |W h|^2 / 2)",
        "score": "d log p(v)/dv = (E[h | v] W^T - z) / sigma",
    }
    reference = (
        "Hinton and Salakhutdinov (2006); Cho, Ilin and Raiko (2011), Improved learning of Gaussian-"
        "Bernoulli RBMs; Melchior, Wang and Wiskott (2017); Deep Learning (2016), 20.5.1"
    )
    visible, hidden = Gaussian(), Bernoulli()
    own_centering = True

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        centered: bool = False,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_visible, self.n_hidden = count("n_visible", n_visible), count("n_hidden", n_hidden)
        self.centered = bool(centered)
        shapes = {"W": (n_visible, n_hidden), "b": (n_visible,), "c": (n_hidden,)}
        self.params = Parameters(
            {**shapes, "visible_log_precision": (n_visible,)}, backend=self.backend, dtype=self.dtype
        )
        noise = Generator(seed, self.backend).normal((n_visible, n_hidden), dtype=self.dtype)
        W = self.params["W"]
        W[...] = noise * (n_visible + n_hidden) ** -0.5
        self.params["c"][...] = -0.5 * (W * W).sum(axis=0)

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> GaussianRBM:
        """Two visible and two hidden units: integrals over v are quadratures in the plane."""
        return cls(2, 2, centered=like is not None and like.centered, **options)

    def config(self) -> dict[str, Any]:
        return {"n_visible": self.n_visible, "n_hidden": self.n_hidden, "centered": self.centered}

    def _own(self, side: str) -> dict[str, Any]:
        return {"log_precision": self.params["visible_log_precision"]} if side == "visible" else {}

    # Energy and densities

    @property
    def deviation(self) -> Any:
        """sigma, [n_visible], in the units of the data."""
        log_precision = self.params["visible_log_precision"]
        return get_xp(log_precision).exp(-0.5 * log_precision)

    def standardize(self, v: Any) -> Any:
        """z = v / sigma - b, [n, n_visible]."""
        return v / self.deviation - self.params["b"]

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h) = |z|^2 / 2 - c.h - z^T W h, [n], nats."""
        xp = get_xp(v, h, self.params["W"])
        z = self.standardize(v)
        return xp.sum(0.5 * z * z - z * (h @ self.params["W"].T), axis=-1) - h @ self.params["c"]

    def hidden_field(self, v: Any) -> Any:
        """z W + c, [n, n_hidden]."""
        return self.standardize(v) @ self.params["W"] + self.params["c"]

    def hidden_given_visible(self, v: Any) -> Bits:
        """p(h | v), independent bits."""
        return Bits(self.hidden_field(v))

    def visible_given_hidden(self, h: Any) -> Normal:
        """p(v | h) = N(sigma (b + W h), diag sigma^2), independent normals."""
        log_precision = self.params["visible_log_precision"]
        mean = h @ self.params["W"].T + self.params["b"]  # in units of sigma
        return Normal(mean * get_xp(mean).exp(0.5 * log_precision), log_precision)

    def free_energy(self, v: Any) -> Any:
        """F(v) = |z|^2 / 2 - sum_j softplus((z W + c)_j), [n], nats."""
        xp = get_xp(v, self.params["W"])
        z = self.standardize(v)
        field = z @ self.params["W"] + self.params["c"]
        return 0.5 * xp.sum(z * z, axis=-1) - xp.sum(softplus(field), axis=-1)

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the integral of exp(-E) over v, [n]: -c.h - |W h|^2 / 2 - sum_i log(sigma_i sqrt(2 pi))."""
        xp = get_xp(h, self.params["W"])
        mean = h @ self.params["W"].T
        volume = 0.5 * xp.sum(LOG_2PI - self.params["visible_log_precision"])
        return -(h @ self.params["c"]) - 0.5 * xp.sum(mean * mean, axis=-1) - volume

    def mixture(self) -> Mixture:
        """The 2^n_hidden Gaussians that p(v) is a mixture of, in the order of ``hidden.states``; float64.

        Raises
        ------
        IntractableError
            Beyond 16 hidden units.
        """
        if 2**self.n_hidden > MAX_COMPONENTS:
            raise IntractableError(
                f"the mixture has 2^{self.n_hidden} components, more than 2^16; log_prob sums up to 2^25 of "
                "them without keeping them"
            )
        double = self.double()
        h = self.hidden.states(self.n_hidden, xp=self.xp)
        log_weights = -double.hidden_free_energy(h)
        weights = self.xp.exp(log_weights - logsumexp(log_weights))
        return Mixture(weights, double.visible_given_hidden(h).mean, self.xp.diag(double.deviation**2))

    def log_partition(self) -> Any:
        """log Z in nats, exact: a 0-d array. Sums the hidden states in blocks, in float64.

        Raises
        ------
        IntractableError
            Beyond 2^25 hidden states.
        """
        total = self.hidden.n_states(self.n_hidden)
        if total > MAX_STATES:
            raise too_many(total, "hidden states")
        double = self.double()
        return log_sum_states(lambda h: -double.hidden_free_energy(h), self.hidden, self.n_hidden, self.xp)

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One block Gibbs sweep, h ~ p(h | v), then v ~ p(v | h); leaves p(v, h) invariant, ignores ``h``."""
        h = self.hidden_given_visible(v).sample(rng)
        return self.visible_given_hidden(h).sample(rng), h

    def start(self, n: int, rng: Generator) -> Any:
        """Visible states [n, n_visible] given hidden units that are fair coins."""
        coins = rng.bernoulli(self.xp.full((n, self.n_hidden), 0.5, dtype=self.dtype))
        return self.visible_given_hidden(coins).sample(rng)

    # Gradients

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(v_i, h_i)/dtheta for any signed weights [n]; h may be a conditional mean.

        With r = dE/dz = z - h W^T, and dz/db = -1, dz/dlog lambda = (z + b) / 2 as z + b = v sqrt(lambda),

            gW = -z^T (w h),   gc = -w^T h,   gb = -w^T r = -(w^T z + W gc),
            glog lambda = w^T (r * (z + b)) / 2 = (w^T z^2 + sum_j gW_ij W_ij - b gb) / 2.
        """
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        W, b = self.params["W"], self.params["b"]
        w = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        z = self.standardize(v)
        xp.matmul(z.T, -w[:, None] * h, out=out["W"])
        xp.matmul(-w, h, out=out["c"])
        out["b"][...] = -(w @ z) - W @ out["c"]
        out["visible_log_precision"][...] = 0.5 * (w @ (z * z) + (out["W"] * W).sum(axis=1) - b * out["b"])
        return out

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(v_i)/dtheta: the energy's, at the mean of h, which enters linearly; exact."""
        return self.energy_gradient(v, self.hidden_given_visible(v).mean, weights, out)

    def hidden_free_energy_gradient(self, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(h_i)/dtheta of `hidden_free_energy`, exact: -(W h) h^T, 0, -h and 1/2 a precision."""
        xp = get_xp(h, weights)
        out = self.zero_gradient() if out is None else out
        wh = h if weights is None else weights[:, None] * h
        xp.matmul((h @ self.params["W"].T).T, -wh, out=out["W"])
        total = h.shape[0] if weights is None else weights.sum()
        out["c"][...], out["b"][...] = -wh.sum(axis=0), 0.0
        out["visible_log_precision"][...] = 0.5 * total
        return out

    def center_gradient(self, grads: Any, mu: Any, lam: Any) -> Any:
        """Turn a gradient into that of centred hidden units, in place; lam [n_hidden] are their means.

        With E = |z'|^2 / 2 - c'.h - z'^T W (h - lam), z' = v / sigma - b', the same distribution (up to a
        constant of the energy) has b = b' - W lam and c = c' - W^T W lam: b' is the mean of the data, not of
        the state without hidden units, and v is centred at it, so that ``mu`` is not needed. By the chain
        rule, and with u = W lam, a step in (W, b', c') moves (W, b, c) along

            gW <- gW - gb lam^T - u gc^T - (W gc) lam^T,
            gb <- gb - gW lam,      gc <- gc - gW^T u - W^T gW lam.
        """
        gW, gb, gc = grads["W"], grads["b"], grads["c"]
        xp, W = get_xp(gW, lam), self.params["W"]
        u = W @ lam
        gW -= xp.stack([gb + W @ gc, u], axis=1) @ xp.stack([lam, gc])
        moved = gW @ lam
        gb -= moved
        gc -= u @ gW + moved @ W
        return grads

    # Training, annealing

    def project(self) -> None:
        """Keep every sigma above 0.1 % of the root mean square of all, for columns that never vary."""
        xp, log_precision = self.xp, self.params["visible_log_precision"]
        mean_square = xp.exp(-log_precision).mean()
        xp.minimum(log_precision, -xp.log(FLOOR * FLOOR * mean_square), out=log_precision)

    def begin(self, X: Any) -> None:
        """Initialize an untrained model; `minidgm.training.fit` calls it with rows of the training data."""
        if not bool(self.params["b"].any()) and not bool(self.params["visible_log_precision"].any()):
            self.initialize(X)

    def initialize(self, X: Any) -> GaussianRBM:
        """Set mean and deviations to those of ``X`` [n, n_visible], with the hidden units at their prior.

        The residual variance of a column is what the hidden units leave to explain: its variance less that
        of sigma W h, a part s = p (1 - p) |W_i|^2 / (1 + p (1 - p) |W_i|^2) of it, at p = 1/2.
        """
        X = self.check_data(X, "X").astype("float64")
        if not X.shape[0]:
            raise ValueError("X has no rows: initialize needs data to take means and deviations from")
        W = self.params["W"].astype("float64")
        variance = X.var(axis=0)
        overall = variance.mean()
        unit = self.xp.where(overall > 0.0, overall, 1.0 / CONSTANT**2)
        least = self.xp.where(variance > 1e-12 * overall, FLOOR * FLOOR, CONSTANT * CONSTANT) * unit
        variance = self.xp.maximum(variance, least) / (1.0 + 0.25 * (W * W).sum(axis=1))
        self.params["visible_log_precision"][...] = -self.xp.log(variance)
        self.params["b"][...] = X.mean(axis=0) / self.xp.sqrt(variance) - 0.5 * W.sum(axis=1)
        return self
