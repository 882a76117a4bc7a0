r"""Mean and variance of every estimator on one bit, b ~ Bernoulli(s), s = sigmoid(theta), f(b) = (b - t)^2.

With v = s (1 - s), D = f(1) - f(0) = 1 - 2 t, k draws:

| estimator | mean | k times the variance |
|---|---|---|
| `Reinforce`, constant c | v D | v [(1 - s) f(1) + s f(0) - c]^2 |
| `Reinforce`, leave-one-out | v D | D^2 (mu_4 - v^2 (k - 3)/(k - 1)), mu_4 = v (1 - 3 v) |
| `StraightThrough` | 2 v (s - t) | 4 v^3 |
| `StraightThrough`, "identity" | 2 (s - t) | 4 v |
| `GumbelSoftmax` | E[h] | E[h^2] - E[h]^2, h = 2 (y - t) y (1 - y)/tau |
| `Rebar` | v D | below |

y = sigmoid(x/tau), and x = theta + g is logistic about theta, which makes E[h] an integral over a line; with
``hard`` h has z = 1[x > 0] in the place of the first y. REBAR's estimate is A + c h(x), of two numbers x, x~
that are independent of the same law *given z*, on z's side of 0:

    A = (f(z) - c f(y~)) (z - s) - c h(x~) m,     m = 1 - (1 - s)/u~ if z = 1,  1 - s/(1 - u~) if z = 0

with u~ = sigmoid(x~ - theta). Hence its moments need integrals over half lines, no planes:

    E = sum_z P(z) (E_z[A] + c E_z[h]),
    E[(A + c h)^2] = sum_z P(z) (E_z[A^2] + 2 c E_z[A] E_z[h] + c^2 E_z[h^2]).

Integrals are by panels of Gauss-Legendre rules, to 1e-10; the tails of the noise beyond 2^-24, which the
objectives cut off, are in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minidgm.objectives.gumbel_softmax import GumbelSoftmax
from minidgm.objectives.rebar import Rebar
from minidgm.objectives.reinforce import Reinforce
from minidgm.objectives.straight_through import StraightThrough

__all__ = ["bit_moments"]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
REACH = 45.0


def bit_moments(theta: float, target: float, objective: Any) -> tuple[float, float]:
    """Mean and variance of an objective's estimate of dE[f]/dtheta, for one row.

    Parameters
    ----------
    theta, target : float
    objective : Reinforce, StraightThrough, GumbelSoftmax or Rebar
        Of Reinforce without a running mean. Of Gumbel-softmax at the temperature of its next step.

    Raises
    ------
    TypeError
        For another objective or baseline.

    Examples
    --------
    >>> mean, variance = bit_moments(0.0, 0.45, Rebar(0.5))
    >>> round(mean, 9), round(variance, 6)
    (0.025, 0.022653)
    """
    s = 1.0 / (1.0 + math.exp(-theta))
    v, t = s * (1.0 - s), target
    if isinstance(objective, Reinforce):
        return v * (1.0 - 2.0 * t), _score(s, t, objective)
    if isinstance(objective, StraightThrough):
        through = v if objective.through == "mean" else 1.0
        return 2.0 * through * (s - t), 4.0 * through * through * v / objective.k
    if isinstance(objective, GumbelSoftmax):
        mean, square = _gumbel(theta, t, objective)
    elif isinstance(objective, Rebar):
        mean, square = _rebar(theta, s, t, objective)
    else:
        raise TypeError(
            f"no closed form of {type(objective).__name__} on a bit; gradient_moments lists the outcomes"
        )
    return mean, (square - mean * mean) / objective.k


def _score(s: float, t: float, objective: Reinforce) -> float:
    v, slope, k, baseline = s * (1.0 - s), 1.0 - 2.0 * t, objective.k, objective.baseline
    if objective.normalize or baseline in ("mean", "input"):
        raise TypeError(f"{objective!r} depends on the steps before it; fix the baseline for a closed form")
    if baseline == "leave_one_out":
        return slope * slope * (v * (1.0 - 3.0 * v) - v * v * (k - 3) / (k - 1)) / k
    # The objective's signal is -f: so is its baseline.
    away = (1.0 - s) * (1.0 - t) ** 2 + s * t * t + (0.0 if baseline is None else float(baseline))
    return v * away * away / k


def _gumbel(theta: float, t: float, objective: GumbelSoftmax) -> tuple[float, float]:
    tau = objective.at(objective.state.get("step", 0))

    def slope(w: Any) -> Any:
        y = _sigmoid(w)
        at = (w > 0.0) if objective.hard else y
        return 2.0 * (at - t) * y * _sigmoid(-w) / tau

    def moment(power: int) -> float:
        return sum(_half(side, theta, tau, lambda w: slope(w) ** power) for side in (-1.0, 1.0))

    return moment(1), moment(2)


def _rebar(theta: float, s: float, t: float, objective: Rebar) -> tuple[float, float]:
    tau, c = objective.temperature, objective.strength

    def slope(w: Any) -> Any:
        y = _sigmoid(w)
        return 2.0 * (y - t) * y * _sigmoid(-w) / tau

    def score(w: Any, z: float) -> Any:
        inside = tau * w - theta
        moved = 1.0 - ((1.0 - s) / _sigmoid(inside) if z else s / _sigmoid(-inside))
        return ((z - t) ** 2 - c * (_sigmoid(w) - t) ** 2) * (z - s) - c * slope(w) * moved

    mean = square = 0.0
    for z, p in ((0.0, 1.0 - s), (1.0, s)):

        def expect(f: Callable[[Any], Any], z: float = z) -> float:
            return _half(2.0 * z - 1.0, theta, tau, f)  # P(z) E_z

        a1, h1, h2 = expect(partial(score, z=z)), expect(slope), expect(_squared(slope))
        a2 = expect(_squared(partial(score, z=z)))
        mean += a1 + c * h1
        square += a2 + 2.0 * c * a1 * h1 / p + c * c * h2
    return mean, square


def _squared(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda w: f(w) ** 2


def _half(side: float, theta: float, tau: float, f: Callable[[Any], Any]) -> float:
    """Integral of f(w) against the law of w = (theta + g)/tau, g logistic, over one half line."""
    width = 0.5 * min(1.0, 1.0 / tau)
    reach = max(REACH, (abs(theta) + REACH) / tau)
    starts = np.arange(0.0, reach, width)
    w = side * (starts[:, None] + 0.5 * width * (1.0 + NODES))
    g = tau * w - theta
    density = tau * _sigmoid(g) * _sigmoid(-g)
    return float((density * f(w) * (0.5 * width * WEIGHTS)).sum())


def _sigmoid(x: Any) -> Any:
    return np.exp(-np.logaddexp(0.0, -x))
