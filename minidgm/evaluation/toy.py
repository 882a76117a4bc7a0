r"""The smallest stochastic gradient: minimize E[sum_j (b_j - t)^2], b_j ~ Bernoulli(sigmoid(theta_j)).

For one bit, with s = sigmoid(theta), v = s (1 - s), f(b) = (b - t)^2 and D = f(1) - f(0) = 1 - 2 t,

    E[f] = s f(1) + (1 - s) f(0),                     dE[f]/dtheta = v D.

A score-function estimate (f(b) - c)(b - s) has that mean for every constant c, and the variance

    V(c) = v [(1 - s) (f(1) - c)^2 + s (f(0) - c)^2] - v^2 D^2 = v [(1 - s) f(1) + s f(0) - c]^2:

the best constant leaves none. It is not E[f], which weighs the two values the other way around. The mean of k
draws divides V by k. Leave-one-out among k draws is D times the unbiased variance of the k bits, so that

    V = D^2 (mu_4 - v^2 (k - 3)/(k - 1)) / k,         mu_4 = v (1 - 3 v).

Straight-through takes f'(b) = 2 (b - t) for the slope between the values, times ds/dtheta = v: its mean is
2 v (s - t), off by v (2 s - 1), and its variance is 4 v^3. Gumbel-softmax and REBAR take integrals over a
line: `BernoulliToy.moments` has them all, from `minidgm.evaluation.toy_moments`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidgm.arguments import count, real
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.units import Bernoulli
from minidgm.errors import unknown
from minidgm.evaluation.gradient_moments import GradientMoments
from minidgm.evaluation.toy_moments import bit_moments
from minidgm.model import Model
from minidgm.numerics import sigmoid
from minidgm.parameters import Parameters
from minidgm.workspace import Workspace


class ToyDraws:
    """k draws b a row: what objectives see. The signal, called a log-weight elsewhere, is -f(b)."""

    def __init__(self, model: Any, x: Any, k: int, rng: Generator):
        xp = get_xp(x)
        self._model, self._p = model, sigmoid(model.params["theta"])
        field = xp.tile(model.params["theta"], (k * x.shape[0], 1))
        self.z = rng.bernoulli_from_logits(field).reshape(k, x.shape[0], field.shape[1])
        self.log_weights = -((self.z - model.target) * (self.z - model.target)).sum(axis=2)

    def log_joint_gradient(self, weights: Any, out: Any = None) -> Any:
        """Zero: f has no parameters."""
        return self._model.log_joint_gradient(None, None, weights, out)

    def log_recognition_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si w_si (b_si - s)."""
        out = self._model.zero_gradient() if out is None else out
        out["theta"][...] = (weights[:, :, None] * (self.z - self._p)).sum(axis=(0, 1))
        return out


class BernoulliToy(Model):
    """Minimize E[sum_j (b_j - t)^2]: every estimator's mean and variance are known in closed form.

    Parameters
    ----------
    target : float
        t, in [0, 1].
    n_bits : int
    backend, dtype, seed
        See `minidgm.model.Model`.

    Attributes
    ----------
    params : theta [n_bits]
        Logits, 0 at first.

    Notes
    -----
    Batches are rows [n, 1] that are not looked at: each has draws of its own.

    Examples
    --------
    >>> toy = BernoulliToy(0.45, dtype="float64")
    >>> toy.exact_gradient().round(6), toy.variance(k=2).round(8)
    (array([0.025]), array([0.00796953]))
    """

    n_visible = 1

    def __init__(
        self,
        target: float = 0.49,
        n_bits: int = 1,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.target, self.n_latent = real("target", target, below=1.0 + 1e-12), count("n_bits", n_bits)
        self.latent = Bernoulli()
        self.params = Parameters({"theta": (self.n_latent,)}, backend=backend, dtype=self.dtype)

    def config(self) -> dict[str, Any]:
        return {"target": self.target, "n_bits": self.n_latent}

    def default_objective(self) -> Any:
        """REINFORCE, two draws, leave-one-out."""
        from minidgm.objectives import Reinforce

        return Reinforce("leave_one_out", 2)

    def check_data(self, x: Any, what: str = "x") -> Any:
        """Rows [n, 1] of this model's backend and dtype."""
        return self.check_matrix(x, 1, what)

    def elbo(self, x: Any, rng: Any = None, n_samples: int = 1) -> Any:
        """-E[f], [n]: exact, or with ``rng`` the mean of ``n_samples`` draws."""
        x = self.check_data(x)
        if rng is not None:
            return self.draw(x, n_samples, self.generator(rng)).log_weights.mean(axis=0)
        s, t = sigmoid(self.params["theta"]), self.target
        return -(s * (1.0 - t) ** 2 + (1.0 - s) * t**2).sum() + 0.0 * x[:, 0]

    def draw(self, x: Any, k: int, rng: Generator, scratch: Workspace | None = None) -> ToyDraws:
        """``k`` draws of all bits for each row."""
        return ToyDraws(self, x, k, rng)

    # Between the bits

    entropy_weight = 0.0  # the loss is E[f] alone

    def log_joint(self, x: Any, z: Any) -> Any:
        """-f(z), [n]: what stands in the place of a log-density."""
        return -((z - self.target) * (z - self.target)).sum(axis=1)

    def log_joint_input_gradient(self, x: Any, z: Any) -> Any:
        """-f'(z) = -2 (z - t), [n, n_bits]."""
        return -2.0 * (z - self.target)

    def log_joint_gradient(self, x: Any, z: Any, weights: Any = None, out: Any = None) -> Any:
        """Zero: f has no parameters."""
        out = self.zero_gradient() if out is None else out
        out.buffer[...] = 0.0
        return out

    def latent_field(self, x: Any) -> Any:
        """theta for every row, [n, n_bits]."""
        return self.params["theta"] + 0.0 * x[:, :1]

    def latent_field_gradient(self, x: Any, d: Any, out: Any = None) -> Any:
        """sum_i d_i."""
        out = self.zero_gradient() if out is None else out
        out["theta"][...] = d.sum(axis=0)
        return out

    # Exact, for one row

    def exact_gradient(self) -> Any:
        """dE[f]/dtheta = v (1 - 2 t), [n_bits]."""
        s = sigmoid(self.params["theta"])
        return s * (1.0 - s) * (1.0 - 2.0 * self.target)

    def optimal_baseline(self) -> Any:
        """The constant that leaves no variance, for each bit alone, [n_bits]: (1 - s) f(1) + s f(0)."""
        s, t = sigmoid(self.params["theta"]), self.target
        return (1.0 - s) * (1.0 - t) ** 2 + s * t**2

    def moments(self, objective: Any, name: str | None = None) -> GradientMoments:
        """Exact mean and variance of an objective's estimate of one row, for one bit, in float64.

        Parameters
        ----------
        objective : Reinforce, StraightThrough, GumbelSoftmax or Rebar
        name : str, optional
            By default the objective's ``repr``.

        Raises
        ------
        ValueError
            With more than one bit.
        TypeError
            For another objective.

        Examples
        --------
        >>> from minidgm.objectives import GumbelSoftmax
        >>> toy = BernoulliToy(0.45, dtype="float64")
        >>> print(toy.moments(GumbelSoftmax(0.5), "Gumbel-softmax"))
        Gumbel-softmax: bias 0.00354, variance 0.0142, signal-to-noise 0.18
        """
        self._one_bit()
        theta = float(self.params["theta"][0])
        mean, variance = bit_moments(theta, self.target, objective)
        s = 1.0 / (1.0 + math.exp(-theta))
        exact = s * (1.0 - s) * (1.0 - 2.0 * self.target)
        found = np.array([[mean], [exact], [variance]])
        return GradientMoments(repr(objective) if name is None else name, found[0], found[1], found[2])

    def _one_bit(self) -> None:
        if self.n_latent != 1:
            raise ValueError(f"closed forms are those of one bit; this toy has n_bits={self.n_latent}")

    def variance(self, baseline: float | str | None = None, k: int = 1) -> Any:
        """Variance of the score-function estimate of one row, [n_bits], for one bit.

        Parameters
        ----------
        baseline : float, "leave_one_out" or None
        k : int
            Draws, at least 2 for "leave_one_out".

        Raises
        ------
        ValueError
            With more than one bit, where the signal of the others enters; for another baseline.
        """
        self._one_bit()
        if isinstance(baseline, str) and baseline != "leave_one_out":
            raise unknown("baseline", baseline, ("None", "a number", "leave_one_out"))
        s = sigmoid(self.params["theta"])
        v, slope = s * (1.0 - s), 1.0 - 2.0 * self.target
        k = count("k", k, 2 if baseline == "leave_one_out" else 1)
        if baseline == "leave_one_out":
            return slope**2 * (v * (1.0 - 3.0 * v) - v * v * (k - 3) / (k - 1)) / k
        away = self.optimal_baseline() - (0.0 if baseline is None else float(baseline))
        return v * away * away / k
