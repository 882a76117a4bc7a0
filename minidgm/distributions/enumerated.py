"""A table over all states."""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.numerics import logsumexp


class Enumerated:
    """A joint distribution over all hidden states, for conditionals that do not factorise.

    Parameters
    ----------
    states : array [m, d]
        Every configuration, in the order of `minidgm.boltzmann.units.Bernoulli.states` (unit 0 fastest).
    log_weights : array [n, m]
        Unnormalised log-probability of each state for each row.
    """

    def __init__(self, states: Any, log_weights: Any):
        self.states = states
        self.log_probabilities = log_weights - logsumexp(log_weights, axis=1, keepdims=True)

    @property
    def probabilities(self) -> Any:
        """Probability of each state, [n, m]."""
        return get_xp(self.log_probabilities).exp(self.log_probabilities)

    @property
    def mean(self) -> Any:
        """Marginal mean of each unit, [n, d]."""
        return self.probabilities @ self.states

    @property
    def variance(self) -> Any:
        """Marginal variance of each unit, [n, d]."""
        return self.probabilities @ (self.states * self.states) - self.mean**2

    def mean_jvp(self, direction: Any) -> Any:
        """Covariance of the units times ``direction`` [n, d], [n, d]."""
        mean = self.mean
        projected = direction @ self.states.T - (direction * mean).sum(axis=1, keepdims=True)  # [n, m]
        return (self.probabilities * projected) @ self.states

    def sample(self, rng: Any, out: Any = None) -> Any:
        """Draw one state a row, [n, d]."""
        draw = rng.categorical(self.log_probabilities) @ self.states
        if out is None:
            return draw
        out[...] = draw
        return out

    def log_prob(self, x: Any) -> Any:
        """Log-probability of the bits ``x`` [n, d], [n], exact, nats; -inf for anything else than bits."""
        xp = get_xp(x, self.log_probabilities)
        bits = ((x == 0.0) | (x == 1.0)).all(axis=1)
        code = x @ (2.0 ** xp.arange(x.shape[-1])).astype(x.dtype)
        hit = code[:, None] == xp.arange(self.states.shape[0])[None, :]
        return xp.where(bits, xp.sum(xp.where(hit, self.log_probabilities, 0.0), axis=1), -math.inf)

    def entropy(self) -> Any:
        """Entropy in nats, [n]."""
        return -get_xp(self.log_probabilities).sum(self.probabilities * self.log_probabilities, axis=1)
