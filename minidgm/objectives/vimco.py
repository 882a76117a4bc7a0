r"""VIMCO: the k-sample bound with a baseline from the other draws (Mnih and Rezende 2016).

    L = E[l],   l = log 1/k sum_s w_s,   w_s = p(x, z_s) / q(z_s | x),   w~_s = w_s / sum w

    dL = E[sum_s l d log q(z_s | x)  +  sum_s w~_s (d log p(x, z_s) - d log q(z_s | x))]

The first sum is REINFORCE with one signal for all draws. Of l only what depends on z_s matters to the score
of z_s: subtract l_(-s), the same bound with w_s replaced by the geometric mean of the other draws' weights.
It does not depend on z_s, and E[d log q(z_s | x)] = 0, so that the expectation stays:

| configurations | weights |
|---|---|
| (x, z_s) for log p | w~_s/n |
| (x, z_s) for log q | (l - l_(-s) - w~_s)/n |
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.numerics import logsumexp
from minidgm.objectives.weighted_draws import WeightedDraws, importance_metrics, normalized

__all__ = ["Vimco"]


class Vimco(WeightedDraws):
    """Unbiased gradient of the k-sample bound for any latent units.

    Parameters
    ----------
    k : int
        Draws a row, at least 2.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics as those of `ReweightedWakeSleep`.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import Generator, SigmoidBeliefNet
    >>> net = SigmoidBeliefNet([4, 2], seed=0)
    >>> grads, metrics = Vimco(3).gradient(net, np.eye(4, dtype="float32"), Generator(0))
    >>> sorted(metrics)
    ['effective_samples', 'loss']
    """

    def __init__(self, k: int = 5, *, weight_decay: float = 0.0):
        super().__init__(k, low=2, weight_decay=weight_decay)

    def weigh(self, model: Any, batch: Any, log_w: Any) -> tuple[Any, Any, dict[str, Any]]:
        u = normalized(log_w)
        return u, learning_signal(log_w) - u, importance_metrics(log_w, u)


def learning_signal(log_w: Any) -> Any:
    """l - l_(-s) of every draw, [k, n], from log-weights [k, n].

    >>> import numpy as np
    >>> learning_signal(np.array([[2.0], [2.0]])).tolist()
    [[0.0], [0.0]]
    """
    xp, k = get_xp(log_w), log_w.shape[0]
    others = (log_w.sum(axis=0) - log_w) / (k - 1)  # log of the geometric mean, [k, n]
    # [k, k, n]: in row s, draw s is replaced. Exact where sum w - w_s would cancel.
    own = xp.eye(k, dtype=log_w.dtype)[:, :, None]
    replaced = log_w[None, :, :] + own * (others - log_w)[:, None, :]
    return (logsumexp(log_w, axis=0) - math.log(k)) - (logsumexp(replaced, axis=1) - math.log(k))
