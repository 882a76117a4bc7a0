"""Gibbs sampling of the hidden and the visible units of a Boltzmann machine.

Where both conditionals factorise (RBM) a sweep is two block draws,

    v ~ p(v | h),      h ~ p(h | v),

each of which leaves p(v, h) invariant, so the sweep does. It ends on the hidden units: their mean at the end
of a sweep is what learning rules need, and the next sweep starts from their draw without another product.
Any other model brings its own ``gibbs_step(v, h, rng)``.

>>> import numpy as np
>>> from minidgm import RBM, Generator
>>> rbm, rng = RBM(4, 3, seed=0), Generator(0)
>>> state = init(rbm, np.zeros((5, 4), dtype="float32"), rng)
>>> state, info = step(rbm, state, rng, k=10)
>>> state.v.shape, state.h.shape
((5, 4), (5, 3))
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from minidgm.backend import get_xp

__all__ = [
    "GibbsInfo",
    "GibbsState",
    "fill_hidden",
    "fill_visible",
    "has_blocks",
    "has_fills",
    "init",
    "step",
    "sweep",
]


class GibbsState(NamedTuple):
    """Chains: visible states [m, n_visible] and hidden states [m, n_hidden]."""

    v: Any
    h: Any


class GibbsInfo(NamedTuple):
    """What the last sweep did: the share of visible values that changed, a 0-d array."""

    changed: Any


def init(model: Any, v: Any, rng: Any) -> GibbsState:
    """Start chains at visible states ``v`` [m, n_visible], hidden states drawn given them.

    The draw is from p(h | v), or from its mean field where a model does not enumerate the posterior
    (``exact_posterior`` False): sweeps forget the difference.
    """
    if getattr(model, "exact_posterior", True):
        return GibbsState(v, model.hidden_given_visible(v).sample(rng))
    return GibbsState(v, rng.bernoulli(model.mean_field(v, tolerance=None, max_iterations=10).mean))


def step(model: Any, state: GibbsState, rng: Any, k: int = 1) -> tuple[GibbsState, GibbsInfo]:
    """Advance every chain by ``k`` >= 1 sweeps."""
    if k < 1:
        raise ValueError(f"k={k!r}; expected at least one sweep")
    v, h = state
    before = v
    for _ in range(k):
        before = v
        v, h = sweep(model, v, h, rng)
    return GibbsState(v, h), GibbsInfo((v != before).mean())


def sweep(model: Any, v: Any, h: Any, rng: Any) -> tuple[Any, Any]:
    """One sweep: v ~ p(v | h), then h ~ p(h | v); one whose hidden units are coupled takes its own step."""
    if hasattr(model, "exact_posterior") or not hasattr(model, "visible_given_hidden"):
        return model.gibbs_step(v, h, rng)
    v = model.visible_given_hidden(h).sample(rng)
    return v, model.hidden_given_visible(v).sample(rng)


# The same half sweeps into given arrays, for training loops.


FIELDS = ("hidden_field", "visible_field", "hidden_given_visible", "visible_given_hidden")
MAPS = (*FIELDS, "energy", "energy_gradient", "free_energy", "free_energy_gradient")


def has_blocks(model: Any) -> bool:
    """Whether the products of the RBM are this model's: its fields are v W + c and h W^T + b.

    A subclass that overrides one of its maps does not qualify.
    """
    return _blocks(type(model))  # type: ignore[arg-type]


@cache
def _blocks(model: type) -> bool:
    from minidgm.boltzmann.rbm import RBM

    return issubclass(model, RBM) and all(getattr(model, m) is getattr(RBM, m) for m in MAPS)


def has_fills(model: Any) -> bool:
    """Whether :func:`fill_hidden` and :func:`fill_visible` speak for this model.

    They write out the RBM's fields, or call the model's own methods of these names; a subclass of the class
    that brings these and that overrides one of its maps does not qualify.
    """
    if not (hasattr(model, "fill_hidden") and hasattr(model, "fill_visible")):
        return has_blocks(model)

    def home(method: str) -> type:
        return next(c for c in type(model).__mro__ if method in vars(c))

    own = [m for m in MAPS if hasattr(model, m)]
    return all(issubclass(home(fill), home(m)) for fill in ("fill_hidden", "fill_visible") for m in own)


def fill_hidden(model: Any, v: Any, rng: Any = None, draw: Any = None, mean: Any = None) -> None:
    """Write a draw from p(h | v), its mean, or both, into arrays [n, n_hidden]."""
    if hasattr(model, "fill_hidden"):
        model.fill_hidden(v, rng, draw, mean)
        return
    out = draw if mean is None else mean
    get_xp(v, out).matmul(v, model.params["W"], out=out)
    model.hidden.fill(out, model.params["c"], rng, draw, mean, **model._own("hidden"))


def fill_visible(model: Any, h: Any, rng: Any = None, draw: Any = None, mean: Any = None) -> None:
    """Write a draw from p(v | h), its mean, or both, into arrays [n, n_visible]."""
    if hasattr(model, "fill_visible"):
        model.fill_visible(h, rng, draw, mean)
        return
    out = draw if mean is None else mean
    get_xp(h, out).matmul(h, model.params["W"].T, out=out)
    model.visible.fill(out, model.params["b"], rng, draw, mean, **model._own("visible"))
