r"""Linear-Gaussian VAE: probabilistic principal components, all exact (Tipping & Bishop 1999).

    p(z) = N(0, I),      p(x | z) = N(z W + b, s^2 I)           hence      p(x) = N(b, C),  C = W^T W + s^2 I
    p(z | x) = N(M^-1 W (x - b), s^2 M^-1),      M = W W^T + s^2 I                             (their eq. 6-8)
    q(z | x) = N(x R + r, diag e^l), the same variances for every x

| symbol | shape | parameter |
|---|---|---|
| W, b | [n_latent, n_visible], [n_visible] | decoder/0/W, decoder/0/b |
| log s^2 | [1] | decoder/1/log_variance |
| R, r | [n_visible, n_latent], [n_latent] | encoder/0/W, encoder/0/b |
| l | [n_latent] | encoder/1/log_variance |

With m, S the posterior's mean and covariance, the gap of the bound is a KL between normals,

    log p(x) - ELBO(x) = KL(q, p(z | x)) = 1/2 (tr S^-1 e^l + (m - mu)^T S^-1 (m - mu) - k + log |S| - sum l).

The maximum of the likelihood is where W spans the first principal components, scaled: with the largest
eigenvalues L and eigenvectors U of the data's covariance, and s^2 the mean of the others,

    W = (L - s^2 I)^(1/2) U^T                                                                  (their eq. 7).

There W W^T is diagonal, so is M, and q can be the posterior itself: the bound is tight. The likelihood does
not see a rotation of z, the bound does (Lucas et al. 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.boltzmann.units import Gaussian
from minidgm.distributions import MultivariateNormal
from minidgm.errors import DataError
from minidgm.latent.gaussian import LOG_2PI
from minidgm.latent.vae import VAE

N_LATENT = 2


class LinearGaussianVAE(VAE):
    """Variational autoencoder with linear nets and constant variances: the exact case.

    Parameters
    ----------
    n_visible, n_latent : int
    beta, backend, dtype, seed
        As for `VAE`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([3.0, 1.0, 1.0])
    >>> model = LinearGaussianVAE(3, 1, dtype="float64").maximize_likelihood(X)
    >>> bool(np.allclose(model.elbo(X), model.log_prob(X)))
    True
    """

    equations: Mapping[str, str] = {
        "joint": "p(x, z) = N(z; 0, I) N(x; z W + b, s^2 I)",
        "marginal": "p(x) = N(x; b, W^T W + s^2 I)",
        "posterior": "p(z | x) = N(M^-1 W (x - b), s^2 M^-1), M = W W^T + s^2 I",
        "recognition": "q(z | x) = N(x R + r, diag e^l)",
        "elbo": "log p(x) - KL(q, p(z | x)), exact",
    }
    reference = "Tipping and Bishop (1999), Probabilistic principal component analysis; Lucas et al. (2019)"
    intractable = ()
    visible = Gaussian()

    def __init__(
        self,
        n_visible: int,
        n_latent: int = N_LATENT,
        beta: float = 1.0,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        n_visible, n_latent = count("n_visible", n_visible), count("n_latent", n_latent)
        super().__init__(
            [("dense", n_latent), "shared_variance"],
            [("dense", n_visible), ("shared_variance", True)],
            n_latent,
            "gaussian",
            beta,
            backend=backend,
            dtype=dtype,
            seed=seed,
        )

    def config(self) -> dict[str, Any]:
        return {"n_visible": self.n_visible, "n_latent": self.n_latent, "beta": self.beta}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> LinearGaussianVAE:
        """Two columns and one or two codes."""
        return cls(2, 1 if like is None else min(2, like.n_latent), **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """As many columns as the data have, two codes."""
        width = int(data.train.shape[1])
        if given.get("n_visible", width) != width:
            raise DataError(f"n_visible = {given['n_visible']!r}, but rows of {data.name} have {width}")
        return {"n_latent": N_LATENT, **given, "n_visible": width}

    def begin(self, X: Any) -> None:
        """Nothing to refuse: one variance serves all columns, constant ones too."""

    @property
    def noise_variance(self) -> Any:
        """s^2, [1]."""
        log_variance = self.params["decoder/1/log_variance"]
        return get_xp(log_variance).exp(log_variance)

    def _inner(self) -> Any:
        """M = W W^T + s^2 I, [n_latent, n_latent]."""
        W = self.params["decoder/0/W"]
        return W @ W.T + self.noise_variance * self.xp.eye(self.n_latent, dtype=self.dtype)

    # Exact densities

    def log_prob(self, x: Any) -> Any:
        """log N(x; b, C), [n], exact, nats; traceable.

        By the identities of Woodbury, C^-1 = (I - W^T M^-1 W) / s^2 and |C| = s^(2 (d - k)) |M|.
        """
        x = self.check_data(x)
        xp = get_xp(x, self.params["decoder/0/W"])
        W, log_variance = self.params["decoder/0/W"], self.params["decoder/1/log_variance"]
        M, centered = self._inner(), x - self.params["decoder/0/b"]
        code = centered @ W.T  # [n, n_latent]
        inside = xp.linalg.solve(M, code.T).T
        distance = (xp.sum(centered * centered, axis=1) - xp.sum(code * inside, axis=1)) / self.noise_variance
        d, k = self.n_visible, self.n_latent
        log_det = (d - k) * log_variance + xp.linalg.slogdet(M)[1]
        return -0.5 * (distance + log_det + d * LOG_2PI)

    def exact_posterior(self, x: Any) -> MultivariateNormal:
        """p(z | x) = N(M^-1 W (x - b), s^2 M^-1), exact."""
        W, M = self.params["decoder/0/W"], self._inner()
        field = (x - self.params["decoder/0/b"]) @ W.T / self.noise_variance
        precision = get_xp(x, M).zeros((x.shape[0], 1, 1), dtype=self.dtype) + M / self.noise_variance
        return MultivariateNormal(field, precision)

    def posterior_gap(self, x: Any) -> Any:
        """KL(q(z | x), p(z | x)) = log p(x) - ELBO(x), [n], exact, nats; traceable."""
        xp, q = get_xp(x, self.params["decoder/0/W"]), self.recognition(x)
        M, W, s2 = self._inner(), self.params["decoder/0/W"], self.noise_variance
        mean = xp.linalg.solve(M, W @ (x - self.params["decoder/0/b"]).T).T
        gap = q.mean - mean
        inverse = M / s2  # S^-1
        trace = xp.sum(q.variance * xp.diag(inverse), axis=1)
        distance = xp.sum((gap @ inverse) * gap, axis=1)
        log_det = self.n_latent * self.params["decoder/1/log_variance"] - xp.linalg.slogdet(M)[1]
        return 0.5 * (trace + distance - self.n_latent + log_det - xp.sum(q.log_variance, axis=1))

    def elbo(self, x: Any, rng: Any = None, n_samples: int = 1) -> Any:
        """The bound, [n], nats: exact without ``rng``, with it an unbiased estimate as for any `VAE`.

        E_q log N(x; z W + b, s^2 I) is that at the mean of q, less sum_j e^l_j |W_j|^2 / (2 s^2).
        """
        return self.mean_log_weight(self.check_data(x)) if rng is None else super().elbo(x, rng, n_samples)

    def mean_log_weight(self, x: Any) -> Any:
        """E_q[log p(x, z) - log q(z | x)], [n], exact, nats; traceable."""
        q, W = self.recognition(x), self.params["decoder/0/W"]
        xp = get_xp(x, W)
        at_mean = self.likelihood.log_prob(self.decode(q.mean)[0], x)
        spread = xp.sum(q.variance * xp.sum(W * W, axis=1), axis=1) / self.noise_variance
        return at_mean - 0.5 * spread - q.kl()

    # Learning in closed form

    def maximize_likelihood(self, X: Any) -> LinearGaussianVAE:
        """Set p to the maximum of the likelihood of ``X`` [n, n_visible], and q to its posterior.

        Raises
        ------
        DataError
            Where the data have no variance beyond the first n_latent components: s^2 would be 0.
        """
        X, xp, k = self.check_data(X).astype("float64"), self.xp, self.n_latent
        if k >= self.n_visible:
            raise DataError(f"n_latent={k} components leave no noise in {self.n_visible} columns; use fewer")
        b = X.mean(axis=0)
        values, vectors = xp.linalg.eigh((X - b).T @ (X - b) / X.shape[0])  # rising
        s2 = values[: self.n_visible - k].mean()
        if not float(s2) > 0.0:
            raise DataError(f"the data lie within {k} dimensions: the noise has no variance; use fewer codes")
        scale = xp.sqrt(xp.maximum(values[-k:] - s2, 0.0))
        W = scale[:, None] * vectors[:, -k:].T
        M = scale * scale + s2  # the diagonal of W W^T + s^2 I
        R = W.T / M
        found = {
            "decoder/0/W": W,
            "decoder/0/b": b,
            "decoder/1/log_variance": xp.log(s2).reshape(1),
            "encoder/0/W": R,
            "encoder/0/b": -(b @ R),
            "encoder/1/log_variance": xp.log(s2 / M),
        }
        for name, value in found.items():
            self.params[name][...] = value.astype(self.dtype)
        return self
