r"""Autoencoder: a code that the data pass through (Deep Learning, chapter 14).

    h = encoder(x),      loss(x) = -log p(x | decoder(h)):   |x - x^|^2 / 2 and a constant, or cross entropy

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | rows; images are reshaped inside the nets |
| h | [n, n_latent] | codes |
| encoder/..., decoder/... | | parameters of the nets, by layer: "encoder/0/W" |

Undercomplete, n_latent < n_visible, the code must choose. Overcomplete, something else must keep it from
copying (14.2): noise on what it sees (denoising), a cost on active codes (sparse, |h|_1), or on a code that
moves with x (contractive, |dh/dx|^2). These are the objective's: `minidgm.objectives.Reconstruction`.

Linear, with squared error, the best code spans the first principal components: the error is at least half the
sum of the n_visible - n_latent smallest eigenvalues of the data's covariance (Baldi & Hornik 1989, fact 4),
and `principal_components` is where it is reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_backend, get_xp
from minidgm.latent import nets
from minidgm.latent.likelihoods import likelihood as as_likelihood
from minidgm.latent.walks import Walks
from minidgm.model import Model
from minidgm.nn import Dense, Sigmoid, Tanh
from minidgm.nn.network import Scope

N_LATENT = 10


class Autoencoder(Walks, Model):
    """Encoder, code, decoder.

    Parameters
    ----------
    encoder, decoder : list of layers, or Network
        As for `VAE`; the encoder puts out the n_latent numbers of a code.
    n_latent : int
    likelihood : {"gaussian", "bernoulli", "categorical"}
        Squared error (a Gaussian of variance 1), or cross entropy of logits.
    n_classes : int, optional
        Of a categorical likelihood.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Raises
    ------
    ValueError
        When the shapes of encoder and decoder do not meet: prints both tables.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([3.0, 1.0, 0.0])
    >>> linear = Autoencoder([("dense", 2)], [("dense", 3)], 2, dtype="float64").principal_components(X)
    >>> bool(np.allclose(linear.reconstruct(X), X))
    True
    """

    equations: Mapping[str, str] = {
        "code": "h = encoder(x)",
        "reconstruction": "x^ = mean of p(x | decoder(h))",
        "loss": "-log p(x | decoder(h))",
        "contraction": "|dh/dx|^2 = sum_j f'_j^2 sum_i W_ij^2 of h = f(x W + c)",
    }
    reference = "Goodfellow, Bengio and Courville (2016), Deep Learning, chapter 14; Baldi and Hornik (1989)"

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        n_latent: int,
        likelihood: str = "gaussian",
        *,
        n_classes: int | None = None,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        options = {"variance": 1.0} if likelihood == "gaussian" else {}
        options |= {} if n_classes is None else {"n_classes": n_classes}
        self.likelihood = as_likelihood(likelihood, options)
        self.visible = self.likelihood.visible
        self.n_latent = count("n_latent", n_latent)
        wanted = f"the {self.likelihood.name} likelihood"
        self.decoder, self.n_visible = nets.decoder_of(
            decoder, self.n_latent, self.likelihood.outputs, wanted
        )
        codes = f"the n_latent={self.n_latent} numbers of a code"
        self.encoder = nets.encoder_of(encoder, self.n_visible, self.n_latent, codes, self.decoder)
        both = {"encoder": self.encoder, "decoder": self.decoder}
        self.params = nets.coder_params(both, self.backend, self.dtype, seed)

    def config(self) -> dict[str, Any]:
        more = self.likelihood.options()
        more.pop("variance", None)
        return {
            "encoder": nets.plain(self.encoder),
            "decoder": nets.plain(self.decoder),
            "n_latent": self.n_latent,
            "likelihood": self.likelihood.name,
            **more,
        }

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> Autoencoder:
        """Linear, three columns and two codes; with tanh and the likelihood of ``like``."""
        if like is None or like.linear:
            return cls([("dense", 2)], [("dense", 3)], 2, **options)
        if like.likelihood.name == "categorical":
            options["n_classes"] = 3
        encoder, decoder = nets.dense(3, 2, [3], codes=1)
        last = type(like.encoder.layers[-1]).__name__
        if last in ("Sigmoid", "Tanh"):
            encoder = [("dense", 2), last]
        return cls(encoder, decoder, 2, like.likelihood.name, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Dense nets as wide as the data call for; cross entropy for rows in [0, 1]."""
        width, n_latent = int(data.train.shape[1]), given.get("n_latent", N_LATENT)
        encoder, decoder = nets.dense(width, n_latent, [max(16, min(400, 4 * width))], codes=1)
        unit = data.train.min() >= 0 and data.train.max() <= 1
        found = {"likelihood": "bernoulli" if unit else "gaussian", "n_latent": n_latent}
        return {"encoder": encoder, "decoder": decoder, **found, **given}

    def default_objective(self) -> Any:
        """The plain loss."""
        from minidgm.objectives import Reconstruction

        return Reconstruction()

    def check_data(self, x: Any, what: str = "x") -> Any:
        """Return ``x`` on this model's device, or raise `DataError` for what the likelihood cannot mean."""
        if get_backend(x) == "autograd":
            return x
        x = self.check_matrix(x, self.n_visible, what)
        self.likelihood.check(x, what)
        return x

    @property
    def linear(self) -> bool:
        """Whether both nets are one dense layer and the error is squared."""
        both = [*self.encoder.layers, *self.decoder.layers]
        single = len(both) == 2 and all(isinstance(layer, Dense) and layer.bias for layer in both)
        return single and self.likelihood.name == "gaussian"

    # Code and reconstruction

    def encode(self, x: Any, **options: Any) -> tuple[Any, Any]:
        """Code h [n, n_latent], and the encoder's cache."""
        return self.encoder.forward(Scope(self.params, "encoder/"), x, **options)

    def decode(self, h: Any, **options: Any) -> tuple[Any, Any]:
        """The decoder's output at codes h, and its cache."""
        return self.decoder.forward(Scope(self.params, "decoder/"), h, **options)

    def visible_given_latent(self, z: Any) -> Any:
        """p(x | h), with mean, sample(rng), log_prob(x)."""
        return self.likelihood.distribution(self.decode(z)[0])

    def transform(self, x: Any) -> Any:
        """Codes h, [n, n_latent]."""
        return self.encode(self.check_data(x))[0]

    def reconstruct(self, x: Any) -> Any:
        """Means of p(x | h) at the codes of x, [n, n_visible]."""
        return self.visible_given_latent(self.transform(x)).mean

    def loss(self, x: Any, seen: Any = None) -> Any:
        """-log p(x | h) at the codes of ``seen``, by default of x itself, [n], nats; traceable."""
        h = self.encode(x if seen is None else seen)[0]
        return -self.likelihood.log_prob(self.decode(h)[0], x)

    def contraction(self, x: Any) -> Any:
        """|dh/dx|^2 [n] of a one-layer encoder h = f(x W + c), sigmoid or tanh; traceable.

        Raises
        ------
        TypeError
            For any other encoder.
        """
        W, slope = self.params["encoder/0/W"], self._slope(self.encode(x)[0])[0]
        xp = get_xp(W, slope)
        return xp.sum(slope * slope * xp.sum(W * W, axis=0), axis=1)

    def _slope(self, h: Any) -> tuple[Any, Any]:
        """f' and f'' at a one-layer code h."""
        kinds = [type(layer) for layer in self.encoder.layers]
        if kinds == [Dense, Sigmoid]:
            slope = h * (1.0 - h)
            return slope, slope * (1.0 - 2.0 * h)
        if kinds == [Dense, Tanh]:
            slope = 1.0 - h * h
            return slope, -2.0 * h * slope
        raise TypeError(
            "the contraction |dh/dx|^2 is known for one dense layer and sigmoid or tanh; this encoder is "
            f"{self.encoder!r}: use denoising, whose effect is similar (Alain & Bengio 2013)"
        )

    # Gradients

    def loss_gradient(
        self, x: Any, weights: Any, seen: Any = None, activity: float = 0.0, contraction: float = 0.0,
        out: Any = None, training: bool = False, rng: Any = None,
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        """sum_i w_i d/dtheta (loss(x_i) + activity |h_i|_1 + contraction |dh_i/dx|^2); its terms; the code.

        The decoder's backward pass gives d loss/dh, to which the L1 cost adds its sign; the encoder takes it
        on. For the contraction, with N_j = sum_i W_ij^2, c = sum w f'^2 (over rows) and g = 2 w f' f'' N,

            dW = 2 W diag(c) + x^T g,      dc = 1^T g.

        Returns
        -------
        grads : Parameters
        losses : array [n]
            With both costs.
        h : array [n, n_latent]
        """
        seen = x if seen is None else seen
        out = self.zero_gradient() if out is None else out
        xp, options = get_xp(x), {"training": training, "rng": rng}
        h, encoder_cache = self.encode(seen, **options)
        a, decoder_cache = self.decode(h, **options)
        log_p, cache = self.likelihood.forward(a, x)
        da = self.likelihood.backward(-weights, cache)
        dh = self.decoder.backward(da, decoder_cache, Scope(out, "decoder/"))[0]
        losses = -log_p
        if activity:
            dh = dh + activity * weights[:, None] * xp.sign(h)
            losses = losses + activity * xp.sum(xp.abs(h), axis=1)
        self.encoder.parameter_gradients(dh, encoder_cache, Scope(out, "encoder/"))
        if contraction:
            W, (slope, curve) = self.params["encoder/0/W"], self._slope(h)
            squares = xp.sum(W * W, axis=0)
            g = 2.0 * contraction * weights[:, None] * slope * curve * squares
            c = contraction * (weights @ (slope * slope))
            out["encoder/0/W"] += 2.0 * W * c + seen.T @ g
            if "encoder/0/b" in out:
                out["encoder/0/b"] += g.sum(axis=0)
            losses = losses + contraction * ((slope * slope) @ squares)
        if training:
            self.encoder.update(Scope(self.params, "encoder/"), encoder_cache)
            self.decoder.update(Scope(self.params, "decoder/"), decoder_cache)
        return out, losses, h

    def principal_components(self, X: Any) -> Autoencoder:
        """Set a linear autoencoder to its optimum on ``X`` [n, n_visible]: project on the first components.

        Raises
        ------
        TypeError
            For nets that are not one dense layer each, or another error than the squared one.
        """
        if not self.linear:
            raise TypeError("principal components are the optimum of a linear autoencoder with squared error")
        X, xp = self.check_data(X).astype("float64"), self.xp
        mean = X.mean(axis=0)
        vectors = xp.linalg.eigh((X - mean).T @ (X - mean))[1][:, ::-1][:, : self.n_latent]  # [d, k]
        pad = self.n_latent - vectors.shape[1]
        U = xp.concatenate([vectors, xp.zeros((self.n_visible, pad))], axis=1) if pad > 0 else vectors
        found = {"encoder/0/W": U, "encoder/0/b": -(mean @ U), "decoder/0/W": U.T, "decoder/0/b": mean}
        for name, value in found.items():
            self.params[name][...] = value.astype(self.dtype)
        return self
