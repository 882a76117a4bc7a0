"""Discrete codes from nets: draws with nothing computed twice, and gradients out of two backward passes."""

from __future__ import annotations

from typing import Any

from minidgm.backend import Generator, get_xp
from minidgm.latent.directed import Draws


class CodeDraws(Draws):
    """k draws z ~ q(z | x) for every row: the encoder runs once a row, the decoder once a draw."""

    def __init__(self, model: Any, x: Any, k: int, rng: Generator):
        self.model, self.x, self.k = model, x, k
        xp, n = get_xp(x), x.shape[0]
        self.field, self._pull = model.latent_field_back(x)
        self._wide = xp.tile(x, (k, 1))  # row s n + i is draw s of example i
        self._flat = model.latent.distribution(xp.tile(self.field, (k, 1))).sample(rng)
        self.z = self._flat.reshape(k, n, model.n_latent)
        log_p, self._back = model.log_joint_back(self._wide, self._flat)
        self.log_joint = log_p.reshape(k, n)
        cgf = model.latent.cgf(self.field).sum(axis=-1)
        self.log_recognition = (self.z * self.field).sum(axis=-1) - cgf

    def log_joint_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si weights_si d log p(x_i, z_si)/dtheta for signed weights [k, n]."""
        return self._back(weights.reshape(-1), out)[0]

    def log_recognition_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si weights_si d log q(z_si | x_i)/dtheta: fields get sum_s w_s z_s - (sum_s w_s) m."""
        mean = self.model.latent.mean(self.field)
        drawn = (weights[:, :, None] * self.z).sum(axis=0)
        return self._pull(drawn - weights.sum(axis=0)[:, None] * mean, out)


class CodeGradients:
    """Gradients of a model with ``log_joint_back`` and ``latent_field_back``; a base of it."""

    latent: Any
    log_joint_back: Any
    latent_field_back: Any

    def log_joint_gradient(self, x: Any, z: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i d log p(x_i, z_i)/dtheta for any signed weights [n]; zero for the encoder."""
        return self.log_joint_back(x, z)[1](_rows(x, weights), out)[0]

    def log_joint_slopes(self, x: Any, z: Any, weights: Any = None, out: Any = None) -> tuple[Any, Any]:
        """log p(x, z) [n], and w d log p(x, z)/dz [n, n_latent]; sum w d log p/dtheta goes into ``out``."""
        log_p, backward = self.log_joint_back(x, z)
        return log_p, backward(_rows(x, weights), out, slopes=True)[1]

    def log_joint_input_gradient(self, x: Any, z: Any) -> Any:
        """d log p(x, z)/dz, [n, n_latent], also between the codes."""
        return self.log_joint_slopes(x, z)[1]

    def latent_field_gradient(self, x: Any, d: Any, out: Any = None) -> Any:
        """sum_i d_i . da_i/dtheta for d [n, n_latent]; zero but for the encoder."""
        return self.latent_field_back(x)[1](d, out)

    def log_recognition_gradient(self, x: Any, z: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i d log q(z_i | x_i)/dtheta for any signed weights [n]: fields get w (z - m)."""
        a, backward = self.latent_field_back(x)
        return backward(_rows(x, weights)[:, None] * (z - self.latent.mean(a)), out)


def _rows(x: Any, weights: Any) -> Any:
    """Weights [n], ones by default."""
    return get_xp(x).ones(x.shape[0], dtype=x.dtype) if weights is None else weights
