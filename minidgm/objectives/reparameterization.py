r"""The evidence lower bound by reparameterization (Kingma & Welling 2014; Rezende et al. 2014).

    loss = -1/n sum_i [1/k sum_s log p(x_i | z_si) - beta KL(q(z | x_i), p(z))],      z_si = mu + sigma eps_si

| configurations | weights |
|---|---|
| paths z = mu + sigma eps, k for each row | 1/(n k), the pathwise gradient of `minidgm.latent.pathwise` |

Against posterior collapse, where codes stop to carry anything and KL goes to 0, there are two remedies:

* warm-up (Bowman et al. 2016; Sonderby et al. 2016): beta rises from 0 to the model's over the first steps;
* free bits (Kingma et al. 2016, appendix C.8): a code whose KL, a mean over the batch, is below ``free_bits``
  nats is not pressed further: sum_j max(free_bits, KL_j), whose gradient leaves out the codes below.

A code is active where the variance of mu_j(x) over the data exceeds 0.01 (Burda, Grosse & Salakhutdinov
2016, section 5.3).
"""

from __future__ import annotations

import warnings
from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import get_xp
from minidgm.errors import unknown
from minidgm.latent.pathwise import KL
from minidgm.objectives.base import Objective

__all__ = ["ACTIVE", "Collapse", "Reparameterization", "active_units"]

ACTIVE = 0.01


def active_units(mean: Any) -> Any:
    """Count of codes whose mean [n, n_latent] varies over the rows by more than 0.01, a 0-d array."""
    xp, share = get_xp(mean), 1.0 / max(1, mean.shape[0])
    centered = mean - share * xp.sum(mean, axis=0)
    return (share * xp.sum(centered * centered, axis=0) > ACTIVE).sum()


class Collapse(UserWarning):
    """Hardly a code of a model carries anything."""


class Watched(Objective):
    """Base of objectives that report active units, and warn when they fall below a tenth of the codes."""

    needs: tuple[str, ...] = ("paths", "noise")

    def review(self, means: dict[str, float]) -> None:
        """Warn, once, where an epoch after the first ends with fewer than one unit in ten active."""
        self._state["epochs"] = self._state.get("epochs", 0) + 1
        active, n = means.get("active_units"), self._state.get("n_latent", 0)
        if active is None or not n or self._state["epochs"] < 2 or self._state.get("warned"):
            return
        if active < max(1.0, 0.1 * n):
            self._state["warned"] = 1
            warnings.warn(
                f"posterior collapse: {active:.1f} of {n} latent units are active (variance of their mean "
                f"over the data above {ACTIVE}); try KL warm-up (warm_up=), free_bits=, a smaller beta or "
                "fewer codes",
                Collapse,
                stacklevel=2,
            )

    @classmethod
    def obstacle(cls, model: Any) -> str | None:
        """Say why not: a path through a code needs derivatives in it, which discrete codes do not have."""
        discrete = getattr(getattr(model, "latent", None), "states", None)
        if discrete is not None and not hasattr(model, "paths"):
            return "its codes are discrete, and have no derivative along a path"
        return super().obstacle(model)


class Reparameterization(Watched):
    """Evidence lower bound, differentiated through the draws.

    Parameters
    ----------
    n_samples : int
        Draws k for each row.
    kl : {"analytic", "sampled", "path"}
        The KL term in closed form; at the draws; at the draws without the score of q, which is less noisy
        near the optimum (Roeder, Wu & Duvenaud 2017). Of several layers of codes the closed form is that of
        the highest, given the one below.
    free_bits : float
        Nats of each code that cost nothing.
    warm_up : int
        Steps over which beta rises linearly.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics, means over the batch, nats: ``loss``, what is minimized; ``elbo``, an estimate of the bound with
    beta = 1 and no free bits; ``kl``; ``active_units``.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import VAE, Generator
    >>> vae = VAE.small(seed=0)
    >>> grads, metrics = Reparameterization().gradient(vae, np.eye(3, dtype="float32"), Generator(0))
    >>> sorted(metrics)
    ['active_units', 'elbo', 'kl', 'loss']
    """

    def __init__(
        self,
        n_samples: int = 1,
        kl: str = "analytic",
        free_bits: float = 0.0,
        warm_up: int = 0,
        *,
        weight_decay: float = 0.0,
    ):
        super().__init__(weight_decay=weight_decay)
        self.n_samples, self.warm_up = count("n_samples", n_samples), count("warm_up", warm_up, 0)
        if kl not in KL:
            raise unknown("kl", kl, KL)
        self.kl, self.free_bits = kl, real("free_bits", free_bits)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, n, k = get_xp(batch), batch.shape[0], self.n_samples
        step = self._state["step"] = self._state.get("step", 0) + 1
        self._state["n_latent"] = model.n_latent
        beta = model.beta * (min(1.0, step / self.warm_up) if self.warm_up else 1.0)
        noise = model.noise(k, batch, rng)
        paths = model.paths(batch, noise, training=True, rng=rng)
        terms = paths.kl_terms(self.kl).mean(axis=0)  # [n_latent]
        pressed, cost = beta, terms
        if self.free_bits:
            pressed = beta * (terms >= self.free_bits).astype(batch.dtype)
            cost = xp.maximum(terms, self.free_bits)
        weights = xp.full((k, n), -1.0 / (n * k), dtype=batch.dtype)
        paths.gradient(weights, self.kl, pressed, out=grads)
        paths.update()
        likelihood, kl = paths.log_likelihood.mean(), terms.sum()
        return {
            "loss": beta * cost.sum() - likelihood,
            "elbo": likelihood - kl,
            "kl": kl,
            "active_units": active_units(paths.recognition.mean),
        }
