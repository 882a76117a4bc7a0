"""The hidden units of probabilistic max pooling: groups in which at most one unit is on (Lee et al. 2009).

A group of k units with field a has k + 1 states, one unit on or none, so that

    p(x_j = 1 | a) = exp(a_j) / (1 + sum_l exp(a_l)),      cgf(a) = log(1 + sum_l exp(a_l)).

Whether any of them is on is itself a bit, with log-odds log sum_l exp(a_l): the *pooling unit* of the group.
"""

from __future__ import annotations

from typing import Any

from minidgm import distributions
from minidgm.backend import get_xp
from minidgm.boltzmann.unit import Unit, refuse
from minidgm.kernels.groups import at_most_one


class Pooled(Unit):
    """Bits in groups of ``k`` neighbouring columns, at most one of a group on.

    >>> Pooled(2).states(2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, k: int):
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"a pooled unit needs an integer k >= 1 of columns, got {k!r}")
        self.k = k
        self.name = f"pooled({k})"

    def check_width(self, n: int, side: str) -> None:
        if side == "visible":
            raise ValueError(f"{self.name} units are hidden units; visible='softmax({self.k + 1})' fits data")
        super().check_width(n, side)

    def distribution(self, a: Any, **own: Any) -> distributions.AtMostOne:
        return distributions.AtMostOne(a, self.k)

    def fill(
        self, x: Any, bias: Any, rng: Any = None, draw: Any = None, mean: Any = None, **own: Any
    ) -> None:
        if draw is not None:
            rng.at_most_one_from_logits(x, self.k, bias=bias, out=draw, mean=mean)
        else:
            at_most_one(get_xp(x, mean), x, self.k, bias, None, None, mean)

    def n_states(self, n: int) -> float:
        return (self.k + 1) ** (n // self.k)

    def states(
        self, n: int, start: int = 0, stop: int | None = None, xp: Any = None, dtype: Any = "float64"
    ) -> Any:
        xp = xp or get_xp()
        groups, base = n // self.k, self.k + 1
        index = xp.arange(start, base**groups if stop is None else stop)[:, None]
        digits = (index // base ** xp.arange(groups)[None, :]) % base
        return (digits[:, :, None] == xp.arange(1, base)).reshape(-1, n).astype(dtype)

    def check(self, x: Any, what: str) -> None:
        totals = x.reshape(x.shape[0], x.shape[1] // self.k, self.k).sum(axis=-1)
        expected = f"pooled({self.k}) units have at most one 1 in each group of {self.k} columns"
        refuse((x < 0) | (x > 1), x, what, expected)
        refuse(totals > 1.0 + 1e-4, totals, f"the group sums of {what}", expected)

    def logit(self, mean: Any, **own: Any) -> Any:
        xp = get_xp(mean)
        groups = xp.clip(xp.reshape(mean, (-1, self.k)), 0.001, 0.999)
        idle = xp.clip(1.0 - groups.sum(axis=-1, keepdims=True), 0.001, 0.999)
        return xp.reshape(xp.log(groups) - xp.log(idle), mean.shape)
