"""The hot path of annealing: a Bernoulli RBM from a base without hidden units, in reused buffers.

Each temperature costs two matrix products, x = v W + c and y = h W^T. The first serves twice, for the weight
and for the draw of h. In the weight, softplus(a) = max(a, 0) + log(1 + exp(-|a|)), so that both temperatures
share |x| and one logarithm:

    sum_j softplus(t x_j) - softplus(s x_j) = (t - s) sum_j max(x_j, 0)
                                            + sum_j log((1 + exp(-t |x_j|)) / (1 + exp(-s |x_j|)))

with max(x, 0) = (x + |x|) / 2 and sum_j x_j linear in v; the two sums over j are products with vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minidgm.backend import get_xp
from minidgm.evaluation.path import HarmoniumPath


class BernoulliPath(HarmoniumPath):
    """`HarmoniumPath` from a factorial base to a Bernoulli RBM; makes the same draws as the plain loop."""

    def anneal(self, state: Any, betas: Sequence[float], rng: Any) -> tuple[Any, Any]:
        base, params = self.a.params["b"], self.b.params
        W, b, c = params["W"], params["b"], params["c"]
        xp, n = get_xp(state), state.shape[0]
        drift, half_sum = b - base + 0.5 * W.sum(axis=1), 0.5 * c.sum()
        ones = xp.ones_like(c)
        v, x = state.copy(), xp.empty((n, c.shape[0]), dtype=state.dtype)
        h, y = xp.empty_like(x), xp.empty_like(v)
        size, becomes = xp.empty_like(x), xp.empty_like(x)
        was = h  # free until h is drawn
        log_w = xp.zeros(n, dtype="float64")
        for here, there in pairwise(betas):
            xp.matmul(v, W, out=x)
            xp.add(x, c, out=x)
            if here != there:
                xp.abs(x, out=size)
                log_w += (there - here) * (v @ drift + half_sum + 0.5 * (size @ ones))
                for beta, factor in ((here, was), (there, becomes)):
                    xp.multiply(size, -beta, out=factor)
                    xp.exp(factor, out=factor)
                    xp.add(factor, 1.0, out=factor)
                xp.divide(becomes, was, out=becomes)
                log_w += xp.log(becomes, out=becomes) @ ones
            xp.multiply(x, there, out=x)
            rng.bernoulli_from_logits(x, out=h)
            xp.multiply(h, there, out=h)
            xp.matmul(h, W.T, out=y)
            rng.bernoulli_from_logits(y, bias=(1.0 - there) * base + there * b, out=v)
        return log_w, v
