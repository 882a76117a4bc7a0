r"""Bidirectional Helmholtz machine (Bornschein, Shabanian, Fischer and Bengio 2016).

A generative net p(x, z) and a recognition net q(z | x) that are one model: their geometric mean,

    p*(x, z) ~ sqrt(p(x, z) q(z | x) p*(x)),   hence   p*(x) = p~(x) / Z,
    p~(x) = (sum_z sqrt(p(x, z) q(z | x)))^2

(section 2 there, with q(x) = p*(x)). By Cauchy and Schwarz p~(x) <= sum_z p(x, z) sum_z q(z | x) = p(x):

    Z = sum_x p~(x) <= 1     and     log p*(x) >= log p~(x):

no bound has to be derived, and Z is near 1 only if p and q agree. Both learn from the same draws, weighted
by sqrt(p / q): `minidgm.objectives.BidirectionalImportance`.

    p~(x) = E_q[sqrt(w)]^2,   Z = E_p[sqrt(q/p) E_q[sqrt(w)]],   w = p(x, z) / q(z | x)

The inner expectation is over a second z' ~ q(z' | x): (x, z, z') has density p(x, z) q(z' | x) and weight
sqrt(w(x, z') / w(x, z)), and with that weight its x is distributed as p*. This is what `sample` moves by
Metropolis's rule. Symbols and shapes: `minidgm.latent.sbn`.
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator
from minidgm.errors import IntractableError
from minidgm.latent.sbn import SigmoidBeliefNet
from minidgm.numerics import logsumexp

MAX_BITS = 16
STEPS = 100


class BidirectionalHelmholtz(SigmoidBeliefNet):
    """The geometric mean of a sigmoid belief net and its recognition net.

    ``log_joint``, ``log_recognition``, ``dream`` and the gradients are those of p and q; ``log_prob``,
    ``log_prob_bound``, ``log_prob_estimate`` and ``sample`` are those of p*. ``elbo`` bounds both:
    E_q[log w] <= log p~(x), by Jensen.

    Parameters
    ----------
    sizes, backend, dtype, seed
        See `SigmoidBeliefNet`.

    Examples
    --------
    >>> import numpy as np
    >>> net = BidirectionalHelmholtz([3, 2], dtype="float64", seed=0)
    >>> states = net.visible.states(3)
    >>> bool(np.isclose(np.exp(net.log_prob(states)).sum(), 1.0)), float(net.log_partition()) <= 0.0
    (True, True)
    """

    weight_power = 0.5
    reference = "Bornschein, Shabanian, Fischer and Bengio (2016), Bidirectional Helmholtz machines"

    def default_objective(self) -> Any:
        """Importance-weighted ascent of log p~, ten draws a row."""
        from minidgm.objectives import BidirectionalImportance

        return BidirectionalImportance(10)

    def log_prob_bound(self, x: Any) -> Any:
        """log p~(x) = 2 log sum_z sqrt(p(x, z) q(z | x)) <= log p*(x), [n], by enumeration, nats."""

        def overlap(log_p: Any, log_q: Any, message: Any) -> Any:
            return logsumexp(0.5 * (log_p + log_q) + message, axis=1)

        return 2.0 * self.enumerate_layers(self.check_data(x), overlap, 0.5)

    def log_partition(self) -> Any:
        """log Z = log sum_x p~(x), exact, nats, at most 0.

        Raises
        ------
        IntractableError
            With more than 16 visible units.
        """
        if self.n_visible > MAX_BITS:
            raise IntractableError(
                f"exact log Z sums 2^{self.n_visible} visible states, at most 2^{MAX_BITS} are enumerated; "
                "use log_partition_estimate(rng, n_samples, k)"
            )
        return logsumexp(self.log_prob_bound(self.visible.states(self.n_visible, xp=self.xp)))

    def log_partition_estimate(
        self, rng: Generator | int | None = None, n_samples: int = 1000, k: int = 10
    ) -> Any:
        """log of an unbiased estimate of Z: ``n_samples`` dreams, ``k`` draws from q for each."""
        n_samples, k = count("n_samples", n_samples), count("k", k)
        log_w, _ = self._proposals(n_samples, k, self.generator(rng))
        return logsumexp(log_w) - math.log(n_samples)

    def log_prob(self, x: Any) -> Any:
        """log p*(x), [n], exact, nats; raises `IntractableError` where a layer has more than 16 units."""
        return self.log_prob_bound(x) - self.log_partition()

    def log_prob_estimate(
        self, x: Any, rng: Any = None, n_samples: int = 100, log_partition: Any = None
    ) -> Any:
        """2 log of the mean of ``n_samples`` sqrt(w), less log Z, [n], nats: an estimate of log p*(x).

        ``log_partition`` is estimated as well, with as many dreams, if not given; 0 gives a lower bound in
        expectation.
        """
        rng = self.generator(rng)
        log_w = self.log_weights(self.check_data(x), rng, n_samples)
        if log_partition is None:
            log_partition = self.log_partition_estimate(rng, n_samples)
        return 2.0 * (logsumexp(0.5 * log_w, axis=0) - math.log(n_samples)) - log_partition

    def sample(self, n: int, rng: Generator | int | None = None, steps: int = STEPS) -> Any:
        """Draw x [n, n_visible] from p*: n chains of ``steps`` independent proposals (x, z) ~ p, z' ~ q.

        Accepted with probability min(1, weight / weight before): exact in the limit, and fast where p and q
        agree, as all weights are then alike.
        """
        rng, xp = self.generator(rng), self.xp
        log_w, x = self._proposals(n, 1, rng)
        for _ in range(count("steps", steps, low=0)):
            new_w, new = self._proposals(n, 1, rng)
            accepted = xp.log1p(-rng.uniform(n)) < new_w - log_w
            log_w = xp.where(accepted, new_w, log_w)
            x = xp.where(accepted[:, None], new, x)
        return x

    def _proposals(self, n: int, k: int, rng: Generator) -> tuple[Any, Any]:
        """Log-weights [n] and x of dreams (x, z) ~ p: log mean over k draws z' of sqrt(w(z') / w(z))."""
        x, z = self.dream(n, rng)
        drawn = logsumexp(0.5 * self.draw(x, k, rng).log_weights, axis=0) - math.log(k)
        return drawn - 0.5 * self.log_weight(x, z), x
