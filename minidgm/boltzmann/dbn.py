"""Deep belief network: an RBM on top of directed layers (Deep Learning, section 20.3; Hinton et al. 2006).

    p(v, h_1, ..., h_L) = p_RBM(h_{L-1}, h_L) prod_{l=1}^{L-1} p(h_{l-1} | h_l),     h_0 = v      (20.17)
    p(h_{l-1} | h_l) from the field h_l W_l^T + b_{l-1}                                      (20.18, 20.19)

| symbol | shape | meaning |
|---|---|---|
| v | [n, n_0] | visible states, n_0 = n_visible |
| h | [n, n_1 + ... + n_L] | hidden states, the layers side by side; all hidden units are bits |
| W1 ... WL | [n_(l-1), n_l] | couplings of layers l - 1 and l: downward below the top, both ways at the top |
| b0 ... bL | [n_l] | biases of the layers |
| R1 ... R(L-1) | [n_(l-1), n_l] | recognition weights, upward; equal to W1 ... until up-down training |
| r1 ... r(L-1) | [n_l] | recognition biases |
| visible_log_precision | [n_0] | only with Gaussian visibles |

The posterior does not factorize. A recognition net stands for it, factorial layer by layer,

    q(h_1, ..., h_L | v) = prod_l q(h_l | h_{l-1}),     q(h_l = 1 | h_{l-1}) = sigmoid(h_{l-1} R_l + r_l),

whose last factor is the top RBM's own conditional p(h_L | h_{L-1}), hence exact. It gives the bound

    log p(v) >= E_q[-F_top(h_{L-1}) + sum_{l<L} log p(h_{l-1} | h_l) - log q(h_l | h_{l-1})] - log Z

with F_top and Z of the top RBM. The directed conditionals are normalized, so that the whole network is an
energy model, E(v, h) = E_top(h_{L-1}, h_L) - sum_{l<L} log p(h_{l-1} | h_l), with the top RBM's Z.

`fit` trains greedily, one RBM a layer (`minidgm.boltzmann.greedy`). Derivations: docs/models/dbn.rst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.energy_model import same_rows
from minidgm.boltzmann.gaussian_rbm import GaussianRBM
from minidgm.boltzmann.rbm import RBM
from minidgm.boltzmann.recognition import Recognition
from minidgm.boltzmann.units import Bernoulli, Unit
from minidgm.latent.belief_layers import check_sizes, layer_shapes, sizes_for
from minidgm.parameters import Parameters

if TYPE_CHECKING:
    from minidgm.boltzmann.classifier import SigmoidClassifier
    from minidgm.training import History


class DBN(Recognition):
    """Deep belief network.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer from the visible one up, at least two numbers.
    visible : str or Unit
        ``"bernoulli"``, ``"gaussian"``, or any other unit; hidden units are bits.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Raises
    ------
    ValueError
        For fewer than two layers, or a size below 1.

    Examples
    --------
    >>> import numpy as np
    >>> dbn = DBN([3, 2, 4], dtype="float64", seed=0)
    >>> states = dbn.visible.states(3)
    >>> bool(np.isclose(np.exp(dbn.log_prob(states)).sum(), 1.0))
    True
    >>> bool((dbn.elbo(states) <= dbn.log_prob(states)).all())
    True
    """

    equations: Mapping[str, str] = {
        "joint": "p(v, h1..hL) = p_RBM(h(L-1), hL) prod_l<L p(h(l-1) | hl)",
        "down": "p(h(l-1) = 1 | hl) = sigmoid(hl W_l^T + b(l-1))",
        "up": "q(hl = 1 | h(l-1)) = sigmoid(h(l-1) R_l + r_l)",
        "energy": "E(v, h) = E_top(h(L-1), hL) - sum_l<L log p(h(l-1) | hl)",
        "elbo": "log p(v) >= E_q[-F_top(h(L-1)) + sum_l<L log p(h(l-1)|hl) - log q(hl|h(l-1))] - log Z",
    }
    reference = (
        "Hinton, Osindero and Teh (2006); Goodfellow, Bengio and Courville (2016), Deep Learning, 20.3"
    )

    def __init__(
        self,
        sizes: Sequence[int],
        visible: str | Unit = "bernoulli",
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.sizes = check_sizes(sizes)
        self.depth = len(self.sizes) - 1
        self.n_visible, self.n_hidden = self.sizes[0], sum(self.sizes[1:])
        options: dict[str, Any] = {"backend": backend, "dtype": self.dtype}
        seeds = Generator(seed).integers(0, 2**31 - 1, (self.depth,))
        rbms = [
            RBM(n, m, visible=visible if not layer else "bernoulli", seed=int(seeds[layer]), **options)
            for layer, (n, m) in enumerate(pairwise(self.sizes))
        ]
        self.visible, self.hidden = rbms[0].visible, Bernoulli()
        own = self.visible.parameter_shapes(self.n_visible)
        shapes = {
            "b0": (self.n_visible,),
            **layer_shapes(self.sizes, "W", "b"),
            **layer_shapes(self.sizes[:-1], "R", "r"),
            **{f"visible_{name}": shape for name, shape in own.items()},
        }
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        for layer, rbm in enumerate(rbms, start=1):
            self.place(layer, rbm)
        self._shells = [rbm.with_params({}) for rbm in rbms]

    def config(self) -> dict[str, Any]:
        return {"sizes": list(self.sizes), "visible": self.visible.name}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> DBN:
        """Two hidden layers with at most 64 joint states, with the visible units of ``like``."""
        unit = Bernoulli() if like is None else like.visible
        return cls([max(unit.k, 2), 2, 2][: 3 if like is None else like.depth + 1], unit.name, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Sizes from the data's width: two hidden layers of 64 where the user names none."""
        return sizes_for(data, given, hidden=2)

    # Layers

    def rbm(self, layer: int) -> RBM:
        """The RBM of layers l - 1 and l that greedy training knew: W_l, b_(l-1), and r_l (the top: b_L).

        It shares the arrays of this model.
        """
        names = self._names(layer)
        return self._shells[layer - 1].with_params({key: self.params[name] for key, name in names.items()})

    def _names(self, layer: int) -> dict[str, str]:
        """Names in the network of the parameters of RBM l."""
        own = [n for n in self.params if n.startswith("visible_")] if layer == 1 else []
        hidden = f"r{layer}" if layer < self.depth else f"b{layer}"
        return {"W": f"W{layer}", "b": f"b{layer - 1}", "c": hidden, **{name: name for name in own}}

    @property
    def top(self) -> RBM:
        """The undirected top, p_RBM(h_(L-1), h_L): ``evaluation.ais(dbn.top)`` estimates its log Z."""
        return self.rbm(self.depth)

    def place(self, layer: int, rbm: Any) -> None:
        """Copy an RBM in as layer ``layer``; its hidden side becomes recognition."""
        rbm = rbm.natural() if isinstance(rbm, GaussianRBM) else rbm
        for key, name in self._names(layer).items():
            self.params[name] = rbm.params[key]
        self.params[f"b{layer}"] = rbm.params["c"]
        if layer < self.depth:
            self.params[f"R{layer}"] = rbm.params["W"]

    @classmethod
    def from_rbms(cls, rbms: Sequence[Any], seed: int | None = None) -> DBN:
        """Stack trained RBMs, the one that sees the data first; parameters are copied.

        The first may be a `GaussianRBM`: its natural parameters are.

        Raises
        ------
        ValueError
            When the hidden units of one are not the visible units of the next: says which.
        """
        from minidgm.boltzmann.greedy import check_chain

        rbms = [rbm.natural() if isinstance(rbm, GaussianRBM) else rbm for rbm in rbms]
        check_chain(rbms)
        first = rbms[0]
        sizes = [first.n_visible, *(rbm.n_hidden for rbm in rbms)]
        dbn = cls(sizes, first.visible, backend=first.backend, dtype=first.dtype, seed=seed)
        for layer, rbm in enumerate(rbms, start=1):
            dbn.place(layer, rbm)
        return dbn

    def down(self, layer: int, x: Any) -> Any:
        """p(h_(l-1) | h_l = x), factorial (20.18, 20.19)."""
        return self.rbm(layer).visible_given_hidden(x)

    # Energy

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h) = E_top(h_(L-1), h_L) - sum_{l<L} log p(h_(l-1) | h_l), [n]; p = exp(-E) / Z of the top."""
        return self._energy_from(1, [v, *self.layers(h)])

    def _energy_from(self, lowest: int, states: list[Any]) -> Any:
        """The energy of layers ``lowest`` - 1 and above, from the states of all."""
        total = self.top.energy(states[-2], states[-1])
        for layer in range(lowest, self.depth):
            total = total - self.down(layer, states[layer]).log_prob(states[layer - 1])
        return total

    def visible_given_hidden(self, h: Any) -> Any:
        """p(v | h) = p(v | h_1), factorial."""
        return self.down(1, self.layers(h)[0])

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the integral of exp(-E(v, h)) over v, [n]: the lowest conditional integrates to 1."""
        states = [None, *self.layers(h)]
        return self.top.hidden_free_energy(states[1]) if self.depth == 1 else self._energy_from(2, states)

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One block sweep of the top RBM, then fresh draws of all layers below; leaves p(v, h) invariant."""
        below = [v, *self.layers(h)][-2]
        states = self.descend(self.up(self.depth, below).sample(rng), rng, self.depth)
        return states[0], self.xp.concatenate(states[1:], axis=1)

    def dream(
        self, n: int, rng: Generator | int | None = None, steps: int = 1000, init: Any = None
    ) -> tuple[Any, Any]:
        """Draw (v, h): ``steps`` Gibbs sweeps of the top RBM, then ancestral sampling downward.

        Parameters
        ----------
        n, steps : int
        rng : Generator or int, optional
        init : array [n, n_visible], optional
            Visible states to start from, through the recognition net; by default the top's biases.

        Returns
        -------
        v [n, n_visible], h [n, n_hidden]
            ``visible_given_hidden(h).mean`` is the picture without the noise of its pixels.
        """
        rng = self.generator(rng)
        if init is not None:
            init = self.check_data(init, "init")
            same_rows(init, n)
            init = [init, *self.layers(self.infer(init, rng))][-2]
        below = self.top.sample(n, rng, steps, init)
        states = self.descend(below, rng, self.depth - 1)
        states.append(self.up(self.depth, below).sample(rng))
        return states[0], self.xp.concatenate(states[1:], axis=1)

    def sample(self, n: int, rng: Generator | int | None = None, steps: int = 1000, init: Any = None) -> Any:
        """Draw visible states [n, n_visible]; see `dream`, which gives the hidden ones too."""
        return self.dream(n, rng, steps, init)[0]

    # Gradients

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(v_i, h_i)/dtheta for any signed weights [n]; into ``out`` (a `Parameters`) if given.

        A directed layer adds -log p(x | y) = cgf(a) - x.a - log_base(x) at x = h_(l-1), y = h_l, in the field
        a = y W_l^T + b_(l-1). As cgf' = E[x | y], its derivative in the field is E[x | y] - x, so that

            sum_i w_i dE_i/dW_l = -((x - E[x | y])^T diag(w) y),      = -w^T (x - E[x | y]) for b_(l-1);

        a Gaussian's log-precision gets the same difference of its base measure's derivative. The top RBM adds
        its own gradient. E is linear in h_L alone: there, and only there, a mean may stand for a draw.
        """
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        weights = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        states = [v, *self.layers(h)]
        for layer in range(1, self.depth):
            x, y, rbm = states[layer - 1], states[layer], self.rbm(layer)
            own, field = rbm._own("visible"), rbm.visible_field(y)
            surprise = weights[:, None] * (rbm.visible.mean(field, **own) - x)
            xp.matmul(surprise.T, y, out=out[f"W{layer}"])
            xp.sum(surprise, axis=0, out=out[f"b{layer - 1}"])
            expected = rbm.visible.mean_base_gradient(field, weights, **own)
            for name, value in rbm.visible.base_gradient(x, weights, **own).items():
                out[f"visible_{name}"][...] = value - expected[name]
            for name in (f"R{layer}", f"r{layer}"):
                out[name][...] = 0.0
        top = {key: out[name] for key, name in self._names(self.depth).items()}
        self.top.energy_gradient(states[-2], states[-1], weights, top)
        return out

    def add_top_gradient(self, x: Any, y: Any, weights: Any, out: Any) -> None:
        """Add sum_i w_i dE_top(x_i, y_i)/dtheta, x of layer L - 1 and y of layer L, to ``out`` in place."""
        grads = self.top.energy_gradient(x, y, weights)
        for key, name in self._names(self.depth).items():
            out[name] += grads[key]

    # Training

    def fit(self, X: Any, objective: Any = None, **options: Any) -> History:
        """Train on the rows of ``X``: greedily, or all layers at once with an objective for whole networks.

        Objectives of RBMs (persistent contrastive divergence by default) train one layer after the other,
        ``epochs`` each: see `minidgm.boltzmann.greedy.fit_greedily`, whose arguments these are. `UpDown`
        trains the whole: the arguments are those of `minidgm.training.fit`.
        """
        from minidgm.boltzmann.greedy import fit_greedily, trains

        if trains(self, objective):
            return super().fit(X, objective=objective, **options)
        return fit_greedily(self, X, objective, **options)

    def initialize(self, X: Any) -> DBN:
        """Set the visible biases so that W1 = 0 would give the means of ``X``."""
        mean = self.check_data(X, "X").mean(axis=0)
        self.params["b0"][...] = self.visible.logit(mean, **self.rbm(1)._own("visible"))
        return self

    def to_mlp(self, n_classes: int) -> SigmoidClassifier:
        """A feed-forward classifier that starts from the recognition net: see `SigmoidClassifier`."""
        from minidgm.boltzmann.classifier import SigmoidClassifier

        return SigmoidClassifier.from_model(self, n_classes)
