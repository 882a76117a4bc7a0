r"""Variational autoencoder whose code is of another family than independent normals.

    p(z): the family's prior,    p(x | z): a likelihood whose parameters are decoder(z)
    q(z | x) = q(z; y),          y = encoder(x)

| family | q(z; y) | prior | numbers of y | KL |
|---|---|---|---|---|
| diagonal | N(mu, diag e^l), as in `VAE` | N(0, I) | 2 d | exact |
| full | N(mu, L L^T) (Rezende, Mohamed & Wierstra 2014, 4.3) | N(0, I) | d (d + 3)/2 | exact |
| logistic | logistic, location m, scale e^s | standard logistic | 2 d | at the draws |
| gamma, gamma(a_0) | Gamma(shape a, rate b), implicit | Gamma(a_0, 1), a_0 = 1 | 2 d | exact |

Training raises the bound of every such pair,

    log p(x) >= E_q[log p(x | z)] - KL(q(z | x), p(z))

| symbol | shape | meaning |
|---|---|---|
| x, z | [n, n_visible], [n, n_latent] | rows and codes, d = n_latent |
| y | [n, outputs(d)] | the encoder's numbers: see `minidgm.distributions.pathwise` |

A posterior is rarely independent from code to code: full covariance lets q lean. Gamma codes are positive,
and for a_0 < 1 mostly near 0, a soft kind of off. Gradients: `minidgm.latent.family_paths`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from minidgm import distributions
from minidgm.arguments import count, real
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.units import Gaussian, Rectified
from minidgm.errors import IntractableError, unknown
from minidgm.latent import nets
from minidgm.latent.directed import DirectedModel
from minidgm.latent.family_paths import FamilyPaths
from minidgm.latent.vae import VAE
from minidgm.latent.walks import plane
from minidgm.nn.network import Scope

FAMILIES: dict[str, Any] = {
    "diagonal": distributions.PathNormal,
    "full": distributions.PathFullNormal,
    "logistic": distributions.PathLogistic,
    "gamma": distributions.PathGamma,
}


def family_of(name: str) -> tuple[Any, Callable[[Any], Any]]:
    """The class behind the name of a family, and what makes a distribution of numbers y.

    >>> family_of("gamma(0.3)")[0].__name__
    'PathGamma'
    """
    if name in FAMILIES:
        return FAMILIES[name], FAMILIES[name]
    found = re.fullmatch(r"gamma\(([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\)", str(name))
    if not found:
        raise unknown("family of codes", name, (*FAMILIES, "gamma(a_0)"))
    shape = real("the prior_shape a_0", float(found[1]), positive=True)
    return distributions.PathGamma, partial(distributions.PathGamma, prior_shape=shape)


class FamilyVAE(VAE):
    """Variational autoencoder with codes of a chosen family.

    Parameters
    ----------
    encoder, decoder : list of layers, or Network
        As for `VAE`; the encoder puts out the numbers y of the family.
    n_latent : int
    family : str
        "diagonal", "full", "logistic", "gamma", or "gamma(a_0)" for a prior of shape a_0.
    likelihood, beta, variance, n_classes, levels, backend, dtype, seed
        As for `VAE`.

    Raises
    ------
    ValueError
        For an unknown family, or nets whose shapes do not meet (prints both tables).

    Examples
    --------
    >>> import numpy as np
    >>> vae = FamilyVAE([("dense", 5)], [("dense", 6)], 2, "full", seed=0)
    >>> vae.recognition(np.eye(6)).covariance.shape
    (6, 2, 2)
    >>> vae = FamilyVAE([("dense", 4)], [("dense", 6)], 2, "gamma(0.5)", seed=0)
    >>> bool((vae.dream(9, 0)[1] > 0.0).all())
    True
    """

    equations: Mapping[str, str] = {
        "joint": "p(x, z) = p(z) p(x | decoder(z))",
        "recognition": "q(z | x) = q(z; y), y = encoder(x)",
        "path": "d/dy E_q[f(z)] = E[(dz/dy)^T f'(z)]",
        "full": "z = mu + L eps, L lower, diag L = e^l",
        "logistic": "z = m + e^s (log u - log(1 - u))",
        "gamma": "F(z; a, b) = u: dz/da = -(dF/da) / p(z)",
        "elbo": "log p(x) >= E_q[log p(x | z)] - KL(q, p)",
    }
    reference = (
        "Figurnov, Mohamed and Mnih (2018), Implicit reparameterization gradients; Rezende, Mohamed and "
        "Wierstra (2014), 4.3; Goodfellow, Bengio and Courville (2016), Deep Learning, 20.9"
    )

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        n_latent: int,
        family: str = "full",
        likelihood: Any = "bernoulli",
        beta: float = 1.0,
        **options: Any,
    ):
        self.family, (self._class, self._make) = str(family), family_of(family)
        super().__init__(encoder, decoder, n_latent, likelihood, beta, **options)
        self.latent: Any = Rectified() if self._class.positive else Gaussian()
        self.intractable = ("log_prob",) if self._class.closed else ("log_prob", "kl")
        # Exponentials of these: a thousand is beyond any float, and beyond quadrature long before.
        self.parameter_bounds = dict.fromkeys(self.params, (-0.8, 0.8))

    def _build(self, encoder: Any, decoder: Any) -> None:
        self.decoder, self.n_visible = nets.decoder_of(
            decoder, self.n_latent, self.likelihood.outputs, f"the {self.likelihood.name} likelihood"
        )
        wanted = f"the numbers of {self.n_latent} codes of family {self.family!r}"
        size = self._class.outputs(self.n_latent)
        self.encoder = nets.encoder_of(encoder, self.n_visible, size, wanted, self.decoder)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "family": self.family}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> FamilyVAE:
        """As for `VAE`, with the family of ``like``."""
        plain = VAE.small(like).config()
        family = "full" if like is None else like.family
        return cls(**{**_fitted(plain, family, 2), **options})

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """As for `VAE`, with an encoder that puts out the family's numbers."""
        known = super().arguments_for(data, given)
        return known if "encoder" in given else _fitted(known, known.get("family", "full"), known["n_latent"])

    # Densities

    def encode(self, x: Any, **options: Any) -> tuple[Any, Any]:
        """q(z | x), and the encoder's cache."""
        y, cache = self.encoder.forward(Scope(self.params, "encoder/"), x, **options)
        return self._make(y), cache

    def recognition(self, x: Any) -> Any:
        """q(z | x), with mean, variance, sample(rng), log_prob(z), path(noise)."""
        return self.encode(x)[0]

    posterior = recognition

    def prior(self, n: int = 1) -> Any:
        """p(z), for n rows."""
        like = self._make(self.xp.zeros((0, self._class.outputs(self.n_latent)), dtype=self.dtype))
        return like.prior(n, self.n_latent)

    def log_prior(self, z: Any) -> Any:
        """log p(z), [n], nats; traceable."""
        return get_xp(z).sum(self.prior(0).log_prior_terms(z), axis=-1)

    def log_joint(self, x: Any, z: Any) -> Any:
        """log p(x, z) = log p(x | z) + log p(z), [n], nats; traceable."""
        return self.likelihood.log_prob(self.decode(z, x)[0], self.target(x)) + self.log_prior(z)

    def kl(self, x: Any) -> Any:
        """KL(q(z | x), p(z)), [n], exact, nats; traceable.

        Raises
        ------
        IntractableError
            For logistic codes.
        """
        if not self._class.closed:
            raise IntractableError(
                f"the divergence of {self.family} codes has no closed form; elbo(x, rng) takes it at draws"
            )
        return self.recognition(x).kl()

    def elbo(self, x: Any, rng: Any = None, n_samples: int = 1) -> Any:
        """The lower bound on log p(x), [n], nats: as for `VAE`; of logistic codes the mean of log weights."""
        if self._class.closed or rng is None:
            return super().elbo(x, rng, n_samples)
        return DirectedModel.elbo(self, x, rng, n_samples)

    # Sampling

    def dream(self, n: int, rng: Generator | int | None = None) -> tuple[Any, Any]:
        """Draw (x, z): z from the prior, then x ~ p(x | z)."""
        rng = self.generator(rng)
        z = self.prior(count("n", n, 0)).sample(rng)
        return self.visible_given_latent(z).sample(rng), z

    def manifold(self, side: int = 20) -> Any:
        """As for `VAE`, at equal steps of probability of this prior."""
        if self.n_latent != 2 or (self._class.closed and not self._class.positive):
            return super().manifold(side)
        xp = self.xp
        u = (xp.arange(count("side", side)) + 0.5) / side
        noise = u if self._class.positive else xp.log(u) - xp.log1p(-u)
        one = self._make(xp.zeros((0, 2), dtype=self.dtype)).prior(1, 1)
        line = one.at(noise[:, None, None].astype(self.dtype))[:, 0, 0]
        return self._means(plane(side, xp, self.dtype, line))

    # Gradients

    def noise(self, k: int, x: Any, rng: Generator) -> Any:
        """Noise of k draws for every row of x, [k, n, n_latent]: normal, logistic or uniform."""
        y = self.xp.zeros((x.shape[0], self._class.outputs(self.n_latent)), dtype=x.dtype)
        return self._make(y).noise(k, rng)

    def paths(self, x: Any, noise: Any, training: bool = False, rng: Any = None) -> FamilyPaths:
        """Codes that the noise makes, [k, n, n_latent], and all that depends on them."""
        return FamilyPaths(self, x, noise, training, rng)

    def _at(self, x: Any, z: Any) -> FamilyPaths:
        return FamilyPaths(self, x, z=z[None])


def _fitted(arguments: Mapping[str, Any], family: str, n_latent: int) -> dict[str, Any]:
    """Arguments whose encoder's last layer puts out the family's numbers."""
    last = ("dense", family_of(family)[0].outputs(n_latent))
    return {**arguments, "family": family, "encoder": [*list(arguments["encoder"])[:-1], last]}
