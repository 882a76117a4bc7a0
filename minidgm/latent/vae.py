r"""Variational autoencoder (Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014; Deep Learning, 20.10.3).

    p(z) = N(0, I),      p(x | z): a likelihood whose parameters are decoder(z)
    q(z | x) = N(mu(x), diag e^l(x)),      [mu, l] = encoder(x)

    log p(x) >= E_q[log p(x | z)] - KL(q(z | x), p(z))                                             (20.77)
    KL = 1/2 sum_j (mu_j^2 + e^l_j - 1 - l_j)                  (Kingma & Welling 2014, appendix B)

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | rows; images are reshaped inside the nets |
| z | [n, n_latent] | codes |
| mu, l | [n, n_latent] | mean and log-variance of the code, the encoder's 2 n_latent numbers |
| a | [n, outputs] | what the decoder puts out: logits; means and log-variances |
| encoder/..., decoder/... | | parameters of the nets, by layer: "encoder/0/W" |

The expectation is taken over noise: z = mu + e^(l/2) eps, eps ~ N(0, I), so that a draw has derivatives in
mu and l, and back-propagation passes through it: `minidgm.latent.pathwise`. Weights choose what the one
pathwise gradient is of: 1/(n k) the bound, normalized importance weights the bound of k samples.
Derivations: docs/models/vae.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.units import Gaussian
from minidgm.errors import IntractableError
from minidgm.latent import nets
from minidgm.latent.directed import DirectedModel
from minidgm.latent.gaussian import DiagonalNormal, log_standard_normal
from minidgm.latent.likelihoods import likelihood as as_likelihood
from minidgm.latent.pathwise import Paths
from minidgm.latent.walks import Walks
from minidgm.nn import Network
from minidgm.nn.network import Scope

N_LATENT = 10


class VAE(Walks, DirectedModel):
    """Variational autoencoder with a Gaussian code.

    Parameters
    ----------
    encoder, decoder : list of layers, or Network
        As `minidgm.nn.declare` takes them: ``[("dense", 200), "tanh", ("dense", 2 * n_latent)]``. The encoder
        puts out means, then log-variances. `minidgm.latent.nets` declares the usual pairs.
    n_latent : int
    likelihood : {"bernoulli", "gaussian", "categorical", "discretized_logistic"}
        What the decoder's output means: see `minidgm.latent.likelihoods`.
    beta : float
        Weight of the KL term in training (Higgins et al. 2017); `elbo` is the bound whatever it is.
    variance : float, optional
        Of a Gaussian likelihood whose decoder puts out means only.
    n_classes, levels : int, optional
        Of a categorical and of a discretized logistic likelihood.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Raises
    ------
    ValueError
        When the shapes of encoder and decoder do not meet (prints both tables), or columns do not divide into
        groups of n_classes.

    Examples
    --------
    >>> import numpy as np
    >>> vae = VAE([("dense", 8), "tanh", ("dense", 4)], [("dense", 8), "tanh", ("dense", 6)], 2, seed=0)
    >>> vae.n_visible, vae.transform(np.eye(6)).shape
    (6, (6, 2))
    >>> bool((vae.elbo(np.eye(6), rng=0, n_samples=500) < vae.log_prob_estimate(np.eye(6), 0, 500)).all())
    True
    """

    equations: Mapping[str, str] = {
        "joint": "p(x, z) = N(z; 0, I) p(x | decoder(z))",
        "recognition": "q(z | x) = N(mu, diag e^l), [mu, l] = encoder(x)",
        "path": "z = mu + e^(l/2) eps, eps ~ N(0, I)",
        "KL": "KL(q, p) = 1/2 sum_j (mu_j^2 + e^l_j - 1 - l_j)",
        "elbo": "log p(x) >= E_eps[log p(x | z)] - KL(q, p)",
        "importance": "log p(x) >= E log 1/K sum_k p(x, z_k) / q(z_k | x), to it as K grows",
    }
    reference = (
        "Kingma and Welling (2014), Auto-encoding variational Bayes; Rezende, Mohamed and Wierstra (2014); "
        "Goodfellow, Bengio and Courville (2016), Deep Learning, 20.10.3"
    )
    intractable: tuple[str, ...] = ("log_prob",)
    latent = Gaussian()

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        n_latent: int,
        likelihood: Any = "bernoulli",
        beta: float = 1.0,
        *,
        variance: float | None = None,
        n_classes: int | None = None,
        levels: int | None = None,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        given = {"variance": variance, "n_classes": n_classes, "levels": levels}
        self.likelihood = as_likelihood(likelihood, {k: v for k, v in given.items() if v is not None})
        self.visible = self.likelihood.visible
        self.n_latent, self.beta = count("n_latent", n_latent), real("beta", beta)
        self._build(encoder, decoder)
        if self.visible is not None:
            self.visible.check_width(self.n_visible, "visible")
        self.params = nets.coder_params(self._nets(), self.backend, self.dtype, seed)

    def _build(self, encoder: Any, decoder: Any) -> None:
        """Set n_visible and the nets, whose shapes must meet."""
        self.decoder: Network
        self.decoder, self.n_visible = nets.decoder_of(
            decoder, self.n_latent, self.likelihood.outputs, f"the {self.likelihood.name} likelihood"
        )
        wanted = f"a mean and a log-variance for each of n_latent={self.n_latent} codes"
        self.encoder = nets.encoder_of(encoder, self.n_visible, 2 * self.n_latent, wanted, self.decoder)

    def _nets(self) -> dict[str, Network]:
        """The nets by the names of their parameters."""
        return {"encoder": self.encoder, "decoder": self.decoder}

    def config(self) -> dict[str, Any]:
        return {
            "encoder": nets.plain(self.encoder),
            "decoder": nets.plain(self.decoder),
            "n_latent": self.n_latent,
            "likelihood": self.likelihood.name,
            "beta": self.beta,
            **self.likelihood.options(),
        }

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> VAE:
        """Three bits (or two columns of another kind) and two codes, with the likelihood of ``like``."""
        family = as_likelihood("bernoulli", {}) if like is None else like.likelihood
        more = dict(family.options())
        if family.name == "categorical":
            more["n_classes"] = min(more["n_classes"], 3)
        width = {"bernoulli": 3, "categorical": more.get("n_classes", 0)}.get(family.name, 2)
        encoder, decoder = nets.dense(width, 2, [3], outputs=family.outputs)
        beta = 1.0 if like is None else like.beta
        return cls(encoder, decoder, 2, family.name, beta, **more, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Dense nets as wide as the data call for; Bernoulli for rows in [0, 1], Gaussian for others."""
        return nets.dense_for(data, {"n_latent": N_LATENT, **given})

    def default_objective(self) -> Any:
        """The evidence lower bound by reparameterization."""
        from minidgm.objectives import Reparameterization

        return Reparameterization()

    def begin(self, X: Any) -> None:
        """Refuse columns without variance under a Gaussian likelihood that would learn one of 0."""
        self.likelihood.begin(X)

    # Densities

    def encode(self, x: Any, **options: Any) -> tuple[DiagonalNormal, Any]:
        """q(z | x), and the encoder's cache."""
        code, cache = self.encoder.forward(Scope(self.params, "encoder/"), x, **options)
        return DiagonalNormal(code[:, : self.n_latent], code[:, self.n_latent :]), cache

    def decode(self, z: Any, x: Any = None, **options: Any) -> tuple[Any, Any]:
        """The decoder's output a [n, outputs] at codes z [n, n_latent], and its cache."""
        return self.decoder.forward(Scope(self.params, "decoder/"), z, **options)

    def decode_backward(self, da: Any, cache: Any, out: Any) -> Any:
        """Gradient in z from that in a; those of the decoder's parameters go into ``out``."""
        return self.decoder.backward(da, cache, Scope(out, "decoder/"))[0]

    def target(self, x: Any) -> Any:
        """The columns of a row that the decoder explains: all of them."""
        return x

    def recognition(self, x: Any) -> DiagonalNormal:
        """q(z | x), with mean, sample(rng), log_prob(z), kl()."""
        return self.encode(x)[0]

    posterior = recognition

    def prior(self, n: int = 1) -> DiagonalNormal:
        """p(z) = N(0, I), for n rows."""
        zeros = self.xp.zeros((n, self.n_latent), dtype=self.dtype)
        return DiagonalNormal(zeros, zeros)

    def visible_given_latent(self, z: Any) -> Any:
        """p(x | z), with mean, sample(rng), log_prob(x)."""
        return self.likelihood.distribution(self.decode(z)[0])

    def log_joint(self, x: Any, z: Any) -> Any:
        """log p(x, z) = log p(x | z) + log N(z; 0, I), [n], nats; traceable."""
        return self.likelihood.log_prob(self.decode(z, x)[0], self.target(x)) + log_standard_normal(z)

    def log_recognition(self, x: Any, z: Any) -> Any:
        """log q(z | x), [n], nats; traceable."""
        return self.recognition(x).log_prob(z)

    def kl(self, x: Any) -> Any:
        """KL(q(z | x), p(z)), [n], exact, nats; traceable."""
        return self.recognition(x).kl()

    # Sampling

    def dream(self, n: int, rng: Generator | int | None = None) -> tuple[Any, Any]:
        """Draw (x, z): z ~ N(0, I), then x ~ p(x | z)."""
        rng = self.generator(rng)
        z = rng.normal((count("n", n, 0), self.n_latent), dtype=self.dtype)
        return self.visible_given_latent(z).sample(rng), z

    # Gradients

    def paths(self, x: Any, noise: Any, training: bool = False, rng: Any = None) -> Paths:
        """Codes z = mu + e^(l/2) noise, [k, n, n_latent] as the noise, and all that depends on them."""
        return Paths(self, x, noise, training, rng)

    def noise(self, k: int, x: Any, rng: Generator) -> Any:
        """Noise of k draws for every row of x, [k, n, n_latent]: standard normal."""
        return rng.normal((k, x.shape[0], self.n_latent), dtype=str(x.dtype))

    def draw(self, x: Any, k: int, rng: Generator, scratch: Any = None) -> Paths:
        """``k`` draws z ~ q(z | x) a row, with their densities and weighted gradients: see `Paths`."""
        return self.paths(x, self.noise(k, x, rng))

    def path_gradient(
        self, x: Any, noise: Any, weights: Any = None, kl: str = "analytic", beta: Any = 1.0,
        share: Any = None, out: Any = None,
    ) -> Any:  # fmt: skip
        """Gradient of sum w (log p(x | z) + beta (log p(z) - log q(z | x))) through z = mu + e^(l/2) noise.

        With s = d log p(x | z)/dz from the decoder: mu gets s - beta mu, and l gets
        s e^(l/2) eps / 2 - beta (e^l - 1) / 2, times w; the encoder takes them on. The other forms of the
        second part, and the arguments: `Paths.gradient`.
        """
        if weights is None:
            weights = get_xp(x).ones(noise.shape[:2], dtype=x.dtype)
        return self.paths(x, noise).gradient(weights, kl, beta, share, out)

    def log_joint_gradient(self, x: Any, z: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i d log p(x_i, z_i)/dtheta for any signed weights [n]; zero for the encoder."""
        return self._at(x, z).log_joint_gradient(_rows(x, weights), out)

    def log_recognition_gradient(self, x: Any, z: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i d log q(z_i | x_i)/dphi for any signed weights [n]; zero for the decoder."""
        return self._at(x, z).log_recognition_gradient(_rows(x, weights), out)

    def _at(self, x: Any, z: Any) -> Paths:
        q = self.recognition(x)
        return self.paths(x, ((z - q.mean) / q.deviation)[None])

    # Bounds

    def elbo(self, x: Any, rng: Any = None, n_samples: int = 1) -> Any:
        """The lower bound E_q[log p(x | z)] - KL on log p(x), [n], nats: an unbiased estimate of it.

        Parameters
        ----------
        x : array [n, n_visible]
        rng : Generator or int
        n_samples : int
            Draws a row for the first term; the second is exact.

        Raises
        ------
        IntractableError
            Without ``rng``: the expectation over a net has no closed form.
        """
        if rng is None:
            raise IntractableError("the expectation over codes is sampled: pass rng=, a seed or a Generator")
        x = self.check_data(x)
        rng, total = self.generator(rng), 0.0
        for _ in range(count("n_samples", n_samples)):
            total = total + self.draw(x, 1, rng).log_likelihood[0].astype("float64")
        return total / n_samples - self.kl(x)


def _rows(x: Any, weights: Any) -> Any:
    """Weights [1, n], ones by default."""
    return get_xp(x).ones((1, x.shape[0]), dtype=x.dtype) if weights is None else weights[None]
