"""Boltzmann machine: pairwise energy over all bits, seen and hidden (Deep Learning, section 20.1).

    p(v, h) = exp(-E(v, h)) / Z,      E(v, h) = -v^T R v - v^T W h - h^T S h - b.v - c.h    (20.1 - 20.3)

| symbol | shape | meaning |
|---|---|---|
| v, h | [n, n_visible], [n, n_hidden] | states in {0, 1} |
| R, S | [n_visible, n_visible], [n_hidden, n_hidden] | couplings within a layer |
| W | [n_visible, n_hidden] | couplings between the layers |
| b, c | [n_visible], [n_hidden] | biases |

R and S count every pair twice, as the text's quadratic form does, and need not be symmetric: only R + R^T
matters. Bits satisfy v_i^2 = v_i, so R_ii acts as a part of b_i; written so, E is linear in every single unit
and a factorial mean can stand for its expectation. The conditional of a unit given all others is a sigmoid of

    dE off/on:   b_i + R_ii + sum_{j != i} (R_ij + R_ji) v_j + (W h)_i.

The learning rule is local, Hebbian at the data and anti-Hebbian in the model's dreams (Ackley, Hinton and
Sejnowski 1985): d log p / dR_ij = <v_i v_j>_data - <v_i v_j>_model.
The derivation, beside this code: docs/models/boltzmann_machine.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.energy_model import EnergyModel, same_rows
from minidgm.boltzmann.state_sums import BLOCK, log_sum_states
from minidgm.boltzmann.units import Bernoulli
from minidgm.distributions import Enumerated
from minidgm.errors import IntractableError
from minidgm.numerics import logsumexp, sigmoid
from minidgm.parameters import Parameters

MAX_BITS = 25
MAX_HIDDEN_BITS = 12


class MeanField(NamedTuple):
    """A factorial posterior: means [n, n_hidden], sweeps done, last change of any mean of a row [n].

    ``converged`` [n] says which rows moved by no more than the tolerance in the last sweep.
    """

    mean: Any
    iterations: int
    change: Any
    tolerance: float | None = None

    @property
    def converged(self) -> Any:
        return self.change <= (self.tolerance or 0.0)


class BoltzmannMachine(EnergyModel):
    """Fully connected Boltzmann machine on bits, with or without hidden units.

    Parameters
    ----------
    n_visible : int
    n_hidden : int, default 0
        Exact posteriors enumerate up to 12 hidden units; beyond, `mean_field` and `gibbs_step` serve.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> machine = BoltzmannMachine(3, dtype="float64")
    >>> machine.params["b"][...] = [0.0, 1.0, 2.0]
    >>> bool(np.isclose(np.exp(machine.log_prob(machine.visible.states(3))).sum(), 1.0))
    True
    """

    equations: Mapping[str, str] = {
        "energy": "E(v, h) = -v^T R v - v^T W h - h^T S h - b.v - c.h",
        "conditional": "p(v_i = 1 | rest) = sigmoid(b_i + R_ii + sum_{j != i} (R_ij + R_ji) v_j + (W h)_i)",
        "free_energy": "F(v) = -log sum_h exp(-E(v, h))",
        "log_prob": "log p(v) = -F(v) - log Z",
        "gradient": "d log p / dR = <v v^T>_data - <v v^T>_model, and so for W, S, b, c",
    }
    reference = "Ackley, Hinton and Sejnowski (1985); Deep Learning (2016), 20.1"

    def __init__(
        self,
        n_visible: int,
        n_hidden: int = 0,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_visible, self.n_hidden = (
            count("n_visible", n_visible),
            count("n_hidden", n_hidden, 0),
        )
        self.visible, self.hidden = Bernoulli(), Bernoulli()
        n_v, n_h = self.n_visible, self.n_hidden
        shapes = {"R": (n_v, n_v), "W": (n_v, n_h), "S": (n_h, n_h), "b": (n_v,), "c": (n_h,)}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        rng = Generator(seed, self.backend)
        self.params["W"][...] = 0.01 * rng.normal((n_v, n_h), dtype=self.dtype)

    def config(self) -> dict[str, Any]:
        return {"n_visible": self.n_visible, "n_hidden": self.n_hidden}

    # Energy and densities

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h), [n], from v [n, n_visible] and h [n, n_hidden] (20.3)."""
        xp = get_xp(v, h, self.params["W"])
        R, W, S, b, c = (self.params[name] for name in "RWSbc")
        return -quadratic(v, R) - quadratic(h, S) - xp.sum((v @ W) * h, axis=-1) - v @ b - h @ c

    def _hidden_states(self) -> Any:
        if self.n_hidden > MAX_HIDDEN_BITS:
            raise IntractableError(
                f"an exact sum over 2^{self.n_hidden} hidden states was asked for, "
                f"at most 2^{MAX_HIDDEN_BITS} is done; use mean_field(v) or Gibbs sampling"
            )
        return self.hidden.states(self.n_hidden, xp=self.xp, dtype=self.params["b"].dtype)

    @property
    def exact_posterior(self) -> bool:
        """Whether p(h | v) is enumerated (at most 12 hidden units)."""
        return self.n_hidden <= MAX_HIDDEN_BITS

    def _log_joint_table(self, v: Any) -> Any:
        """-E(v, h) for every h, [n, 2^n_hidden]."""
        R, W, S, b, c = (self.params[name] for name in "RWSbc")
        H = self._hidden_states()
        return (quadratic(v, R) + v @ b)[:, None] + (v @ W + c) @ H.T + quadratic(H, S)[None, :]

    def free_energy(self, v: Any) -> Any:
        """F(v) = -log sum_h exp(-E(v, h)), [n], nats, by enumeration of h."""
        return -logsumexp(self._log_joint_table(v), axis=1)

    def hidden_given_visible(self, v: Any) -> Enumerated:
        """p(h | v), exact: hidden units are coupled, so it is a table over all 2^n_hidden states."""
        return Enumerated(self._hidden_states(), self._log_joint_table(v))

    def log_partition(self) -> Any:
        """log Z in nats, exact: sums every state in blocks, in float64.

        Raises
        ------
        IntractableError
            Beyond 2^25 states.
        """
        if self.n_visible + self.n_hidden > MAX_BITS:
            raise IntractableError(
                f"exact log Z sums 2^{self.n_visible + self.n_hidden} states, more than 2^{MAX_BITS}; "
                "draw from the model with sample(n, rng) instead"
            )
        double = self.double()
        block = max(1, BLOCK >> self.n_hidden)
        return log_sum_states(lambda v: -double.free_energy(v), self.visible, self.n_visible, self.xp, block)

    def log_prob(self, v: Any, log_partition: Any = None) -> Any:
        """log p(v) = -F(v) - log Z, [n], exact, nats; ``log_partition`` saves the enumeration."""
        v = self.check_data(v)
        return -self.free_energy(v) - (self.log_partition() if log_partition is None else log_partition)

    def pseudo_log_likelihood(self, v: Any) -> Any:
        """sum_i log p(v_i | v_-i), [n], nats: p(v_i | v_-i) = sigmoid(F(v with bit i flipped) - F(v))."""
        v = self.check_data(v)
        here = self.free_energy(v)
        total = self.xp.zeros_like(here)
        for i in range(self.n_visible):
            (flipped,) = self.visible.alternatives(v, i)
            pair = self.xp.stack([self.xp.zeros_like(here), here - self.free_energy(flipped)])
            total = total - logsumexp(pair, axis=0)
        return total

    # Inference and sampling

    def visible_field(self, v: Any, h: Any) -> Any:
        """Logit of p(v_i = 1 | all others), [n, n_visible]."""
        return couple(v, self.params["R"]) + h @ self.params["W"].T + self.params["b"]

    def hidden_field(self, v: Any, h: Any) -> Any:
        """Logit of p(h_j = 1 | all others), [n, n_hidden]."""
        return couple(h, self.params["S"]) + v @ self.params["W"] + self.params["c"]

    def mean_field(self, v: Any, tolerance: float | None = 1e-6, max_iterations: int = 500) -> MeanField:
        """Factorial q(h | v) = prod Bernoulli(mu), with mu_j <- sigmoid(hidden field of mu), unit after unit.

        Each update maximises the evidence lower bound in mu_j, so the bound never falls (20.4.2 for the DBM).
        Stops when no mean moves by ``tolerance``, or after ``max_iterations`` sweeps; ``tolerance=None`` does
        them all and never reads the device.
        """
        S = self.params["S"]
        drive = v @ self.params["W"] + self.params["c"]
        mu = sigmoid(drive)
        sweeps, still = 0, self.xp.zeros(v.shape[0], dtype=v.dtype)
        change = still
        while sweeps < max_iterations:
            sweeps, change = sweeps + 1, still
            for j in range(self.n_hidden):
                new = sigmoid(drive[:, j] + column_field(mu, S, j))
                change = self.xp.maximum(change, self.xp.abs(new - mu[:, j]))
                mu[:, j] = new
            if tolerance is not None and bool((change <= tolerance).all()):
                break
        return MeanField(mu, sweeps, change, tolerance)

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One sequential Gibbs sweep over hidden, then visible units, each given all others."""
        h = self.xp.zeros((v.shape[0], self.n_hidden), dtype=v.dtype) if h is None else h
        v, h = v.copy(), h.copy()
        for x, A, drive in (
            (h, self.params["S"], v @ self.params["W"] + self.params["c"]),
            (v, self.params["R"], None),
        ):
            drive = h @ self.params["W"].T + self.params["b"] if drive is None else drive
            for i in range(x.shape[1]):
                x[:, i] = rng.bernoulli_from_logits(drive[:, i] + column_field(x, A, i))
        return v, h

    def sample(self, n: int, rng: Generator | int | None = None, steps: int = 1000, init: Any = None) -> Any:
        """Draw visible states [n, n_visible]: ``steps`` Gibbs sweeps from ``init`` (default: fair coins)."""
        rng = self.generator(rng)
        shape = (count("n", n), self.n_visible)
        v = (
            rng.bernoulli(self.xp.full(shape, 0.5, dtype=self.dtype))
            if init is None
            else self.check_data(init, "init")
        )
        same_rows(v, n)
        h = rng.bernoulli(self.xp.full((v.shape[0], self.n_hidden), 0.5, dtype=self.dtype))
        for _ in range(count("steps", steps, 0)):
            v, h = self.gibbs_step(v, h, rng)
        return v

    # Gradients

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(v_i, h_i)/dtheta for any signed weights [n].

        E is linear in the parameters: dE/dR = -v v^T, dE/dW = -v h^T, dE/dS = -h h^T, dE/db = -v, dE/dc = -h,
        with v_i in place of v_i^2 on the diagonals.
        """
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        minus_w = -xp.ones(v.shape[0], dtype=v.dtype) if weights is None else -weights
        minus_v, minus_h = minus_w[:, None] * v, minus_w[:, None] * h
        out["b"][...], out["c"][...] = minus_v.sum(axis=0), minus_h.sum(axis=0)
        out["W"][...] = v.T @ minus_h
        out["R"][...] = with_diagonal(v.T @ minus_v, out["b"])
        out["S"][...] = with_diagonal(h.T @ minus_h, out["c"])
        return out

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(v_i)/dtheta = sum_i w_i <dE(v_i, h)/dtheta> under the exact p(h | v_i)."""
        xp = get_xp(v, weights)
        weights = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        posterior = self.hidden_given_visible(v)
        out = self.energy_gradient(v, posterior.mean, weights, out)
        H = self._hidden_states()
        total = weights @ posterior.probabilities
        out["S"][...] = with_diagonal(-H.T @ (total[:, None] * H), out["c"])
        return out

    def tempered(self, beta: float, base: Any = None) -> BoltzmannMachine:
        """The machine at inverse temperature ``beta``: all times beta, b to ``base`` (0) at beta = 0."""
        start = 0.0 if base is None else (1.0 - beta) * base
        cooled = {name: beta * value for name, value in self.params.items()}
        return self.with_params({**cooled, "b": start + cooled["b"]})


def quadratic(x: Any, A: Any) -> Any:
    """x^T A x for bits, [n], linear in every unit: sum_{i != j} x_i A_ij x_j + sum_i A_ii x_i."""
    xp = get_xp(x, A)
    diagonal = xp.diagonal(A, axis1=-1, axis2=-2)  # autograd differentiates it with these axes only
    return xp.sum((x @ A) * x, axis=-1) + (x - x * x) @ diagonal


def couple(x: Any, A: Any) -> Any:
    """Derivative of `quadratic` in each x_i, [n, d]: A_ii + sum_{j != i} (A_ij + A_ji) x_j."""
    diagonal = get_xp(x, A).diagonal(A)
    return x @ (A + A.T) + diagonal - 2.0 * x * diagonal


def column_field(x: Any, A: Any, i: int) -> Any:
    """Column ``i`` of `couple`, [n], without forming the others."""
    return x @ (A[:, i] + A[i]) + A[i, i] - 2.0 * x[:, i] * A[i, i]


def with_diagonal(A: Any, diagonal: Any) -> Any:
    """``A`` with its diagonal replaced."""
    xp = get_xp(A, diagonal)
    eye = xp.eye(A.shape[0], dtype=A.dtype)
    return A * (1.0 - eye) + eye * diagonal
