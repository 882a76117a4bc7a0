"""Two hidden sets: units gated by the label, and units that see v alone (Luo et al. 2011).

    p(v, y, h, g) = exp(-E) / Z,   E = -sum_ikj W_ikj v_i y_k h_j - v^T V g - b.v - d.y - c.h - e.g

| symbol | shape | meaning |
|---|---|---|
| v, y | [n, n_visible], [n, n_classes] | visible bits and label, one-hot; x = [v, y] a row |
| h | [n, n_gated] | class-relevant units: third-order couplings with v and y |
| g | [n, n_free] | class-irrelevant units: they see v alone |
| [h, g] | [n, n_hidden] | a hidden row: both |
| W | [n_visible, n_classes, n_gated] | couplings of v, y and h |
| V | [n_visible, n_free] | couplings of v and g |
| b, d, c, e | their sizes | biases of v, y, h, g |

A one-hot y picks a matrix W_y: each class has filters of its own in h, while g is free to explain what the
classes have in common. Given a row all hidden units are independent, and they sum out:

    F(v, y) = -b.v - d_y - sum_j softplus(c_j + (v W_y)_j) - sum_l softplus(e_l + (v V)_l).

The last sum does not depend on y, so p(y | v) is a softmax of d_y + sum_j softplus(c_j + (v W_y)_j): exact,
and blind to g. V is trained by what is generative in the objective. The derivation:
docs/models/gated_rbm.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.label_model import LabelModel
from minidgm.boltzmann.state_sums import MAX_STATES, log_sum_states
from minidgm.boltzmann.units import Bernoulli
from minidgm.errors import IntractableError
from minidgm.numerics import sigmoid, softplus
from minidgm.parameters import Parameters


class HybridThirdOrderRBM(LabelModel):
    """Boltzmann machine with class-relevant (gated) and class-irrelevant hidden units, all bits.

    Parameters
    ----------
    n_visible, n_hidden, n_classes : int
        Columns of v, hidden units of both sets together, labels (at least 2).
    n_gated : int, optional
        How many of the hidden units see v and y; the others see v alone. By default half, at least one.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> model = HybridThirdOrderRBM(3, 4, n_classes=2, n_gated=3, dtype="float64", seed=0)
    >>> model.params["W"].shape, model.params["V"].shape
    ((3, 2, 3), (3, 1))
    >>> bool(np.allclose(model.predict_proba(np.eye(3)).sum(axis=1), 1.0))
    True
    """

    equations: Mapping[str, str] = {
        "energy": "E = -sum_ikj W_ikj v_i y_k h_j - v^T V g - b.v - d.y - c.h - e.g",
        "hidden_given_visible": "p(h_j = 1 | v, y) = sigmoid(c_j + (v W_y)_j), and for g "
        "sigmoid(e_l + (v V)_l)",
        "visible_field": "p(v_i = 1 | y, h, g) = sigmoid(b_i + sum_j W_iyj h_j + (V g)_i)",
        "label_log_prob": "p(y | v) = softmax_y(d_y + sum_j softplus(c_j + (v W_y)_j))",
        "label_gradient": "d(-log p(y | v))/dtheta = dF(v, y)/dtheta - sum_k p(k | v) dF(v, k)/dtheta",
    }
    reference = "Luo, Shen, Niu and Ullrich (2011); Nair and Hinton (2009); Deep Learning (2016), 20.8"

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        n_classes: int,
        n_gated: int | None = None,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self._build_sides(n_visible, n_classes, "bernoulli")
        self.n_hidden, self.hidden = count("n_hidden", n_hidden), Bernoulli()
        self.n_gated = max(1, self.n_hidden // 2) if n_gated is None else count("n_gated", n_gated)
        self.n_free = self.n_hidden - self.n_gated
        if self.n_free < 0:
            raise ValueError(f"n_gated={n_gated} of n_hidden={n_hidden} hidden units; expected at most all")
        n_v, n_y = self.n_visible, self.n_classes
        shapes: dict[str, tuple[int, ...]] = {"W": (n_v, n_y, self.n_gated), "V": (n_v, self.n_free)}
        shapes |= {"b": (n_v,), "c": (self.n_gated,), "d": (n_y,), "e": (self.n_free,)}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        rng = Generator(seed, self.backend)
        for name in ("W", "V"):
            self.params[name][...] = 0.01 * rng.normal(shapes[name], dtype=self.dtype)

    def config(self) -> dict[str, Any]:
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden, "n_classes": self.n_classes}
        return {**sizes, "n_gated": self.n_gated}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> HybridThirdOrderRBM:
        """An instance of 48 joint states with one unit of each set."""
        return cls(2, 2, n_classes=3, n_gated=1, **options)

    # Energy and densities

    def _gated_fields(self, v: Any) -> Any:
        """c_j + (v W_k)_j of every label k, [n, n_classes, n_gated]."""
        flat = self.params["W"].reshape((self.n_visible, self.n_classes * self.n_gated))
        return (v @ flat).reshape((v.shape[0], self.n_classes, self.n_gated)) + self.params["c"]

    def hidden_field(self, x: Any) -> Any:
        """[c + v W_y | e + v V], [n, n_hidden], of rows [v | y]."""
        v, y = self.split(x)
        xp = get_xp(x, *self.params.values())
        # c is inside each label's field; a one-hot y leaves it once, a y of zeros not at all.
        gated = xp.sum(y[:, :, None] * (self._gated_fields(v) - self.params["c"]), axis=1) + self.params["c"]
        return xp.concatenate([gated, v @ self.params["V"] + self.params["e"]], axis=1)

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, y, h, g), [n], from rows [v | y] [n, n_columns] and [h | g] [n, n_hidden]."""
        inputs, y = self.split(v)
        xp = get_xp(v, h, self.params["W"])
        return -(inputs @ self.params["b"]) - y @ self.params["d"] - xp.sum(self.hidden_field(v) * h, axis=-1)

    def hidden_given_visible(self, v: Any) -> Any:
        """p(h, g | v, y) of rows [v | y]: a factorial distribution over [h | g]."""
        return self.hidden.distribution(self.hidden_field(v))

    def visible_field(self, y: Any, h: Any) -> Any:
        """b_i + sum_j W_iyj h_j + (V g)_i, [n, n_visible], from y [n, n_classes] and [h | g]."""
        p, flat = self.params, self.params["W"].reshape((self.n_visible, self.n_classes * self.n_gated))
        gated, free = h[:, : self.n_gated], h[:, self.n_gated :]
        pairs = (y[:, :, None] * gated[:, None, :]).reshape((h.shape[0], self.n_classes * self.n_gated))
        return p["b"] + pairs @ flat.T + free @ p["V"].T

    def free_energy_of_rows(self, x: Any) -> Any:
        v, y = self.split(x)
        xp = get_xp(x, self.params["W"])
        linear = v @ self.params["b"] + y @ self.params["d"]
        return -linear - xp.sum(softplus(self.hidden_field(x)), axis=-1)

    def input_field(self, v: Any) -> Any:
        """Fields of the gated units for every label, [n, n_classes, n_gated]."""
        return self._gated_fields(v)

    def label_free_energy(self, v: Any, field: Any = None) -> Any:
        """F(v, k) of every label k, [n, n_classes], nats."""
        p, xp = self.params, get_xp(v, self.params["W"])
        field = self.input_field(v) if field is None else field
        free = xp.sum(softplus(v @ p["V"] + p["e"]), axis=-1) + v @ p["b"]
        return -free[:, None] - p["d"] - xp.sum(softplus(field), axis=-1)

    @property
    def n_terms(self) -> float:
        """Terms of the sum that is `log_partition`: labels, and the states of v or of the hidden units."""
        return 2.0 ** min(self.n_visible, self.n_hidden) * self.n_classes

    def log_partition(self) -> Any:
        """log Z in nats, exact, in float64: h, g and v or both sums over hidden units done in closed form.

        For a given (y, h, g) the visible units are independent: Z = sum over y, h, g of exp(d_y + c.h + e.g)
        prod_i (1 + exp(field_i)); or the rows [v | y] are enumerated, whichever are fewer. Raises
        `IntractableError` beyond 2^25 terms.
        """
        if self.n_terms > MAX_STATES:
            raise IntractableError(
                f"exact log Z sums 2^{min(self.n_visible, self.n_hidden)} x {self.n_classes} states, more "
                "than 2^25; use minidgm.evaluation.ais(model) for an estimate"
            )
        double, width, xp = self.double(), min(self.n_visible, self.n_hidden), self.xp
        p = double.params

        def log_mass_given_visible(v: Any) -> Any:
            return -double.label_free_energy(v)

        def log_mass_given_hidden(states: Any) -> Any:
            linear, masses = states @ xp.concatenate([p["c"], p["e"]]), []
            for k in range(self.n_classes):
                y = xp.zeros((states.shape[0], self.n_classes)) + (xp.arange(self.n_classes) == k)
                field = double.visible_field(y, states)
                masses.append(linear + p["d"][k] + softplus(field).sum(axis=-1))
            return xp.stack(masses, axis=1)

        log_mass = log_mass_given_visible if width == self.n_visible else log_mass_given_hidden
        return log_sum_states(log_mass, self.hidden, width, xp)

    def path_from_base(self, base: Any) -> Any:
        """Annealing from independent columns with biases ``base`` [n_columns], hidden units summed out."""
        from minidgm.evaluation.summed import summed_path

        columns = {"b": slice(0, self.n_visible), "d": slice(self.n_visible, self.n_columns)}
        return summed_path(self, base, self.row_unit, columns)

    def path_to(self, other: Any) -> Any:
        """Annealing from this machine to another of its structure, hidden units summed out."""
        from minidgm.evaluation.summed import path_between

        return path_between(self, other)

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """y ~ p(y | v), [h | g] ~ p(. | v, y), v ~ p(v | y, h, g): leaves p invariant, ignores ``h``.

        The first two are one draw of (y, h, g) given v, so the label is not held by the units it gates.
        """
        inputs, _ = self.split(v)
        y = self.labels.sample(-self.label_free_energy(inputs), rng)
        xp = get_xp(v)
        h = self.hidden_given_visible(xp.concatenate([inputs, y], axis=1)).sample(rng)
        inputs = self.visible.sample(self.visible_field(y, h), rng)
        return xp.concatenate([inputs, y], axis=1), h

    def clamped_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """The sweep at a given label: [h | g] ~ p(. | v, y), v ~ p(v | y, h, g)."""
        y = self.split(v)[1]
        h = self.hidden_given_visible(v).sample(rng)
        return get_xp(v).concatenate([self.visible.sample(self.visible_field(y, h), rng), y], axis=1), h

    def reconstruct(self, v: Any, rng: Generator | None = None) -> Any:
        """Rows [E[v | y, E[h, g | v, y]] | y], or at a draw of [h | g] if ``rng`` is given."""
        v = self.check_data(v)
        y, hidden = self.split(v)[1], self.hidden_given_visible(v)
        field = self.visible_field(y, hidden.mean if rng is None else hidden.sample(rng))
        return self.xp.concatenate([self.visible.mean(field), y], axis=1)

    def transform(self, v: Any) -> Any:
        """E[h, g | v, y] of rows [v | y], [n, n_hidden]."""
        return self.hidden_given_visible(self.check_data(v)).mean

    # Gradients

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(v_i, y_i, h_i, g_i)/dtheta for any signed weights [n]; h and g may be means.

        E is linear: dE/dW_ikj = -v_i y_k h_j, dE/dV = -v g^T, and minus v, y, h, g for the biases.
        """
        inputs, y = self.split(v)
        xp = get_xp(v, h, weights)
        minus_w = -xp.ones(v.shape[0], dtype=v.dtype) if weights is None else -weights
        weighted = minus_w[:, None] * h
        pairs = y[:, :, None] * weighted[:, None, : self.n_gated]  # [n, n_classes, n_gated]
        out = self._couplings(inputs, pairs, weighted[:, self.n_gated :], out)
        out["b"][...], out["d"][...] = minus_w @ inputs, minus_w @ y
        out["c"][...], out["e"][...] = minus_w @ h[:, : self.n_gated], minus_w @ h[:, self.n_gated :]
        return out

    def _couplings(self, v: Any, pairs: Any, free: Any, out: Any) -> Any:
        """Write the sums of v (x) pairs and of v (x) free for W and V."""
        out = self.zero_gradient() if out is None else out
        n, wide = v.shape[0], self.n_classes * self.n_gated
        out["W"].reshape((self.n_visible, wide))[...] = v.T @ pairs.reshape((n, wide))
        out["V"][...] = v.T @ free
        return out

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(v_i, y_i)/dtheta: the energy's gradient at the hidden means (they enter linearly)."""
        return self.energy_gradient(v, self.hidden_given_visible(v).mean, weights, out)

    def label_gradient(self, v: Any, weights: Any, out: Any = None, field: Any = None) -> Any:
        """sum_ik w_ik dF(v_i, k)/dtheta for any signed weights [n, n_classes]; v alone.

        The mean of h_j given (v_i, k) is s_ikj = sigmoid(c_j + (v_i W_k)_j), that of g_l the same for all k:

            W_ikj: -v^T (w s);   c_j: -sum_ik w_ik s_ikj;   V: -v^T (sum_k w_ik t_il), t = sigmoid(v V + e).
        """
        p = self.params
        field = self.input_field(v) if field is None else field
        pairs = -weights[:, :, None] * sigmoid(field)
        totals = weights.sum(axis=1)
        free = -totals[:, None] * sigmoid(v @ p["V"] + p["e"])
        out = self._couplings(v, pairs, free, out)
        out["b"][...], out["d"][...] = -(totals @ v), -weights.sum(axis=0)
        out["c"][...], out["e"][...] = pairs.sum(axis=(0, 1)), free.sum(axis=0)
        return out
