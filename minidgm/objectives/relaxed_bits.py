r"""Gradients through bits by way of a slope: straight-through, Gumbel-softmax, REBAR.

    bound = E_q(z)[f(z)] + H(q),     f(z) = log p(x, z),     q(z) = prod_j Bernoulli(sigmoid(a_j))

H is a sum with a derivative of its own, dH/da = -a s (1 - s) with s = sigmoid(a). What remains is the
derivative of E_q[f] in the fields a. With f defined between the bits as well, its slope f' can be used:

| objective | states z | estimate of dE[f]/da |
|---|---|---|
| `StraightThrough` | z ~ q | f'(z) s (1 - s), or f'(z) |
| `GumbelSoftmax` | y = sigmoid((a + g)/tau), g logistic | f'(y) y (1 - y)/tau |
| `Rebar` | z = 1[a + g > 0] | see its page: unbiased |

What the model gives: the fields ``latent_field(x)``, ``latent_field_gradient(x, d)`` = sum_i d_i.da_i/dtheta,
and ``log_joint_input_gradient(x, z)`` = f'(z).
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.numerics import sigmoid
from minidgm.objectives.base import Objective

__all__ = ["RelaxedBits", "logistic"]

SMALLEST = 2.0**-24


class RelaxedBits(Objective):
    """Base of the estimators that use the slope of log p(x, z) in z; ``k`` draws a row."""

    needs: tuple[str, ...] = ("latent_field", "latent_field_gradient", "log_joint_input_gradient")

    def __init__(self, k: int = 1, *, weight_decay: float = 0.0):
        super().__init__(weight_decay=weight_decay)
        self.k = count("k", k)
        self._part: Any = None

    @classmethod
    def obstacle(cls, model: Any) -> str | None:
        """Say why this objective cannot train a model, or None if it can."""
        missing = [name for name in cls.needs if not hasattr(model, name)]
        if missing:
            return f"it has no {', '.join(missing)}"
        deep = getattr(model, "depth", 1) > 1
        return "its hidden layers are not independent given x: it needs a single one" if deep else None

    def slope(self, model: Any, x: Any, a: Any, rng: Any) -> tuple[Any, Any, Any]:
        """Return z for p's gradient and the estimate of dE[f]/da, [m, d] each, and f [m], at fields a."""
        raise NotImplementedError

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, n, k = get_xp(batch), batch.shape[0], self.k
        field = model.latent_field(batch)
        wide = xp.tile(batch, (k, 1))
        z, d, f = self.slope(model, wide, xp.tile(field, (k, 1)), rng)
        weights = xp.full(n * k, -1.0 / (n * k), dtype=batch.dtype)
        model.log_joint_gradient(wide, z, weights, grads)
        s = sigmoid(field)
        own = getattr(model, "entropy_weight", 1.0)
        total = d.reshape(k, n, field.shape[1]).mean(axis=0) - own * field * s * (1.0 - s)
        if self._part is None or (self._part.shapes, self._part.dtype, self._part.backend) != (
            grads.shapes,
            grads.dtype,
            grads.backend,
        ):
            self._part = grads.like()
        grads.buffer += model.latent_field_gradient(batch, total * (-1.0 / n), self._part).buffer
        entropy = own * model.latent.distribution(field).entropy().mean() if own else 0.0
        return {"loss": -f.mean() - entropy}


def logistic(rng: Any, shape: tuple[int, ...], dtype: Any) -> tuple[Any, Any]:
    """Uniform numbers u inside (0, 1), and logistic noise log u - log(1 - u)."""
    u = rng.uniform(shape, dtype) * (1.0 - 2.0 * SMALLEST) + SMALLEST
    xp = get_xp(u)
    return u, xp.log(u) - xp.log1p(-u)
