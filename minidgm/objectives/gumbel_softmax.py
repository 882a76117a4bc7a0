r"""Gumbel-softmax, the concrete distribution (Jang, Gu & Poole 2017; Maddison, Mnih & Teh 2017).

    z = one-hot(argmax (a + g)),  g = -log(-log u),   u ~ U(0, 1)        P(z = e_j) = softmax(a)_j
    y = softmax((a + g)/tau)                                             -> z as tau -> 0

and for bits z = 1[a + g > 0], y = sigmoid((a + g)/tau) with the logistic g = log u - log(1 - u), the
difference of two Gumbel numbers. y moves with a, so that f(y) has a gradient through its path,

    (dy/da)^T f'(y) = y (1 - y) f'(y)/tau for a bit,      y (f'(y) - y . f'(y))/tau in a group.

It is the exact gradient of E[f(y)], hence biased for E[f(z)]: the bias goes to 0 with tau, and the variance
up like 1/tau. With ``hard`` f is taken at z and the slope of y kept, and a bias stays: as tau -> 0 a bit's
mean goes to (f'(0) + f'(1))/2 where the soft one's goes to f(1) - f(0).

| configurations | weights |
|---|---|
| (x, y_s) for log p, or (x, z_s) if hard | 1/(n k) |
| fields of q (pathwise) | (dy_s/da)^T f'(y_s)/(n k) |
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.arguments import real
from minidgm.objectives.relaxations import noise_for
from minidgm.objectives.relaxed_codes import RelaxedCodes

__all__ = ["GumbelSoftmax"]


class GumbelSoftmax(RelaxedCodes):
    """Codes relaxed at a temperature that may fall: tau_t = max(lowest, temperature exp(-decay t)).

    Parameters
    ----------
    temperature : float
        Positive; at step 0.
    k : int
        Draws a row.
    lowest : float
        Positive.
    decay : float
        Rate a step; 0 keeps the temperature.
    hard : bool
        Evaluate log p at hard codes, and go back through the relaxed ones.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics: ``loss``, minus the mean of f less the entropy of q, nats: of the codes if ``hard``, else of the
    relaxed model, which bounds nothing.

    Examples
    --------
    >>> objective = GumbelSoftmax(1.0, lowest=0.5, decay=1e-3)
    >>> objective.at(0), objective.at(100).__round__(4), objective.at(10**6)
    (1.0, 0.9048, 0.5)
    """

    def __init__(
        self,
        temperature: float = 0.5,
        k: int = 1,
        *,
        lowest: float = 0.1,
        decay: float = 0.0,
        hard: bool = False,
        weight_decay: float = 0.0,
    ):
        super().__init__(k, weight_decay=weight_decay)
        self.temperature = real("temperature", temperature, positive=True)
        self.lowest = min(real("lowest", lowest, positive=True), self.temperature)
        self.decay, self.hard = real("decay", decay), bool(hard)

    def at(self, step: int) -> float:
        """The temperature at a step."""
        return max(self.lowest, self.temperature * math.exp(-self.decay * step))

    def slope(self, model: Any, x: Any, a: Any, rng: Any) -> tuple[Any, Any, Any]:
        step = self._state.get("step", 0)
        self._state["step"] = step + 1
        tau, noise = self.at(step), noise_for(model.latent)
        noisy = noise.noisy(a, rng)
        y = noise.relaxed(noisy, tau)
        z = noise.hard(noisy) if self.hard else y
        f, d = self.value_and_slope(model, x, z)
        return z, noise.backward(d, y, tau), f
