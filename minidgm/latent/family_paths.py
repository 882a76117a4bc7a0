r"""Gradients through codes of any family whose draws move, q(z; y) with y = encoder(x).

With s = d log p(x | z)/dz from the decoder, r = d log p(z)/dz of the prior and (d, e) = the derivatives of
log q(z; y) in z and in y, the weighted sum of log p(x | z) + beta (log p(z) - log q(z | x)) gives y

    "sampled":   sum_k (dz/dy)^T w (s + beta (r - d)) - beta w e
    "path":      sum_k (dz/dy)^T w (s + beta (r - d)),       E[e] = 0
    "analytic":  sum_k (dz/dy)^T w s - beta W dKL/dy,        W = sum_k w

and the encoder's backward pass takes it on. A family without a known KL takes "sampled" for "analytic".
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.errors import unknown
from minidgm.latent.pathwise import KL, Paths, clear
from minidgm.nn.network import Scope


class FamilyPaths(Paths):
    """k codes for every row, made by noise or given: attributes and methods of `Paths`.

    Parameters
    ----------
    model : FamilyVAE
    x : array [n, n_visible]
    noise : array [k, n, n_latent], optional
    training, rng
        See `Paths`.
    z : array [k, n, n_latent], optional
        Codes in place of noise.
    """

    def __init__(
        self, model: Any, x: Any, noise: Any = None, training: bool = False, rng: Any = None, z: Any = None
    ):
        options = {"training": training, "rng": rng}
        self.model, self.x, self.noise = model, x, noise
        self.recognition, self._encoder = model.encode(x, **options)
        self.z = self.recognition.at(noise) if z is None else z
        self.k, n = self.z.shape[0], x.shape[0]
        self._flat = self.z.reshape(self.k * n, self.z.shape[2])
        a, self._decoder = model.decode(self._flat, x, **options)  # row s n + i is draw s of example i
        log_p, self._loss = model.likelihood.forward(a, model.target(x))
        self.log_likelihood = log_p.reshape(self.k, n)

    @property
    def log_prior(self) -> Any:
        return get_xp(self.z).sum(self.recognition.log_prior_terms(self.z), axis=-1)

    @property
    def log_recognition(self) -> Any:
        return self.recognition.log_prob(self.z)

    def kl_terms(self, kl: str = "analytic") -> Any:
        q, z = self.recognition, self.z
        if kl == "analytic" and q.closed:
            return q.kl_terms()
        return (q.log_terms(z) - q.log_prior_terms(z)).mean(axis=0)

    def gradient(
        self, weights: Any, kl: str = "analytic", beta: Any = 1.0, share: Any = None, out: Any = None
    ) -> Any:
        if kl not in KL:
            raise unknown("kl", kl, KL)
        out = self.model.zero_gradient() if out is None else out
        q, z, w = self.recognition, self.z, weights[:, :, None]
        kl = "sampled" if kl == "analytic" and not q.closed else kl
        da = self.model.likelihood.backward(weights.reshape(-1), self._loss)
        g = self.model.decode_backward(da, self._decoder, out).reshape(z.shape)
        pull, score = beta * w + 0.0 * z, 0.0
        if kl != "analytic":
            in_z, score = q.log_backward(z, pull)
            g = g + pull * q.prior_slope(z) - in_z
        dy = q.path_backward(z, g if share is None else share[:, :, None] * g)
        if kl == "sampled":
            dy = dy - (score if share is None else q.log_backward(z, share[:, :, None] * pull)[1])
        elif kl == "analytic":
            dy = dy - q.kl_backward((pull if share is None else share[:, :, None] * pull).sum(axis=0))
        self.model.encoder.parameter_gradients(dy, self._encoder, Scope(out, "encoder/"))
        return out

    def log_recognition_gradient(self, weights: Any, out: Any = None) -> Any:
        out = self.model.zero_gradient() if out is None else out
        dy = self.recognition.log_backward(self.z, weights[:, :, None] + 0.0 * self.z)[1]
        self.model.encoder.parameter_gradients(dy, self._encoder, Scope(out, "encoder/"))
        return clear(out, "decoder/")
