r"""Differentiable generator net: noise through a function, x = g(z) (Deep Learning, section 20.10.2).

    z ~ p(z),   x = g(z; theta)                             ancestral sampling, nothing else
    p(x) = p(z) / |det dg/dz|   at z = g^-1(x)               where g is invertible  (3.47)

| symbol | shape | meaning |
|---|---|---|
| z | [n, n_latent] | noise: standard normal, or uniform on [-1, 1] |
| x | [n, n_visible] | rows |
| generator/... | | parameters of the net g, a list of layers |

There is no noise on x, so that a net with fewer inputs than outputs has no density at all: the model is
implicit, and learns by comparing samples with data (`MaximumMeanDiscrepancy`, `MomentMatching`). Such losses
give a gradient dL/dx for each generated row, and the chain rule does the rest, here `backward`:

    dL/dtheta = sum_i (dg(z_i)/dtheta)^T dL/dx_i.

The worked example of an invertible g is `AffineGenerator`, x = mu + L z.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.units import Gaussian
from minidgm.errors import DataError, IntractableError, unknown
from minidgm.latent.invertible import inverse, obstacle
from minidgm.model import Model
from minidgm.nn import Network, describe
from minidgm.nn.network import Scope
from minidgm.parameters import Parameters

__all__ = ["AffineGenerator", "DifferentiableGenerator"]

PRIORS = ("normal", "uniform")
LAYERS = (("dense", 64), "relu", ("dense", 64), "relu")
NET = "generator/"
LOG_2PI = math.log(2.0 * math.pi)


class DifferentiableGenerator(Model):
    """Noise through a net.

    Parameters
    ----------
    n_visible, n_latent : int
    layers : list, optional
        What `minidgm.nn.declare` takes; its rows have n_visible numbers in any shape. By default two
        rectified layers of 64 and a linear one.
    prior : {"normal", "uniform"}
        Of each z_j: standard normal, or uniform on [-1, 1].
    backend, dtype, seed
        See `minidgm.model.Model`.

    Raises
    ------
    ValueError
        For layers that do not fit each other, n_latent or n_visible: prints the table of shapes.

    Examples
    --------
    >>> import numpy as np
    >>> g = DifferentiableGenerator(2, 2, ["triangular"], dtype="float64")  # untrained, the identity
    >>> g.generate(np.array([[1.0, -2.0]])).tolist()
    [[1.0, -2.0]]
    >>> float(g.log_prob(np.zeros((1, 2)))[0]).__round__(4)  # -log 2 pi
    -1.8379
    """

    equations: Mapping[str, str] = {
        "sample": "z ~ p(z), x = g(z)",
        "density": "log p(x) = log p(z) - log |det dg/dz| at z = g^-1(x), where g is invertible",
        "gradient": "dL/dtheta = sum_i (dg(z_i)/dtheta)^T dL/dx_i",
    }
    reference = "Goodfellow, Bengio and Courville (2016), Deep Learning, section 20.10.2"
    visible = Gaussian()
    implicit = True  # samples are all there is to learn from

    def __init__(
        self,
        n_visible: int,
        n_latent: int = 2,
        layers: Sequence[Any] | None = None,
        prior: str = "normal",
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_visible, self.n_latent = count("n_visible", n_visible), count("n_latent", n_latent)
        if prior not in PRIORS:
            raise unknown("prior", prior, PRIORS)
        self.prior = prior
        self.net = Network([*LAYERS, ("dense", n_visible)] if layers is None else layers, (n_latent,))
        if math.prod(self.net.shape) != n_visible:
            raise ValueError(
                f"the generator puts out rows of {list(self.net.shape)}, expected {n_visible} numbers\n"
                f"{self.net}"
            )
        shapes = {NET + name: shape for name, shape in self.net.shapes.items()}
        fixed = [NET + name for name in self.net.fixed]
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype, fixed=fixed)
        self.net.initialize(Scope(self.params, NET), Generator(seed, self.backend))

    def config(self) -> dict[str, Any]:
        return {
            "n_visible": self.n_visible,
            "n_latent": self.n_latent,
            "layers": describe(self.net.layers),
            "prior": self.prior,
        }

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> DifferentiableGenerator:
        """Two columns, of normal noise through an invertible net: checks integrate its density."""
        return cls(2, 2, ["triangular"], **options)

    def default_objective(self) -> Any:
        from minidgm.objectives import MaximumMeanDiscrepancy

        return MaximumMeanDiscrepancy()

    def check_data(self, x: Any, what: str = "x") -> Any:
        """Return ``x`` as rows [n, n_visible] of this model's backend and dtype; raises `DataError`."""
        return self.check_matrix(x, self.n_visible, what)

    # Generating

    def draw_latent(self, n: int, rng: Generator) -> Any:
        """Draw z ~ p(z), [n, n_latent]."""
        shape = (count("n", n, 0), self.n_latent)
        if self.prior == "normal":
            return rng.normal(shape, dtype=self.dtype)
        return 2.0 * rng.uniform(shape, dtype=self.dtype) - 1.0

    def log_prior(self, z: Any) -> Any:
        """log p(z), [n]; minus infinity outside of the cube of uniform noise."""
        xp = get_xp(z)
        if self.prior == "normal":
            return -0.5 * xp.sum(z * z, axis=1) - 0.5 * self.n_latent * LOG_2PI
        inside = xp.all(xp.abs(z) <= 1.0, axis=1)
        return xp.where(inside, 0.0 * xp.sum(z, axis=1) - self.n_latent * math.log(2.0), -math.inf)

    def forward(self, z: Any, training: bool = False, rng: Any = None) -> tuple[Any, Any]:
        """Return (x [n, n_visible], cache): g(z), traceable, and what `backward` needs."""
        x, cache = self.net.forward(Scope(self.params, NET), z, training=training, rng=rng)
        return x.reshape((z.shape[0], self.n_visible)), cache

    def generate(self, z: Any) -> Any:
        """g(z), [n, n_visible], from z [n, n_latent]; raises `DataError` where z does not fit."""
        z = z if get_xp(z).__name__ == "autograd.numpy" else self.check_matrix(z, self.n_latent, "z")
        return self.forward(z)[0]

    def backward(self, dx: Any, cache: Any, out: Any = None) -> tuple[Any, Any]:
        """Return (dL/dz, dL/dtheta) from dL/dx [n, n_visible], which `forward` left a cache for.

        Gradients go into ``out`` (a `Parameters`) if it is given.
        """
        out = self.params.like() if out is None else out
        dz, _ = self.net.backward(dx.reshape((dx.shape[0], *self.net.shape)), cache, Scope(out, NET))
        return dz, out

    def update(self, cache: Any) -> None:
        """Move running means of layers such as batch norm; objectives call it after a step."""
        self.net.update(Scope(self.params, NET), cache)

    def sample(self, n: int, rng: Generator | int | None = None) -> Any:
        """Draw x [n, n_visible]."""
        return self.forward(self.draw_latent(n, self.generator(rng)))[0]

    # Density, where g is invertible

    @property
    def intractable(self) -> tuple[str, ...]:
        """Methods that have no answer for this net: checks leave them out."""
        return ("log_prob",) if obstacle(self.net) else ()

    def invert(self, x: Any) -> tuple[Any, Any]:
        """Return z = g^-1(x) [n, n_latent] and log |det dg/dz| there [n]; traceable.

        Raises
        ------
        IntractableError
            Where g has no inverse that is known; says why, and what measures samples instead.
        """
        reason = obstacle(self.net)
        if reason:
            raise IntractableError(
                f"x = g(z) has no density here: {reason}; evaluation.parzen and evaluation.mmd2 measure "
                "samples"
            )
        return inverse(self.net, Scope(self.params, NET), x)

    def log_prob(self, x: Any) -> Any:
        """log p(x) = log p(z) - log |det dg/dz| at z = g^-1(x), [n], exact, nats; traceable.

        Raises `IntractableError` as `invert` does.
        """
        traced = get_xp(x, *self.params.values()).__name__ == "autograd.numpy"
        z, log_det = self.invert(x if traced else self.check_data(x))
        return self.log_prior(z) - log_det


class AffineGenerator(DifferentiableGenerator):
    r"""x = mu + L z, L lower-triangular with a positive diagonal: a normal distribution, drawn.

    With normal z, x ~ N(mu, L L^T); with e = L^-1 (x - mu) the density is

        log p(x) = -sum_j log L_jj - |e|^2 / 2 - (d/2) log 2 pi,
        d log p/dmu = L^-T e,      d log p/dL_jk = (L^-T e)_j e_k - [j = k] / L_jj      (j >= k),

    from de = -L^-1 (dmu + dL e).

    Parameters
    ----------
    n_visible : int
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> g = AffineGenerator(2, dtype="float64").match(np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 0.0]]))
    >>> g.mean.round(3).tolist(), g.covariance.round(3).tolist()
    ([2.0, 0.667], [[2.667, 0.0], [0.0, 0.889]])
    """

    def __init__(self, n_visible: int, *, backend: str = "numpy", dtype: str = "float32", seed: Any = None):
        super().__init__(n_visible, n_visible, ["triangular"], backend=backend, dtype=dtype, seed=seed)

    def config(self) -> dict[str, Any]:
        return {"n_visible": self.n_visible}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> AffineGenerator:
        """Two columns."""
        return cls(2, **options)

    @property
    def mean(self) -> Any:
        """mu, [d]."""
        return self.params[f"{NET}0/b"]

    @property
    def matrix(self) -> Any:
        """L, [d, d]."""
        return self.net.layers[0].matrix(Scope(self.params, f"{NET}0/"))  # type: ignore[attr-defined]

    @property
    def covariance(self) -> Any:
        """L L^T, [d, d]."""
        return self.matrix @ self.matrix.T

    def match(self, X: Any) -> AffineGenerator:
        """Take on the mean and the covariance of the rows of ``X``: maximum likelihood in closed form.

        Raises `DataError` where the covariance is singular.
        """
        X, xp = self.check_data(X, "X"), self.xp
        mean = X.mean(axis=0)
        covariance = (X - mean).T @ (X - mean) / max(1, X.shape[0])
        if not float(xp.linalg.eigvalsh(covariance)[0]) > 0.0:
            raise DataError(
                f"the covariance of {X.shape[0]} rows of {self.n_visible} columns is singular; "
                "pass more rows, or drop columns that others determine"
            )
        L = xp.linalg.cholesky(covariance)
        own = Scope(self.params, f"{NET}0/")
        own["b"][...], own["lower"][...] = mean, xp.tril(L, -1)
        own["log_diagonal"][...] = xp.log(xp.diagonal(L))
        return self

    def log_prob_gradient(self, x: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i d log p(x_i)/dtheta for any signed weights [n]; into ``out`` if given."""
        x, xp, L = self.check_data(x), self.xp, self.matrix
        out = self.params.like() if out is None else out
        w = xp.ones(x.shape[0], dtype=x.dtype) if weights is None else weights
        e = self.invert(x)[0]
        back = w[:, None] * xp.linalg.solve(L.T, e.T).T  # w_i L^-T e_i
        dL = back.T @ e
        own = Scope(out, f"{NET}0/")
        own["b"][...], own["lower"][...] = xp.sum(back, axis=0), xp.tril(dL, -1)
        own["log_diagonal"][...] = xp.diagonal(dL) * xp.diagonal(L) - xp.sum(w)
        return out
