"""Sigmoid belief net (Neal 1992; Deep Learning, section 20.10.1) with a recognition net beside it.

    p(h_L) = sigmoid(b_L),    p(h_(l-1) = 1 | h_l) = sigmoid(W_l h_l + b_(l-1)),   h_0 = x     (20.70)
    q(h_l = 1 | h_(l-1)) = sigmoid(h_(l-1) R_l + r_l)

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_0] | visible bits, n_0 = n_visible |
| z | [n, n_1 + ... + n_L] | hidden bits h_1 ... h_L, the layers side by side |
| W1 ... WL | [n_(l-1), n_l] | generative weights, downward |
| b0 ... bL | [n_l] | generative biases; b_L is the prior's |
| R1 ... RL | [n_(l-1), n_l] | recognition weights, upward |
| r1 ... rL | [n_l] | recognition biases |

Everything is normalized: the joint is a product of conditionals, ancestral sampling is exact, and

    log p(x) = log E_q[p(x, z) / q(z | x)] >= E_q[log p(x, z) - log q(z | x)].

Hidden bits have no derivative, so that q is trained by objectives that weigh its score: `WakeSleep`,
`ReweightedWakeSleep`, `Reinforce`, `Vimco`; or, with one hidden layer, by slopes between the bits:
`StraightThrough`, `GumbelSoftmax`, `Rebar`. Derivations: docs/models/sigmoid_belief_net.rst.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minidgm.backend import Generator, asarray, get_xp
from minidgm.boltzmann.units import Bernoulli
from minidgm.latent.belief_layers import BeliefLayers, check_sizes, layer_shapes, sizes_for
from minidgm.latent.directed import DirectedModel
from minidgm.latent.layered_draws import LayeredDraws
from minidgm.parameters import Parameters
from minidgm.workspace import Workspace


class LayeredBits:
    """q(z | x) of a belief net: each layer is factorial given the one below.

    Attributes
    ----------
    mean : array [n, n_latent]
        Means sent upward: exact for the first layer, a mean-field value for those above.
    """

    def __init__(self, net: Any, x: Any):
        self._net, self._x = net, x

    def sample(self, rng: Generator) -> Any:
        """Draw z [n, n_latent]."""
        return self._net.infer(self._x, rng)

    def log_prob(self, z: Any) -> Any:
        """log q(z | x), [n], exact, nats."""
        return self._net.log_recognition(self._x, z)

    @property
    def mean(self) -> Any:
        means = [self._x]
        for layer in range(1, self._net.depth + 1):
            means.append(self._net.up(layer, means[-1]).mean)
        return get_xp(self._x).concatenate(means[1:], axis=1)


class SigmoidBeliefNet(BeliefLayers, DirectedModel):
    """Sigmoid belief net.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer from the visible one up, at least two numbers.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Raises
    ------
    ValueError
        For fewer than two layers, or a size below 1.

    Examples
    --------
    >>> import numpy as np
    >>> net = SigmoidBeliefNet([3, 2, 2], dtype="float64", seed=0)
    >>> states = net.visible.states(3)
    >>> bool(np.isclose(np.exp(net.log_prob(states)).sum(), 1.0))
    True
    >>> bool((net.elbo(states) <= net.log_prob(states)).all())
    True
    """

    equations: Mapping[str, str] = {
        "joint": "p(x, h1..hL) = p(hL) prod_l p(h(l-1) | hl)",
        "prior": "p(hL = 1) = sigmoid(b_L)",
        "down": "p(h(l-1) = 1 | hl) = sigmoid(W_l hl + b(l-1))",
        "up": "q(hl = 1 | h(l-1)) = sigmoid(h(l-1) R_l + r_l)",
        "elbo": "log p(x) >= E_q[log p(x, h) - log q(h | x)]",
    }
    reference = (
        "Neal (1992), Connectionist learning of belief networks; "
        "Goodfellow, Bengio and Courville (2016), Deep Learning, 20.10.1"
    )

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.sizes = check_sizes(sizes)
        self.depth = len(self.sizes) - 1
        self.n_visible, self.n_latent = self.sizes[0], sum(self.sizes[1:])
        self.visible = self.latent = Bernoulli()
        between = {**layer_shapes(self.sizes, "W", "b"), **layer_shapes(self.sizes, "R", "r")}
        shapes = {"b0": (self.n_visible,), **between}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        rng = Generator(seed)
        for name, (n, m) in ((name, shape) for name, shape in shapes.items() if len(shape) == 2):
            draws = rng.normal((n, m), "float64") * math.sqrt(2.0 / (n + m))
            self.params[name] = asarray(draws, self.backend, self.dtype)

    def config(self) -> dict[str, Any]:
        return {"sizes": list(self.sizes)}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> SigmoidBeliefNet:
        """A net with at most 64 joint states, of one or two hidden layers like ``like``."""
        return cls([2, 2] if like is not None and like.depth == 1 else [2, 2, 1], **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Sizes from the data's width: one hidden layer of 64 where the user names none."""
        return sizes_for(data, given)

    def default_objective(self) -> Any:
        """Reweighted wake-sleep with five draws a row."""
        from minidgm.objectives import ReweightedWakeSleep

        return ReweightedWakeSleep(5)

    def initialize(self, X: Any) -> Any:
        """Set the visible biases so that W1 = 0 would give the means of ``X``."""
        self.params["b0"][...] = self.visible.logit(self.check_data(X, "X").mean(axis=0))
        return self

    # Densities

    def down(self, layer: int, x: Any) -> Any:
        """p(h_(l-1) | h_l = x), factorial (20.70)."""
        return self.hidden.distribution(x @ self.params[f"W{layer}"].T + self.params[f"b{layer - 1}"])

    def prior(self) -> Any:
        """p(h_L), one row, factorial."""
        return self.hidden.distribution(self.params[f"b{self.depth}"][None, :])

    def log_above(self, x: Any) -> Any:
        """log p(h_L = x), [n], nats."""
        return self.prior().log_prob(x)

    def log_joint(self, x: Any, z: Any) -> Any:
        """log p(x, z) = log p(h_L) + sum_l log p(h_(l-1) | h_l), [n], exact, nats."""
        return self.log_generation(x, z)

    def log_prob(self, x: Any) -> Any:
        """log p(x), [n], exact, nats, a layer at a time from the prior down.

        Raises
        ------
        IntractableError
            When a hidden layer has more than 16 units.
        """
        return self.log_mixture(self.check_data(x))

    def recognition(self, x: Any) -> LayeredBits:
        """q(z | x), layer by layer: ``sample``, ``log_prob`` and ``mean``."""
        return LayeredBits(self, x)

    def visible_given_latent(self, z: Any) -> Any:
        """p(x | z) = p(x | h_1), factorial."""
        return self.down(1, self.layers(z)[0])

    # Sampling

    def dream(self, n: int, rng: Generator | int | None = None) -> tuple[Any, Any]:
        """Draw (x, z) from p(x, z), exactly: the prior, then one layer after the other.

        Returns
        -------
        x [n, n_visible], z [n, n_latent]
            ``visible_given_latent(z).mean`` is the picture without the noise of its pixels.
        """
        rng, xp = self.generator(rng), self.xp
        top = rng.bernoulli_from_logits(xp.tile(self.prior().field, (n, 1)))
        states = self.descend(top, rng, self.depth)
        return states[0], xp.concatenate(states[1:], axis=1)

    def draw(self, x: Any, k: int, rng: Generator, scratch: Workspace | None = None) -> LayeredDraws:
        """``k`` draws z ~ q(z | x) a row; what they share is computed once: see `LayeredDraws`."""
        return LayeredDraws(self, x, k, rng, scratch)

    # Gradient

    def log_joint_gradient(self, x: Any, z: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dlog p(x_i, z_i)/dtheta for any signed weights [n]; zero for R_l and r_l.

        log p(y | h) = y.a - cgf(a) in the field a = h W_l^T + b_(l-1) with cgf' = E[y | h]: hence

            (y - E[y | h])^T diag(w) h for W_l,    w^T (y - E[y | h]) for b_(l-1),

        and w^T (h_L - sigmoid(b_L)) for the prior: every layer learns from its own surprise.
        """
        xp = get_xp(x, z, weights)
        out = self.zero_gradient() if out is None else out
        weights = xp.ones(x.shape[0], dtype=x.dtype) if weights is None else weights
        states = [x, *self.layers(z)]
        for layer in range(1, self.depth + 1):
            y, h = states[layer - 1], states[layer]
            surprise = weights[:, None] * (y - self.down(layer, h).mean)
            xp.matmul(surprise.T, h, out=out[f"W{layer}"])
            xp.sum(surprise, axis=0, out=out[f"b{layer - 1}"])
            for name in (f"R{layer}", f"r{layer}"):
                out[name][...] = 0.0
        xp.matmul(weights, states[-1] - self.prior().mean, out=out[f"b{self.depth}"])
        return out

    # Between the bits, for one hidden layer: what estimators need that use slopes

    def latent_field(self, x: Any) -> Any:
        """Fields a = x R_1 + r_1 of q(h_1 | x), [n, n_1]."""
        return x @ self.params["R1"] + self.params["r1"]

    def latent_field_gradient(self, x: Any, d: Any, out: Any = None) -> Any:
        """sum_i d_i . da_i/dtheta for d [n, n_1]: x^T d for R_1, sum_i d_i for r_1, zero else."""
        out = self.zero_gradient() if out is None else out
        out.buffer[...] = 0.0
        get_xp(x).matmul(x.T, d, out=out["R1"])
        get_xp(x).sum(d, axis=0, out=out["r1"])
        return out

    def log_joint_input_gradient(self, x: Any, z: Any) -> Any:
        """d log p(x, z)/dz of one hidden layer, [n, n_1], also between the bits: (x - E[x | z]) W_1 + b_1."""
        if self.depth > 1:
            raise ValueError(f"the slope in z is that of one hidden layer; this net has {self.depth}")
        return (x - self.down(1, z).mean) @ self.params["W1"] + self.params["b1"]
