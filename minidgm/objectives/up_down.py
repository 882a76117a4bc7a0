r"""The up-down algorithm, contrastive wake-sleep, for deep belief networks (Hinton, Osindero and Teh 2006).

Greedy training fixes a layer before those above it exist. The up-down algorithm lets all of them adapt:

* up (wake): h ~ q(h | v) from data; the generative layers learn to predict each layer from the one above;
* at the top: the RBM learns from h_(L-1) against chains of its own, k Gibbs sweeps long;
* down (sleep): dreams (v', h') descend from those chains; the recognition layers learn to undo them.

| configurations | weights |
|---|---|
| E at (v, h), h ~ q(h given v), h_L its mean | 1/n |
| E_top at (h'_(L-1), h'_L) of the chains | -1/m |
| log q at dreams (v', h') from the chains | -1/m |

The first two are the gradient of -mean log p(v, h) at the inferred h, with log Z's part from the chains; its
directed layers need no dreams, since a normalized conditional's score has mean zero. The third is the
gradient of -mean log q(h' | v') at the model's own samples: wake-sleep's swapped Kullback-Leibler divergence,
which is why no step of it must raise the bound (Deep Learning, section 20.10.6; appendix B of the paper).
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.objectives.base import Objective

__all__ = ["UpDown"]


class UpDown(Objective):
    """Contrastive wake-sleep: all layers of a `DBN` at once, usually after greedy training.

    Parameters
    ----------
    k : int
        Gibbs sweeps of the top RBM a step.
    n_chains : int, optional
        Persistent chains at the top; by default none: chains start at the inferred states of the batch.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics, means over the batch: ``reconstruction_error``, squared difference a visible unit of v and the
    mean of p(v | h_1), before the step; ``mean_gap``, absolute difference a visible unit of the means of data
    and dreams.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DBN, Generator
    >>> dbn = DBN([4, 3, 2], seed=0)
    >>> grads, metrics = UpDown().gradient(dbn, np.eye(4, dtype="float32"), Generator(0))
    >>> grads["R1"].shape, sorted(metrics)
    ((4, 3), ['mean_gap', 'reconstruction_error'])
    """

    needs = ("energy_gradient", "log_recognition_gradient", "infer", "descend", "top")

    def __init__(self, k: int = 1, n_chains: int | None = None, *, weight_decay: float = 0.0):
        super().__init__(weight_decay=weight_decay)
        self.k = count("k", k)
        self.n_chains = None if n_chains is None else count("n_chains", n_chains)
        self._part: Any = None

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp, n, depth, top = get_xp(batch), batch.shape[0], model.depth, model.top
        # Up.
        states = [batch]
        for layer in range(1, depth):
            states.append(model.up(layer, states[-1]).sample(rng))
        below = states[-1]
        states.append(model.up(depth, below).mean)
        h = xp.concatenate(states[1:], axis=1)
        model.energy_gradient(batch, h, xp.full(n, 1.0 / n, dtype=batch.dtype), grads)
        # At the top.
        chains = self._chains(model, below, rng)
        above: Any = None
        for _ in range(self.k):
            chains, above = top.gibbs_step(chains, above, rng)
        if self.n_chains is not None:
            self._state["chains"] = chains
        m = chains.shape[0]
        weights = xp.full(m, -1.0 / m, dtype=batch.dtype)
        above = top.hidden_given_visible(chains)
        if self._part is None or self._part.shapes != model.params.shapes:
            self._part = model.params.like()
        model.add_top_gradient(chains, above.mean, weights, grads)
        # Down.
        dream = model.descend(chains, rng, depth - 1)
        h = xp.concatenate([*dream[1:], above.mean], axis=1)
        grads.buffer += model.log_recognition_gradient(dream[0], h, weights, self._part).buffer
        error = batch - model.down(1, states[1]).mean
        gap = xp.abs(batch.mean(axis=0) - dream[0].mean(axis=0)).mean()
        return {"reconstruction_error": (error * error).mean(), "mean_gap": gap}

    def _chains(self, model: Any, below: Any, rng: Any) -> Any:
        """States of h_(L-1) to sweep from: those of the batch, or those of the step before."""
        if self.n_chains is None:
            return below
        if "chains" not in self._state:
            self._state["chains"] = model.top.sample(self.n_chains, rng, steps=0)
        expected = (self.n_chains, model.sizes[-2])
        if self._state["chains"].shape != expected:
            raise ValueError(
                f"the chains have shape {self._state['chains'].shape}, this model and objective need "
                f"{expected}: call reset() to start new chains"
            )
        return self._state["chains"]
