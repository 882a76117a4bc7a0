"""Discriminative RBM: label units beside the visible ones (Larochelle and Bengio 2008; Deep Learning, 20.8).

    p(v, y, h) = exp(-E(v, y, h)) / Z,    E(v, y, h) = -b.v - d.y - c.h - v^T W h - y^T U h

| symbol | shape | meaning |
|---|---|---|
| v | [n, n_visible] | visible states |
| y | [n, n_classes] | label, one-hot |
| x = [v, y] | [n, n_columns] | a row: both |
| h | [n, n_hidden] | hidden states in {0, 1} |
| W, U | [n_visible, n_hidden], [n_classes, n_hidden] | couplings to the hidden units |
| b, c, d | [n_visible], [n_hidden], [n_classes] | biases of v, h, y |
| visible_log_precision | [n_visible] | only with Gaussian visibles |

It is an RBM with weights [W; U] on rows [v | y], so hidden units are independent given a row, and v and y are
independent given h. Summing h out,

    F(v, y) = -b.v - d.y - sum_j softplus(c_j + (v W)_j + U_yj),

and since v.b cancels, p(y | v) is a softmax over labels of d_y + sum_j softplus(c_j + (v W)_j + U_yj): exact,
at the price of one product v W for all labels together (equation 2). So the machine can be trained as a model
of (v, y), as a classifier, or as both. The derivation, beside this code: docs/models/discriminative_rbm.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_backend, get_xp
from minidgm.boltzmann.joined import JoinedDistribution
from minidgm.boltzmann.label_model import CHUNK, LabelModel
from minidgm.boltzmann.rbm import RBM
from minidgm.boltzmann.units import Bernoulli, Unit
from minidgm.numerics import sigmoid_, softplus, softplus_sum
from minidgm.parameters import Parameters


class DiscriminativeRBM(LabelModel):
    """RBM of examples and their labels, with exact p(y | v).

    Parameters
    ----------
    n_visible, n_hidden, n_classes : int
        Columns of v, hidden units, labels (at least 2).
    visible : str or Unit
        Type of the visible units, as in `RBM`. Hidden units are bits.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> model = DiscriminativeRBM(4, 3, n_classes=2, seed=0)
    >>> X, y = np.repeat(np.eye(4), 5, axis=0), np.repeat([0, 0, 1, 1], 5)
    >>> history = model.fit(X, y, optimizer="Adam", epochs=400, batch_size=20)
    >>> model.predict(np.eye(4)).tolist(), model.accuracy(X, y)
    ([0, 0, 1, 1], 1.0)
    """

    equations: Mapping[str, str] = {
        "energy": "E(v, y, h) = -b.v - d.y - c.h - v^T W h - y^T U h",
        "hidden_given_visible": "p(h_j = 1 | v, y) = sigmoid(c_j + (v W)_j + (y U)_j)",
        "visible_given_hidden": "p(v_i = 1 | h) = sigmoid(b_i + (W h)_i), p(y | h) = softmax(d + U h)",
        "label_log_prob": "p(y | v) = softmax_y(d_y + sum_j softplus(c_j + (v W)_j + U_yj))",
        "label_gradient": "d(-log p(y | v))/dtheta = dF(v, y)/dtheta - sum_k p(k | v) dF(v, k)/dtheta",
        "log_prob": "log p(v, y) = -F(v, y) - log Z",
    }
    reference = "Larochelle and Bengio (2008); Deep Learning (2016), 20.8"

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        n_classes: int,
        visible: str | Unit = "bernoulli",
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self._build_sides(n_visible, n_classes, visible)
        self.n_hidden, self.hidden = count("n_hidden", n_hidden), Bernoulli()
        n_v, n_h, n_y = self.n_visible, self.n_hidden, self.n_classes
        shapes: dict[str, tuple[int, ...]] = {"W": (n_v, n_h), "U": (n_y, n_h)}
        shapes |= {"b": (n_v,), "c": (n_h,), "d": (n_y,)}
        shapes |= {f"visible_{name}": shape for name, shape in self.visible.parameter_shapes(n_v).items()}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        rng = Generator(seed, self.backend)
        for name in ("W", "U"):
            self.params[name][...] = 0.01 * rng.normal(shapes[name], dtype=self.dtype)

    def config(self) -> dict[str, Any]:
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden, "n_classes": self.n_classes}
        return {**sizes, "visible": self.visible.name}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> DiscriminativeRBM:
        """An instance of few joint states, of the visible type of ``like`` if it can be listed, else bits."""
        visible = like.visible if like is not None and like.visible.bounded else "bernoulli"
        return cls(getattr(visible, "k", 1) * 2, 2, n_classes=3, visible=visible, **options)

    # Energy and densities

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, y, h), [n], from rows [v | y] [n, n_columns] and h [n, n_hidden] (equation 1)."""
        v, y = self.split(v)
        xp, p = get_xp(v, h, self.params["W"]), self.params
        base = xp.sum(self.visible.log_base(v, **self._own("visible")), axis=-1)
        return -(v @ p["b"]) - y @ p["d"] - xp.sum(self._field(v, y) * h, axis=-1) - base

    def _field(self, v: Any, y: Any) -> Any:
        return v @ self.params["W"] + y @ self.params["U"] + self.params["c"]

    def hidden_field(self, x: Any) -> Any:
        """v W + y U + c, [n, n_hidden]."""
        return self._field(*self.split(x))

    def hidden_given_visible(self, v: Any) -> Any:
        """p(h | v, y) of rows [v | y]: a factorial distribution."""
        return self.hidden.distribution(self.hidden_field(v))

    def visible_given_hidden(self, h: Any) -> JoinedDistribution:
        """p(v | h) p(y | h) as one distribution of rows: bits (or reals) beside a softmax."""
        p = self.params
        inputs = self.visible.distribution(h @ p["W"].T + p["b"], **self._own("visible"))
        return JoinedDistribution([inputs, self.labels.distribution(h @ p["U"].T + p["d"])])

    def free_energy_of_rows(self, x: Any) -> Any:
        """-b.v - d.y - sum_j softplus(c_j + (v W)_j + (y U)_j), [n], nats."""
        v, y = self.split(x)
        xp = get_xp(v, self.params["W"])
        base = xp.sum(self.visible.log_base(v, **self._own("visible")), axis=-1)
        linear = v @ self.params["b"] + y @ self.params["d"]
        return -linear - xp.sum(softplus(self._field(v, y)), axis=-1) - base

    def input_field(self, v: Any) -> Any:
        """v W + c, [n, n_hidden]."""
        return v @ self.params["W"] + self.params["c"]

    def _scores(self, field: Any) -> Any:
        """sum_j softplus(field_j + U_kj) for all labels at once, [n, n_classes]."""
        xp, U = get_xp(field, self.params["U"]), self.params["U"]
        rows = self._rows_at_once()
        if field.shape[0] > rows:
            starts = range(0, field.shape[0], rows)
            return xp.concatenate([self._scores(field[i : i + rows]) for i in starts])
        fields = field[:, None, :] + U[None]  # [n, n_classes, n_hidden]
        if get_backend(fields) == "autograd":
            return xp.sum(softplus(fields), axis=-1)
        return softplus_sum(fields).astype(field.dtype)

    def _rows_at_once(self) -> int:
        return max(1, CHUNK // (self.n_classes * self.n_hidden))

    def label_free_energy(self, v: Any, field: Any = None) -> Any:
        """F(v, k) of every label k, [n, n_classes], nats (equation 2)."""
        xp = get_xp(v, self.params["W"])
        scores = self._scores(self.input_field(v) if field is None else field)
        base = v @ self.params["b"] + xp.sum(self.visible.log_base(v, **self._own("visible")), axis=-1)
        return -base[:, None] - self.params["d"] - scores

    def joint(self) -> RBM:
        """This machine as an RBM on rows [v | y]: weights [W; U], biases [b | d], copied."""
        p, xp = self.params, get_xp(self.params["W"])
        own = {name: value for name, value in p.items() if name.startswith("visible_")}
        options: dict[str, Any] = {"backend": self.backend, "dtype": self.dtype}
        rbm = RBM(self.n_columns, self.n_hidden, self.row_unit, **options)
        stacked = {"W": xp.concatenate([p["W"], p["U"]]), "b": xp.concatenate([p["b"], p["d"]]), "c": p["c"]}
        return rbm.with_params({**stacked, **own})

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the sum of exp(-E) over v and y, [n], nats."""
        return self.joint().hidden_free_energy(h)

    def log_partition(self) -> Any:
        """log Z over v, y and h in nats, exact; see `RBM.log_partition`."""
        return self.joint().log_partition()

    def path_from_base(self, base: Any) -> Any:
        """Annealing of the RBM on rows [v | y] from independent columns with biases ``base`` [n_columns]."""
        from minidgm.evaluation import annealing

        return annealing.path_from_base(self.joint(), base)

    def path_to(self, other: Any) -> Any:
        """Annealing from this machine to another with the same rows."""
        from minidgm.evaluation import annealing

        if not isinstance(other, DiscriminativeRBM):
            raise TypeError(f"no path from DiscriminativeRBM to {type(other).__name__}: both must be one")
        return annealing.path_between(self.joint(), other.joint())

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """h ~ p(h | v, y), then v, y ~ p(v | h) p(y | h); leaves p(v, y, h) invariant, ignores ``h``."""
        h = self.hidden_given_visible(v).sample(rng)
        return self.visible_given_hidden(h).sample(rng), h

    def clamped_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """The sweep at a given label: h ~ p(h | v, y), v ~ p(v | h)."""
        x, h = self.gibbs_step(v, h, rng)
        return get_xp(x).concatenate([self.split(x)[0], self.split(v)[1]], axis=1), h

    def reconstruct(self, v: Any, rng: Generator | None = None) -> Any:
        """Means of rows [v | y] given the hidden means of rows, or a draw of them if ``rng`` is given."""
        hidden = self.hidden_given_visible(self.check_data(v))
        return self.visible_given_hidden(hidden.mean if rng is None else hidden.sample(rng)).mean

    def transform(self, v: Any) -> Any:
        """E[h | v, y] of rows [v | y], [n, n_hidden]; of v alone E[h | v], averaged over p(y | v)."""
        if v.shape[-1] != self.n_visible:
            return self.hidden_given_visible(self.check_data(v)).mean
        v = self.check_visible(v)
        field = self.input_field(v)
        p = get_xp(v).exp(self.label_log_prob(v, field))
        means = [self.hidden.mean(field + U) * p[:, k : k + 1] for k, U in enumerate(self.params["U"])]
        return sum(means[1:], start=means[0])

    # Gradients

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(v_i, y_i, h_i)/dtheta for rows [v | y] and any signed weights [n].

        E is linear: dE/dW = -v h^T, dE/dU = -y h^T, and minus v, y, h for the biases. h may be a mean.
        """
        v, y = self.split(v)
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        minus_w = -xp.ones(v.shape[0], dtype=v.dtype) if weights is None else -weights
        weighted = minus_w[:, None] * h
        out["W"][...], out["U"][...] = v.T @ weighted, y.T @ weighted
        out["b"][...], out["c"][...], out["d"][...] = minus_w @ v, minus_w @ h, minus_w @ y
        for name, value in self.visible.base_gradient(v, -minus_w, **self._own("visible")).items():
            out[f"visible_{name}"][...] = value
        return out

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(v_i, y_i)/dtheta: the energy's gradient at the hidden means (they enter linearly)."""
        return self.energy_gradient(v, self.hidden_given_visible(v).mean, weights, out)

    def label_gradient(self, v: Any, weights: Any, out: Any = None, field: Any = None) -> Any:
        """sum_ik w_ik dF(v_i, k)/dtheta for any signed weights [n, n_classes]; v alone, [n, n_visible].

        With s_ikj = sigmoid(c_j + (v_i W)_j + U_kj) the mean of h_j given (v_i, k), the sum over labels is
        done before the product with v, which then costs as much as for one label:

            W: -v^T r, r_ij = sum_k w_ik s_ikj;    U_kj: -sum_i w_ik s_ikj;    c_j: -sum_i r_ij;
            b: -v^T sum_k w_ik;    d_k: -sum_i w_ik.
        """
        xp = get_xp(v, weights)
        out = self.zero_gradient() if out is None else out
        field = self.input_field(v) if field is None else field
        r = xp.empty_like(field)
        out["U"][...] = 0.0
        step = self._rows_at_once()
        for i in range(0, v.shape[0], step):
            w = weights[i : i + step]
            s = field[i : i + step, None, :] + self.params["U"][None]  # [m, n_classes, n_hidden]
            s = sigmoid_(s)
            s *= w[:, :, None]
            r[i : i + step] = s.sum(axis=1)
            out["U"] -= s.sum(axis=0)
        totals = weights.sum(axis=1)
        out["W"][...], out["c"][...] = -(v.T @ r), -r.sum(axis=0)
        out["b"][...], out["d"][...] = -(totals @ v), -weights.sum(axis=0)
        for name, value in self.visible.base_gradient(v, totals, **self._own("visible")).items():
            out[f"visible_{name}"][...] = value
        return out
