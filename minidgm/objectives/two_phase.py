"""Data minus chains: the part that CD, PCD, fast and tempered chains share.

    g = 1/n sum_i dF(v_i)/dtheta - 1/m sum_j dF(v'_j)/dtheta,        v batch [n, .], v' chains [m, .]

as one weighted gradient of n + m configurations, so that ragged batches and unequal numbers of chains are
right by construction. The weights sum to 0: whatever is the same for every configuration (the variance that a
Gaussian hidden unit adds to its squared mean) cancels, and hidden means are exact for every unit type.

A model that does not enumerate its posterior (``exact_posterior`` False: a Boltzmann machine with many hidden
units) gets the mean field of the data and the chains' own hidden states instead, which is variational
stochastic maximum likelihood (Deep Learning, algorithm 20.1).
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.objectives.base import Objective
from minidgm.samplers import gibbs

__all__ = ["TwoPhase", "contrast"]

MEAN_FIELD_SWEEPS = 10
ROWS_LOOKED_AT = 32


def contrast(model: Any, data: Any, chains: Any, out: Any = None) -> Any:
    """Gradient of mean F(data) - mean F(chains).

    Parameters
    ----------
    model : Model
    data : array [n, n_visible]
    chains : GibbsState of v [m, n_visible], h [m, n_hidden]
        ``h`` serves only where the posterior is not enumerated.
    out : Parameters, optional
        Receives the gradient.
    """
    xp = get_xp(data, chains.v)
    v = xp.concatenate([chains.v, data])
    weights = signed_weights(data.shape[0], chains.v.shape[0], data)
    if getattr(model, "exact_posterior", True):
        return model.free_energy_gradient(v, weights, out)
    mean = model.mean_field(data, tolerance=None, max_iterations=MEAN_FIELD_SWEEPS).mean
    return model.energy_gradient(v, xp.concatenate([chains.h, mean]), weights, out)


def phase(model: Any, v: Any, sign: float, out: Any, h: Any = None) -> Any:
    """One side of :func:`contrast`: sign times the gradient of mean F(v), [n, n_visible]; ``h`` as there."""
    xp = get_xp(v)
    weights = xp.full(v.shape[0], sign / v.shape[0], dtype=v.dtype)
    if getattr(model, "exact_posterior", True):
        return model.free_energy_gradient(v, weights, out)
    if h is None:
        h = model.mean_field(v, tolerance=None, max_iterations=MEAN_FIELD_SWEEPS).mean
    return model.energy_gradient(v, h, weights, out)


def signed_weights(n: int, m: int, like: Any) -> Any:
    """-1/m for m chains, then 1/n for n rows of data."""
    xp = get_xp(like)
    return xp.concatenate([xp.full(m, -1.0 / m, dtype=like.dtype), xp.full(n, 1.0 / n, dtype=like.dtype)])


class TwoPhase(Objective):
    """Base of the estimators that compare the batch with Markov chains.

    The hot path of each (`RBM` with its own maps) does the same work as its plain one in arrays that live
    from step to step: chains and data share one array, so that the last hidden means and the gradient are
    one matrix product each.
    """

    needs: tuple[str, ...] = ("energy_gradient", "free_energy_gradient", "gibbs_step", "hidden_given_visible")

    def _arrays(self, model: Any, batch: Any, m: int) -> tuple[Any, Any, Any]:
        """v [m + n, n_visible] with the batch in its last rows, h [m + n, n_hidden], weights [m + n]."""
        n = batch.shape[0]
        v = self._scratch.array("v", (m + n, model.n_visible), batch)
        h = self._scratch.array("h", (m + n, model.n_hidden), batch)
        v[m:] = batch
        weights = self._scratch.array("weights", (m + n,), batch)
        weights[:m], weights[m:] = -1.0 / m, 1.0 / n
        self._data_means = h[m:]
        return v, h, weights

    def _weighted(self, model: Any, means: Any) -> Any:
        """Where the gradient may put the weighted means: over the means, unless they are needed after it."""
        if gibbs.has_blocks(model) and not (getattr(model, "centered", False) or self.sparsity_cost):
            self._data_means = None
            return means
        return self._scratch.array("weighted", means.shape, means)

    def _started(self, model: Any, leading: tuple[int, ...]) -> bool:
        """Whether chains exist; refuse those of another model or number."""
        if "h" not in self._state:
            return False
        found = self._state["v"].shape, self._state["h"].shape
        width = getattr(model, "n_columns", model.n_visible)
        expected = (*leading, width), (*leading, model.n_hidden)
        if found != expected:
            raise ValueError(
                f"the chains' v and h have shapes {found[0]} and {found[1]}, this model and objective need "
                f"{expected[0]} and {expected[1]}: call reset() to start new chains"
            )
        return True


def mean_gap(grads: Any, model: Any = None) -> Any:
    """Mean absolute difference between the data's and the chains' visible means, a 0-d array.

    The gradient of the visible biases is exactly that difference, so it costs nothing. Where units share a
    bias it holds the sum of their differences, and the mean is over the units of ``model``.
    """
    bias = grads["b"] if "b" in grads else grads["b0"]
    return get_xp(bias).abs(bias).sum() / (bias.shape[0] if model is None else model.n_visible)


def reconstruction_error(data: Any, chains: Any) -> Any:
    """Mean squared difference of a visible unit between the first rows of two arrays, a 0-d array."""
    difference = (data[:ROWS_LOOKED_AT] - chains[:ROWS_LOOKED_AT]).reshape(-1)
    return difference @ difference / difference.shape[0]
