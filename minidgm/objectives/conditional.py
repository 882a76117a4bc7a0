r"""Learning rules for models whose biases follow the past: CD-k, and the exact likelihood of small ones.

    loss = - sum_i w_i log p(v_i | past_i),      w_i = 1/N for the N frames of a batch, 0 for padding.

Every frame i has an RBM of its own, with biases b_i and c_i that the past has moved. Its free energy gives

    d loss / d(b_i, c_i) = w_i ( dF_i(v_i)/d(b_i, c_i) - <dF_i/d(b_i, c_i)>_{p(v | past_i)} ),

and the model carries this back into its parameters by the chain rule, through time if need be.

| objective | configurations | weights |
|---|---|---|
| `ConditionalContrastiveDivergence` | frames; k sweeps from each, under its own biases | w_i; -w_i |
| `ConditionalLikelihood` | frames; every state of every frame's RBM | w_i; -w_i p(state given past_i) |

There is no persistent chain here: a chain that has reached p(v | past) says nothing about another past.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.boltzmann.biased_rbms import RowGradient
from minidgm.objectives.base import Objective
from minidgm.objectives.two_phase import mean_gap, reconstruction_error

__all__ = ["ConditionalContrastiveDivergence", "ConditionalLikelihood"]


class _Conditional(Objective):
    """What both share: which models, which batches, and the road back through the biases."""

    needs = ("frames", "pull_back")
    of_conditionals = True

    def __init__(
        self,
        *,
        truncation: int | None = None,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.truncation = None if truncation is None else count("truncation", truncation)

    def _check_shape(self, model: Any, batch: Any) -> None:
        if not batch.shape[0]:
            raise ValueError(f"batch has shape {tuple(batch.shape)}, expected at least one row")
        if batch.ndim == 2:
            super()._check_shape(model, batch)

    def _frames(self, model: Any, batch: Any) -> tuple[Any, Any]:
        frames = model.frames(batch)
        self._seen = frames, frames.weights / frames.weights.sum()
        return self._seen

    def _add_sparsity(self, model: Any, batch: Any) -> None:
        frames, w = self._seen
        hidden = frames.rbms.hidden_given_visible(frames.v)
        excess = w @ hidden.mean - self.sparsity_target + 0.0 * hidden.mean  # [n, n_hidden], equal rows
        self._grads["c"] += 2.0 * self.sparsity_cost * (w @ hidden.mean_jvp(excess))


class ConditionalContrastiveDivergence(_Conditional):
    """CD-k for a `ConditionalRBM` or an `RNNRBM`.

    Parameters
    ----------
    k : int
        Gibbs sweeps from every frame, under the biases that its true past gives.
    truncation : int, optional
        Frames after which back-propagation through time stops; by default it runs to the beginning.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Metrics: ``reconstruction_error`` and ``mean_gap``, as for `ContrastiveDivergence`.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import RNNRBM, Generator
    >>> model = RNNRBM(2, 3, 4, seed=0)
    >>> batch = np.ones((1, 5, 3), dtype="float32")
    >>> grads, metrics = ConditionalContrastiveDivergence(k=1).gradient(model, batch, Generator(0))
    >>> grads["R"].shape, sorted(metrics)
    ((4, 4), ['mean_gap', 'reconstruction_error'])
    """

    def __init__(
        self,
        k: int = 15,
        *,
        truncation: int | None = None,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            truncation=truncation,
            weight_decay=weight_decay,
            sparsity_target=sparsity_target,
            sparsity_cost=sparsity_cost,
        )
        self.k = count("k", k)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        frames, w = self._frames(model, batch)
        v, rbms = frames.v, frames.rbms
        end = rbms.gibbs(v, rng, self.k)
        means = [rbms.hidden_given_visible(x).mean for x in (v, end)]
        data, chain = rbms.gradient(v, means[0], w), rbms.gradient(end, means[1], -w)
        model.pull_back(frames, _sum(data, chain), grads, self.truncation)
        return {"reconstruction_error": reconstruction_error(v, end), "mean_gap": mean_gap(grads)}


class ConditionalLikelihood(_Conditional):
    """The exact gradient, for models of at most 16 hidden units: their states are enumerated for every frame.

    Parameters
    ----------
    truncation, weight_decay, sparsity_target, sparsity_cost
        See `ConditionalContrastiveDivergence`.

    Notes
    -----
    Metric ``log_likelihood``: mean of log p(v | past) over the frames, exact, nats, before the step. The
    generator is not used.
    """

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        frames, w = self._frames(model, batch)
        v, rbms = frames.v, frames.rbms
        data = rbms.gradient(v, rbms.hidden_given_visible(v).mean, w)
        model.pull_back(frames, _sum(data, rbms.expected_gradient(-w)), grads, self.truncation)
        return {"log_likelihood": (w * rbms.log_prob(v)).sum()}


def _sum(a: RowGradient, b: RowGradient) -> RowGradient:
    own = {name: a.own[name] + b.own[name] for name in a.own}
    return RowGradient(a.W + b.W, a.b + b.b, a.c + b.c, own)
