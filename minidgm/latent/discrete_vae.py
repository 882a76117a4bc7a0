r"""Variational autoencoder with discrete codes: bits, or one-hot groups (Jang, Gu & Poole 2017).

    p(z) = exp(z . b - cgf(b)),      p(x | z): a likelihood whose parameters are decoder(z)
    q(z | x) = exp(z . a - cgf(a)),  a = encoder(x)

with cgf(a) = sum_j log(1 + e^a_j) for bits, sum_g log sum_j e^a_gj for groups: both factorize, hence

    log p(x) >= E_q[log p(x | z)] - KL(q(z | x), p(z)),      KL = (a - b) . m - cgf(a) + cgf(b),   m = E_q[z].

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | rows; images are reshaped inside the nets |
| z | [n, n_latent] | codes: bits, or groups of k neighboring columns, one of them 1 |
| a, m | [n, n_latent] | fields and means of the codes given x |
| b | [n_latent] | the prior's fields, "prior/b"; 0 at first, where all codes are as likely |
| encoder/..., decoder/... | | parameters of the nets, by layer: "encoder/0/W" |

No path leads through a draw of z. Its score d log q/da = z - m is weighed by `Reinforce`, `Vimco` and
`ReweightedWakeSleep`; or the decoder's slope between the codes is used by `GumbelSoftmax`, `StraightThrough`
and `Rebar`. Both reach the encoder as one number a field: sum_i d_i . da_i/dtheta. The codes of a row can be
listed while they are few: then log p(x) and the bound are exact. Derivations: docs/models/discrete_vae.rst.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.units import Softmax, from_name
from minidgm.latent import nets
from minidgm.latent.code_draws import CodeDraws, CodeGradients
from minidgm.latent.directed import DirectedModel
from minidgm.latent.likelihoods import likelihood as as_likelihood
from minidgm.latent.pathwise import clear
from minidgm.nn.network import Scope

N_LATENT = 32


class DiscreteVAE(CodeGradients, DirectedModel):
    """Variational autoencoder whose code is bits or one-hot groups.

    Parameters
    ----------
    encoder, decoder : list of layers, or Network
        As `minidgm.nn.declare` takes them: ``[("dense", 200), "tanh", ("dense", n_latent)]``, without layers
        that know training. `minidgm.latent.nets` declares the usual pairs: ``codes=1``.
    n_latent : int
        Columns of a code: bits, or a multiple of the states of a group.
    latent : str or Unit
        "bernoulli", or "softmax(k)" for groups of k states. "spin" and "pooled(k)" are taken too, by the
        objectives that weigh scores.
    likelihood : {"bernoulli", "gaussian", "categorical", "discretized_logistic"}
        What the decoder's output means: see `minidgm.latent.likelihoods`.
    variance : float, optional
        Of a Gaussian likelihood whose decoder puts out means only.
    n_classes, levels : int, optional
        Of a categorical and of a discretized logistic likelihood.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Raises
    ------
    ValueError
        When the shapes of encoder and decoder do not meet (prints both tables), codes do not divide into
        groups, or a layer draws or averages in training.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import Generator
    >>> vae = DiscreteVAE([("dense", 6)], [("dense", 4)], 6, "softmax(3)", seed=0)
    >>> vae.n_visible, vae.recognition(np.eye(4)).sample(Generator(0)).sum(axis=1).tolist()
    (4, [2.0, 2.0, 2.0, 2.0])
    >>> bool((vae.elbo(np.eye(4)) < vae.log_prob(np.eye(4))).all())
    True
    """

    equations: Mapping[str, str] = {
        "joint": "p(x, z) = exp(z . b - cgf(b)) p(x | decoder(z))",
        "recognition": "q(z | x) = exp(z . a - cgf(a)), a = encoder(x)",
        "KL": "KL(q, p) = (a - b) . m - cgf(a) + cgf(b), m = E_q[z]",
        "elbo": "log p(x) >= E_q[log p(x | z)] - KL(q, p)",
        "score": "d log q / da = z - m",
        "relaxed": "y = softmax((a + g) / tau), g Gumbel; bits: sigmoid, g logistic",
    }
    reference = (
        "Jang, Gu and Poole (2017), Categorical reparameterization with Gumbel-softmax; Maddison, Mnih and "
        "Teh (2017); Mnih and Gregor (2014); Goodfellow, Bengio and Courville (2016), Deep Learning, 20.9.1"
    )

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        n_latent: int,
        latent: Any = "bernoulli",
        likelihood: Any = "bernoulli",
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
        self.visible, self.latent = self.likelihood.visible, from_name(latent)
        self.n_latent = count("n_latent", n_latent)
        self.latent.check_width(self.n_latent, "latent")
        if math.isinf(self.latent.n_states(1)):
            raise ValueError(f"latent={self.latent.name!r} is no discrete code; use a VAE, or 'bernoulli'")
        wanted = f"the {self.likelihood.name} likelihood"
        made = nets.decoder_of(decoder, self.n_latent, self.likelihood.outputs, wanted)
        self.decoder, self.n_visible = made
        if self.visible is not None:
            self.visible.check_width(self.n_visible, "visible")
        wanted = f"a field for each of n_latent={self.n_latent} columns"
        self.encoder = nets.encoder_of(encoder, self.n_visible, self.n_latent, wanted, self.decoder)
        both = {"encoder": self.encoder, "decoder": self.decoder}
        for name, net in both.items():
            if "BatchNorm" in repr(net) or "Dropout" in repr(net):
                raise ValueError(f"the {name} has layers that know training, which draws do not\n{net}")
        more = {"prior/b": (self.n_latent,)}
        self.params = nets.coder_params(both, self.backend, self.dtype, seed, more)
        if self.likelihood.outputs > 1:  # log-variances of -700 are beyond any float
            self.parameter_bounds = {name: (-2.0, 2.0) for name in self.params if name.startswith("decoder")}

    def config(self) -> dict[str, Any]:
        return {
            "encoder": nets.plain(self.encoder),
            "decoder": nets.plain(self.decoder),
            "n_latent": self.n_latent,
            "latent": self.latent.name,
            "likelihood": self.likelihood.name,
            **self.likelihood.options(),
        }

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> DiscreteVAE:
        """Two bits (or two columns of another kind); two bits or a group of codes, as ``like`` has them."""
        family = as_likelihood("bernoulli", {}) if like is None else like.likelihood
        more = dict(family.options())
        if family.name == "categorical":
            more["n_classes"] = min(more["n_classes"], 3)
        width = more.get("n_classes", 2)
        unit = from_name("bernoulli") if like is None else like.latent
        name, n_latent = (f"softmax({min(unit.k, 3)})", min(unit.k, 3)) if unit.k > 1 else (unit.name, 2)
        encoder, decoder = nets.dense(width, n_latent, [2], codes=1, outputs=family.outputs)
        return cls(encoder, decoder, n_latent, name, family.name, **more, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Dense nets as wide as the data call for, 32 bits or 8 groups; Bernoulli for rows in [0, 1]."""
        unit = from_name(given.get("latent", "bernoulli"))
        n_latent = N_LATENT if unit.k == 1 else 8 * unit.k
        return nets.dense_for(data, {"n_latent": n_latent, **given}, codes=1)

    def default_objective(self) -> Any:
        """Gumbel-softmax cooled from 1 to 0.5 for bits and one-hot groups; REINFORCE, leave-one-out, else."""
        from minidgm.objectives import GumbelSoftmax, Reinforce

        relaxed = self.latent.name == "bernoulli" or isinstance(self.latent, Softmax)
        return GumbelSoftmax(1.0, lowest=0.5, decay=1e-4) if relaxed else Reinforce("leave_one_out", 4)

    def begin(self, X: Any) -> None:
        """Refuse columns without variance under a Gaussian likelihood that would learn one of 0."""
        self.likelihood.begin(X)

    # Densities

    def latent_field(self, x: Any) -> Any:
        """Fields a of q(z | x), [n, n_latent]."""
        return self.encoder.forward(Scope(self.params, "encoder/"), x)[0]

    def recognition(self, x: Any) -> Any:
        """q(z | x), factorial: with mean, mode, sample(rng), log_prob(z), entropy()."""
        return self.latent.distribution(self.latent_field(x))

    def prior(self) -> Any:
        """p(z), one row, factorial."""
        return self.latent.distribution(self.params["prior/b"][None, :])

    def visible_given_latent(self, z: Any) -> Any:
        """p(x | z), with mean, sample(rng), log_prob(x)."""
        return self.likelihood.distribution(self.decoder.forward(Scope(self.params, "decoder/"), z)[0])

    def log_prior(self, z: Any) -> Any:
        """log p(z) = z . b - cgf(b), [n], nats; between the codes the same line."""
        b = self.params["prior/b"]
        return z @ b - get_xp(b).sum(self.latent.cgf(b[None, :]))

    def log_joint(self, x: Any, z: Any) -> Any:
        """log p(x, z), [n], exact, nats; traceable, also between the codes."""
        a = self.decoder.forward(Scope(self.params, "decoder/"), z)[0]
        return self.likelihood.log_prob(a, x) + self.log_prior(z)

    def log_recognition(self, x: Any, z: Any) -> Any:
        """log q(z | x) = z . a - cgf(a), [n], exact, nats; traceable."""
        a = self.latent_field(x)
        return get_xp(a).sum(z * a, axis=-1) - get_xp(a).sum(self.latent.cgf(a), axis=-1)

    def kl(self, x: Any) -> Any:
        """KL(q(z | x), p(z)) = (a - b) . m - cgf(a) + cgf(b), [n], exact, nats; traceable."""
        a, b = self.latent_field(x), self.params["prior/b"]
        xp = get_xp(a, b)
        apart = xp.sum((a - b) * self.latent.mean(a), axis=-1) - xp.sum(self.latent.cgf(a), axis=-1)
        return apart + xp.sum(self.latent.cgf(b[None, :]))

    def elbo(self, x: Any, rng: Any = None, n_samples: int = 1) -> Any:
        """The lower bound E_q[log p(x | z)] - KL on log p(x), [n], nats.

        Without ``rng`` the codes are enumerated: exact. With it the first term is the mean over ``n_samples``
        draws a row, an unbiased estimate; the second is exact either way.
        """
        if rng is None:
            return super().elbo(x)
        x, rng, total = self.check_data(x), self.generator(rng), 0.0
        for _ in range(count("n_samples", n_samples)):
            z = self.recognition(x).sample(rng)
            total = total + self.visible_given_latent(z).log_prob(x).astype("float64")
        return total / n_samples - self.kl(x)

    # Sampling

    def dream(self, n: int, rng: Generator | int | None = None) -> tuple[Any, Any]:
        """Draw (x, z) from p(x, z), exactly: z from the prior, then x ~ p(x | z)."""
        rng, b = self.generator(rng), self.params["prior/b"]
        z = self.latent.distribution(self.xp.tile(b, (count("n", n, 0), 1))).sample(rng)
        return self.visible_given_latent(z).sample(rng), z

    def reconstruct(self, x: Any) -> Any:
        """Mean of p(x | z) at the most probable code of each row, [n, n_visible]."""
        return self.visible_given_latent(self.recognition(self.check_data(x)).mode).mean

    def draw(self, x: Any, k: int, rng: Generator, scratch: Any = None) -> CodeDraws:
        """``k`` draws z ~ q(z | x) a row, with their densities and weighted gradients: see `CodeDraws`."""
        return CodeDraws(self, x, k, rng)

    # Gradients: two backward passes, from which `CodeGradients` makes all the others

    def log_joint_back(self, x: Any, z: Any) -> tuple[Any, Any]:
        """log p(x, z) [n], and ``backward(weights, out)``: see `_joint_backward`."""
        a, cache = self.decoder.forward(Scope(self.params, "decoder/"), z)
        log_p, loss = self.likelihood.forward(a, x)
        return log_p + self.log_prior(z), partial(self._joint_backward, z, cache, loss)

    def _joint_backward(
        self, z: Any, cache: Any, loss: Any, weights: Any, out: Any = None, slopes: bool = False
    ) -> tuple[Any, Any]:
        """sum_i w_i d log p(x_i, z_i)/dtheta, and its derivative in z if ``slopes``.

        With s = d log p(x | z)/dz from the decoder's backward pass, z gets w (s + b); the prior's fields get
        sum_i w_i (z_i - m) with the means m = cgf'(b) of the prior.
        """
        out = self.zero_gradient() if out is None else out
        da, decoder = self.likelihood.backward(weights, loss), Scope(out, "decoder/")
        d = None
        if slopes:
            d = self.decoder.backward(da, cache, decoder)[0] + weights[:, None] * self.params["prior/b"]
        else:
            self.decoder.parameter_gradients(da, cache, decoder)
        out["prior/b"][...] = weights @ (z - self.prior().mean)
        return clear(out, "encoder/"), d

    def latent_field_back(self, x: Any) -> tuple[Any, Any]:
        """Fields a of q(z | x), and ``backward(d, out)``: sum_i d_i . da_i/dtheta for d [n, n_latent]."""
        a, cache = self.encoder.forward(Scope(self.params, "encoder/"), x)

        def backward(d: Any, out: Any = None) -> Any:
            out = self.zero_gradient() if out is None else out
            self.encoder.parameter_gradients(d, cache, Scope(out, "encoder/"))
            return clear(out, "decoder/", "prior/")

        return a, backward
