"""One drawn example of an identity: a model with drawn parameters, and everything exact about it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidgm.backend import asarray
from minidgm.checks import oracle, strategies
from minidgm.checks.comparison import host, mean_of
from minidgm.checks.enumeration import conditional_table, log_integral, log_sum_exp, quadrature_nodes
from minidgm.checks.exhaustive import Friendly, Replay
from minidgm.checks.subject import Subject
from minidgm.random import Generator

CONTINUOUS_LARGEST = 2.0


class Case:
    """What an identity's function receives.

    Attributes
    ----------
    subject : Subject
        Domains of the units, sizes, precision.
    model : object
        The model under test, its parameters drawn.
    reference : object
        The same parameters on the host in float64: where exact answers come from.
    example : dict
        What has been drawn so far, by name; a failure shows it.
    """

    def __init__(self, subject: Subject, data: Any, largest: float = 30.0):
        self.subject, self._data = subject, data
        self.example: dict[str, Any] = {}
        continuous = not (subject.visible.discrete and subject.hidden.discrete)
        largest = min(largest, CONTINUOUS_LARGEST) if continuous else largest
        values = data.draw(strategies.parameters(subject, largest))
        subject.set_parameters(values)
        self.example |= {name: value for name, value in values.items() if value.size}
        self.model = subject.model

    # Drawing

    def draw(self, strategy: Any, name: str) -> Any:
        """Draw from a hypothesis strategy; ``name`` labels the value in a failing example."""
        self.example[name] = self._data.draw(strategy)
        return self.example[name]

    def visible(self, min_size: int = 1, max_size: int = 5, name: str = "v") -> np.ndarray:
        """Draw a batch of visible states [n, n_visible] on the host, float64."""
        return self.draw(strategies.batches(self.subject.visible, min_size, max_size), name)

    def hidden(self, n: int | None = None, name: str = "h") -> np.ndarray:
        """Draw hidden states, [n, n_hidden]; of any number when ``n`` is None."""
        low, high = (1, 5) if n is None else (n, n)
        rows = st.lists(strategies.states(self.subject.hidden), min_size=low, max_size=high)
        shape = (-1, self.subject.hidden.n)
        return self.draw(rows.map(lambda r: np.asarray(r, np.float64).reshape(len(r), shape[1])), name)

    def weights(self, n: int, name: str = "weights") -> np.ndarray:
        """Draw signed weights [n]."""
        return self.draw(strategies.weights(n), name)

    def seed(self) -> int:
        """Draw a seed."""
        return self.draw(strategies.seeds(), "seed")

    def rng(self, seed: int | None = None) -> Any:
        """Return a generator for the model under test, from a drawn seed."""
        seed = self.seed() if seed is None else seed
        return Generator(seed, self.subject.backend) if self.subject.of_library else Friendly(seed)

    def replay(self, seed: int, backend: str | None = None, shared: bool = False) -> Replay:
        """Return a generator that gives every backend and dtype (and, if ``shared``, every row) the same
        noise.
        """
        return Replay(seed, backend or self.subject.backend, shared)

    # Calling

    def device(self, x: Any) -> Any:
        """Put a host array where the model lives, in its precision."""
        return asarray(x, self.subject.backend, self.subject.dtype)

    def call(self, method: str, *arrays: Any, **keywords: Any) -> np.ndarray:
        """Call a method of the model under test and bring the result to the host (float64).

        A model without hidden units has ``energy(v)``: a second array is then left out.
        """
        return host(call(self.subject, self.model, method, *map(self.device, arrays), **keywords))

    def conditional(self, method: str, x: Any) -> Any:
        """Call ``hidden_given_visible`` or ``visible_given_hidden`` of the model under test."""
        return getattr(self.model, method)(self.device(x))

    def conditional_mean(self, method: str, x: Any) -> np.ndarray:
        """Mean of a conditional: its ``mean``, or the array itself."""
        return host(mean_of(self.conditional(method, x)))

    def zeros(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ``n`` rows of zeros for each side."""
        return np.zeros((n, self.subject.visible.n)), np.zeros((n, self.subject.hidden.n))

    # Exact, from the energy alone

    @cached_property
    def reference(self) -> Any:
        return oracle.reference(self.model)

    @property
    def V(self) -> np.ndarray:
        """All visible states, [m_v, n_visible]."""
        return self.subject.visible.states

    @property
    def H(self) -> np.ndarray:
        """All hidden states, [m_h, n_hidden]."""
        return self.subject.hidden.states

    def energy(self, model: Any, v: Any, h: Any) -> Any:
        """E(v, h) of any copy of the model (traceable)."""
        return call(self.subject, model, "energy", v, h)

    def energy_table(self, model: Any, v: np.ndarray, h: np.ndarray) -> Any:
        """E for every pair of rows, [n_v, n_h] (traceable in the model's parameters)."""
        pairs = self.energy(model, np.repeat(v, len(h), axis=0), np.tile(h, (len(v), 1)))
        return pairs.reshape((len(v), len(h)))

    def log_sum_hidden(self, v: np.ndarray) -> np.ndarray:
        """log sum_h exp(-E(v, h)) for each row, or the integral over one or two continuous units, [n]."""
        if self.subject.hidden.discrete:
            return log_sum_exp(-host(self.energy_table(self.reference, v, self.H)), axis=1)
        return np.asarray([self._integral(self.subject.hidden, row, "v") for row in v])

    def log_mass(self, v: np.ndarray) -> np.ndarray:
        """-F(v), [n]: `log_sum_hidden`, or the model's own free energy, which identity 8 ties to it, where
        each of many rows would take an integral.
        """
        if self.subject.hidden.discrete or not self.subject.has("free_energy"):
            return self.log_sum_hidden(v)
        return -host(self.reference.free_energy(v))

    def log_sum_visible(self, h: np.ndarray) -> np.ndarray:
        """log sum_v exp(-E(v, h)), or its integral, for each row, [n]."""
        if self.subject.visible.discrete:
            return log_sum_exp(-host(self.energy_table(self.reference, self.V, h)), axis=0)
        return np.asarray([self._integral(self.subject.visible, row, "h") for row in h])

    def _integral(self, domain: Any, row: np.ndarray, fixed: str) -> float:
        def log_density(nodes: np.ndarray) -> np.ndarray:
            other = np.tile(row, (len(nodes), 1))
            pair = (other, nodes) if fixed == "v" else (nodes, other)
            return -host(self.energy(self.reference, *pair))

        return log_integral(log_density, domain)

    @cached_property
    def log_joint(self) -> np.ndarray:
        """Log p(v, h) of every joint state, normalised, [m_v, m_h]."""
        table = -host(self.energy_table(self.reference, self.V, self.H))
        return table - log_sum_exp(table)

    @cached_property
    def log_z(self) -> float:
        """Log partition function, by enumeration of one side and a sum or an integral over the other."""
        if self.subject.visible.discrete:
            return float(log_sum_exp(self.log_sum_hidden(self.V)))
        if not self.subject.hidden.discrete:
            return float(log_integral(self.log_mass, self.subject.visible))
        return float(log_sum_exp(self.log_sum_visible(self.H)))

    @cached_property
    def log_p_visible(self) -> np.ndarray:
        """Log p(v) of every visible state, [m_v]."""
        marginal = self.log_sum_hidden(self.V)
        return marginal - log_sum_exp(marginal)

    @cached_property
    def p_visible(self) -> np.ndarray:
        """p(v) of every visible state, [m_v]."""
        return np.exp(self.log_p_visible)

    @cached_property
    def visible_expectation(self) -> tuple[np.ndarray, np.ndarray]:
        """Points [m, n_visible] and weights [m] that carry expectations under p(v): states, or nodes."""
        if self.subject.visible.discrete:
            return self.V, self.p_visible
        points, log_p, _ = self._visible_grid
        return points, np.exp(log_p - log_sum_exp(log_p))

    @cached_property
    def _visible_grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nodes [m, n_visible], log of mass times weight, log weights, on which log Z is 1e-12 exact."""
        previous = np.inf
        for level in range(1, 5):
            points, weights = quadrature_nodes(self.log_mass, self.subject.visible, level)
            log_p = self.log_mass(points) + np.log(weights)
            total = float(log_sum_exp(log_p))
            if abs(total - previous) <= 1e-12:
                break
            previous = total
        return points, log_p, np.log(weights)

    def cdf(self, log_density: Any, domain: Any, i: int, x: np.ndarray) -> np.ndarray:
        """Distribution function of coordinate ``i`` at ``x`` [m], for an unnormalised density of one side."""
        nodes, weights = quadrature_nodes(log_density, domain, level=2)
        log_p = host(log_density(nodes)) + np.log(weights)
        line, place = np.unique(nodes[:, i], return_inverse=True)
        mass = np.bincount(place.reshape(-1), np.exp(log_p - log_sum_exp(log_p)))
        return np.interp(x, line, np.cumsum(mass) - 0.5 * mass, left=0.0, right=1.0)

    def visible_cdf(self, i: int, x: np.ndarray) -> np.ndarray:
        """Distribution function of the real visible unit ``i`` at ``x``."""
        return self.cdf(self.log_mass, self.subject.visible, i, x)

    def hidden_cdf(self, i: int, x: np.ndarray) -> np.ndarray:
        """Distribution function of the real hidden unit ``i`` at ``x``."""
        return self.cdf(self.log_sum_visible, self.subject.hidden, i, x)

    @cached_property
    def p_joint(self) -> np.ndarray:
        """p(v, h) of every joint state, [m_v, m_h]."""
        return np.exp(self.log_joint)

    @cached_property
    def hidden_posterior(self) -> np.ndarray:
        """p(h | v) by Bayes on the joint, [m_v, m_h]."""
        return np.exp(self.log_joint - log_sum_exp(self.log_joint, axis=1)[:, None])

    def log_likelihood(self, model: Any, v: np.ndarray) -> Any:
        """log p(v) by enumeration, traceable in the model's parameters, [n]; bounded units on the summed
        sides.

        Continuous hidden units are summed out by the model's own free energy, which identity 8 ties to the
        energy.
        """
        return -self.free_energy(model, v) - self._traced_log_z(model)

    def free_energy(self, model: Any, v: np.ndarray) -> Any:
        """-log sum_h exp(-E(v, h)), traceable in the model's parameters, [n]."""
        if self.subject.hidden.discrete:
            return -traced_log_sum_exp(-self.energy_table(model, v, self.H), axis=1)
        return model.free_energy(v)

    def _traced_log_z(self, model: Any) -> Any:
        if self.subject.visible.discrete:
            return traced_log_sum_exp(-self.free_energy(model, self.V))
        if not self.subject.hidden.discrete:
            points, _, log_weights = self._visible_grid
            return traced_log_sum_exp(log_weights - model.free_energy(points))
        return traced_log_sum_exp(-model.hidden_free_energy(self.H))


def traced_log_sum_exp(a: Any, axis: int | None = None) -> Any:
    """log sum exp in autograd's namespace."""
    import autograd.numpy as anp

    top = anp.max(a, axis=axis, keepdims=True)
    total = anp.log(anp.sum(anp.exp(a - top), axis=axis, keepdims=True)) + top
    return anp.reshape(total, ()) if axis is None else anp.squeeze(total, axis=axis)


def call(subject: Subject, model: Any, method: str, *arrays: Any, **keywords: Any) -> Any:
    """Call a method by name; ``energy`` of a model without hidden units takes v alone."""
    if method == "energy" and subject.energy_arguments() == 1:
        arrays = arrays[:1]
    return getattr(model, method)(*arrays, **keywords)


def conditional_log_table(subject: Subject, method: str) -> np.ndarray:
    """Log-probabilities of every state of one side given every state of the other, from the model's
    conditional.

    Returns
    -------
    array [m_given, m_target], float64
        For a continuous target (or given) side there is no table; use the distribution's ``log_prob`` on
        rows.
    """
    visible, hidden = subject.visible, subject.hidden
    given, target = (visible, hidden) if method == "hidden_given_visible" else (hidden, visible)
    return conditional_log_prob(subject, method, given.states, target.states)


def conditional_log_prob(subject: Subject, method: str, given: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Log-probability of each row of ``target`` given each row of ``given``, [n_given, n_target]."""
    domain = subject.hidden if method == "hidden_given_visible" else subject.visible

    def device(x: np.ndarray) -> Any:
        return asarray(x, subject.backend, subject.dtype)

    def conditional(rows: np.ndarray) -> Any:
        return getattr(subject.model, method)(device(rows))

    if callable(getattr(conditional(given[:1]), "log_prob", None)):
        pairs = conditional(np.repeat(given, len(target), axis=0))
        log_p = host(pairs.log_prob(device(np.tile(target, (len(given), 1)))))
        return log_p.reshape(len(given), len(target))
    return conditional_table(conditional(given), target, domain.kind, len(given))
