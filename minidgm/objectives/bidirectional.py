r"""Training of bidirectional Helmholtz machines (Bornschein, Shabanian, Fischer and Bengio 2016).

    p*(x) = (sum_z sqrt(p(x, z) q(z | x)))^2 / Z,   Z <= 1:   log p*(x) >= 2 log sum_z sqrt(p q)

    d 2 log sum_z sqrt(p q) = sum_z p*(z | x) [d log p(x, z) + d log q(z | x)],   p*(z | x) ~ sqrt(p q)

since d sqrt(p q) = sqrt(p q) (d log p + d log q)/2. Draws from q stand for p*(z | x) with weights
sqrt(p q)/q = sqrt(w): the same weighted sum trains both directions.

| configurations | weights |
|---|---|
| (x, z_s), z_s ~ q, for log p and for log q | v_s/n, v_s = sqrt(w_s) / sum sqrt(w) |

Self-normalized, hence biased by O(1/k); sqrt(w) varies less than the w of reweighted wake-sleep.
"""

from __future__ import annotations

from typing import Any

from minidgm.objectives.weighted_draws import WeightedDraws, importance_metrics, normalized

__all__ = ["BidirectionalImportance"]


class BidirectionalImportance(WeightedDraws):
    """Ascend the bound 2 log sum_z sqrt(p(x, z) q(z | x)) with k draws a row.

    Parameters
    ----------
    k : int
        Draws a row.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics, before the step: ``loss``, minus the mean of 2 log 1/k sum_s sqrt(w_s), an estimate of minus the
    bound on log p*(x), nats; ``effective_samples``, mean of 1 / sum_s v_s^2.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import BidirectionalHelmholtz, Generator
    >>> net = BidirectionalHelmholtz([4, 2], seed=0)
    >>> _, metrics = BidirectionalImportance(3).gradient(net, np.eye(4, dtype="float32"), Generator(0))
    >>> sorted(metrics)
    ['effective_samples', 'loss']
    """

    def __init__(self, k: int = 10, *, weight_decay: float = 0.0):
        super().__init__(k, weight_decay=weight_decay)

    def weigh(self, model: Any, batch: Any, log_w: Any) -> tuple[Any, Any, dict[str, Any]]:
        half = 0.5 * log_w
        u = normalized(half)
        metrics = importance_metrics(half, u)
        return u, u, {**metrics, "loss": 2.0 * metrics["loss"]}
