"""The recognition net of a deep belief network, and what it says about log p(v).

    q(h_1, ..., h_L | v) = prod_l q(h_l | h_(l-1)),     h_0 = v,
    q(h_l = 1 | h_(l-1)) = sigmoid(h_(l-1) R_l + r_l),  l < L;     q(h_L | h_(L-1)) = p(h_L | h_(L-1))

The last factor is the top RBM's own conditional: given h_(L-1) it is the posterior, so that h_L is summed
out exactly and only h_1 ... h_(L-1) are drawn. With the importance weight

    w(v, h) = exp(-F_top(h_(L-1))) prod_{l<L} p(h_(l-1) | h_l) / q(h_l | h_(l-1))

    E_q[w] / Z = p(v)                                     (importance sampling)
    E_q[log w] - log Z <= E[log 1/K sum_k w_k] - log Z <= log p(v)     (Jensen: bound, then K-sample bound)

(Hinton, Osindero and Teh 2006, section 4; Burda, Grosse and Salakhutdinov 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.energy_model import EnergyModel
from minidgm.errors import IntractableError
from minidgm.numerics import logsumexp

MAX_BITS = 16
PAIRS = 2**22


class Recognition(EnergyModel):
    """Base of `minidgm.boltzmann.dbn.DBN`: q(h | v), the bound, importance weights, enumeration."""

    sizes: tuple[int, ...]
    depth: int
    hidden: Any
    top: Any

    def layers(self, h: Any) -> list[Any]:
        """Views h_1 [n, n_1] ... h_L [n, n_L] of h [n, n_hidden]."""
        parts, start = [], 0
        for width in self.sizes[1:]:
            parts.append(h[:, start : start + width])
            start += width
        return parts

    def rbm(self, layer: int) -> Any:
        """The RBM of layers l - 1 and l."""
        raise NotImplementedError

    def down(self, layer: int, x: Any) -> Any:
        """p(h_(l-1) | h_l = x), factorial."""
        raise NotImplementedError

    def up(self, layer: int, x: Any) -> Any:
        """q(h_l | h_(l-1) = x), factorial; at the top p(h_L | h_(L-1)), exact."""
        if layer == self.depth:
            return self.top.hidden_given_visible(x)
        return self.hidden.distribution(x @ self.params[f"R{layer}"] + self.params[f"r{layer}"])

    def infer(self, v: Any, rng: Generator) -> Any:
        """Draw h ~ q(h | v), [n, n_hidden], layer by layer upward."""
        states = [v]
        for layer in range(1, self.depth + 1):
            states.append(self.up(layer, states[-1]).sample(rng))
        return self.xp.concatenate(states[1:], axis=1)

    def transform(self, v: Any, layer: int | None = None) -> Any:
        """Means of a layer (by default the top one), with means sent upward, [n, n_l]: features of v."""
        x = self.check_data(v)
        for k in range(1, (self.depth if layer is None else layer) + 1):
            x = self.up(k, x).mean
        return x

    def upward_layers(self) -> list[tuple[Any, Any]]:
        """Weights and biases of the recognition net, from the visible layer up."""
        below = [(self.params[f"R{k}"], self.params[f"r{k}"]) for k in range(1, self.depth)]
        return [*below, (self.params[f"W{self.depth}"], self.params[f"b{self.depth}"])]

    # Densities

    def log_recognition(self, v: Any, h: Any) -> Any:
        """sum_{l<L} log q(h_l | h_(l-1)), [n], nats; the top layer's factor is the model's own."""
        states = [v, *self.layers(h)]
        total = 0.0 * get_xp(v).sum(v, axis=-1)
        for layer in range(1, self.depth):
            total = total + self.up(layer, states[layer - 1]).log_prob(states[layer])
        return total

    def log_weight(self, v: Any, h: Any) -> Any:
        """log w(v, h), [n], nats: h_L is summed out, and of h [n, n_hidden] not looked at."""
        states = [v, *self.layers(h)]
        total = -self.top.free_energy(states[-2]) - self.log_recognition(v, h)
        for layer in range(1, self.depth):
            total = total + self.down(layer, states[layer]).log_prob(states[layer - 1])
        return total

    def log_prob(self, v: Any, log_partition: Any = None) -> Any:
        """log p(v), [n], exact, nats; ``log_partition`` (of ``top``) saves its enumeration.

        A layer at a time from the top down: m(h_(l-1)) = log sum_{h_l} p(h_(l-1) | h_l) exp m(h_l).

        Raises
        ------
        IntractableError
            When a layer between the visible and the top one has more than 16 units.
        """

        def mixture(log_p: Any, log_q: Any, message: Any) -> Any:
            return logsumexp(log_p + message, axis=1)

        v = self.check_data(v)
        return self._enumerate(v, mixture) - self._log_partition(log_partition)

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

        def expectation(log_p: Any, log_q: Any, message: Any) -> Any:
            return (self.xp.exp(log_q) * (log_p - log_q + message)).sum(axis=1)

        v = self.check_data(v)
        if rng is None:
            total = self._enumerate(v, expectation)
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

    def _enumerate(self, v: Any, combine: Callable[[Any, Any, Any], Any]) -> Any:
        """Pass messages down from the top: ``combine`` joins log p, log q [n, m] and those of m states."""
        widest = max(self.sizes[1:-1], default=0)
        if widest > MAX_BITS:
            raise IntractableError(
                f"this sums the 2^{widest} states of a layer, at most 2^{MAX_BITS} are enumerated; "
                "use elbo(v, log_partition, rng=...) or log_prob_estimate(v, rng, ...)"
            )
        twin = self.with_params({name: value.astype("float64") for name, value in self.params.items()})
        rows = [v.astype("float64"), *(self.hidden.states(n, xp=self.xp) for n in self.sizes[1:-1])]
        message = -twin.top.free_energy(rows[-1])
        for layer in range(self.depth - 1, 0, -1):
            below, above = rows[layer - 1], rows[layer]
            step = max(1, PAIRS // above.shape[0])
            starts = range(0, max(1, below.shape[0]), step)
            tables = (twin.pair_tables(layer, below[i : i + step], above) for i in starts)
            message = self.xp.concatenate([combine(log_p, log_q, message) for log_p, log_q in tables])
        return message

    def pair_tables(self, layer: int, x: Any, y: Any) -> tuple[Any, Any]:
        """log p(h_(l-1) = x_i | h_l = y_j) and log q(h_l = y_j | h_(l-1) = x_i) of all pairs, [n, m] each."""
        rbm = self.rbm(layer)
        own, field = rbm._own("visible"), rbm.visible_field(y)
        base = rbm.visible.log_base(x, **own).sum(axis=-1)
        log_p = x @ field.T - rbm.visible.cgf(field, **own).sum(axis=-1) + base[:, None]
        field = self.up(layer, x).field
        return log_p, field @ y.T - self.hidden.cgf(field).sum(axis=-1)[:, None]

    # Gradient

    def log_recognition_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dlog q(h_i | v_i)/dtheta for any signed weights [n]; zero but for R_l and r_l.

        log q(y | x) = y.a - cgf(a) in the field a = x R_l + r_l with cgf' = E_q[y | x]: hence

            x^T diag(w) (y - E_q[y | x]) for R_l,      w^T (y - E_q[y | x]) for r_l.
        """
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        weights = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        states = [v, *self.layers(h)]
        for name in out:
            if not name.startswith(("R", "r")):
                out[name][...] = 0.0
        for layer in range(1, self.depth):
            x, y = states[layer - 1], states[layer]
            surprise = weights[:, None] * (y - self.up(layer, x).mean)
            xp.matmul(x.T, surprise, out=out[f"R{layer}"])
            xp.sum(surprise, axis=0, out=out[f"r{layer}"])
        return out
