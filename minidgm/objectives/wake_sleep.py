r"""Wake-sleep (Hinton, Dayan, Frey and Neal 1995; Deep Learning, section 20.10.6) and its reweighted form.

* wake: z ~ q(z | x) from data; p learns to produce (x, z);
* sleep: (x', z') ~ p, dreams; q learns to infer z' from x'.

The wake phase follows the gradient of the bound E_q[log p - log q] in the parameters of p. The sleep phase
does not follow it in those of q: it lowers KL(p(z | x) || q(z | x)), averaged over dreams, in place of
KL(q || p(z | x)) over data.

Reweighted (Bornschein and Bengio 2015): with k draws and w = p(x, z) / q(z | x), w~_s = w_s / sum w,

    d/dtheta log p(x) = E_p(z|x)[d log p(x, z)] ~ sum_s w~_s d log p(x, z_s)    wake, for p
    E_p(z|x)[d log q(z | x)]                    ~ sum_s w~_s d log q(z_s | x)   wake, for q

Both are self-normalized importance sampling: biased by O(1/k), and for k = 1 the first is wake-sleep's.

| configurations | weights |
|---|---|
| (x, z_s), z_s ~ q, for log p | 1/(n k), or w~_s/n |
| (x, z_s), z_s ~ q, for log q (wake) | w~_s/n |
| dreams (x', z') ~ p, for log q (sleep) | 1/n |
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.errors import unknown
from minidgm.objectives.weighted_draws import WeightedDraws, importance_metrics, normalized

__all__ = ["ReweightedWakeSleep", "WakeSleep"]

PHASES = ("wake", "sleep", "both")


class WakeSleep(WeightedDraws):
    """Wake-sleep: p learns from inferred states, q from dreams.

    Parameters
    ----------
    k : int
        Draws a row in the wake phase.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics: ``loss``, minus the mean of log p(x, z) - log q(z | x) over the draws, an estimate of minus the
    bound, nats, before the step.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import Generator, SigmoidBeliefNet
    >>> net = SigmoidBeliefNet([4, 2], seed=0)
    >>> grads, metrics = WakeSleep().gradient(net, np.eye(4, dtype="float32"), Generator(0))
    >>> grads["R1"].shape, sorted(metrics)
    ((4, 2), ['loss'])
    """

    needs = ("draw", "dream", "log_recognition_gradient")

    def __init__(self, k: int = 1, *, weight_decay: float = 0.0):
        super().__init__(k, weight_decay=weight_decay)

    def weigh(self, model: Any, batch: Any, log_w: Any) -> tuple[Any, Any, dict[str, Any]]:
        return get_xp(log_w).full_like(log_w, 1.0 / self.k), None, {"loss": -log_w.mean()}

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        metrics = super().estimate(model, batch, rng, grads)
        self.add_dreams(model, batch.shape[0], 1.0, rng, grads)
        return metrics


class ReweightedWakeSleep(WeightedDraws):
    """Reweighted wake-sleep: k importance-weighted draws a row.

    Parameters
    ----------
    k : int
        Draws a row.
    phase : {"wake", "sleep", "both"}
        What q learns from: the weighted draws, as many dreams as rows, or the mean of the two gradients.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics, before the step: ``loss``, minus the mean of log 1/k sum_s w_s, which lies below log p(x) in
    expectation, nats; ``effective_samples``, mean of 1 / sum_s w~_s^2, between 1 and k.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import Generator, SigmoidBeliefNet
    >>> net = SigmoidBeliefNet([4, 2], seed=0)
    >>> _, metrics = ReweightedWakeSleep(3).gradient(net, np.eye(4, dtype="float32"), Generator(0))
    >>> 1.0 <= float(metrics["effective_samples"]) <= 3.0
    True
    """

    needs = ("draw", "dream", "log_recognition_gradient")

    def __init__(self, k: int = 5, phase: str = "both", *, weight_decay: float = 0.0):
        super().__init__(k, weight_decay=weight_decay)
        if phase not in PHASES:
            raise unknown("phase", phase, PHASES)
        self.phase = phase

    def weigh(self, model: Any, batch: Any, log_w: Any) -> tuple[Any, Any, dict[str, Any]]:
        u = normalized(log_w)
        c = {"wake": u, "sleep": None, "both": 0.5 * u}[self.phase]
        return u, c, importance_metrics(log_w, u)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        metrics = super().estimate(model, batch, rng, grads)
        if self.phase != "wake":
            self.add_dreams(model, batch.shape[0], 1.0 if self.phase == "sleep" else 0.5, rng, grads)
        return metrics
