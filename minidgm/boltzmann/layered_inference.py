"""Mean field in a chain of layers: the posterior of a deep Boltzmann machine, or of any missing block.

    mu_l = sigmoid(b_l + mu_{l-1} W_l + mu_{l+1} W_{l+1}^T),    mu_0 = v    (Deep Learning, 20.33, 20.34)

E is linear in every single hidden unit, so that the factorial q with these means has E_q[E(v, h)] = E(v, mu)
and

    log p(v) + log Z = -F(v) >= L(mu) = H(q) - E(v, mu)                                 (19.7, 20.4.2).

Given the other parity, the layers of one parity maximise L together in closed form, which is the update: each
half sweep raises the bound or leaves it. The same ascent with visible units among the free ones infers any
missing block.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from minidgm.arguments import count
from minidgm.backend import Generator
from minidgm.boltzmann.alternate_layers import AlternateLayers
from minidgm.boltzmann.bm import MeanField
from minidgm.numerics import logsumexp, xlogy


class Inference(NamedTuple):
    """Mean field of what is not known: visible means [n, n_visible], and as in `MeanField`."""

    visible: Any
    mean: Any
    iterations: int
    change: Any


class LayeredInference(AlternateLayers):
    """Base of the deep Boltzmann machine: mean field, the bound, features."""

    def layer_given_others(self, layer: int, states: Any) -> Any:
        """p(x_l | all other layers)."""
        raise NotImplementedError

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h), [n]."""
        raise NotImplementedError

    def visible_given_hidden(self, h: Any) -> Any:
        """p(v | h)."""
        raise NotImplementedError

    def mean_field(
        self, v: Any, tolerance: float | None = 1e-6, max_iterations: int = 500, init: Any = None
    ) -> MeanField:
        """Fixed point of 20.33 - 20.34 for the data v [n, n_visible]: odd layers, then even ones, and again.

        Each half sweep maximises the bound in its layers at once, which are independent given the others, so
        that the bound never falls. Starts at ``init`` [n, n_hidden], or at means sent upward with doubled
        input where the layer above is not known yet. Stops when no mean moves by ``tolerance``, or after
        ``max_iterations`` sweeps (then ``change`` and ``converged`` tell which rows still move);
        ``tolerance=None`` does them all and never reads the device.
        """
        states = [v, *(self.upward(v) if init is None else self.layers(init))]
        states, sweeps, change = self._ascend(states, None, tolerance, max_iterations)
        return MeanField(self.xp.concatenate(states[1:], axis=1), sweeps, change, tolerance)

    def infer(
        self, v: Any, known: Any, tolerance: float | None = 1e-6, max_iterations: int = 500
    ) -> Inference:
        """Mean field of the missing visible and of all hidden units, given the known visible ones.

        Parameters
        ----------
        v : array [n, n_visible]
            Where ``known`` is 0, any finite value of the domain; it is not looked at.
        known : array [n, n_visible] or [n_visible]
            1 (or True) where v is given.
        tolerance, max_iterations
            As for `mean_field`.

        Raises
        ------
        ValueError
            For a mask of another shape.
        """
        v = self.check_data(v)
        known = self.xp.asarray(known)
        if tuple(known.shape) not in {tuple(v.shape), (self.n_visible,)}:
            raise ValueError(
                f"known has shape {tuple(known.shape)}; expected {tuple(v.shape)} or ({self.n_visible},)"
            )
        known = known.astype(v.dtype) + self.xp.zeros_like(v)
        own = self._own("visible")
        guess = self.visible.mean(self.params["b0"] + self.xp.zeros_like(v), **own)
        start = known * v + (1.0 - known) * guess
        states = [start, *self.upward(start)]
        states, sweeps, change = self._ascend(states, known, tolerance, max_iterations)
        return Inference(states[0], self.xp.concatenate(states[1:], axis=1), sweeps, change)

    def upward(self, v: Any) -> list[Any]:
        """Means [n, n_l] from one pass up, with the input of all but the top layer doubled.

        The double stands for what comes from above and is not known yet (Salakhutdinov and Hinton 2009).
        """
        means = [v]
        for layer in range(1, self.depth + 1):
            scale = 1.0 if layer == self.depth else 2.0
            field = scale * (means[-1] @ self.params[f"W{layer}"]) + self.params[f"b{layer}"]
            means.append(self.hidden.mean(field))
        return means[1:]

    def _ascend(
        self, states: list[Any], known: Any, tolerance: float | None, max_iterations: int
    ) -> tuple[list[Any], int, Any]:
        """Sweeps of coordinate ascent, odd layers first; v moves where ``known`` is 0 (None: nowhere)."""
        xp, first = self.xp, 1 if known is None else 0
        still = xp.zeros(states[0].shape[0], dtype=states[0].dtype)
        sweeps, change = 0, still
        while sweeps < max_iterations:
            sweeps, change = sweeps + 1, still
            for layer in [*range(1, self.depth + 1, 2), *range(2 * first, self.depth + 1, 2)]:
                new = self.layer_given_others(layer, states).mean
                if layer == 0:
                    new = known * states[0] + (1.0 - known) * new
                change = xp.maximum(change, xp.abs(new - states[layer]).max(axis=1))
                states[layer] = new
            if tolerance is not None and bool((change <= tolerance).all()):
                break
        return states, sweeps, change

    def variational_free_energy(self, v: Any, mean: Any = None) -> Any:
        """E(v, mu) - H(q) >= F(v), [n], nats; ``mean`` [n, n_hidden] is by default the mean field's."""
        mu = self.mean_field(v).mean if mean is None else mean
        entropy = -(xlogy(mu, mu) + xlogy(1.0 - mu, 1.0 - mu)).sum(axis=-1)
        return self.energy(v, mu) - entropy

    def elbo(self, v: Any, log_partition: Any = None) -> Any:
        """H(q) - E(v, mu) - log Z <= log p(v), [n], nats, at the mean field (20.4.2).

        ``log_partition`` saves its enumeration; with an estimate of log Z this is an estimate of the bound.
        """
        v = self.check_data(v)
        log_z = self.log_partition() if log_partition is None else log_partition
        return -self.variational_free_energy(v) - log_z

    log_prob_bound = elbo

    def log_prob_estimate(
        self, v: Any, rng: Generator | int | None = None, n_samples: int = 100, log_partition: Any = None
    ) -> Any:
        """log of the mean of w = exp(-E(v, h)) / q(h) over draws from the mean field, less log Z, [n], nats.

        An estimate: in expectation between `elbo` and log p(v), rising with ``n_samples`` (Jensen).
        """
        v, rng = self.check_data(v), self.generator(rng)
        log_z = self.log_partition() if log_partition is None else log_partition
        mu = self.mean_field(v).mean
        log_w = []
        for _ in range(count("n_samples", n_samples)):
            h = rng.bernoulli(mu)
            log_q = (xlogy(h, mu) + xlogy(1.0 - h, 1.0 - mu)).sum(axis=-1)
            log_w.append((-self.energy(v, h) - log_q).astype("float64"))
        return logsumexp(self.xp.stack(log_w), axis=0) - math.log(n_samples) - log_z

    def transform(self, v: Any, sweeps: int = 30) -> Any:
        """Mean-field means of all hidden layers after so many sweeps, [n, n_hidden]: the features of v."""
        return self.mean_field(self.check_data(v), tolerance=None, max_iterations=sweeps).mean

    def reconstruct(self, v: Any) -> Any:
        """Mean of p(v | h), [n, n_visible], at the mean field of v; `infer` fills in what is missing."""
        return self.visible_given_hidden(self.transform(v)).mean

    def sparsity_gradient(self, means: Any, target: float) -> dict[str, Any]:
        """d/db of sum_j (q_j - target)^2 by layer, q_j the mean over the batch of ``means`` [n, n_hidden].

        A mean moves with its own bias by mu (1 - mu), the rest of the mean field held fixed.
        """
        slope = 2.0 * (means.mean(axis=0) - target) * (means * (1.0 - means)).mean(axis=0)
        parts = self.layers(slope[None, :])
        return {f"b{layer}": part[0] for layer, part in enumerate(parts, start=1)}

    def base_rate(self, v: Any) -> Any:
        """Biases of independent units with the means of the data and of their mean field.

        [n_visible + n_hidden], all layers side by side: the base of `minidgm.evaluation.ais` that starts
        nearest to a trained model.
        """
        v = self.check_data(v)
        own = self._own("visible")
        hidden = self.mean_field(v, tolerance=None, max_iterations=20).mean.mean(axis=0)
        visible = self.visible.logit(v.mean(axis=0), **own)
        return self.xp.concatenate([visible, self.hidden.logit(hidden)])
