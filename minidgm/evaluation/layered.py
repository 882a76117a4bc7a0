"""Annealing deep Boltzmann machines, with the even layers summed out.

Between two machines A and B of the same sizes, with parameters mixed as (1 - beta) A + beta B, the layers of
one parity are independent given the others. The even ones, the visible layer among them, sum out analytically
(Salakhutdinov and Hinton 2009, section 4), so that a chain lives on the odd layers alone:

    log f_beta(x_odd) = sum_{l odd} x_l.b_l(beta) + sum_{l even} sum cgf_l(a_l(beta)),
    a_l(beta) = (1 - beta) a_l^A + beta a_l^B,      a_l = b_l + x_{l-1} W_l + x_{l+1} W_{l+1}^T.

A sweep draws the even layers, then the odd ones: reversible as a kernel on x_odd. At the base nothing is
coupled, A's fields are its biases and its Z is a product over units. A Gaussian precision mixes linearly, as
log base measures do.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minidgm.backend import get_xp, is_array
from minidgm.evaluation.path import Path
from minidgm.numerics import softplus_sum


class LayeredPath(Path):
    """Path between two DBMs of the same sizes; states are pairs (v, h), of which the odd layers count."""

    sweeps = "even and odd layers"

    def __init__(self, a: Any, b: Any, coupled: bool = True):
        self.a, self.b = a, b
        self.coupled = coupled  # whether A has couplings; a base has none, its fields are its biases
        self.odd, self.even = range(1, b.depth + 1, 2), range(0, b.depth + 1, 2)

    def _fields(self, which: Any, states: Any) -> dict[int, tuple[Any, Any]]:
        """A's and B's fields of the layers ``which``, given their neighbours."""
        fields = {}
        for layer in which:
            a = self.a.field(layer, states) if self.coupled else self.a.params[f"b{layer}"]
            fields[layer] = a, self.b.field(layer, states)
        return fields

    def _own(self, layer: int, beta: float) -> dict[str, Any]:
        own_a, own_b = self.a.unit(layer)[1], self.b.unit(layer)[1]
        if not self.coupled or not own_b:
            return own_b
        xp = get_xp(own_b["log_precision"])
        a, b = (xp.exp(own["log_precision"]) for own in (own_a, own_b))
        return {"log_precision": xp.log((1.0 - beta) * a + beta * b)}

    def _cgf(self, layer: int, field: Any, beta: float) -> Any:
        unit, _ = self.b.unit(layer)
        if unit.name == "bernoulli":
            return softplus_sum(field)
        return unit.cgf(field, **self._own(layer, beta)).sum(axis=-1, dtype="float64")

    def _increment(self, states: Any, fields: Any, here: float, there: float) -> Any:
        total: Any = 0.0
        for layer in self.odd:
            drift = self.b.params[f"b{layer}"] - self.a.params[f"b{layer}"]
            total = total + (there - here) * (states[layer] @ drift).astype("float64")
        for layer, (a, b) in fields.items():
            for beta, sign in ((there, 1.0), (here, -1.0)):
                total = total + sign * self._cgf(layer, (1.0 - beta) * a + beta * b, beta)
        return total

    def _draw(self, which: Any, fields: Any, states: Any, beta: float, rng: Any) -> None:
        for layer in which:
            a, b = fields[layer]
            field = (1.0 - beta) * a + beta * b
            states[layer] = self.b.unit(layer)[0].sample(field, rng, **self._own(layer, beta))

    def log_increment(self, state: Any, here: float, there: float) -> Any:
        states = self._states(state)
        return self._increment(states, self._fields(self.even, states), here, there)

    def sweep(self, state: Any, beta: float, rng: Any) -> Any:
        states = self._states(state)
        for which in (self.even, self.odd):
            self._draw(which, self._fields(which, states), states, beta, rng)
        return self._state(states)

    def anneal(self, state: Any, betas: Sequence[float], rng: Any) -> tuple[Any, Any]:
        """As `Path.anneal`, with the even layers' fields computed once for the weight and the sweep."""
        states, log_w = self._states(state), get_xp(state[0]).zeros(state[0].shape[0], dtype="float64")
        for here, there in pairwise(betas):
            fields = self._fields(self.even, states)
            if here != there:
                log_w = log_w + self._increment(states, fields, here, there)
            self._draw(self.even, fields, states, there, rng)
            self._draw(self.odd, self._fields(self.odd, states), states, there, rng)
        return log_w, self._state(states)

    def log_constants(self) -> Any:
        return 0.0

    def visible(self, state: Any) -> Any:
        return state[0]

    def sample_base(self, n: int, rng: Any) -> Any:
        """Odd layers of A, which must be uncoupled; the even ones are not looked at before a sweep."""
        xp = self.b.xp
        states = [xp.zeros((n, size), dtype=self.b.dtype) for size in self.b.sizes]
        for layer in self.odd:
            states[layer] = self.b.hidden.sample(states[layer] + self.a.params[f"b{layer}"], rng)
        return self._state(states)

    def at(self, beta: float) -> Any:
        """The model at ``beta``."""
        mixed = {k: (1.0 - beta) * self.a.params[k] + beta * value for k, value in self.b.params.items()}
        own = {f"visible_{name}": value for name, value in self._own(0, beta).items()}
        return self.b.with_params({**mixed, **own})

    def join(self, v: Any, beta: float, rng: Any) -> Any:
        model = self.at(beta)
        if model.exact_posterior:
            return v, model.hidden_given_visible(v).sample(rng)
        # A start for further sweeps, exact where nothing is coupled.
        mean = model.mean_field(v, tolerance=None, max_iterations=10).mean
        return v, rng.bernoulli(mean)

    def _states(self, state: Any) -> list[Any]:
        return [state[0], *self.b.layers(state[1])]

    def _state(self, states: Any) -> tuple[Any, Any]:
        return states[0], get_xp(states[0]).concatenate(states[1:], axis=1)


def path_from_base(model: Any, base: Any) -> tuple[LayeredPath, float]:
    """The path from independent units to a DBM, and the log Z of these units.

    Parameters
    ----------
    model : DBM
    base : None, "biases", "uniform" or array
        Biases of the base: [n_visible], with idle hidden units, or [n_visible + n_hidden], all layers side by
        side, as ``model.base_rate(data)`` gives. None takes each layer's field while its neighbours are idle.

    Raises
    ------
    ValueError, TypeError
        For another shape, a value that is not finite, or an unknown name.
    """
    xp = model.xp
    flat = xp.concatenate(_biases(model, base))
    start = {name: xp.zeros_like(value) for name, value in model.params.items() if name.startswith("W")}
    own = {name: value for name, value in model.params.items() if name.startswith("visible_")}
    parts = model._split(flat[None, :], range(model.depth + 1))
    start |= {f"b{layer}": part[0] for layer, part in enumerate(parts)}
    log_z = 0.0
    for layer, part in enumerate(parts):
        unit, mine = model.unit(layer)
        double = {name: value.astype("float64") for name, value in mine.items()}
        log_z += float(unit.cgf(part.astype("float64"), **double).sum())
    return LayeredPath(model.with_params({**start, **own}), model, coupled=False), log_z


def _biases(model: Any, base: Any) -> list[Any]:
    biases = [model.params[f"b{layer}"] for layer in range(model.depth + 1)]
    if base is None:
        # Means of the layers while they are uncoupled and their fields are 0; 0 for reals.
        units = map(model.unit, range(model.depth + 1))
        idle = [unit.mean(0.0 * b[None, :], **own)[0] for b, (unit, own) in zip(biases, units, strict=True)]
        return [model.field(layer, idle) for layer in range(model.depth + 1)]
    if isinstance(base, str):
        if base not in ("biases", "uniform"):
            raise ValueError(f"base={base!r}; expected 'biases', 'uniform', an array of biases, or None")
        return [(1.0 if base == "biases" else 0.0) * bias for bias in biases]
    if is_array(base):
        get_xp(b0=biases[0], base=base)
    elif not isinstance(base, Sequence):
        raise TypeError(f"base is a {type(base).__name__}; expected 'uniform' or biases [{model.n_visible}]")
    base = model.xp.asarray(base, dtype=model.dtype)
    if base.shape == (model.n_visible,):
        base = model.xp.concatenate([base, model.xp.zeros(model.n_hidden, dtype=model.dtype)])
    if base.shape != (model.n_visible + model.n_hidden,):
        raise ValueError(
            f"base has shape {tuple(base.shape)}; expected biases [{model.n_visible}] of the visible, or "
            f"[{model.n_visible + model.n_hidden}] of all units"
        )
    if not bool(model.xp.isfinite(base).all()):
        raise ValueError("base holds NaN or infinity; model.base_rate(data) gives finite biases")
    return [base]


def path_between(a: Any, b: Any) -> LayeredPath:
    """The path from DBM A to DBM B, of the same sizes, visible units, backend and dtype.

    Raises
    ------
    TypeError, ValueError
        Where they differ.
    """
    if type(a) is not type(b):
        raise TypeError(f"no path from {type(a).__name__} to {type(b).__name__}: both must be of one family")
    if (a.backend, a.dtype) != (b.backend, b.dtype):
        raise TypeError(
            f"model_a is {a.dtype} on {a.backend}, model_b {b.dtype} on {b.backend}; move one with "
            f"model.to({b.backend!r}, {b.dtype!r})"
        )
    if (a.sizes, a.visible) != (b.sizes, b.visible):
        raise ValueError(
            f"model_a has layers {list(a.sizes)} with {a.visible} visibles, model_b {list(b.sizes)} with "
            f"{b.visible}; a path needs the same"
        )
    return LayeredPath(a, b)
