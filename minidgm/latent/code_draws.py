"""Draws of discrete codes from nets: `minidgm.latent.directed.Draws`, nothing computed twice."""

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
