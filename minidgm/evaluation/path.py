"""Geometric paths from one energy model to another, the road of every annealed estimate.

A path is a family of unnormalised densities f_beta with f_0 the start and f_1 the end. It has three methods:

    log_increment(state, here, there)   log f_there(state) - log f_here(state), [n], float64
    sweep(state, beta, rng)             a transition that leaves f_beta invariant
    anneal(state, betas, rng)           both in turn, along ``betas``

**Harmoniums** A and B with the same visible units (Salakhutdinov and Murray 2008, section 4): at beta the
visible units see both hidden layers, A's weakened to 1 - beta and B's to beta. Summing both layers out,

    log f_beta(v) = (1 - beta) (b_A.v + log_base_A(v)) + sum_j cgf_A((1 - beta) x_A,j)
                  +      beta  (b_B.v + log_base_B(v)) + sum_j cgf_B(     beta  x_B,j)

with x_A = v W_A + c_A and x_B = v W_B + c_B. The layers may differ in size and unit type. At the ends the
idle layer is free and contributes a constant, sum_j cgf(0); `log_constants` counts it. A product of
independent visible units is a harmonium without hidden units, so that annealing from a simple base is the
case in which A's layer is empty.

**Boltzmann machines** have energies linear in their parameters, so that the path is the machine with
parameters (1 - beta) theta_A + beta theta_B, on the joint state (v, h).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minidgm.backend import get_xp


class Path:
    """A path from model ``a`` to model ``b``; `anneal` is the plain loop that all paths share."""

    a: Any
    b: Any
    sweeps = "Gibbs"  # what a sweep is, for the settings of an estimate
    reversible = True  # each sweep satisfies detailed balance: the time-reversed run uses the same sweeps

    def log_increment(self, state: Any, here: float, there: float) -> Any:
        """log f_there - log f_here at each state, [n], float64."""
        raise NotImplementedError

    def sweep(self, state: Any, beta: float, rng: Any) -> Any:
        """One transition that leaves f_beta invariant."""
        raise NotImplementedError

    def log_constants(self) -> Any:
        """log of (Z_B / Z_A) / (Z of f_1 / Z of f_0): a 0-d array."""
        raise NotImplementedError

    def visible(self, state: Any) -> Any:
        """The visible part of a state, [n, n_visible]."""
        return state

    def join(self, v: Any, beta: float, rng: Any) -> Any:
        """Complete visible units drawn at ``beta`` to a state."""
        return v

    def anneal(self, state: Any, betas: Sequence[float], rng: Any) -> tuple[Any, Any]:
        """Weight, then move, along ``betas`` in either direction (Neal 2001).

        For each pair of neighbours the state, which stands for ``here``, is weighted with
        f_there / f_here and then moved by a sweep at ``there``. A beta that repeats weighs nothing: it is a
        step of plain Gibbs sampling.

        Returns
        -------
        (log_weights [n] float64, final state)
        """
        log_w: Any = 0.0
        for here, there in pairwise(betas):
            log_w = log_w + self.log_increment(state, here, there)
            state = self.sweep(state, there, rng)
        return log_w, state


class HarmoniumPath(Path):
    """Path between two RBMs A and B with the same visible units; states are v [n, n_visible]."""

    sweeps = "block"

    def __init__(self, a: Any, b: Any):
        self.a, self.b = a, b
        own_a, own_b = a._own("visible"), b._own("visible")
        self.mixes_precisions = any(not bool((own_a[name] == own_b[name]).all()) for name in own_b)

    def log_increment(self, state: Any, here: float, there: float) -> Any:
        v, a, b = state, self.a, self.b
        xp = get_xp(v)
        linear = v @ (b.params["b"] - a.params["b"])
        if self.mixes_precisions:
            base_a, base_b = (model.visible.log_base(v, **model._own("visible")) for model in (a, b))
            linear = linear + xp.sum(base_b - base_a, axis=-1)
        total = (there - here) * linear.astype("float64")
        for model, was, becomes in ((a, 1.0 - here, 1.0 - there), (b, here, there)):
            x, own = model.hidden_field(v), model._own("hidden")
            change = model.hidden.cgf(becomes * x, **own) - model.hidden.cgf(was * x, **own)
            total = total + xp.sum(change, axis=-1, dtype="float64")
        return total

    def hidden_given_visible(self, v: Any, beta: float) -> tuple[Any, Any]:
        """Distributions of A's and of B's hidden units given v at ``beta``."""
        return tuple(
            model.hidden.distribution(scale * model.hidden_field(v), **model._own("hidden"))
            for model, scale in ((self.a, 1.0 - beta), (self.b, beta))
        )

    def visible_given_hidden(self, h_a: Any, h_b: Any, beta: float) -> Any:
        """Distribution of v given both hidden layers at ``beta``."""
        field = (1.0 - beta) * self.a.visible_field(h_a) + beta * self.b.visible_field(h_b)
        return self.b.visible.distribution(field, **self._visible_own(beta))

    def _visible_own(self, beta: float) -> dict[str, Any]:
        """Visible parameters at ``beta``: log base measures mix linearly, hence Gaussian precisions do."""
        own_a, own_b = self.a._own("visible"), self.b._own("visible")
        if not self.mixes_precisions:
            return own_b
        xp = get_xp(own_b["log_precision"])
        precisions = [xp.exp(own["log_precision"]) for own in (own_a, own_b)]
        return {"log_precision": xp.log((1.0 - beta) * precisions[0] + beta * precisions[1])}

    def sweep(self, state: Any, beta: float, rng: Any) -> Any:
        """h_A, h_B ~ p(h | v), then v ~ p(v | h_A, h_B): reversible as a kernel on v."""
        p_a, p_b = self.hidden_given_visible(state, beta)
        h_a = p_a.sample(rng) if p_a.field.size else p_a.field
        return self.visible_given_hidden(h_a, p_b.sample(rng), beta).sample(rng)

    def log_constants(self) -> Any:
        totals = []
        for model in (self.a, self.b):
            c = model.params["c"].astype("float64")
            own = {name: value.astype("float64") for name, value in model._own("hidden").items()}
            totals.append(model.hidden.cgf(0.0 * c[None, :], **own).sum())
        return totals[1] - totals[0]


class LinearPath(Path):
    """Path between two models whose energies are linear in their parameters; states are pairs (v, h)."""

    # A sweep visits the units in a fixed order; its reversal visits them backwards.
    reversible = False

    def __init__(self, a: Any, b: Any):
        self.a, self.b = a, b

    def log_increment(self, state: Any, here: float, there: float) -> Any:
        v, h = state
        return (there - here) * (self.a.energy(v, h) - self.b.energy(v, h)).astype("float64")

    def at(self, beta: float) -> Any:
        """The model at ``beta``."""
        start, end = self.a.params, self.b.params
        return self.b.with_params({k: (1.0 - beta) * start[k] + beta * end[k] for k in end})

    def sweep(self, state: Any, beta: float, rng: Any) -> Any:
        return self.at(beta).gibbs_step(*state, rng)

    def log_constants(self) -> Any:
        return 0.0

    def visible(self, state: Any) -> Any:
        return state[0]

    def join(self, v: Any, beta: float, rng: Any) -> Any:
        model = self.at(beta)
        if model.exact_posterior:
            return v, model.hidden_given_visible(v).sample(rng)
        # Exact where nothing is coupled, as at a base; elsewhere a start for further sweeps.
        return self.sweep((v, get_xp(v).zeros((v.shape[0], model.n_hidden), dtype=v.dtype)), beta, rng)
