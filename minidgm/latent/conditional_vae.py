r"""Variational autoencoder given labels (Kingma et al. 2014, model M2, with labels; Sohn, Lee & Yan 2015).

    p(x | y) = E_{z ~ N(0, I)} p(x | decoder(z, y)),    q(z | x, y) = N(mu, diag e^l), [mu, l] = encoder(x, y)

    log p(x | y) >= E_q[log p(x | z, y)] - KL(q(z | x, y), p(z))

| symbol | shape | meaning |
|---|---|---|
| row | [n, n_visible + n_labels] | x, and y beside it, one-hot |
| z | [n, n_latent] | codes: what is left to say about x once y is said |

The label joins the input of both nets. All of `VAE` holds with rows in the place of x: its densities are of
x given y. One code decoded with every label shows one hand writing every digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, asarray, get_backend, get_xp
from minidgm.boltzmann.joined import Joined
from minidgm.boltzmann.units import Softmax
from minidgm.errors import DataError
from minidgm.latent import nets
from minidgm.latent.likelihoods import likelihood_for, repeated
from minidgm.latent.vae import N_LATENT, VAE
from minidgm.training.labels import label_beside, one_hot, read_labels


class ConditionalVAE(VAE):
    """VAE of x given a label.

    Parameters
    ----------
    encoder : list of layers, or Network
        Of rows [x | y], n_visible + n_labels numbers, to 2 n_latent.
    decoder : list of layers, or Network
        Of rows [z | y], n_latent + n_labels numbers.
    n_latent, n_labels : int
    likelihood, beta, variance, n_classes, levels, backend, dtype, seed
        As for `VAE`.

    Examples
    --------
    >>> import numpy as np
    >>> vae = ConditionalVAE([("dense", 4)], [("dense", 6)], 2, 3, seed=0)
    >>> rows = np.concatenate([np.eye(6)[:2], np.eye(3)[:2]], axis=1)
    >>> vae.elbo(rows, rng=0).shape, vae.sample(2, 0, y=[0, 2]).shape
    ((2,), (2, 9))
    """

    equations: Mapping[str, str] = {
        "joint": "p(x, z | y) = N(z; 0, I) p(x | decoder(z, y))",
        "recognition": "q(z | x, y) = N(mu, diag e^l), [mu, l] = encoder(x, y)",
        "elbo": "log p(x | y) >= E_eps[log p(x | z, y)] - KL(q, p)",
    }
    reference = "Kingma, Rezende, Mohamed and Welling (2014); Sohn, Lee and Yan (2015)"

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        n_latent: int,
        n_labels: int,
        likelihood: Any = "bernoulli",
        beta: float = 1.0,
        **options: Any,
    ):
        self.n_labels = count("n_labels", n_labels, 2)
        super().__init__(encoder, decoder, n_latent, likelihood, beta, **options)

    def _build(self, encoder: Any, decoder: Any) -> None:
        n, wanted = self.n_labels, f"the {self.likelihood.name} likelihood"
        self.decoder, self.n_visible = nets.decoder_of(
            decoder, self.n_latent + n, self.likelihood.outputs, wanted
        )
        wanted = f"a mean and a log-variance for each of n_latent={self.n_latent} codes"
        self.encoder = nets.encoder_of(encoder, self.n_visible + n, 2 * self.n_latent, wanted, self.decoder)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "n_labels": self.n_labels}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> ConditionalVAE:
        """Two bits, two codes, two labels."""
        encoder, decoder = nets.dense(2, 2, [3])
        return cls(encoder, decoder, 2, 2, beta=1.0 if like is None else like.beta, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """As for `VAE`, and as many labels as the training rows have."""
        if data.train_labels is None:
            raise DataError(f"{data.name} has no labels; use VAE")
        known = {"n_latent": N_LATENT, "n_labels": int(data.train_labels.max()) + 1, **given}
        width, family = int(data.train.shape[1]), likelihood_for(data.train, known)
        hidden = [max(16, min(400, 4 * width))]
        encoder, decoder = nets.dense(width, known["n_latent"], hidden, outputs=family.outputs)
        return {"encoder": encoder, "decoder": decoder, "likelihood": family.name, **known}

    @property
    def n_columns(self) -> int:
        """Columns of a row [x | y]."""
        return self.n_visible + self.n_labels

    def visible_states(self) -> Any:
        """Every row [x | y] of bits or one-hot groups: for exact checks of small models."""
        unit = Joined([self.visible, Softmax(self.n_labels)], [self.n_visible, self.n_labels])
        return unit.states(self.n_columns, xp=self.xp)

    def prepare(self, data: Any) -> Any:
        """The data set with rows [x | y]."""
        return label_beside(data, self.n_labels, type(self).__name__)

    def check_data(self, x: Any, what: str = "x") -> Any:
        """Return rows [x | y] on this model's device, or raise `DataError`."""
        if get_backend(x) == "autograd":
            return x
        x = self.check_matrix(x, self.n_columns, what)
        self.likelihood.check(x[:, : self.n_visible], what)
        Softmax(self.n_labels).check(x[:, self.n_visible :], f"the labels of {what}")
        return x

    def begin(self, X: Any) -> None:
        """As for `VAE`, of the columns of x."""
        super().begin(X[:, : self.n_visible])

    def target(self, x: Any) -> Any:
        """x of a row [x | y]."""
        return x[:, : self.n_visible]

    def decode(self, z: Any, x: Any = None, **options: Any) -> tuple[Any, Any]:
        """The decoder's output at codes z and the labels of rows ``x``, k codes a row, and its cache."""
        y = repeated(x[:, self.n_visible :], z.shape[0])
        return super().decode(get_xp(z, y).concatenate([z, y], axis=1), **options)

    def decode_backward(self, da: Any, cache: Any, out: Any) -> Any:
        """Gradient in z: that in the decoder's input, without the label's part."""
        return super().decode_backward(da, cache, out)[:, : self.n_latent]

    def visible_given_latent(self, z: Any, y: Any = None) -> Any:
        """p(x | z, y), for labels ``y``: numbers [n], or one-hot rows [n, n_labels]."""
        if y is None:
            raise ValueError("p(x | z, y) needs labels: pass y=, one for each code")
        y = self._one_hot(y, z.shape[0])
        return self.likelihood.distribution(super().decode(self.xp.concatenate([z, y], axis=1))[0])

    def _one_hot(self, y: Any, n: int) -> Any:
        if getattr(y, "ndim", 1) == 2:
            return y
        known = read_labels(y, n, self.n_labels, what="y")
        return asarray(one_hot(known, self.n_labels), self.backend, self.dtype)

    def dream(self, n: int, rng: Generator | int | None = None, y: Any = None) -> tuple[Any, Any]:
        """Draw (rows [x | y], z) for labels ``y`` [n], by default drawn uniformly."""
        rng = self.generator(rng)
        if y is None:
            y = rng.categorical(self.xp.zeros((n, self.n_labels), dtype=self.dtype))
        y = self._one_hot(y, n)
        z = rng.normal((n, self.n_latent), dtype=self.dtype)
        x = self.visible_given_latent(z, y).sample(rng)
        return self.xp.concatenate([x, y], axis=1), z

    def sample(self, n: int, rng: Generator | int | None = None, y: Any = None) -> Any:
        """Draw rows [x | y], [n, n_columns], for labels ``y`` [n], by default drawn uniformly."""
        return self.dream(n, rng, y)[0]

    def reconstruct(self, x: Any, y: Any = None) -> Any:
        """Rows [means | y] of p(x | z, y) at the codes of rows [x | y]; with other labels if given."""
        x = self.check_data(x)
        y = x[:, self.n_visible :] if y is None else self._one_hot(y, x.shape[0])
        means = self.visible_given_latent(self.transform(x), y).mean
        return self.xp.concatenate([means, y], axis=1)
