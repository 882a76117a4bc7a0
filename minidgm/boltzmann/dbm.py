"""Deep Boltzmann machine: hidden layers in a chain of couplings (Deep Learning, section 20.4).

    p(v, h_1, ..., h_L) = exp(-E) / Z,      x_0 = v,  x_l = h_l,                              (20.24)
    E = -sum_{l=1}^L x_{l-1}^T W_l x_l - sum_{l=0}^L b_l.x_l - log_base(v)                    (20.25)

| symbol | shape | meaning |
|---|---|---|
| v | [n, n_0] | visible states, n_0 = n_visible |
| h | [n, n_1 + ... + n_L] | hidden states, the layers side by side; all hidden units are bits |
| W1 ... WL | [n_(l-1), n_l] | couplings of layers l - 1 and l |
| b0 ... bL | [n_l] | biases |
| mu | [n, n_hidden] | means of the factorial posterior q(h given v) |
| visible_log_precision | [n_0] | only with Gaussian visibles |

A unit of layer l stands in the field a_l = b_l + x_{l-1} W_l + x_{l+1} W_{l+1}^T (20.26 - 20.28). Layers of
one parity are independent given those of the other, so that two block draws make a Gibbs sweep. The posterior
is coupled; mean field takes q(h | v) = prod Bernoulli(mu) to a fixed point of

    mu_l = sigmoid(b_l + mu_{l-1} W_l + mu_{l+1} W_{l+1}^T),      mu_0 = v                      (20.33, 20.34)

which is a coordinate ascent on L(mu) = H(q) - E(v, mu) <= -F(v): E is linear in every single hidden unit.
Mean field is in `minidgm.boltzmann.layered_inference`, exact sums on small nets in
`minidgm.boltzmann.alternate_layers`. The derivation: docs/models/dbm.rst.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.gaussian_start import take_scale
from minidgm.boltzmann.layered_inference import LayeredInference
from minidgm.boltzmann.units import Bernoulli, Unit, from_name
from minidgm.distributions import Distribution
from minidgm.errors import DataError
from minidgm.latent.belief_layers import check_sizes, layer_shapes
from minidgm.model import N_HIDDEN
from minidgm.parameters import Parameters

WIDE = 32  # units of a layer from which the biases' steps have a sum to follow, with centring

class DBM(LayeredInference):
    """Deep Boltzmann machine.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer from the visible one up, at least two numbers.
    visible : {"bernoulli", "gaussian"}
    centered : bool
        Train with the enhanced gradient of centred units; the meaning of the parameters stays. `fit` then
        takes SGD with momentum by default, and warns of Adam: see `check_optimizer`.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Raises
    ------
    ValueError
        For fewer than two layers, a size below 1, or other visible units.

    Examples
    --------
    >>> import numpy as np
    >>> dbm = DBM([3, 2, 2], dtype="float64", seed=0)
    >>> states = dbm.visible.states(3)
    >>> bool(np.isclose(np.exp(dbm.log_prob(states)).sum(), 1.0))
    True
    >>> bool((dbm.elbo(states) <= dbm.log_prob(states)).all())
    True
    """

    equations: Mapping[str, str] = {
        "energy": "E(v, h) = -sum_l x(l-1)^T W_l x_l - sum_l b_l.x_l,  x_0 = v",
        "conditional": "p(x_l = 1 | rest) = sigmoid(b_l + x(l-1) W_l + x(l+1) W(l+1)^T)",
        "mean_field": "mu_l = sigmoid(b_l + mu(l-1) W_l + mu(l+1) W(l+1)^T)",
        "elbo": "log p(v) >= H(q) - E(v, mu) - log Z",
        "gradient": "d elbo / dW_l = <mu(l-1) mu_l^T>_data - <x(l-1) x_l^T>_model",
    }
    reference = (
        "Salakhutdinov and Hinton (2009); Montavon and Mueller (2012); Goodfellow, Bengio and Courville "
        "(2016), Deep Learning, 20.4"
    )

    def __init__(
        self,
        sizes: Sequence[int],
        visible: str | Unit = "bernoulli",
        centered: bool = False,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.sizes, self.centered = check_sizes(sizes), bool(centered)
        self.depth = len(self.sizes) - 1
        self.n_visible, self.n_hidden = self.sizes[0], sum(self.sizes[1:])
        self.visible, self.hidden = from_name(visible), Bernoulli()
        if self.visible.name not in ("bernoulli", "gaussian"):
            raise ValueError(f"visible={self.visible.name!r}; a DBM has 'bernoulli' or 'gaussian' visibles")
        own = self.visible.parameter_shapes(self.n_visible)
        shapes = {
            "b0": (self.n_visible,),
            **layer_shapes(self.sizes, "W", "b"),
            **{f"visible_{name}": shape for name, shape in own.items()},
        }
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        rng = Generator(seed, self.backend)
        for layer in range(1, self.depth + 1):
            W = self.params[f"W{layer}"]
            # Zero couplings are a saddle, flatter with every layer: not as near to it as the 0.01 of an RBM.
            W[...] = sum(W.shape) ** -0.5 * rng.normal(W.shape, dtype=self.dtype)

    def config(self) -> dict[str, Any]:
        return {"sizes": list(self.sizes), "visible": self.visible.name, "centered": self.centered}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> DBM:
        """At most 64 joint states, with the depth (up to 4), visible units and centring of ``like``."""
        depth = 2 if like is None else min(like.depth, 4)
        sizes = {1: [3, 2], 2: [3, 2, 1], 3: [2, 1, 2, 1], 4: [2, 1, 1, 1, 1]}[depth]
        if like is None:
            return cls(sizes, **options)
        if not like.visible.bounded:
            sizes[0] = 2  # integrals over v are quadratures in the plane
        return cls(sizes, like.visible, like.centered, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Sizes from the data's width: two hidden layers of 64 where the user names none."""
        width = int(data.train.shape[1])
        sizes = list(given.get("sizes", [width, N_HIDDEN, N_HIDDEN]))
        if not sizes or sizes[0] != width:
            raise DataError(f"model.sizes = {sizes!r}, but rows of {data.name} have {width}: begin with it")
        return {**given, "sizes": sizes}

    def default_objective(self) -> Any:
        """Variational stochastic maximum likelihood, 100 chains."""
        from minidgm.objectives import VariationalSML

        return VariationalSML()

    # Energy and conditionals

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h), [n], from v [n, n_visible] and h [n, n_hidden] (20.25)."""
        states = [v, *self.layers(h)]
        total = -(v @ self.params["b0"]) - self.visible.log_base(v, **self._own("visible")).sum(axis=-1)
        for layer in range(1, self.depth + 1):
            below = states[layer - 1] @ self.params[f"W{layer}"] + self.params[f"b{layer}"]
            total = total - (below * states[layer]).sum(axis=-1)
        return total

    def layer_given_others(self, layer: int, states: Sequence[Any]) -> Distribution:
        """p(x_l | all other layers), factorial; of ``states`` [x_0, ..., x_L] the neighbours of l matter."""
        unit, own = self.unit(layer)
        return unit.distribution(self.field(layer, states), **own)

    def visible_given_hidden(self, h: Any) -> Distribution:
        """p(v | h) = p(v | h_1), factorial."""
        return self.layer_given_others(0, [None, *self.layers(h)])

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One sweep: odd layers given even ones, then even layers (v among them) given odd ones.

        Leaves p(v, h) invariant. Without ``h`` the layers above start at the means of one pass up.
        """
        states = [v, *(self.upward(v) if h is None else self.layers(h))]
        for layer in [*range(1, self.depth + 1, 2), *range(0, self.depth + 1, 2)]:
            states[layer] = self.layer_given_others(layer, states).sample(rng)
        return states[0], self.xp.concatenate(states[1:], axis=1)

    def start(self, n: int, rng: Generator) -> Any:
        """Visible states [n, n_visible] drawn from the visible biases alone."""
        field = self.xp.zeros((n, 1), dtype=self.dtype) + self.params["b0"]
        return self.visible.sample(field, rng, **self._own("visible"))

    # Gradients

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(v_i, h_i)/dtheta for any signed weights [n]; into ``out`` (a `Parameters`) if given.

        E is linear in each W_l and b_l, with dE/dW_l = -x_{l-1} x_l^T and dE/db_l = -x_l, so

            sum_i w_i dE_i/dW_l = -x_{l-1}^T diag(w) x_l,      = -w^T x_l for b_l.

        Layers of one parity may be conditional means: each enters linearly given the others.
        """
        out = self.zero_gradient() if out is None else out
        return self.layer_gradient([v, *self.layers(h)], weights, out)

    def layer_gradient(self, states: Sequence[Any], weights: Any, out: Any, scratch: Any = None) -> Any:
        """`energy_gradient` from the layers [x_0, ..., x_L], into ``out``.

        ``scratch``, arrays [n, n_l] for l = 1 ... L, is written over: training loops save the allocation.
        """
        xp, v = get_xp(states[0], weights), states[0]
        minus_w = -xp.ones(v.shape[0], dtype=v.dtype) if weights is None else -weights
        for layer, x in enumerate(states):
            xp.matmul(minus_w, x, out=out[f"b{layer}"])
            if layer:
                scaled = xp.multiply(minus_w[:, None], x, out=scratch[layer - 1] if scratch else None)
                xp.matmul(states[layer - 1].T, scaled, out=out[f"W{layer}"])
        for name, value in self.visible.base_gradient(v, -minus_w, **self._own("visible")).items():
            out[f"visible_{name}"][...] = value
        return out

    def center_gradient(self, grads: Any, mu: Any, lam: Any) -> Any:
        """Turn a gradient into the enhanced gradient of centred units, in place (Montavon and Mueller 2012).

        With offsets m_0 = mu [n_visible], (m_1, ..., m_L) = lam [n_hidden] and the energy
        E = -sum_l (x_{l-1} - m_{l-1})^T W_l (x_l - m_l) - sum_l (x_l - m_l).b'_l, the same distribution has
        b_l = b'_l - m_{l-1} W_l - m_{l+1} W_{l+1}^T. A step along the gradient in (W, b') moves (W, b) along

            gW_l <- gW_l - m_{l-1} gb_l^T - gb_{l-1} m_l^T,
            gb_l <- gb_l - m_{l-1} gW_l - m_{l+1} gW_{l+1}^T      with the new gW.
        """
        xp = get_xp(mu, lam)
        offsets = [mu, *(part[0] for part in self.layers(lam[None, :]))]
        biases = [grads[f"b{layer}"] for layer in range(self.depth + 1)]
        for layer in range(1, self.depth + 1):
            left, right = (offsets[layer - 1], biases[layer - 1]), (biases[layer], offsets[layer])
            grads[f"W{layer}"] -= xp.stack(left, axis=1) @ xp.stack(right)
        for layer in range(1, self.depth + 1):
            biases[layer - 1] -= grads[f"W{layer}"] @ offsets[layer]
            biases[layer] -= offsets[layer - 1] @ grads[f"W{layer}"]
        return grads

    # Annealing

    def tempered(self, beta: float, base: Any = None) -> DBM:
        """The DBM at inverse temperature ``beta``: all times beta, b0 moved to ``base`` (0) at beta = 0."""
        start = 0.0 if base is None else (1.0 - beta) * base
        kept = {name: value for name, value in self.params.items() if name.startswith("visible_")}
        cooled = {name: beta * value for name, value in self.params.items() if name not in kept}
        return self.with_params({**cooled, **kept, "b0": start + cooled["b0"]})

    def path_from_base(self, base: Any) -> tuple[Any, float]:
        """Annealing path from independent units to this model, and the base's log Z; see `LayeredPath`."""
        from minidgm.evaluation.layered import path_from_base

        return path_from_base(self, base)

    def path_to(self, other: Any) -> Any:
        """Annealing path from this model to another DBM of the same sizes and visible units."""
        from minidgm.evaluation.layered import path_between

        return path_between(self, other)

    # Training

    def default_optimizer(self) -> Any:
        """Adam(1e-3); of a centred machine SGD(0.005) with momentum 0.9."""
        from minidgm import optim

        return optim.Momentum(0.005, 0.9) if self.centered else optim.Adam(1e-3)

    def check_optimizer(self, optimizer: Any) -> None:
        """Warn where a centred machine of wide layers is to be trained by steps of one size each, as Adam's.

        Where W_l moves by D, b_l must move by -m_{l-1} D for the fields to stay in place: a sum over a layer.
        A bias that moves no further than a coupling cannot, and the fields drift, the wider the faster.
        """
        widest = max(self.sizes)
        if self.centered and widest > WIDE and "second_moment" in getattr(optimizer, "slots", ()):
            warnings.warn(
                f"{type(optimizer).__name__} scales the biases' steps apart from those of the couplings, "
                f"which undoes centering in a layer of {widest} units: training may diverge; use an SGD with "
                "momentum, such as optim.Momentum(0.005, 0.9), or use centered=False",
                RuntimeWarning,
                stacklevel=4,
            )

    def pretrain(self, X: Any, **options: Any) -> list[Any]:
        """Start from doubled RBMs trained layer by layer: `minidgm.boltzmann.dbm_pretraining.pretrain`."""
        from minidgm.boltzmann.dbm_pretraining import pretrain

        return pretrain(self, X, **options)

    def to_mlp(self, n_classes: int) -> Any:
        """A `SigmoidClassifier` of `features(v)` that starts as this machine's mean field.

        Layer 1 sees the data and what mean field sends down from layer 2 (Salakhutdinov and Hinton 2009,
        section 3.4), so that at the start its activities are the mean field's fixed point; layers above see
        the layer below, doubled where another one is above them.
        """
        from minidgm.boltzmann.classifier import SigmoidClassifier

        above = self.sizes[2] if self.depth > 1 else 0
        sizes = [self.n_visible + above, *self.sizes[1:]]
        where = {"backend": self.backend, "dtype": self.dtype}
        net = SigmoidClassifier(sizes, n_classes, self.visible, seed=self.seed, **where)
        for layer in range(1, self.depth + 1):
            W = self.params[f"W{layer}"]
            if layer == 1 and above:
                W = self.xp.concatenate([W, self.params["W2"].T])
            net.params[f"W{layer}"] = (2.0 if 1 < layer < self.depth else 1.0) * W
            net.params[f"b{layer}"] = self.params[f"b{layer}"]
        return net

    def features(self, v: Any) -> Any:
        """v and the mean-field means of layer 2 side by side, [n, n_0 + n_2]: what `to_mlp`'s net reads."""
        v = self.check_data(v)
        return self.xp.concatenate([v, *self.layers(self.transform(v))[1:2]], axis=1)

    def begin(self, X: Any) -> None:
        """Bring an untrained machine with Gaussian visibles to the data's scale: `fit` calls it with rows."""
        own = self._own("visible")
        if own and not bool(self.params["b0"].any()) and not bool(own["log_precision"].any()):
            take_scale(X, *(self.params[name] for name in ("W1", "b0", "b1")), **own)

    def initialize(self, X: Any) -> DBM:
        """Set the visible biases so that zero couplings would give the means of ``X``."""
        mean = self.check_data(X, "X").mean(axis=0)
        self.params["b0"][...] = self.visible.logit(mean, **self._own("visible"))
        return self
