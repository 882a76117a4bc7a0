"""What mcRBM and mPoT share: means and covariances of real images gated by two sets of hidden units.

    E(x, h) = lambda.x^2 / 2 - b.x - h^m.c - x^T W h^m  +  sum_k h^c_k u_k(x) + A(h^c),
    u_k(x)  = sum_f P_fk (x^T R_f)^2 / 2.

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | real visible values, rows are examples |
| h = (h^m, h^c) | [n, n_mean + n_covariance] | bits of the mean units, then the covariance units |
| W, c | [n_visible, n_mean], [n_mean, ...] | filters and biases of the mean units |
| R | [n_visible, n_factors] | covariance filters, its columns R_f |
| P | [n_factors, n_covariance] | which factors a unit pools, at least 0; left out: the identity |
| b, lambda = exp(visible_log_precision) | [n_visible] | visible biases, containing precision |

Given h, x is normal with precision Lambda(h) = diag(lambda) + R diag(P h^c) R^T and mean
Lambda^-1 (b + W h^m): an active covariance unit forbids the directions of its filters. Given x both hidden
sets factorize. The models differ in A alone, that is in the values that a covariance unit takes: bits
(`minidgm.boltzmann.mcrbm`) or positive reals (`minidgm.boltzmann.mpot`).

**Conventions.** Deep Learning (20.44) has lambda = 1, where models start here and whitened rows leave them
(:meth:`MeanCovarianceEnergy.begin`), and P = I. Ranzato and Hinton (2010) write -P for our P, and divide x by
its norm inside u; x is not divided here, since Lambda(h) would then not exist: bring patches to a common norm
beforehand if contrast is not to be modeled. After each update training calls
:meth:`MeanCovarianceEnergy.project`: the columns of R get their mean norm, P is clipped at 0 and its columns
are made to sum to 1.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_backend, get_xp
from minidgm.boltzmann.gaussian_start import LEAST
from minidgm.boltzmann.hamiltonian import HamiltonianModel
from minidgm.boltzmann.units import Gaussian
from minidgm.distributions import Bernoulli, Blocks, MultivariateNormal
from minidgm.errors import DataError
from minidgm.numerics import softplus
from minidgm.parameters import Parameters


class MeanCovarianceEnergy(HamiltonianModel):
    """Energy and conditionals of the two models; a subclass brings its covariance units.

    Parameters
    ----------
    n_visible, n_mean, n_covariance : int
        Columns of x, of h^m and of h^c. ``n_mean=0`` leaves a model of covariances.
    n_factors : int, optional
        Columns of R, pooled by P. None: one filter a covariance unit, and no P, as in the text.
    backend, dtype, seed
        See `minidgm.model.Model`.
    """

    parameter_bounds = {"P": (0.0, 2.0)}
    small_covariance = 2

    def __init__(
        self,
        n_visible: int,
        n_mean: int,
        n_covariance: int,
        n_factors: int | None = None,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_visible, self.n_mean = count("n_visible", n_visible), count("n_mean", n_mean, 0)
        self.n_covariance = count("n_covariance", n_covariance)
        self.n_factors = None if n_factors is None else count("n_factors", n_factors)
        self.n_hidden = n_mean + n_covariance
        self.visible = Gaussian()
        n_filters = n_covariance if n_factors is None else n_factors
        shapes: dict[str, tuple[int, ...]] = {"W": (n_visible, n_mean), "R": (n_visible, n_filters)}
        shapes |= {} if n_factors is None else {"P": (n_factors, n_covariance)}
        shapes |= {"b": (n_visible,), "visible_log_precision": (n_visible,), **self._own_shapes()}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        rng = Generator(seed, self.backend)
        for name, scale in (("W", 0.01), ("R", 2.0 * n_visible**-0.5)):
            self.params[name][...] = scale * rng.normal(shapes[name], dtype=self.dtype)
        if n_factors is not None:
            # Unit k starts on its own stretch of the factors.
            start = [
                [float(f * n_covariance // n_factors == k or k * n_factors // n_covariance == f)
                 for k in range(n_covariance)] for f in range(n_factors)
            ]  # fmt: skip
            self.params["P"] = start
        self._start()
        self.project()

    def _own_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the hidden units' parameters."""
        raise NotImplementedError

    def _start(self) -> None:
        """Set the hidden units' parameters to where training starts."""

    def config(self) -> dict[str, Any]:
        names = ("n_visible", "n_mean", "n_covariance", "n_factors")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> Any:
        """Two visible units and a few hidden ones, for enumeration and quadrature."""
        pooled = like is not None and like.n_factors is not None
        n_mean = 1 if like is None else min(like.n_mean, 1)
        return cls(2, n_mean, cls.small_covariance, 3 if pooled else None, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Any) -> dict[str, Any]:
        """Constructor arguments from a data set: as many covariance filters as visible units by default."""
        arguments = super().arguments_for(data, given)
        arguments.pop("n_hidden", None)
        width = arguments["n_visible"]
        return {"n_mean": max(width // 4, 1), "n_covariance": width, **arguments}

    def split(self, h: Any) -> tuple[Any, Any]:
        """h^m [n, n_mean] and h^c [n, n_covariance] from h."""
        return h[:, : self.n_mean], h[:, self.n_mean :]

    # What the covariance units bring: each [n, n_covariance] from u [n, n_covariance]

    def covariance_base(self, h_c: Any) -> Any:
        """A(h^c), [n]: the energy of the covariance units by themselves."""
        raise NotImplementedError

    def covariance_cgf(self, u: Any) -> Any:
        """log of the sum or integral of exp(-h^c_k u_k - A_k) over each unit."""
        raise NotImplementedError

    def covariance_given(self, u: Any) -> Any:
        """p(h^c | x), a factorial distribution."""
        raise NotImplementedError

    # Energy and free energy

    def energy(self, v: Any, h: Any) -> Any:
        """E(x, h), [n], from x [n, n_visible] and h [n, n_hidden]."""
        xp = get_xp(v, h, self.params["W"])
        h_m, h_c = self.split(h)
        mean = xp.sum(self.mean_unit_field(v) * h_m, axis=-1)
        return (
            self._containment(v)
            - mean
            + xp.sum(h_c * self.pooled_squares(v), axis=-1)
            + self.covariance_base(h_c)
        )

    def _containment(self, v: Any) -> Any:
        """lambda.x^2 / 2 - b.x, [n]."""
        precision = get_xp(v, self.params["b"]).exp(self.params["visible_log_precision"])
        return 0.5 * ((v * v) @ precision) - v @ self.params["b"]

    def mean_unit_field(self, v: Any) -> Any:
        """x W + c, [n, n_mean]: the fields of the mean units."""
        return v @ self.params["W"] + self.params["c"][: self.n_mean]

    def pooled_squares(self, v: Any) -> Any:
        """u(x) = (x R)^2 P / 2, [n, n_covariance]."""
        t = v @ self.params["R"]
        return 0.5 * self._pool(t * t)

    def _pool(self, s: Any) -> Any:
        """s P, or s itself without P."""
        return s if self.n_factors is None else s @ self.params["P"]

    def _spread(self, h_c: Any) -> Any:
        """h^c P^T, [n, n_factors]: the weight of each filter in Lambda(h)."""
        return h_c if self.n_factors is None else h_c @ self.params["P"].T

    def free_energy(self, v: Any) -> Any:
        """F(x) = lambda.x^2 / 2 - b.x - sum_j softplus((x W + c)_j) - sum_k cgf(u_k(x)), [n], nats."""
        xp = get_xp(v, self.params["W"])
        mean = xp.sum(softplus(self.mean_unit_field(v)), axis=-1)
        return self._containment(v) - mean - xp.sum(self.covariance_cgf(self.pooled_squares(v)), axis=-1)

    # Conditionals

    def hidden_given_visible(self, v: Any) -> Any:
        """p(h | x): bits of the mean units and the covariance units, all independent, [n, n_hidden]."""
        parts = [Bernoulli(self.mean_unit_field(v)), self.covariance_given(self.pooled_squares(v))]
        return Blocks(parts, (self.n_mean, self.n_covariance))

    def visible_given_hidden(self, h: Any) -> Any:
        """p(x | h) = N(Lambda^-1 (b + W h^m), Lambda^-1); memory n d^2, a draw costs n d^3 (20.47).

        Raises
        ------
        DataError
            When Lambda(h) is not positive definite; names the unit and what to lower.
        """
        h_m, h_c = self.split(h)
        field = self.params["b"] + h_m @ self.params["W"].T
        return MultivariateNormal(field, self.conditional_precision(h_c))

    def conditional_precision(self, h_c: Any) -> Any:
        """Lambda = diag(lambda) + R diag(P h^c) R^T, [n, d, d], from h^c [n, n_covariance]."""
        R, log_precision = self.params["R"], self.params["visible_log_precision"]
        xp, weights = get_xp(h_c, R), self._spread(h_c)
        diagonal = xp.eye(self.n_visible, dtype=R.dtype) * xp.exp(log_precision)
        precision = (R * weights[:, None, :]) @ R.T + diagonal
        if get_backend(precision) != "autograd":
            check_definite(self, h_c, weights, precision)
        return precision

    # Constraints

    def project(self) -> None:
        """Restore the constraints, in place, on the device: training calls it after every update.

        The columns of R get their mean norm, so that no filter can win by growing (Ranzato and Hinton 2010,
        section 4); P is clipped at 0, which keeps Lambda(h) positive definite, and its columns sum to 1, so
        that P and R do not share a scale.
        """
        xp, R = self.xp, self.params["R"]
        norms = xp.sqrt(xp.sum(R * R, axis=0))
        R *= xp.mean(norms) / xp.maximum(norms, 1e-30)
        if self.n_factors is not None:
            P = self.params["P"]
            xp.maximum(P, 0.0, out=P)
            P /= xp.maximum(xp.sum(P, axis=0), 1e-30)

    def begin(self, X: Any) -> None:
        """Initialize an untrained model; `minidgm.training.fit` calls it with rows of the training data.

        Filters too take on the data's scale: they start as they would on rows of deviation 1. Otherwise every
        covariance unit would be off on large numbers, and none would learn.
        """
        if bool(self.params["b"].any()) or bool(self.params["visible_log_precision"].any()):
            return
        self.initialize(X)
        overall = X.astype("float64").var(axis=0).mean()
        scale = self.xp.where(overall > 0.0, overall, 1.0) ** -0.5
        for name in ("W", "R"):
            self.params[name][...] *= scale.astype(self.dtype)

    def initialize(self, X: Any) -> Any:
        """Set b and lambda so that x would have the means and variances of ``X`` without hidden units.

        No deviation below a tenth of the root mean square over all columns: what never varies would make the
        chains' step size small for everything.
        """
        X = self.check_data(X, "X").astype("float64")
        if not X.shape[0]:
            raise ValueError("X has no rows: initialize needs data to take means and variances from")
        variance = X.var(axis=0)
        overall = variance.mean()
        variance = self.xp.maximum(variance, self.xp.where(overall > 0.0, LEAST * overall, 1.0))
        self.params["visible_log_precision"][...] = -self.xp.log(variance)
        self.params["b"][...] = X.mean(axis=0) / variance
        return self


def check_definite(model: MeanCovarianceEnergy, h_c: Any, weights: Any, precision: Any) -> None:
    """Refuse a Lambda with an eigenvalue at most 0; where all weights are at least 0 it has none."""
    xp = get_xp(precision)
    if not weights.size or bool((weights >= 0.0).all()):
        return
    lowest = xp.linalg.eigvalsh(precision)[:, 0]
    row = int(xp.argmin(lowest))
    if not float(lowest[row]) <= 0.0:
        return
    states = h_c[row]
    if model.n_factors is None:
        k = int(xp.argmin(states))
        cause = f"its state is {float(states[k]):.3g}, expected at least 0"
    else:
        P = model.params["P"]
        k = int(xp.argmin(xp.min(P, axis=0) * xp.abs(states)))
        f = int(xp.argmin(P[:, k]))
        cause = (
            f"its weight P[{f}, {k}] = {float(P[f, k]):.3g} is negative; lower the learning rate of P and "
            "call project(), which clips it at 0"
        )
    raise DataError(
        f"the covariance of p(x | h) is not positive definite (row {row}, smallest precision "
        f"{float(lowest[row]):.3g}) because of covariance unit {k}: {cause}"
    )
