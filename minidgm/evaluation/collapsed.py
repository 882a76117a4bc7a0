"""Annealing on the hidden side: few hidden units, each visited with the visible units summed out.

Many visible units pin few hidden ones down: given v the posterior is nearly a point, block Gibbs hardly ever
changes h, and the chains of a sharp RBM stay in the mode they met at high temperature. Summed over v, the
path from biases a to an RBM is

    log f_beta(h) = log_base(h) + beta c.h + sum_i cgf((1 - beta) a_i + beta (b_i + (W h)_i)),

and one hidden unit can be drawn from its conditional under f_beta itself, the *collapsed* Gibbs step
(Liu 1994): flipping h_j changes log f_beta by a difference of sums of cgf. It costs [n, n_visible], not a
matrix product. A run down the temperatures visits the units in falling order, one up in rising order: each
is the other's reversal. At beta = 0 the hidden units are uniform, and f_0 sums to 2^n_hidden times the
base's Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minidgm.backend import get_xp
from minidgm.evaluation.path import HarmoniumPath
from minidgm.numerics import softplus_sum

MOST_HIDDEN = 32


def pays(model: Any) -> bool:
    """Whether hidden units are two-valued, few, and outnumbered ten to one: where block Gibbs is stuck."""
    few = model.n_hidden <= MOST_HIDDEN and model.n_visible >= 10 * model.n_hidden
    return few and two_valued(model)


def two_valued(model: Any) -> bool:
    """Whether every hidden unit has two values."""
    return model.hidden.k == 1 and model.hidden.n_states(1) == 2


class CollapsedPath(HarmoniumPath):
    """Path from biases to an RBM with two-valued hidden units; states are pairs (v, h), weighted by h alone.

    ``v`` plays no part before the end, where it is drawn given h.
    """

    sweeps = "collapsed"

    def __init__(self, a: Any, b: Any):
        super().__init__(a, b)
        self._rows = get_xp(b.params["W"]).ascontiguousarray(b.params["W"].T)  # [n_hidden, n_visible]
        self._fast = b.visible.name == "bernoulli"

    def _field(self, h: Any, beta: float) -> Any:
        """(1 - beta) a + beta (b + W h), [n, n_visible]."""
        return (1.0 - beta) * self.a.params["b"] + beta * self.b.visible_field(h)

    def _summed(self, field: Any) -> Any:
        """sum_i cgf of the visible units, [n], float64."""
        if self._fast:
            return softplus_sum(field)
        cgf = self.b.visible.cgf(field, **self.b._own("visible"))
        return get_xp(cgf).sum(cgf, axis=-1, dtype="float64")

    def log_increment(self, state: Any, here: float, there: float) -> Any:
        h = state[1]
        linear = (there - here) * (h @ self.b.params["c"]).astype("float64")
        return linear + self._summed(self._field(h, there)) - self._summed(self._field(h, here))

    def sweep(self, state: Any, beta: float, rng: Any) -> Any:
        """Draw every hidden unit, in rising order, from p(h_j | h_-j) under f_beta."""
        v, h = state
        field = self._field(h, beta)
        return v, self._draw(h, field, self._summed(field), beta, rng)[0]

    def _draw(
        self, h: Any, field: Any, summed: Any, beta: float, rng: Any, step: int = 1
    ) -> tuple[Any, Any]:
        """A sweep over h, whose fields and sums at ``beta`` are given; ``field`` is written over."""
        xp, c = get_xp(h), self.b.params["c"]
        low, high = (float(x) for x in self.b.hidden.states(1)[:, 0])
        h, other = h.copy(), xp.empty_like(field)
        for j in range(h.shape[1])[::step]:
            change = low + high - 2.0 * h[:, j]  # of h_j if it flips, [n]
            xp.multiply((beta * change)[:, None], self._rows[j], out=other)
            xp.add(other, field, out=other)
            summed_other = self._summed(other)
            log_odds = (beta * c[j] * change + (summed_other - summed)).astype(h.dtype)
            flips = rng.bernoulli_from_logits(log_odds[:, None])
            h[:, j] += flips[:, 0] * change
            xp.copyto(field, other, where=flips > 0)
            summed = xp.where(flips[:, 0] > 0, summed_other, summed)
        return h, summed

    def visible(self, state: Any) -> Any:
        return state[0]

    def join(self, v: Any, beta: float, rng: Any) -> Any:
        return v, self.hidden_given_visible(v, beta)[1].sample(rng)

    def anneal(self, state: Any, betas: Sequence[float], rng: Any) -> tuple[Any, Any]:
        """Weight and move as the plain loop does, with each sum over the visible units computed once."""
        step = 1 if betas[-1] >= betas[0] else -1
        h, c = state[1], self.b.params["c"]
        xp = get_xp(h)
        log_w = xp.zeros(h.shape[0], dtype="float64")
        summed = self._summed(self._field(h, betas[0]))
        for here, there in pairwise(betas):
            field = self._field(h, there)
            summed_there = self._summed(field)
            log_w = log_w + (there - here) * (h @ c).astype("float64") + (summed_there - summed)
            h, summed = self._draw(h, field, summed_there, there, rng, step)
        own = self.b._own("visible")
        return log_w, (self.b.visible.distribution(self._field(h, betas[-1]), **own).sample(rng), h)
