r"""Matching raw moments of generated rows to those of the data (Deep Learning, section 20.10.4).

    loss  =  sum_p |1/m sum_i x_i^p - 1/n sum_j y_j^p|^2,    x = g(z), z ~ p(z), y the batch, p = 1 ... order

with powers by coordinate, so that every marginal is matched and no dependence. With ``cross`` all products
of p coordinates count, E x_a x_b ... too. There are d^p of them, and a kernel adds up their squared
differences unseen, for <x (x) ... (x) x, y (x) ... (x) y> = (x . y)^p: the loss is MMD^2 with the kernel
sum_p (x . y)^p. The Gaussian kernel of `MaximumMeanDiscrepancy` matches moments of every order at once.

| configurations | weights |
|---|---|
| x_i = g(z_i), z_i ~ p(z), m of them | dL/dx_i = sum_p (2 p/m) x_i^(p-1) (difference of moment p) |
| the batch | |
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.evaluation.mercer import MomentKernel, power
from minidgm.evaluation.mmd import mmd2_gradient
from minidgm.objectives.base import Objective

__all__ = ["MomentMatching"]


class MomentMatching(Objective):
    """Raw moments up to an order, for models that generate: x = g(z).

    Parameters
    ----------
    order : int
        Highest moment.
    cross : bool
        Match moments of products of different coordinates too.
    n_samples : int, optional
        Generated rows a step; by default as many as the batch has.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics: ``loss``, above. High moments of large values dwarf the low ones: scale the data to about 1.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DifferentiableGenerator, Generator
    >>> g = DifferentiableGenerator(2, 2, ["triangular"])
    >>> grads, metrics = MomentMatching(1).gradient(g, 3.0 + np.zeros((100, 2), "float32"), Generator(0))
    >>> bool((grads["generator/0/b"] < 0.0).all())  # the mean, 0, has to rise
    True
    """

    needs = ("draw_latent", "forward", "backward", "update")

    def __init__(
        self,
        order: int = 2,
        cross: bool = False,
        n_samples: int | None = None,
        *,
        weight_decay: float = 0.0,
    ):
        super().__init__(weight_decay=weight_decay)
        self.order, self.cross = count("order", order), bool(cross)
        self.n_samples = None if n_samples is None else count("n_samples", n_samples)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp = get_xp(batch)
        m = self.n_samples or batch.shape[0]
        x, cache = model.forward(model.draw_latent(m, rng), training=True, rng=rng)
        if self.cross:
            loss, dx = mmd2_gradient(x, batch, MomentKernel(self.order), False, self._scratch)
        else:
            loss, dx = xp.zeros((), dtype=x.dtype), xp.zeros_like(x)
            for p in range(1, self.order + 1):
                below = power(x, p - 1)
                difference = xp.mean(below * x, axis=0) - xp.mean(power(batch, p), axis=0)
                loss = loss + xp.sum(difference * difference)
                dx = dx + (2.0 * p / m) * below * difference
        model.backward(dx, cache, grads)
        model.update(cache)
        return {"loss": loss}
