"""Feed-forward classifier of sigmoid layers, whose weights another model may provide (Deep Learning, 20.3).

    h_l = sigmoid(h_(l-1) W_l + b_l),  h_0 = v;      p(y = k | v) = softmax(h_L U + d)_k

| symbol | shape | meaning |
|---|---|---|
| v | [n, n_visible] | inputs |
| h_l | [n, n_l] | hidden activities, l = 1 ... L |
| W1 ... WL, b1 ... bL | [n_(l-1), n_l], [n_l] | hidden layers: an RBM's, a DBN's recognition net, or random |
| U, d | [n_L, n_classes], [n_classes] | output layer |

A deep belief network's recognition net is such a net; learned without labels, it is a better place to begin
than random numbers, the more so the fewer labels there are (Hinton, Osindero and Teh 2006; Erhan et al. 2010,
Why does unsupervised pre-training help deep learning?).

Back-propagation: with a_k = (h_L U + d)_k, F(v, k) = -a_k is a free energy of labels in the sense of the
objective `DiscriminativeLikelihood`, -log p(y | v) = F(v, y) + log sum_k exp(-F(v, k)), whose configurations
are (v, every label) and weights (1[k = y] - p(k | v))/n. It therefore trains this net too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, asarray, get_backend, get_xp
from minidgm.boltzmann.gaussian_rbm import GaussianRBM
from minidgm.boltzmann.rbm import RBM
from minidgm.boltzmann.units import Unit, from_name
from minidgm.errors import DataError
from minidgm.model import Model
from minidgm.numerics import logsumexp, sigmoid
from minidgm.parameters import Parameters
from minidgm.training.labels import LabelledRows, read_labels

ROWS = 4096


class SigmoidClassifier(Model):
    """Sigmoid hidden layers and a softmax over classes, trained by back-propagation.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, then the units of each hidden layer.
    n_classes : int
    visible : str or Unit
        What the inputs are, for checks of data: ``"bernoulli"`` allows numbers from 0 to 1, ``"gaussian"``
        any.
    backend, dtype, seed
        See `minidgm.model.Model`. Random weights are uniform within 4 sqrt(6 / (n_(l-1) + n_l)), biases 0
        (Glorot and Bengio 2010, for logistic units); without the 4 at the output.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(4, dtype="float32"), [0, 1, 1, 0]
    >>> net = SigmoidClassifier([4, 3], n_classes=2, seed=0)
    >>> history = net.fit(X, y, optimizer="Adam", epochs=2000)
    >>> net.predict(X).tolist(), net.accuracy(X, y)
    ([0, 1, 1, 0], 1.0)
    """

    equations: Mapping[str, str] = {
        "hidden": "h_l = sigmoid(h_(l-1) W_l + b_l)",
        "output": "p(y = k | v) = softmax(h_L U + d)_k",
        "gradient": "d(-log p(y|v))/da_k = p(k|v) - 1[k = y], a = h_L U + d",
    }
    reference = (
        "Hinton, Osindero and Teh (2006); Goodfellow, Bengio and Courville (2016), Deep Learning, 20.3"
    )

    def __init__(
        self,
        sizes: Sequence[int],
        n_classes: int,
        visible: str | Unit = "bernoulli",
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        from minidgm.latent.belief_layers import check_sizes

        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.sizes, self.n_classes = check_sizes(sizes), count("n_classes", n_classes, 2)
        self.visible, self.n_visible, self.depth = from_name(visible), self.sizes[0], len(self.sizes) - 1
        self.visible.check_width(self.n_visible, "visible")
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (n, m) in enumerate(pairwise(self.sizes), start=1):
            shapes |= {f"W{layer}": (n, m), f"b{layer}": (m,)}
        shapes |= {"U": (self.sizes[-1], self.n_classes), "d": (self.n_classes,)}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        rng = Generator(seed, self.backend)
        for name, shape in shapes.items():
            if len(shape) == 2:
                width = (1.0 if name == "U" else 4.0) * math.sqrt(6.0 / (shape[0] + shape[1]))
                self.params[name][...] = width * (2.0 * rng.uniform(shape, dtype=self.dtype) - 1.0)

    def config(self) -> dict[str, Any]:
        sizes = {"sizes": list(self.sizes), "n_classes": self.n_classes}
        return {**sizes, "visible": self.visible.name}

    @property
    def n_columns(self) -> int:
        """Columns of a row of training data: inputs, then the label one-hot."""
        return self.n_visible + self.n_classes

    # Where the weights come from

    @classmethod
    def from_layers(
        cls,
        layers: Sequence[tuple[Any, Any]],
        n_classes: int,
        visible: str | Unit = "gaussian",
        **options: Any,
    ) -> SigmoidClassifier:
        """A net whose hidden layers have given weights and biases, copied; the output layer is random.

        Parameters
        ----------
        layers : sequence of (W [n_(l-1), n_l], b [n_l])
        n_classes : int
        visible : str or Unit
        **options
            ``dtype`` and ``seed``; the backend is that of the arrays.

        Raises
        ------
        ValueError
            When the shapes do not chain: says where.
        """
        sizes = [int(layers[0][0].shape[0])] if layers else []
        for i, (W, b) in enumerate(layers, start=1):
            if tuple(W.shape) != (sizes[-1], *b.shape):
                raise ValueError(
                    f"layer {i} has W {list(W.shape)} and b {list(b.shape)}; "
                    f"expected [{sizes[-1]}, m] and [m]"
                )
            sizes.append(int(b.shape[0]))
        options = {"backend": get_backend(layers[0][0]) if layers else "numpy", **options}
        net = cls(sizes, n_classes, visible, **options)
        for i, (W, b) in enumerate(layers, start=1):
            net.params[f"W{i}"], net.params[f"b{i}"] = W, b
        return net

    @classmethod
    def from_model(cls, model: Any, n_classes: int, seed: int | None = 0) -> SigmoidClassifier:
        """A net whose hidden layers are those of an RBM, or of a model with a recognition net, copied.

        Raises
        ------
        TypeError
            For a model without ``upward_layers()`` that is no RBM with hidden bits.
        """
        model = model.natural() if isinstance(model, GaussianRBM) else model
        if hasattr(model, "upward_layers"):
            layers = model.upward_layers()
        elif isinstance(model, RBM) and model.hidden.name == "bernoulli":
            layers = [(model.params["W"], model.params["c"])]
        else:
            raise TypeError(
                f"{model!r} has no upward layers of bits; pass an RBM with bernoulli hidden units, a DBN, or "
                "SigmoidClassifier.from_layers([(W, b), ...], n_classes)"
            )
        return cls.from_layers(layers, n_classes, model.visible, dtype=model.dtype, seed=seed)

    # Densities

    def input_field(self, v: Any) -> list[Any]:
        """Activities [v, h_1, ..., h_L]."""
        states = [v]
        for layer in range(1, self.depth + 1):
            states.append(sigmoid(states[-1] @ self.params[f"W{layer}"] + self.params[f"b{layer}"]))
        return states

    def label_log_prob(self, v: Any, field: Any = None) -> Any:
        """log p(y | v) of every label, [n, n_classes], exact, nats; ``field`` is `input_field` of v."""
        scores = (self.input_field(v) if field is None else field)[-1] @ self.params["U"] + self.params["d"]
        return scores - logsumexp(scores, axis=1, keepdims=True)

    def split(self, x: Any) -> tuple[Any, Any]:
        """v [n, n_visible] and y [n, n_classes] of rows [v | y]."""
        return x[:, : self.n_visible], x[:, self.n_visible :]

    def predict_proba(self, v: Any) -> Any:
        """p(y | v), [n, n_classes]."""
        v = self.check_inputs(v)
        blocks = [self.label_log_prob(v[i : i + ROWS]) for i in range(0, max(1, v.shape[0]), ROWS)]
        return self.xp.exp(self.xp.concatenate(blocks))

    def predict(self, v: Any) -> Any:
        """The most probable label of each row, int64 [n], on the model's device."""
        return self.predict_proba(v).argmax(axis=1)

    def accuracy(self, v: Any, y: Any) -> float:
        """Share of rows whose label is predicted; all need one."""
        found = self.predict(v)
        labels = asarray(read_labels(y, int(found.shape[0]), self.n_classes), self.backend)
        return float((found == labels).mean()) if found.shape[0] else float("nan")

    # Gradient

    def label_gradient(self, v: Any, weights: Any, out: Any = None, field: Any = None) -> Any:
        """sum_ik w_ik dF(v_i, k)/dtheta, F(v, k) = -(h_L U + d)_k, for any signed weights [n, n_classes].

        Back-propagation of e = dF/da, from the output e = -w down: with h = sigmoid(a), dh/da = h (1 - h),

            dU = h_L^T e,  dd = sum_i e_i;      e_L = (e U^T) h_L (1 - h_L),
            dW_l = h_(l-1)^T e_l,  db_l = sum_i e_l,i;      e_(l-1) = (e_l W_l^T) h_(l-1) (1 - h_(l-1)).
        """
        xp = get_xp(v, weights)
        out = self.params.like() if out is None else out
        states = self.input_field(v) if field is None else field
        e, W, name, bias = -weights, self.params["U"], "U", "d"
        for layer in range(self.depth, -1, -1):
            xp.matmul(states[layer].T, e, out=out[name])
            xp.sum(e, axis=0, out=out[bias])
            if layer:
                e = (e @ W.T) * states[layer] * (1.0 - states[layer])
                name, bias = f"W{layer}", f"b{layer}"
                W = self.params[name]
        return out

    # Training

    def check_inputs(self, v: Any, what: str = "v") -> Any:
        """Return v [n, n_visible] on this model's device, or raise `DataError`."""
        v = self.check_matrix(v, self.n_visible, what)
        self.visible.check(v, what)
        return v

    def check_data(self, v: Any, what: str = "v") -> Any:
        """Return rows [v | one-hot y] on this model's device, or raise `DataError`."""
        v = self.check_matrix(v, self.n_columns, what)
        self.visible.check(v[:, : self.n_visible], what)
        return v

    def default_objective(self) -> Any:
        """Cross entropy, exact."""
        from minidgm.objectives import DiscriminativeLikelihood

        return DiscriminativeLikelihood()

    def fit(self, X: Any, y: Any = None, **options: Any) -> Any:
        """Train on rows and labels; other arguments as in `minidgm.training.fit`.

        Parameters
        ----------
        X : array-like [n, n_visible]
        y : array-like [n]
            Labels 0 to n_classes - 1, all known.
        objective : DiscriminativeLikelihood, optional
            Its ``weight_decay`` is the L2 penalty on all weight matrices.
        **options
            ``optimizer``, ``epochs``, ``callbacks``, ``seed``, ``checkpoint`` ...

        Raises
        ------
        DataError
            Labels that are missing or out of range; inputs outside their domain.
        """
        from minidgm import training

        if y is None:
            raise DataError("y is missing: a classifier learns from fit(X, y), labels beside the rows")
        if options.pop("validation", None) is not None:
            raise TypeError(
                "validation= measures densities; pass callbacks=[Metrics(lambda net: {'accuracy': "
                "net.accuracy(X, y)})] of minidgm.training instead"
            )
        X = self.check_inputs(X, "X")
        rows = LabelledRows(X, read_labels(y, int(X.shape[0]), self.n_classes), self.n_classes)
        return training.fit(self, rows[:] if self.backend != "numpy" else rows, **options)
