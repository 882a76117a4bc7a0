r"""The importance-weighted bound of k samples (Burda, Grosse & Salakhutdinov 2016), and its doubly
reparameterized gradient (Tucker et al. 2019).

    L_k = E log 1/k sum_s w_s,      w_s = p(x, z_s) / q(z_s | x),      ELBO = L_1 <= L_2 <= ... <= log p(x)

As d log sum_s w_s = sum_s w~_s d log w_s with w~_s = w_s / sum w, its gradient is

| configurations | weights |
|---|---|
| paths z_s = mu + sigma eps_s | w~_s / n, through the path, "sampled" log p - log q |

Its encoder part has a signal-to-noise ratio that falls with k (Rainforth et al. 2018). The score of q in it
can be reparameterized once more, which leaves the path term alone, with squared weights:

| part | weights |
|---|---|
| decoder | w~_s / n |
| encoder, "path": without the score of q | w~_s^2 / n |

It has the same expectation, and at k = 1 it is the path gradient of `Reparameterization`.
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.numerics import logsumexp
from minidgm.objectives.reparameterization import Watched, active_units

__all__ = ["ImportanceWeighted"]


class ImportanceWeighted(Watched):
    """The bound of k importance samples.

    Parameters
    ----------
    k : int
        Samples a row.
    doubly_reparameterized : bool
        Whether the encoder learns from the doubly reparameterized gradient.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics, means over the batch: ``loss``, minus the bound, nats; ``effective_samples``, 1 / sum w~^2, from
    1 to k; ``active_units``. ``beta`` of the model plays no part.

    Raises
    ------
    ValueError
        For k < 1.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import VAE, Generator
    >>> vae = VAE.small(seed=0)
    >>> grads, metrics = ImportanceWeighted(5).gradient(vae, np.eye(3, dtype="float32"), Generator(0))
    >>> 1.0 <= float(metrics["effective_samples"]) <= 5.0
    True
    """

    def __init__(self, k: int = 5, doubly_reparameterized: bool = False, *, weight_decay: float = 0.0):
        super().__init__(weight_decay=weight_decay)
        self.k, self.doubly_reparameterized = count("k", k), bool(doubly_reparameterized)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, n = get_xp(batch), batch.shape[0]
        self._state["n_latent"] = model.n_latent
        noise = model.noise(self.k, batch, rng)
        paths = model.paths(batch, noise, training=True, rng=rng)
        log_w = paths.log_weights
        log_sum = logsumexp(log_w, axis=0)  # [n]
        shares = xp.exp(log_w - log_sum)  # w~ [k, n]
        if self.doubly_reparameterized:
            paths.gradient(shares * (-1.0 / n), "path", share=shares, out=grads)
        else:
            paths.gradient(shares * (-1.0 / n), "sampled", out=grads)
        paths.update()
        return {
            "loss": math.log(self.k) - log_sum.mean(),
            "effective_samples": (1.0 / xp.sum(shares * shares, axis=0)).mean(),
            "active_units": active_units(paths.recognition.mean),
        }
