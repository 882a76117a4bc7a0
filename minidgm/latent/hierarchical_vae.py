r"""Variational autoencoder with several layers of Gaussian codes: a deep latent Gaussian model (Rezende,
Mohamed & Wierstra 2014) with a recognition model from the bottom up (Burda, Grosse & Salakhutdinov 2016).

    p(z_L) = N(0, I),    p(z_l | z_(l+1)) = N(m, diag e^v), [m, v] = decoder_(l+1)(z_(l+1)),
    p(x | z_1): a likelihood whose parameters are decoder_1(z_1)
    q(z_l | z_(l-1)) = N(mu, diag e^s), [mu, s] = encoder_l(z_(l-1)),    z_0 = x

    log p(x) >= E_q[log p(x | z_1) + sum_(l<L) log p(z_l | z_(l+1)) / q(z_l | z_(l-1)) - KL_L(z_(L-1))]
    KL_L = KL(q(z_L | z_(L-1)), N(0, I)),  in closed form; the layers below it are sampled

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | rows |
| z | [n, n_latent] | codes z_1 ... z_L side by side, z_l of n_codes[l - 1] columns |
| encoder/l/..., decoder/l/... | | parameters of the nets between z_(l-1) and z_l: "encoder/2/0/W" |

A draw climbs: z_l = mu(z_(l-1)) + e^(s/2) eps_l, so that noise alone decides it and gradients pass through
all layers at once: `minidgm.latent.hierarchical_paths`. One layer is `VAE`. Derivation:
docs/models/hierarchical_vae.rst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator
from minidgm.errors import DataError, IntractableError
from minidgm.latent import nets
from minidgm.latent.gaussian import DiagonalNormal, log_standard_normal
from minidgm.latent.hierarchical_paths import HierarchicalPaths
from minidgm.latent.hierarchical_recognition import BottomUp
from minidgm.latent.hierarchical_walks import HierarchicalWalks
from minidgm.latent.likelihoods import likelihood_for
from minidgm.latent.vae import VAE
from minidgm.nn import Network
from minidgm.nn.network import Scope

N_CODES = (20, 10)


class HierarchicalVAE(HierarchicalWalks, VAE):
    """Variational autoencoder with L layers of codes.

    Parameters
    ----------
    encoders, decoders : list of L nets
        Each a list of layers, or a Network, from the data upward: ``encoders[l]`` takes z_l (x for l = 0) and
        puts out means, then log-variances, of z_(l+1); ``decoders[l]`` the other way about, ``decoders[0]``
        what the likelihood needs. `minidgm.latent.nets.layered` declares the usual ones.
    n_codes : sequence of int
        Codes of each layer, from the data upward.
    likelihood, beta, variance, n_classes, levels, backend, dtype, seed
        As for `VAE`; ``beta`` weighs log q(z | x) / p(z).

    Raises
    ------
    ValueError
        When the shapes of two nets do not meet: prints their tables.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm.latent import nets
    >>> vae = HierarchicalVAE(*nets.layered(6, (3, 2), [(8,), (4,)]), (3, 2), seed=0)
    >>> vae.n_visible, vae.n_latent, vae.transform(np.eye(6)).shape
    (6, 5, (6, 5))
    >>> bool((vae.elbo(np.eye(6), rng=0, n_samples=500) < vae.log_prob_estimate(np.eye(6), 0, 500)).all())
    True
    """

    equations: Mapping[str, str] = {
        "joint": "p(x, z) = p(x | z_1) p(z_1 | z_2) ... p(z_(L-1) | z_L) N(z_L; 0, I)",
        "recognition": "q(z | x) = q(z_1 | x) q(z_2 | z_1) ... q(z_L | z_(L-1))",
        "path": "z_l = mu(z_(l-1)) + e^(s/2) eps_l, eps ~ N(0, I)",
        "elbo": "log p(x) >= E_eps[log p(x | z_1) + sum_(l<L) log p / q (z_l) - KL_L(z_(L-1))]",
        "importance": "log p(x) >= E log 1/K sum_k p(x, z_k) / q(z_k | x), to it as K grows",
    }
    reference = (
        "Rezende, Mohamed and Wierstra (2014), Stochastic backpropagation and approximate inference in deep "
        "generative models; Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders"
    )

    def __init__(
        self,
        encoders: Sequence[Any],
        decoders: Sequence[Any],
        n_codes: Sequence[int],
        likelihood: Any = "bernoulli",
        beta: float = 1.0,
        **options: Any,
    ):
        self.n_codes = _counts(n_codes)
        if not self.n_codes or not len(encoders) == len(decoders) == len(self.n_codes):
            raise ValueError(
                f"{len(encoders)} encoders, {len(decoders)} decoders and n_codes={self.n_codes}; expected "
                "one of each for every layer of codes, at least one layer"
            )
        self.depth = len(self.n_codes)
        self.intractable = ("log_prob",) if self.depth == 1 else ("log_prob", "kl")
        super().__init__(encoders, decoders, sum(self.n_codes), likelihood, beta, **options)

    def _build(self, encoders: Any, decoders: Any) -> None:
        self.encoders: list[Network] = []
        self.decoders: list[Network] = []
        for layer, (up, down) in enumerate(zip(encoders, decoders, strict=True), 1):
            try:
                self._build_layer(layer, up, down)
            except ValueError as error:
                raise ValueError(f"layer {layer}: {error}") from None

    def _build_layer(self, layer: int, up: Any, down: Any) -> None:
        """Append the nets between z_(l-1) and z_l, whose shapes must meet each other and the layer below."""
        n, pairs = self.n_codes[layer - 1], "a mean and a log-variance"
        outputs, wanted = (2, pairs) if layer > 1 else (self.likelihood.outputs, self.likelihood.name)
        decoder, made = nets.decoder_of(down, n, outputs, wanted)
        if layer == 1:
            self.n_visible = made
        elif made != self.n_codes[layer - 2]:
            raise ValueError(
                f"the decoder puts out {2 * made} numbers; expected {pairs} for each of the "
                f"{self.n_codes[layer - 2]} codes below\n{decoder}\n\nthe decoder below\n{self.decoders[-1]}"
            )
        wanted = f"{pairs} for each of n_codes[{layer - 1}]={n} codes"
        self.encoders.append(nets.encoder_of(up, made, 2 * n, wanted, decoder))
        self.decoders.append(decoder)

    def _nets(self) -> dict[str, Any]:
        up = {f"encoder/{layer}": net for layer, net in enumerate(self.encoders, 1)}
        return up | {f"decoder/{layer}": net for layer, net in enumerate(self.decoders, 1)}

    def config(self) -> dict[str, Any]:
        return {
            "encoders": [nets.plain(net) for net in self.encoders],
            "decoders": [nets.plain(net) for net in self.decoders],
            "n_codes": list(self.n_codes),
            "likelihood": self.likelihood.name,
            "beta": self.beta,
            **self.likelihood.options(),
        }

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> HierarchicalVAE:
        """As for `VAE`, with the layers of ``like``: two codes in the first, one in each of the others."""
        flat, depth = VAE.small(like), 2 if like is None else like.depth
        n_codes = (2,) + (1,) * (depth - 1)
        family = flat.likelihood
        up, down = nets.layered(flat.n_visible, n_codes, [(3,)] * depth, outputs=family.outputs)
        return cls(up, down, n_codes, family.name, flat.beta, **family.options(), **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Dense nets as for `VAE`, those between codes twice as wide as the codes below."""
        width, family = int(data.train.shape[1]), likelihood_for(data.train, given)
        known = {"n_codes": N_CODES, "likelihood": family.name, **given}
        n_codes = _counts(known["n_codes"])
        hidden = [(max(16, min(400, 4 * width)),), *((2 * n,) for n in n_codes[:-1])]
        encoders, decoders = nets.layered(width, n_codes, hidden, outputs=family.outputs)
        known = {"encoders": encoders, "decoders": decoders, **known}
        made = nets.decoder_of(known["decoders"][0], n_codes[0], family.outputs, family.name)[1]
        if made != width:
            raise DataError(f"the decoders make rows of {made} columns, those of {data.name} have {width}")
        return known

    @property
    def layers(self) -> range:
        """1 ... L."""
        return range(1, self.depth + 1)

    def split(self, z: Any) -> list[Any]:
        """Codes [..., n_latent] as z_1 ... z_L, views."""
        ends = [sum(self.n_codes[:layer]) for layer in range(self.depth + 1)]
        return [z[..., ends[i] : ends[i + 1]] for i in range(self.depth)]

    # Nets

    def up(self, layer: int, below: Any, **options: Any) -> tuple[DiagonalNormal, Any]:
        """q(z_l | z_(l-1)), z_0 = x, and the encoder's cache; traceable."""
        scope = Scope(self.params, f"encoder/{layer}/")
        code, cache = self.encoders[layer - 1].forward(scope, below, **options)
        n = self.n_codes[layer - 1]
        return DiagonalNormal(code[:, :n], code[:, n:]), cache

    def down(self, layer: int, above: Any, **options: Any) -> tuple[DiagonalNormal, Any]:
        """p(z_(l-1) | z_l) for a layer l > 1, and the decoder's cache; traceable."""
        scope = Scope(self.params, f"decoder/{layer}/")
        code, cache = self.decoders[layer - 1].forward(scope, above, **options)
        n = self.n_codes[layer - 2]
        return DiagonalNormal(code[:, :n], code[:, n:]), cache

    def encode(self, x: Any, **options: Any) -> tuple[DiagonalNormal, Any]:
        """q(z_1 | x), and the first encoder's cache."""
        return self.up(1, x, **options)

    def decode(self, z: Any, x: Any = None, **options: Any) -> tuple[Any, Any]:
        """The first decoder's output a [n, outputs] at codes whose first columns are z_1, and its cache."""
        return self.decoders[0].forward(
            Scope(self.params, "decoder/1/"), z[:, : self.n_codes[0]], **options
        )

    def decode_backward(self, da: Any, cache: Any, out: Any) -> Any:
        """Gradient in z_1 from that in a; those of the first decoder's parameters go into ``out``."""
        return self.decoders[0].backward(da, cache, Scope(out, "decoder/1/"))[0]

    # Densities

    def recognition(self, x: Any) -> Any:
        """q(z | x), with mean, sample(rng), log_prob(z)."""
        return BottomUp(self, x)

    posterior = recognition

    def prior(self, n: int = 1) -> DiagonalNormal:
        """p(z_L) = N(0, I), for n rows."""
        zeros = self.xp.zeros((n, self.n_codes[-1]), dtype=self.dtype)
        return DiagonalNormal(zeros, zeros)

    def log_prior(self, z: Any) -> Any:
        """log p(z) = sum_l log p(z_l | z_(l+1)) + log N(z_L; 0, I), [n], exact, nats; traceable."""
        codes = self.split(z)
        given = [self.down(layer, codes[layer - 1])[0] for layer in self.layers[1:]]
        lower = (p.log_prob(z) for p, z in zip(given, codes, strict=False))
        return sum(lower, start=log_standard_normal(codes[-1]))

    def log_joint(self, x: Any, z: Any) -> Any:
        """log p(x, z) = log p(x | z_1) + log p(z), [n], exact, nats; traceable."""
        return self.likelihood.log_prob(self.decode(z, x)[0], self.target(x)) + self.log_prior(z)

    def divergence(self, x: Any, z: Any) -> Any:
        """log q(z | x) - log p(z) with its mean over z_L, given the codes below, in its place, [n], nats.

        That mean, of log q(z_L | z_(L-1)) - log N(z_L; 0, I), is KL_L. What is left depends on z_L by
        log p(z_(L-1) | z_L) alone.
        """
        codes = self.split(z)
        highest = self.up(self.depth, codes[-2] if self.depth > 1 else x)[0]
        sampled = self.log_recognition(x, z) - self.log_prior(z)
        return sampled - highest.log_prob(codes[-1]) + log_standard_normal(codes[-1]) + highest.kl()

    def kl(self, x: Any) -> Any:
        """KL(q(z | x), p(z)), [n], exact for one layer, nats; traceable.

        Raises
        ------
        IntractableError
            For more: the mean over the codes between two nets has no closed form.
        """
        if self.depth == 1:
            return self.encode(x)[0].kl()
        raise IntractableError(
            f"KL(q, p) of {self.depth} layers is a mean over codes that nets take on, without a closed form; "
            "average divergence(x, z) over draws z of recognition(x), or use elbo(x, rng)"
        )

    # Sampling

    def dream(self, n: int, rng: Generator | int | None = None) -> tuple[Any, Any]:
        """Draw (x, z): z_L ~ N(0, I), then each layer given the one above, then x ~ p(x | z_1)."""
        rng = self.generator(rng)
        codes = self.split(rng.normal((count("n", n, 0), self.n_latent), dtype=self.dtype))
        for layer in reversed(self.layers[1:]):
            codes[layer - 2] = self.down(layer, codes[layer - 1])[0].at(codes[layer - 2])
        z = self.xp.concatenate(codes, axis=1)
        return self.visible_given_latent(z).sample(rng), z

    # Gradients: `log_joint_gradient`, `log_recognition_gradient` and `path_gradient` are those of `VAE`

    def paths(self, x: Any, noise: Any, training: bool = False, rng: Any = None) -> Any:
        """Codes that noise [k, n, n_latent] makes, layer by layer, and all that depends on them."""
        return HierarchicalPaths(self, x, noise, training, rng)

    def _at(self, x: Any, z: Any) -> Any:
        return self.paths(x, self.recognition(x).noise(z)[None])

    # Bounds

    def elbo(self, x: Any, rng: Any = None, n_samples: int = 1) -> Any:
        """The lower bound on log p(x), [n], nats: an unbiased estimate of it.

        Parameters
        ----------
        x : array [n, n_visible]
        rng : Generator or int
        n_samples : int
            Draws a row of all terms but KL_L, which is exact given the codes below.

        Raises
        ------
        IntractableError
            Without ``rng``: the expectation over nets has no closed form.
        """
        if rng is None:
            raise IntractableError("the expectation over codes is sampled: pass rng=, a seed or a Generator")
        x = self.check_data(x)
        rng, total = self.generator(rng), 0.0
        for _ in range(count("n_samples", n_samples)):
            drawn = self.draw(x, 1, rng)
            bound = drawn.log_likelihood[0] - drawn.kl_terms().sum(axis=1)
            total = total + bound.astype("float64")
        return total / n_samples


def _counts(n_codes: Any) -> tuple[int, ...]:
    """Codes of each layer."""
    if not hasattr(n_codes, "__len__") or isinstance(n_codes, str):
        raise TypeError(f"n_codes={n_codes!r}; expected a number for each layer, such as {N_CODES}")
    return tuple(count(f"n_codes[{i}]", n) for i, n in enumerate(n_codes))
