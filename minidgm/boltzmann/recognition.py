"""The recognition net of a deep belief network, and what it says about log p(v).

    q(h_1, ..., h_L | v) = prod_l q(h_l | h_(l-1)),     h_0 = v,
    q(h_l = 1 | h_(l-1)) = sigmoid(h_(l-1) R_l + r_l),  l < L;     q(h_L | h_(L-1)) = p(h_L | h_(L-1))

The last factor is the top RBM's own conditional: given h_(L-1) it is the posterior, so that h_L is summed
out exactly and only h_1 ... h_(L-1) are drawn. With the importance weight

    w(v, h) = exp(-F_top(h_(L-1))) prod_{l<L} p(h_(l-1) | h_l) / q(h_l | h_(l-1))

    E_q[w] / Z = p(v)                                     (importance sampling)
    E_q[log w] - log Z <= E[log 1/K sum_k w_k] - log Z <= log p(v)     (Jensen: bound, then K-sample bound)

(Hinton, Osindero and Teh 2006, section 4; Burda, Grosse and Salakhutdinov 2016). What belief networks
share is in `minidgm.latent.belief_layers`.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.boltzmann.energy_model import EnergyModel
from minidgm.latent.belief_layers import BeliefLayers
from minidgm.numerics import logsumexp


class Recognition(BeliefLayers, EnergyModel):
    """Base of `minidgm.boltzmann.dbn.DBN`: q(h | v), the bound, importance weights, enumeration."""

    hidden: Any
    top: Any

    @property
    def n_inferred(self) -> int:
        return self.depth - 1

    def rbm(self, layer: int) -> Any:
        """The RBM of layers l - 1 and l."""
        raise NotImplementedError

    def up(self, layer: int, x: Any) -> Any:
        """q(h_l | h_(l-1) = x), factorial; at the top p(h_L | h_(L-1)), exact."""
        return self.top.hidden_given_visible(x) if layer == self.depth else super().up(layer, x)

    def log_above(self, x: Any) -> Any:
        """-F_top(x), [n]: the top layer summed out."""
        return -self.top.free_energy(x)

    def upward_layers(self) -> list[tuple[Any, Any]]:
        """Weights and biases of the recognition net, from the visible layer up."""
        below = [(self.params[f"R{k}"], self.params[f"r{k}"]) for k in range(1, self.depth)]
        return [*below, (self.params[f"W{self.depth}"], self.params[f"b{self.depth}"])]

    # Densities

    def log_prob(self, v: Any, log_partition: Any = None) -> Any:
        """log p(v), [n], exact, nats; ``log_partition`` (of ``top``) saves its enumeration.

        A layer at a time from the top down: m(h_(l-1)) = log sum_{h_l} p(h_(l-1) | h_l) exp m(h_l).

        Raises
        ------
        IntractableError
            When a layer between the visible and the top one has more than 16 units.
        """
        return self.log_mixture(self.check_data(v)) - self._log_partition(log_partition)

    def elbo(self, v: Any, log_partition: Any = None, rng: Any = None, n_samples: int = 1) -> Any:
        """The lower bound E_q[log w] - log Z on log p(v), [n], nats.

        Parameters
        ----------
        v : array [n, n_visible]
        log_partition : float or Estimate, optional
            log Z of ``top``; enumerated by default. With an estimate, the bound is an estimate too.
        rng : Generator or int, optional
            Without one the expectation is enumerated: the bound is exact. With one it is the mean over
            ``n_samples`` draws from q, an unbiased estimate of the bound.
        n_samples : int

        Raises
        ------
        IntractableError
            Where an enumeration is too large; says what to pass.
        """
        v = self.check_data(v)
        if rng is None:
            total = self.mean_log_weight(v)
        else:
            total = self.log_weights(v, rng, n_samples).mean(axis=0)
        return total - self._log_partition(log_partition)

    def log_prob_estimate(
        self, v: Any, rng: Any = None, n_samples: int = 100, log_partition: Any = None
    ) -> Any:
        """log of the mean of ``n_samples`` importance weights, less log Z, [n], nats: an estimate.

        In expectation between `elbo` and log p(v), and rising with ``n_samples``. Arguments as for `elbo`.
        """
        log_w = self.log_weights(self.check_data(v), rng, n_samples)
        log_k = self.xp.log(self.xp.full((), float(n_samples), dtype="float64"))
        return logsumexp(log_w, axis=0) - log_k - self._log_partition(log_partition)

    def log_weights(self, v: Any, rng: Any, n_samples: int) -> Any:
        """log w at draws from q(h | v), [n_samples, n], float64."""
        rng, n_samples = self.generator(rng), count("n_samples", n_samples)
        draws = [self.log_weight(v, self.infer(v, rng)) for _ in range(n_samples)]
        return self.xp.stack(draws).astype("float64")

    def _log_partition(self, given: Any) -> Any:
        return self.top.log_partition() if given is None else float(given)

    def pair_tables(self, layer: int, x: Any, y: Any) -> tuple[Any, Any]:
        rbm = self.rbm(layer)
        log_p, log_q = super().pair_tables(layer, x, y)
        return log_p + rbm.visible.log_base(x, **rbm._own("visible")).sum(axis=-1)[:, None], log_q
