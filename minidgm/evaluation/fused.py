"""The hot path of annealing: a Bernoulli RBM from a base without hidden units, in reused buffers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minidgm.backend import get_xp
from minidgm.evaluation.path import HarmoniumPath
from minidgm.numerics import softplus_sum


class BernoulliPath(HarmoniumPath):
    """`HarmoniumPath` from a factorial base to a Bernoulli RBM; the same chains as the plain loop.

    Per temperature it does two matrix products. x = v W + c serves the weight, whose two row sums of softplus
    take one logarithm for 64 units, and the draw of h; the draws add biases and apply the sigmoid on the fly.
    """

    def anneal(self, state: Any, betas: Sequence[float], rng: Any) -> tuple[Any, Any]:
        base, params = self.a.params["b"], self.b.params
        W, b, c = params["W"], params["b"], params["c"]
        xp, n = get_xp(state), state.shape[0]
        drift = b - base
        v, x = state.copy(), xp.empty((n, c.shape[0]), dtype=state.dtype)
        h, y = xp.empty_like(x), xp.empty_like(v)
        log_w = xp.zeros(n, dtype="float64")
        for here, there in pairwise(betas):
            xp.matmul(v, W, out=x)
            xp.add(x, c, out=x)
            if here != there:
                log_w += (there - here) * (v @ drift)
                log_w += softplus_sum(x, there) - softplus_sum(x, here)
            xp.multiply(x, there, out=x)
            rng.bernoulli_from_logits(x, out=h)
            xp.multiply(h, there, out=h)
            xp.matmul(h, W.T, out=y)
            rng.bernoulli_from_logits(y, bias=(1.0 - there) * base + there * b, out=v)
        return log_w, v
