"""Layers of directed bits with a recognition net beside them: what belief networks share.

    p(h_(l-1) | h_l)  downward, factorial (`down`)
    q(h_l | h_(l-1)) = sigmoid(h_(l-1) R_l + r_l)  upward (`up`)

    q(h | v) = prod_l q(h_l | h_(l-1)),   h_0 = v
    w(v, h)  = m(top) prod_l p(h_(l-1) | h_l) / q(h_l | h_(l-1))

where l runs over the ``n_inferred`` layers that q draws by itself, and log m is `log_above` of the topmost
of them: the prior in a sigmoid belief net; in a deep belief network -F of the top RBM, its last layer summed
out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.errors import DataError, IntractableError
from minidgm.model import N_HIDDEN
from minidgm.numerics import logsumexp

MAX_BITS = 16
PAIRS = 2**22


class BeliefLayers:
    """Mixin of `DBN` and `SigmoidBeliefNet`: recognition upward, enumeration layer by layer."""

    sizes: tuple[int, ...]
    depth: int
    hidden: Any
    params: Any
    xp: Any
    check_data: Any
    double: Any
    zero_gradient: Any

    @property
    def n_inferred(self) -> int:
        """Layers with recognition weights of their own."""
        return self.depth

    def down(self, layer: int, x: Any) -> Any:
        """p(h_(l-1) | h_l = x), factorial."""
        raise NotImplementedError

    def log_above(self, x: Any) -> Any:
        """log m(x), [n]: what lies above the topmost inferred layer, at its states x."""
        raise NotImplementedError

    def layers(self, h: Any) -> list[Any]:
        """Views h_1 [n, n_1] ... h_L [n, n_L] of h [n, n_1 + ... + n_L]."""
        parts, start = [], 0
        for width in self.sizes[1:]:
            parts.append(h[:, start : start + width])
            start += width
        return parts

    def up(self, layer: int, x: Any) -> Any:
        """q(h_l | h_(l-1) = x), factorial."""
        return self.hidden.distribution(x @ self.params[f"R{layer}"] + self.params[f"r{layer}"])

    def infer(self, v: Any, rng: Generator) -> Any:
        """Draw h ~ q(h | v), all layers side by side, layer by layer upward."""
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

    def reconstruct(self, v: Any) -> Any:
        """Means sent up to the top and back down, [n, n_visible]."""
        x = self.transform(v)
        for layer in range(self.depth, 0, -1):
            x = self.down(layer, x).mean
        return x

    def descend(self, x: Any, rng: Generator, layer: int) -> list[Any]:
        """Draw h_(l-1), ..., h_1, v given h_l = x; returns [v, h_1, ..., h_l]."""
        states = [x]
        for k in range(layer, 0, -1):
            states.append(self.down(k, states[-1]).sample(rng))
        return states[::-1]

    # Densities

    def log_recognition(self, v: Any, h: Any) -> Any:
        """sum_l log q(h_l | h_(l-1)) over the inferred layers, [n], nats."""
        states = [v, *self.layers(h)]
        total = 0.0 * get_xp(v).sum(v, axis=-1)
        for layer in range(1, self.n_inferred + 1):
            total = total + self.up(layer, states[layer - 1]).log_prob(states[layer])
        return total

    def log_generation(self, v: Any, h: Any) -> Any:
        """log m(top) + sum_l log p(h_(l-1) | h_l) over the inferred layers, [n], nats."""
        states = [v, *self.layers(h)]
        total = self.log_above(states[self.n_inferred])
        for layer in range(1, self.n_inferred + 1):
            total = total + self.down(layer, states[layer]).log_prob(states[layer - 1])
        return total

    def log_weight(self, v: Any, h: Any) -> Any:
        """log w(v, h), [n], nats: layers above the inferred ones are not looked at."""
        return self.log_generation(v, h) - self.log_recognition(v, h)

    # Enumeration

    def enumerate_layers(
        self, v: Any, combine: Callable[[Any, Any, Any], Any], scale: float = 1.0
    ) -> Any:
        """Pass messages down from the top, which sends ``scale`` log m, in float64: [n].

        ``combine(log_p, log_q, message)`` joins log p(x | y) and log q(y | x) [n, m] of all pairs of states
        of neighboring layers with the message [m] of the upper one.
        """
        widths = self.sizes[1 : self.n_inferred + 1]
        widest = max(widths, default=0)
        if widest > MAX_BITS:
            raise IntractableError(
                f"this sums the 2^{widest} states of a layer, at most 2^{MAX_BITS} are enumerated; "
                "use elbo(v, rng=...) or log_prob_estimate(v, rng, ...)"
            )
        twin = self.double()
        rows = [v.astype("float64"), *(self.hidden.states(n, xp=self.xp) for n in widths)]
        message = scale * twin.log_above(rows[-1])
        for layer in range(self.n_inferred, 0, -1):
            below, above = rows[layer - 1], rows[layer]
            step = max(1, PAIRS // above.shape[0])
            starts = range(0, max(1, below.shape[0]), step)
            tables = (twin.pair_tables(layer, below[i : i + step], above) for i in starts)
            message = self.xp.concatenate([combine(log_p, log_q, message) for log_p, log_q in tables])
        return message

    def log_mixture(self, v: Any) -> Any:
        """log sum_h of `log_generation`, [n]: m(x) = log sum_y p(x | y) exp m(y), layer by layer."""

        def mixture(log_p: Any, log_q: Any, message: Any) -> Any:
            return logsumexp(log_p + message, axis=1)

        return self.enumerate_layers(v, mixture)

    def mean_log_weight(self, v: Any) -> Any:
        """E_q[log w], [n]: m(x) = sum_y q(y | x) [log p(x | y) - log q(y | x) + m(y)], layer by layer."""

        def expectation(log_p: Any, log_q: Any, message: Any) -> Any:
            return (self.xp.exp(log_q) * (log_p - log_q + message)).sum(axis=1)

        return self.enumerate_layers(v, expectation)

    def pair_tables(self, layer: int, x: Any, y: Any) -> tuple[Any, Any]:
        """log p(h_(l-1) = x_i | h_l = y_j) and log q(h_l = y_j | h_(l-1) = x_i) of all pairs, [n, m] each."""
        below, above = self.down(layer, y), self.up(layer, x)
        log_p = x @ below.field.T - below.cgf().sum(axis=-1)
        return log_p, above.field @ y.T - above.cgf().sum(axis=-1)[:, None]

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
        for layer in range(1, self.n_inferred + 1):
            x, y = states[layer - 1], states[layer]
            surprise = weights[:, None] * (y - self.up(layer, x).mean)
            xp.matmul(x.T, surprise, out=out[f"R{layer}"])
            xp.sum(surprise, axis=0, out=out[f"r{layer}"])
        return out


def check_sizes(sizes: Any) -> tuple[int, ...]:
    """Return the sizes of the layers as a tuple of at least two positive integers."""
    if isinstance(sizes, (str, int)) or not isinstance(sizes, Iterable):
        raise TypeError(f"sizes={sizes!r}; expected the units of each layer, such as [784, 500, 1000]")
    listed = tuple(count(f"sizes[{layer}]", size) for layer, size in enumerate(sizes))
    if len(listed) < 2:
        raise ValueError(f"sizes={list(listed)}; expected a visible and at least one hidden layer")
    return listed


def layer_shapes(sizes: Sequence[int], weights: str, biases: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights from each layer to the next, [n_(l-1), n_l], and of the latter's biases, [n_l].

    >>> layer_shapes([4, 3, 2], "W", "b")
    {'W1': (4, 3), 'b1': (3,), 'W2': (3, 2), 'b2': (2,)}
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (n, m) in enumerate(pairwise(sizes), start=1):
        shapes |= {f"{weights}{layer}": (n, m), f"{biases}{layer}": (m,)}
    return shapes


def sizes_for(data: Any, given: Mapping[str, Any], hidden: int = 1) -> dict[str, Any]:
    """Constructor arguments from the data's width: ``hidden`` layers of 64 where the user names no sizes."""
    width = int(data.train.shape[1])
    sizes = list(given.get("sizes", [width, *[N_HIDDEN] * hidden]))
    if not sizes or sizes[0] != width:
        raise DataError(f"model.sizes = {sizes!r}, but rows of {data.name} have {width}: begin with it")
    return {**given, "sizes": sizes}
