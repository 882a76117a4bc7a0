"""RBM that sees several copies of its visible or of its hidden units, with shared weights.

    E(v, h) = -s^T W t - b.s - c.t - log_base(v),   s = sum of the copies of v,  t = sum of the copies of h

| symbol | shape | meaning |
|---|---|---|
| v | [n, p n_v] | p copies of the visible units, side by side |
| h | [n, q n_h] | q copies of the hidden units |
| W | [n_v, n_h] | couplings, the same between all copies |
| b, c | [n_v], [n_h] | biases of every copy |

Every copy of h stands in the field s W + c: where the copies of v agree, their input is p-fold. In a deep
Boltzmann machine a hidden layer has input from below and from above; learned greedily, layer by layer, half
of it is missing. Two copies of v stand in for what will come from above the first hidden layer, two copies
of h for what will come from below the last (Salakhutdinov and Hinton 2009, section 3.1). The marginal of h,

    p(h) ~ exp(c.h) [sum_v exp(v.(W h + b) + log_base(v))]^2       (p = 2, q = 1),

has the product over visible units squared; `minidgm.boltzmann.dbm_pretraining` replaces one of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.energy_model import EnergyModel
from minidgm.boltzmann.units import Bernoulli, Unit, from_name
from minidgm.parameters import Parameters


class DoubledRBM(EnergyModel):
    """Restricted Boltzmann machine with copies of its sides.

    Parameters
    ----------
    n_units, n_features : int
        Units of one copy of v and of h.
    copies : (int, int)
        Copies of v and of h.
    visible : {"bernoulli", "gaussian"}
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> rbm = DoubledRBM(3, 2, copies=(2, 1), dtype="float64", seed=0)
    >>> v = np.ones((1, 3))
    >>> both = np.concatenate([v, v], axis=1)
    >>> bool(np.allclose(rbm.hidden_field(both), 2.0 * v @ rbm.params["W"]))
    True
    """

    equations: Mapping[str, str] = {
        "energy": "E(v, h) = -s^T W t - b.s - c.t,  s and t the sums over copies",
        "conditional": "p(h_j = 1 | v) = sigmoid(s W_j + c_j) for every copy",
    }
    reference = "Salakhutdinov and Hinton (2009), Deep Boltzmann machines, 3.1"

    def __init__(
        self,
        n_units: int,
        n_features: int,
        copies: tuple[int, int] = (2, 1),
        visible: str | Unit = "bernoulli",
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_units, self.n_features = count("n_units", n_units), count("n_features", n_features)
        p, q = (count("copies", number) for number in copies)
        self.copies = (p, q)
        self.n_visible, self.n_hidden = p * self.n_units, q * self.n_features
        self.visible, self.hidden = from_name(visible), Bernoulli()
        shapes: dict[str, tuple[int, ...]] = {
            "W": (self.n_units, self.n_features),
            "b": (self.n_units,),
            "c": (self.n_features,),
        }
        own = self.visible.parameter_shapes(self.n_units)
        shapes |= {f"visible_{name}": shape for name, shape in own.items()}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        noise = Generator(seed, self.backend).normal(shapes["W"], dtype=self.dtype)
        self.params["W"][...] = 0.01 * noise

    def config(self) -> dict[str, Any]:
        sizes = {"n_units": self.n_units, "n_features": self.n_features}
        return {**sizes, "copies": list(self.copies), "visible": self.visible.name}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> DoubledRBM:
        """At most 64 joint states, with the copies and visible units of ``like``."""
        copies, visible = ((2, 1), Bernoulli()) if like is None else (like.copies, like.visible)
        return cls(2 if copies[0] < 2 else 1, 2, copies, visible, **options)

    def _own(self, copies: int = 1) -> dict[str, Any]:
        """The visible units' own parameters, repeated for so many copies."""
        xp, prefix = get_xp(self.params["W"]), "visible_"
        own = {k[len(prefix) :]: value for k, value in self.params.items() if k.startswith(prefix)}
        return {name: xp.concatenate([value] * copies) for name, value in own.items()}

    def fold(self, x: Any, copies: int) -> Any:
        """Sum of the copies that stand side by side in ``x`` [n, copies * m], [n, m]."""
        return x if copies == 1 else x.reshape((x.shape[0], copies, x.shape[1] // copies)).sum(axis=1)

    def unfold(self, x: Any, copies: int) -> Any:
        """``x`` [n, m] repeated side by side, [n, copies * m]."""
        return x if copies == 1 else get_xp(x).concatenate([x] * copies, axis=1)

    # Energy and densities

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h), [n]."""
        s, t = self.fold(v, self.copies[0]), self.fold(h, self.copies[1])
        base = self.visible.log_base(v, **self._own(self.copies[0])).sum(axis=-1)
        return -((s @ self.params["W"]) * t).sum(axis=-1) - s @ self.params["b"] - t @ self.params["c"] - base

    def hidden_field(self, v: Any) -> Any:
        """s W + c for every copy of h, [n, n_hidden]."""
        return self.unfold(
            self.fold(v, self.copies[0]) @ self.params["W"] + self.params["c"], self.copies[1]
        )

    def visible_field(self, h: Any) -> Any:
        """t W^T + b for every copy of v, [n, n_visible]."""
        return self.unfold(
            self.fold(h, self.copies[1]) @ self.params["W"].T + self.params["b"], self.copies[0]
        )

    def hidden_given_visible(self, v: Any) -> Any:
        """p(h | v), factorial."""
        return self.hidden.distribution(self.hidden_field(v))

    def visible_given_hidden(self, h: Any) -> Any:
        """p(v | h), factorial."""
        return self.visible.distribution(self.visible_field(h), **self._own(self.copies[0]))

    def free_energy(self, v: Any) -> Any:
        """F(v) = -b.s - log_base(v) - sum over units and copies of softplus(s W + c), [n], nats."""
        base = self.visible.log_base(v, **self._own(self.copies[0])).sum(axis=-1)
        cgf = self.hidden.cgf(self.hidden_field(v)).sum(axis=-1)
        return -(self.fold(v, self.copies[0]) @ self.params["b"]) - base - cgf

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the integral of exp(-E(v, h)) over v, [n], nats."""
        cgf = self.visible.cgf(self.visible_field(h), **self._own(self.copies[0])).sum(axis=-1)
        return -(self.fold(h, self.copies[1]) @ self.params["c"]) - cgf

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One block Gibbs sweep, h ~ p(h | v), then v ~ p(v | h); ignores ``h``."""
        h = self.hidden_given_visible(v).sample(rng)
        return self.visible_given_hidden(h).sample(rng), h

    def start(self, n: int, rng: Generator) -> Any:
        """Visible states [n, n_visible] drawn from the visible biases alone."""
        field = self.xp.zeros((n, 1), dtype=self.dtype) + self.params["b"]
        return self.visible.sample(self.unfold(field, self.copies[0]), rng, **self._own(self.copies[0]))

    # Gradients

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(v_i, h_i)/dtheta: -s^T diag(w) t for W, -w^T s for b, -w^T t for c."""
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        minus_w = -xp.ones(v.shape[0], dtype=v.dtype) if weights is None else -weights
        s, t = self.fold(v, self.copies[0]), self.fold(h, self.copies[1])
        xp.matmul(s.T, minus_w[:, None] * t, out=out["W"])
        out["b"][...], out["c"][...] = minus_w @ s, minus_w @ t
        for name, value in self.visible.base_gradient(v, -minus_w, **self._own(self.copies[0])).items():
            out[f"visible_{name}"][...] = self.fold(value[None, :], self.copies[0])[0]
        return out

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(v_i)/dtheta: the energy's, at the means of p(h | v_i)."""
        return self.energy_gradient(v, self.hidden.mean(self.hidden_field(v)), weights, out)

    def initialize(self, X: Any) -> DoubledRBM:
        """Set the visible biases so that W = 0 would give the means of the copies in ``X``."""
        mean = self.fold(self.check_data(X, "X").mean(axis=0)[None, :], self.copies[0])[0] / self.copies[0]
        self.params["b"][...] = self.visible.logit(mean, **self._own())
        return self
