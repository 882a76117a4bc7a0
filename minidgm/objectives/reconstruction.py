r"""Reconstruction: the loss of an autoencoder, plain, denoising, sparse or contractive.

    1/n sum_i  -log p(x_i | decoder(encoder(x~_i))) + activity |h_i|_1 + contraction |dh_i/dx|^2

with x~ = x, or x~ = x with each number at 0 with probability ``level`` ("mask"), or x + level eps
("gaussian"), or bits flipped with probability ``level`` ("flip"): the clean x is to be found behind it
(Vincent et al. 2008; Deep Learning, 14.2, 14.5 and 14.7; Rifai et al. 2011 for the contraction).
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import real
from minidgm.backend import get_xp
from minidgm.errors import unknown
from minidgm.objectives.base import Objective

__all__ = ["Reconstruction"]

CORRUPTIONS = ("none", "mask", "gaussian", "flip")


class Reconstruction(Objective):
    """Loss of an `Autoencoder`.

    Parameters
    ----------
    corruption : {"none", "mask", "gaussian", "flip"}
        What is done to the input, anew at every step.
    level : float
        Probability, or standard deviation of the Gaussian; positive with a corruption.
    activity : float
        Cost of each unit of |h|: sparse codes.
    contraction : float
        Cost of |dh/dx|^2, for one-layer encoders.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics, means over the batch: ``loss``, nats, all that is minimized; ``code_size``, |h|_1 / n_latent.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import Autoencoder, Generator
    >>> model = Autoencoder.small(seed=0)
    >>> denoising = Reconstruction("mask", 0.5)
    >>> sorted(denoising.gradient(model, np.eye(3, dtype="float32"), Generator(0))[1])
    ['code_size', 'loss']
    """

    needs = ("loss_gradient",)

    def __init__(
        self,
        corruption: str = "none",
        level: float = 0.0,
        activity: float = 0.0,
        contraction: float = 0.0,
        *,
        weight_decay: float = 0.0,
    ):
        super().__init__(weight_decay=weight_decay)
        if corruption not in CORRUPTIONS:
            raise unknown("corruption", corruption, CORRUPTIONS)
        self.corruption = corruption
        self.level = real("level", level, below=float("inf") if corruption == "gaussian" else 1.0)
        if (corruption == "none") != (self.level == 0.0):
            raise ValueError(f"corruption={corruption!r} and level={level!r}: give both, or neither")
        self.activity, self.contraction = real("activity", activity), real("contraction", contraction)

    def corrupt(self, x: Any, rng: Any) -> Any:
        """What the encoder sees of rows x."""
        if self.corruption == "none":
            return x
        if self.corruption == "gaussian":
            return x + self.level * rng.normal(x.shape, dtype=str(x.dtype))
        hit = rng.bernoulli(get_xp(x).full(x.shape, self.level, dtype=x.dtype))
        return x * (1.0 - hit) if self.corruption == "mask" else x + hit - 2.0 * x * hit

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, n = get_xp(batch), batch.shape[0]
        weights = xp.full(n, 1.0 / n, dtype=batch.dtype)
        seen = self.corrupt(batch, rng)
        _, losses, h = model.loss_gradient(
            batch, weights, seen, self.activity, self.contraction, grads, training=True, rng=rng
        )
        return {"loss": losses.mean(), "code_size": xp.abs(h).mean()}
