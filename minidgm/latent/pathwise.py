r"""Gradients through z = mu(x) + sigma(x) eps: the reparameterization of a Gaussian code, by hand.

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | rows |
| eps, z | [k, n, n_latent] | noise and codes, k a row |
| mu, l | [n, n_latent] | mean and log-variance of q(z given x); sigma = e^(l/2) |
| w | [k, n] | weights, of any sign |

With s = d log p(x | z)/dz from the decoder's backward pass, the chain rule through z gives, for the weighted
sum of log p(x | z) + beta (log p(z) - log q(z | x)),

    d/dmu = sum_k w (s - beta z)                        d/dl = sum_k w ((s - beta z) sigma eps / 2 + beta / 2)

("sampled": on the path log q is -eps^2/2 - l/2 and a constant). With the analytic KL in place of the
sampled one ("analytic"), and W = sum_k w,

    d/dmu = sum_k w s - beta W mu                       d/dl = sum_k w s sigma eps / 2 - beta W (e^l - 1) / 2.

Leaving out the score d log q/d(mu, l) at fixed z, whose expectation is 0 ("path", Roeder et al. 2017), with
d log q/dz = -eps / sigma,

    g = w (s + beta (eps / sigma - z)),                 d/dmu = sum_k g,    d/dl = sum_k g sigma eps / 2.

The encoder's backward pass takes these on to its parameters. (Kingma & Welling 2014, section 2.4 and
appendix B; Rezende, Mohamed & Wierstra 2014, section 4.)
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.errors import unknown
from minidgm.latent.directed import Draws
from minidgm.latent.gaussian import LOG_2PI, log_standard_normal
from minidgm.nn.network import Scope

KL = ("analytic", "sampled", "path")


class Paths(Draws):
    """k codes z = mu + sigma eps for every row, what p and q say about them, and gradients through them.

    Parameters
    ----------
    model : VAE
    x : array [n, n_visible]
    noise : array [k, n, n_latent]
        eps.
    training : bool
        Whether layers that know training (dropout, batch norm) are in it.
    rng : Generator, optional
        For layers that draw in training.

    Attributes
    ----------
    z : array [k, n, n_latent]
    recognition : DiagonalNormal
        q(z | x), [n, n_latent].
    log_likelihood : array [k, n]
        log p(x | z), nats.
    """

    def __init__(self, model: Any, x: Any, noise: Any, training: bool = False, rng: Any = None):
        self.model, self.x, self.noise, self.k = model, x, noise, noise.shape[0]
        n = x.shape[0]
        options = {"training": training, "rng": rng}
        self.recognition, self._encoder = model.encode(x, **options)
        self._spread = self.recognition.deviation * noise
        self.z = self.recognition.mean + self._spread
        self._flat = self.z.reshape(self.k * n, -1)
        a, self._decoder = model.decode(self._flat, x, **options)  # row s n + i is draw s of example i
        log_p, self._loss = model.likelihood.forward(a, model.target(x))
        self.log_likelihood = log_p.reshape(self.k, n)

    @property
    def log_prior(self) -> Any:
        """log p(z), [k, n], nats."""
        return log_standard_normal(self.z)

    @property
    def log_joint(self) -> Any:
        """log p(x, z), [k, n], nats."""
        return self.log_likelihood + self.log_prior

    @property
    def log_recognition(self) -> Any:
        """log q(z | x), [k, n], nats."""
        eps, log_variance = self.noise, self.recognition.log_variance
        return -0.5 * get_xp(eps).sum(eps * eps + log_variance + LOG_2PI, axis=-1)

    def kl_terms(self, kl: str = "analytic") -> Any:
        """KL(q(z | x), p(z)) of each code, [n, n_latent], nats: exact, or mean log q / p on the paths."""
        if kl == "analytic":
            return self.recognition.kl_terms()
        eps, z = self.noise, self.z
        return 0.5 * (z * z - eps * eps).mean(axis=0) - 0.5 * self.recognition.log_variance

    # Gradients

    def gradient(
        self, weights: Any, kl: str = "analytic", beta: Any = 1.0, share: Any = None, out: Any = None
    ) -> Any:
        """sum_si w_si d/dtheta (log p(x_i | z_si) + beta (log p(z) - log q(z | x))), through the codes.

        Parameters
        ----------
        weights : array [k, n]
        kl : {"analytic", "sampled", "path"}
            How the second part is differentiated: see the module.
        beta : float or array [n_latent]
            Weight of the second part, or of each code in it.
        share : array [k, n], optional
            Multiplies what reaches the encoder: with "path", weights w~ and share w~ give w~ to the decoder
            and w~^2 to the encoder, the doubly reparameterized gradient of the importance-weighted bound.
        out : Parameters, optional

        Returns
        -------
        Parameters
        """
        if kl not in KL:
            raise unknown("kl", kl, KL)
        out = self.model.zero_gradient() if out is None else out
        da = self.model.likelihood.backward(weights.reshape(-1), self._loss)
        g = self.model.decode_backward(da, self._decoder, out).reshape(self.z.shape)
        w, q = weights[:, :, None], self.recognition
        if kl == "sampled":
            g = g - (beta * w) * self.z
        elif kl == "path":
            g = g + (beta * w) * (self.noise / q.deviation - self.z)
        if share is not None:
            g = share[:, :, None] * g
            w = share[:, :, None] * w
        in_mean, in_log_variance = _total(g), 0.5 * _total(g * self._spread)
        if kl == "analytic":
            pull = beta * _total(w)
            in_mean = in_mean - pull * q.mean
            in_log_variance = in_log_variance - 0.5 * pull * (q.variance - 1.0)
        elif kl == "sampled":
            in_log_variance = in_log_variance + 0.5 * beta * _total(w)
        self._encode_backward(in_mean, in_log_variance, out)
        return out

    def log_joint_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si w_si d log p(x_i, z_si)/dtheta at fixed codes; zero for the encoder."""
        out = self.model.zero_gradient() if out is None else out
        da = self.model.likelihood.backward(weights.reshape(-1), self._loss)
        self.model.decode_backward(da, self._decoder, out)
        return clear(out, "encoder/")

    def log_recognition_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si w_si d log q(z_si | x_i)/dphi at fixed codes, eps / sigma and (eps^2 - 1) / 2 at each."""
        out = self.model.zero_gradient() if out is None else out
        w, eps = weights[:, :, None], self.noise
        in_mean = _total(w * eps) / self.recognition.deviation
        self._encode_backward(in_mean, 0.5 * _total(w * (eps * eps - 1.0)), out)
        return clear(out, "decoder/")

    def _encode_backward(self, in_mean: Any, in_log_variance: Any, out: Any) -> None:
        dy = get_xp(in_mean).concatenate([in_mean, in_log_variance], axis=1)
        self.model.encoder.parameter_gradients(dy, self._encoder, Scope(out, "encoder/"))

    def update(self) -> None:
        """Move the running means of batch norm, in the model's parameters, after a training step."""
        for name, net, cache in (
            ("encoder/", self.model.encoder, self._encoder),
            ("decoder/", self.model.decoder, self._decoder),
        ):
            net.update(Scope(self.model.params, name), cache)


def _total(x: Any) -> Any:
    """Sum over the k draws; a view where there is one."""
    return x[0] if x.shape[0] == 1 else x.sum(axis=0)


def clear(grads: Any, *prefixes: str) -> Any:
    """Write zeros into the gradients under some prefixes."""
    for name in grads:
        if name.startswith(prefixes):
            grads[name][...] = 0.0
    return grads
