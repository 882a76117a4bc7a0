r"""Gradients through discrete codes by way of a slope: straight-through, Gumbel-softmax, REBAR.

    bound = E_q(z)[f(z)] + H(q),     f(z) = log p(x, z),     q(z) = exp(z . a - cgf(a))

for bits with fields a, or one-hot groups with logits a. H = cgf(a) - a . m, with the means m = E_q[z], has a
derivative of its own, dH/da = -C a with the covariance C = dm/da: s (1 - s) for a bit, diag(m) - m m^T in a
group. What remains is the derivative of E_q[f] in a. With f defined between the codes as well, its slope f'
can be used:

| objective | states z | estimate of dE[f]/da |
|---|---|---|
| `StraightThrough` | z ~ q | C f'(z), or f'(z) |
| `GumbelSoftmax` | y = relaxed(a + g) at tau | (dy/da)^T f'(y) |
| `Rebar` | z = hard(a + g) | see its page: unbiased |

Noise, hard and relaxed codes: `minidgm.objectives.relaxations`. What the model gives: the fields
``latent_field(x)``, ``latent_field_gradient(x, d)`` = sum_i d_i.da_i/dtheta, and
``log_joint_input_gradient(x, z)`` = f'(z). Nets give f, f' and the gradient of p in one pass by
``log_joint_slopes``, and fields with their backward pass by ``latent_field_back``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.objectives.base import Objective
from minidgm.objectives.relaxations import noise_for

__all__ = ["RelaxedCodes", "slopes"]


class RelaxedCodes(Objective):
    """Base of the estimators that use the slope of log p(x, z) in z; ``k`` draws a row."""

    needs: tuple[str, ...] = ("latent_field", "latent_field_gradient", "log_joint_input_gradient")

    def __init__(self, k: int = 1, *, weight_decay: float = 0.0):
        super().__init__(weight_decay=weight_decay)
        self.k = count("k", k)
        self._part: Any = None
        self._learned = False  # whether the slope at z gave the gradient of p there too

    @classmethod
    def obstacle(cls, model: Any) -> str | None:
        """Say why this objective cannot train a model, or None if it can."""
        missing = [name for name in cls.needs if not hasattr(model, name)]
        if missing:
            return f"it has no {', '.join(missing)}"
        if noise_for(model.latent) is None:
            return f"its codes are {model.latent!r}, and neither bits nor one-hot groups"
        deep = getattr(model, "depth", 1) > 1
        return "its hidden layers are not independent given x: it needs a single one" if deep else None

    def slope(self, model: Any, x: Any, a: Any, rng: Any) -> tuple[Any, Any, Any]:
        """Return z for p's gradient and the estimate of dE[f]/da, [m, d] each, and f [m], at fields a."""
        raise NotImplementedError

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, n, k = get_xp(batch), batch.shape[0], self.k
        field, back = _fields(model, batch)
        wide = xp.tile(batch, (k, 1))
        self._learned = False
        z, d, f = self.slope(model, wide, xp.tile(field, (k, 1)), rng)
        if not self._learned:
            weights = xp.full(n * k, -1.0 / (n * k), dtype=batch.dtype)
            model.log_joint_gradient(wide, z, weights, grads)
        q = model.latent.distribution(field)
        own = getattr(model, "entropy_weight", 1.0)
        total = d.reshape(k, n, field.shape[1]).mean(axis=0) - own * q.mean_jvp(field)
        if self._part is None or (self._part.shapes, self._part.dtype, self._part.backend) != (
            grads.shapes,
            grads.dtype,
            grads.backend,
        ):
            self._part = grads.like()
        grads.buffer += back(total * (-1.0 / n), self._part).buffer
        entropy = own * q.entropy().mean() if own else 0.0
        return {"loss": -f.mean() - entropy}

    def value_and_slope(self, model: Any, x: Any, z: Any) -> tuple[Any, Any]:
        """f [m] and f' [m, d] at the states that p learns from; its gradient by the same pass, if it may."""
        if not hasattr(model, "log_joint_slopes"):
            return model.log_joint(x, z), model.log_joint_input_gradient(x, z)
        m = x.shape[0]
        f, d = model.log_joint_slopes(x, z, get_xp(x).full(m, -1.0 / m, dtype=x.dtype), self._grads)
        self._learned = True
        return f, -m * d


def slopes(model: Any, x: Any, z: Any) -> tuple[Any, Any]:
    """f(z) = log p(x, z), [m], and f'(z), [m, d]: by one pass where the model has one."""
    if hasattr(model, "log_joint_slopes"):
        return model.log_joint_slopes(x, z)
    return model.log_joint(x, z), model.log_joint_input_gradient(x, z)


def _fields(model: Any, x: Any) -> tuple[Any, Any]:
    """Fields a, and ``back(d, out)`` = sum_i d_i . da_i/dtheta: by one pass where the model has one."""
    if hasattr(model, "latent_field_back"):
        return model.latent_field_back(x)
    return model.latent_field(x), partial(model.latent_field_gradient, x)
