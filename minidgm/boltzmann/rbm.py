"""Restricted Boltzmann machine: a bipartite energy model (Deep Learning, section 20.2; Smolensky 1986).

    p(v, h) = exp(-E(v, h)) / Z,      E(v, h) = -b.v - c.h - v^T W h                       (20.4, 20.5)

for Bernoulli units on both sides; for other units (`minidgm.boltzmann.units`) each side adds its base
measure, E = -b.v - c.h - v^T W h - log_base(v) - log_base(h).

| symbol | shape | meaning |
|---|---|---|
| v | [n, n_visible] | visible states, rows are examples |
| h | [n, n_hidden] | hidden states |
| W | [n_visible, n_hidden] | couplings |
| b, c | [n_visible], [n_hidden] | visible and hidden biases |
| visible_log_precision | [n_visible] | only with Gaussian visibles (likewise hidden) |

The graph is bipartite, so both conditionals factorise over units, each in its field (20.11 - 20.16):

    p(h | v) from the field v W + c,      p(v | h) from the field h W^T + b.

Summing the hidden units out one by one gives the free energy, F(v) = -log sum_h exp(-E(v, h)), and
p(v) = exp(-F(v)) / Z. The derivation, beside this code: docs/models/rbm.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.score import GaussianScore
from minidgm.boltzmann.units import Unit, from_name
from minidgm.errors import IntractableError
from minidgm.numerics import logsumexp
from minidgm.parameters import Parameters

MAX_STATES = 2**25
BLOCK = 2**14


class RBM(GaussianScore):
    """Restricted Boltzmann machine with any pair of unit types.

    Parameters
    ----------
    n_visible, n_hidden : int
        Columns of v and of h.
    visible, hidden : str or Unit
        ``"bernoulli"``, ``"spin"``, ``"gaussian"``, ``"softmax(k)"``, ``"rectified"``. At least one side
        must take finitely many values: with two unbounded sides large couplings leave no finite Z.
    centered : bool
        Train with the enhanced gradient of centred units; the meaning of the parameters stays.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> rbm = RBM(3, 2, dtype="float64", seed=0)
    >>> states = rbm.visible.states(3)
    >>> bool(np.isclose(np.exp(rbm.log_prob(states)).sum(), 1.0))
    True
    """

    equations: Mapping[str, str] = {
        "energy": "E(v, h) = -b.v - c.h - v^T W h",
        "hidden_given_visible": "p(h_j = 1 | v) = sigmoid(c_j + (v W)_j)",
        "visible_given_hidden": "p(v_i = 1 | h) = sigmoid(b_i + (W h)_i)",
        "free_energy": "F(v) = -b.v - sum_j softplus(c_j + (v W)_j)",
        "log_prob": "log p(v) = -F(v) - log Z",
        "gradient": "d(-log p(v))/dtheta = <dE/dtheta>_{p(h|v)} - <dE/dtheta>_{p(v,h)}",
    }
    reference = (
        "Smolensky (1986); Hinton (2002); Goodfellow, Bengio and Courville (2016), Deep Learning, 20.2"
    )

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        visible: str | Unit = "bernoulli",
        hidden: str | Unit = "bernoulli",
        centered: bool = False,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_visible, self.n_hidden = count("n_visible", n_visible), count("n_hidden", n_hidden)
        self.visible, self.hidden, self.centered = from_name(visible), from_name(hidden), bool(centered)
        self.visible.check_width(n_visible, "visible")
        self.hidden.check_width(n_hidden, "hidden")
        if not (self.visible.bounded or self.hidden.bounded):
            raise ValueError(
                f"{self.visible.name} visibles with {self.hidden.name} hiddens have no finite partition "
                "function for large W; make one side 'bernoulli', 'spin' or 'softmax(k)'"
            )
        shapes: dict[str, tuple[int, ...]] = {"W": (n_visible, n_hidden), "b": (n_visible,), "c": (n_hidden,)}
        for side, unit, n in (("visible", self.visible, n_visible), ("hidden", self.hidden, n_hidden)):
            shapes |= {f"{side}_{name}": shape for name, shape in unit.parameter_shapes(n).items()}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        self.params["W"][...] = 0.01 * Generator(seed, self.backend).normal(
            (n_visible, n_hidden), dtype=self.dtype
        )

    def config(self) -> dict[str, Any]:
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden}
        return {**sizes, "visible": self.visible.name, "hidden": self.hidden.name, "centered": self.centered}

    def _own(self, side: str) -> dict[str, Any]:
        """The parameters that belong to one side's units: {"log_precision": ...} or {}."""
        names = getattr(self, side).parameter_shapes(0)
        return {name: self.params[f"{side}_{name}"] for name in names}

    # Energy and densities

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h), [n], from v [n, n_visible] and h [n, n_hidden] (20.5)."""
        xp = get_xp(v, h, self.params["W"])
        W, b, c = self.params["W"], self.params["b"], self.params["c"]
        base = xp.sum(self.visible.log_base(v, **self._own("visible")), axis=-1)
        base = base + xp.sum(self.hidden.log_base(h, **self._own("hidden")), axis=-1)
        return -(v @ b) - h @ c - xp.sum((v @ W) * h, axis=-1) - base

    def hidden_field(self, v: Any) -> Any:
        """v W + c, [n, n_hidden]."""
        return v @ self.params["W"] + self.params["c"]

    def visible_field(self, h: Any) -> Any:
        """h W^T + b, [n, n_visible]."""
        return h @ self.params["W"].T + self.params["b"]

    def hidden_given_visible(self, v: Any) -> Any:
        """p(h | v): a factorial distribution with ``.mean``, ``.sample(rng)``, ``.log_prob(h)`` (20.14)."""
        return self.hidden.distribution(self.hidden_field(v), **self._own("hidden"))

    def visible_given_hidden(self, h: Any) -> Any:
        """p(v | h): a factorial distribution (20.16)."""
        return self.visible.distribution(self.visible_field(h), **self._own("visible"))

    def free_energy(self, v: Any) -> Any:
        """F(v) = -b.v - log_base(v) - sum_j cgf((v W + c)_j), [n], nats."""
        xp = get_xp(v, self.params["W"])
        cgf = self.hidden.cgf(self.hidden_field(v), **self._own("hidden"))
        base = self.visible.log_base(v, **self._own("visible"))
        return -(v @ self.params["b"]) - xp.sum(base, axis=-1) - xp.sum(cgf, axis=-1)

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the integral of exp(-E(v, h)) over v, [n], nats."""
        xp = get_xp(h, self.params["W"])
        cgf = self.visible.cgf(self.visible_field(h), **self._own("visible"))
        base = self.hidden.log_base(h, **self._own("hidden"))
        return -(h @ self.params["c"]) - xp.sum(base, axis=-1) - xp.sum(cgf, axis=-1)

    def log_partition(self) -> Any:
        """log Z in nats, exact: a 0-d array. Sums the smaller enumerable side in blocks, in float64.

        Raises
        ------
        IntractableError
            When neither side has at most 2^25 states.
        """
        n_v, n_h = self.visible.n_states(self.n_visible), self.hidden.n_states(self.n_hidden)
        if min(n_v, n_h) > MAX_STATES:
            raise IntractableError(
                f"exact log Z sums {min(n_v, n_h):.3g} states, more than 2^25; "
                "use minidgm.evaluation.ais(model) for an estimate"
            )
        double = self.with_params({name: value.astype("float64") for name, value in self.params.items()})
        unit, n, free_energy = self.hidden, self.n_hidden, double.hidden_free_energy
        if n_v < n_h:
            unit, n, free_energy = self.visible, self.n_visible, double.free_energy
        total = int(min(n_v, n_h))
        blocks = [
            logsumexp(-free_energy(unit.states(n, start, min(start + BLOCK, total), xp=self.xp)))
            for start in range(0, total, BLOCK)
        ]
        return logsumexp(get_xp(*blocks).stack(blocks))

    def log_prob(self, v: Any, log_partition: Any = None) -> Any:
        """log p(v) = -F(v) - log Z, [n], exact, nats; ``log_partition`` saves the enumeration."""
        v = self.check_data(v)
        return -self.free_energy(v) - (self.log_partition() if log_partition is None else log_partition)

    def pseudo_log_likelihood(self, v: Any) -> Any:
        """sum_i log p(v_i | v_-i), [n], exact, nats (Besag 1975): each visible unit against its alternatives.

        Changing v_i alone moves the hidden field by a multiple of row i of W, so a unit costs [n, n_hidden].
        Rows are states of the units; gray levels between have no such conditional, binarize them first.
        """
        v = self.check_data(v)
        W, b, own = self.params["W"], self.params["b"], self._own("hidden")
        field = self.hidden_field(v)
        here = self.hidden.cgf(field, **own).sum(axis=-1)
        total = self.xp.zeros_like(here)
        for i in range(self.n_visible // self.visible.k):
            columns = slice(i * self.visible.k, (i + 1) * self.visible.k)
            changes = [other[:, columns] - v[:, columns] for other in self.visible.alternatives(v, i)]
            gains = [
                change @ b[columns] + self.hidden.cgf(field + change @ W[columns], **own).sum(axis=-1) - here
                for change in changes
            ]
            total = total - logsumexp(self.xp.stack([self.xp.zeros_like(here), *gains]), axis=0)
        return total

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One block Gibbs sweep, h ~ p(h | v), then v ~ p(v | h); leaves p(v, h) invariant, ignores ``h``."""
        h = self.hidden_given_visible(v).sample(rng)
        return self.visible_given_hidden(h).sample(rng), h

    def start(self, n: int, rng: Generator) -> Any:
        """Visible states [n, n_visible] drawn from the visible biases alone."""
        field = self.xp.zeros((n, 1), dtype=self.dtype) + self.params["b"]
        return self.visible.sample(field, rng, **self._own("visible"))

    def reconstruct(self, v: Any, rng: Generator | None = None) -> Any:
        """Mean of p(v | h), [n, n_visible], at the mean of p(h | v), or at a draw if ``rng`` is given."""
        hidden = self.hidden_given_visible(self.check_data(v))
        return self.visible_given_hidden(hidden.mean if rng is None else hidden.sample(rng)).mean

    def transform(self, v: Any) -> Any:
        """Mean of p(h | v), [n, n_hidden]: the features of v."""
        return self.hidden_given_visible(self.check_data(v)).mean

    # Gradients

    def energy_gradient(
        self, v: Any, h: Any, weights: Any = None, out: Any = None, scratch: Any = None
    ) -> Any:
        """sum_i w_i dE(v_i, h_i)/dtheta for any signed weights [n]; into ``out`` (a `Parameters`) if given.

        E is linear in each of W, b, c with dE/dW = -v h^T, dE/db = -v, dE/dc = -h, so

            sum_i w_i dE_i/dW = -v^T diag(w) h,      = -w^T v for b,      = -w^T h for c.

        h may be a conditional mean: it enters linearly (Rao-Blackwell). ``scratch`` [n, n_hidden] receives
        -diag(w) h: training loops save an allocation, and a pass over memory where it is h itself.
        """
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        minus_w = -xp.ones(v.shape[0], dtype=v.dtype) if weights is None else -weights
        xp.matmul(minus_w, v, out=out["b"])
        xp.matmul(minus_w, h, out=out["c"])
        for side, unit, x in (("visible", self.visible, v), ("hidden", self.hidden, h)):
            for name, value in unit.base_gradient(x, -minus_w, **self._own(side)).items():
                out[f"{side}_{name}"][...] = value
        xp.matmul(v.T, xp.multiply(minus_w[:, None], h, out=scratch), out=out["W"])
        return out

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(v_i)/dtheta = sum_i w_i <dE(v_i, h)/dtheta> under p(h | v_i), exact.

        The base measure of Gaussian hiddens is quadratic in h: its expectation adds the variance.
        """
        xp = get_xp(v, weights)
        field, own = self.hidden_field(v), self._own("hidden")
        weights = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        out = self.energy_gradient(v, self.hidden.mean(field, **own), weights, out)
        for name, value in self.hidden.mean_base_gradient(field, weights, **own).items():
            out[f"hidden_{name}"][...] = value
        return out

    def hidden_free_energy_gradient(self, h: Any, weights: Any = None, out: Any = None) -> Any:
        """The same for `hidden_free_energy`: sum_i w_i <dE(v, h_i)/dtheta> under p(v | h_i), exact."""
        xp = get_xp(h, weights)
        field, own = self.visible_field(h), self._own("visible")
        weights = xp.ones(h.shape[0], dtype=h.dtype) if weights is None else weights
        out = self.energy_gradient(self.visible.mean(field, **own), h, weights, out)
        for name, value in self.visible.mean_base_gradient(field, weights, **own).items():
            out[f"visible_{name}"][...] = value
        return out

    def center_gradient(self, grads: Any, mu: Any, lam: Any) -> Any:
        """Turn a gradient into the enhanced gradient of centred units, in place (Melchior et al. 2016).

        With E = -(v - mu).b' - (h - lam).c' - (v - mu)^T W (h - lam), the same distribution has
        b = b' - W lam and c = c' - W^T mu. A step along the gradient in (W, b', c') moves (W, b, c) along

            gW <- gW - mu gc^T - gb lam^T,      gb <- gb - gW lam,      gc <- gc - gW^T mu.
        """
        gW, gb, gc = grads["W"], grads["b"], grads["c"]
        xp = get_xp(gW, mu, lam)
        gW -= xp.stack([mu, gb], axis=1) @ xp.stack([gc, lam])
        gb -= gW @ lam
        gc -= mu @ gW
        return grads

    def tempered(self, beta: float, base: Any = None) -> RBM:
        """The RBM at inverse temperature ``beta``: W and c times beta, b moved to ``base`` (0) at beta = 0.

        beta = 1 is this model, beta = 0 a product of independent units with biases ``base`` (Salakhutdinov
        and Murray 2008, equation 16); precisions stay.
        """
        W, b, c = self.params["W"], self.params["b"], self.params["c"]
        start = 0.0 if base is None else (1.0 - beta) * base
        return self.with_params({**self.params, "W": beta * W, "b": start + beta * b, "c": beta * c})

    def initialize(self, X: Any) -> RBM:
        """Set the visible biases so that W = 0 would give the means of ``X`` (Hinton 2012, section 8)."""
        mean = self.check_data(X, "X").mean(axis=0)
        self.params["b"][...] = self.visible.logit(mean, **self._own("visible"))
        return self
