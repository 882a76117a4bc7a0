r"""The toy of `minidgm.evaluation.toy` for numbers: minimize E[(z - t)^2], z ~ q(z; y) of a family.

    E[f] = (m - t)^2 + V,      m, V: mean and variance of q
    path: f'(z) dz/dy = 2 (z - t) dz/dy,      score: (f(z) - c) d log q/dy

Both have the exact gradient for their mean. Their variances are integrals over a line, taken over the
probability u of z by the double-exponential rule, u = sigmoid(pi sinh r). The path's are mostly smaller,
whatever c is; not always: a gamma variable that is mostly near 0 has a rate that the best c serves better.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from minidgm.arguments import real
from minidgm.backend import get_xp, to_numpy
from minidgm.distributions import PathFullNormal, PathGamma, PathLogistic, PathNormal
from minidgm.errors import unknown
from minidgm.evaluation.gradient_moments import GradientMoments
from minidgm.model import Model
from minidgm.objectives.reinforce import Reinforce
from minidgm.objectives.reparameterization import Reparameterization
from minidgm.parameters import Parameters

__all__ = ["PathToy"]

FAMILIES = {"normal": PathNormal, "full": PathFullNormal, "logistic": PathLogistic, "gamma": PathGamma}


class ToyPaths:
    """k draws z a row: what objectives see. The log-likelihood, and the log-weight, is -f(z)."""

    def __init__(self, model: Any, x: Any, noise: Any):
        xp = get_xp(x)
        self._model = model
        self.recognition = model.family(xp.tile(model.params["y"], (x.shape[0], 1)))
        self.z = self.recognition.at(noise)
        self.log_weights = self.log_likelihood = -((self.z - model.target) ** 2)[:, :, 0]

    def kl_terms(self, kl: str = "analytic") -> Any:
        """Zeros: there is no prior."""
        return 0.0 * self.z[0]

    def gradient(
        self, weights: Any, kl: str = "analytic", beta: Any = 0.0, share: Any = None, out: Any = None
    ) -> Any:
        """sum_si w_si d(-f(z_si))/dy through the draws."""
        out = self._model.zero_gradient() if out is None else out
        g = -2.0 * weights[:, :, None] * (self.z - self._model.target)
        out["y"][...] = self.recognition.path_backward(self.z, g).sum(axis=0)
        return out

    def update(self) -> None:
        """Nothing moves in training."""

    def log_joint_gradient(self, weights: Any, out: Any = None) -> Any:
        """Zero: f has no parameters."""
        out = self._model.zero_gradient() if out is None else out
        out.buffer[...] = 0.0
        return out

    def log_recognition_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si w_si d log q(z_si)/dy."""
        out = self._model.zero_gradient() if out is None else out
        found = self.recognition.log_backward(self.z, weights[:, :, None] + 0.0 * self.z)[1]
        out["y"][...] = found.sum(axis=0)
        return out


class PathToy(Model):
    """Minimize E[(z - t)^2] over the numbers of a distribution: exact moments of path and score estimators.

    Parameters
    ----------
    family : {"normal", "full", "logistic", "gamma"}
        See `minidgm.distributions.pathwise`.
    target : float
    backend, dtype, seed
        See `minidgm.model.Model`.

    Attributes
    ----------
    params : y [2]
        0 at first.

    Notes
    -----
    Batches are rows [n, 1] that are not looked at: each has draws of its own.

    Examples
    --------
    >>> from minidgm.objectives import Reinforce, Reparameterization
    >>> toy = PathToy("gamma", 0.45, dtype="float64")
    >>> path, score = toy.moments(Reparameterization()), toy.moments(Reinforce(None))
    >>> path.bias < 1e-9, score.bias < 1e-9, path.total_variance < score.total_variance
    (True, True, True)
    """

    n_visible, n_latent = 1, 0  # no code of a row
    beta = 0.0

    def __init__(
        self,
        family: str = "normal",
        target: float = 0.49,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        if family not in FAMILIES:
            raise unknown("family", family, FAMILIES)
        self.name, self.family, self.target = family, FAMILIES[family], real("target", target, low=-math.inf)
        self.params = Parameters({"y": (2,)}, backend=backend, dtype=self.dtype)

    def config(self) -> dict[str, Any]:
        return {"family": self.name, "target": self.target}

    def default_objective(self) -> Any:
        """Reparameterization."""
        return Reparameterization()

    def check_data(self, x: Any, what: str = "x") -> Any:
        """Rows [n, 1] of this model's backend and dtype."""
        return self.check_matrix(x, 1, what)

    def noise(self, k: int, x: Any, rng: Any) -> Any:
        """Noise of k draws a row, [k, n, 1]."""
        return self.family(get_xp(x).zeros((x.shape[0], 2), dtype=x.dtype)).noise(k, rng)

    def paths(self, x: Any, noise: Any, training: bool = False, rng: Any = None) -> ToyPaths:
        """The draws that noise makes."""
        return ToyPaths(self, x, noise)

    def draw(self, x: Any, k: int, rng: Any, scratch: Any = None) -> ToyPaths:
        """``k`` draws for each row."""
        return self.paths(x, self.noise(k, x, rng))

    def elbo(self, x: Any, rng: Any = None, n_samples: int = 1) -> Any:
        """-E[f] = -(m - t)^2 - V, [n], exact; or with ``rng`` the mean of ``n_samples`` draws."""
        x = self.check_data(x)
        if rng is not None:
            return self.draw(x, n_samples, self.generator(rng)).log_weights.mean(axis=0)
        q = self.family(self.params["y"][None, :])
        return -((q.mean - self.target) ** 2 + q.variance)[0, 0] + 0.0 * x[:, 0]

    def exact_gradient(self) -> Any:
        """dE[f]/dy, [2], in float64: by m and V of each family, in closed form."""
        y = np.asarray(to_numpy(self.params["y"]), dtype=np.float64)
        q = self.family(y[None])
        m, v = float(q.mean[0, 0]), float(q.variance[0, 0])
        if self.name == "gamma":
            return np.array([2.0 * (m - self.target) * m + v, -2.0 * (m - self.target) * m - 2.0 * v])
        return np.array([2.0 * (m - self.target), v if self.name == "normal" else 2.0 * v])

    def outcomes(self, objective: Any) -> tuple[Any, Any]:
        """Estimates of one draw at the nodes of a quadrature, [m, 2], and the nodes' probabilities [m].

        Raises
        ------
        TypeError
            For objectives other than Reparameterization, and Reinforce with a constant baseline or none.
        """
        y = np.asarray(to_numpy(self.params["y"]), dtype=np.float64)
        noise, masses = _grid(self.name)
        q = self.family(np.tile(y, (len(noise), 1)))
        z = q.at(noise[None, :, None])
        if isinstance(objective, Reparameterization):
            return q.path_backward(z, 2.0 * (z - self.target)), masses
        if _fixed(objective):  # its signal is -f, and so is its baseline
            signal = (z - self.target) ** 2 + float(objective.baseline or 0.0)
            return q.log_backward(z, signal)[1], masses
        raise TypeError(f"{objective!r} has no closed form here; pass Reparameterization or Reinforce(c)")

    def moments(self, objective: Any, name: str | None = None) -> GradientMoments:
        """Exact mean and variance of an objective's estimate of one row, by quadrature, in float64.

        Parameters
        ----------
        objective : Reparameterization or Reinforce
            Of Reinforce with a constant baseline or none.
        name : str, optional
            By default the objective's ``repr``.

        Raises
        ------
        TypeError
            For another objective or baseline.
        """
        g, masses = self.outcomes(objective)
        k = objective.n_samples if isinstance(objective, Reparameterization) else objective.k
        mean = masses @ g
        variance = masses @ (g - mean) ** 2 / k
        name = repr(objective) if name is None else name
        return GradientMoments(name, mean, self.exact_gradient(), variance)


def _fixed(objective: Any) -> bool:
    """Whether it is REINFORCE with a constant baseline or none."""
    known = isinstance(objective, Reinforce) and not objective.normalize
    return known and not isinstance(objective.baseline, str)


def _grid(family: str) -> tuple[Any, Any]:
    """Noise [m] and masses [m] over all probabilities."""
    r = np.arange(-3.1, 3.1001, 0.02)
    logit = math.pi * np.sinh(r)
    u = np.exp(-np.logaddexp(0.0, -logit))
    masses = u * np.exp(-np.logaddexp(0.0, logit)) * math.pi * np.cosh(r) * 0.02
    if family == "gamma":
        return u, masses
    if family == "logistic":
        return logit, masses
    below = np.array([NormalDist().inv_cdf(p) for p in u[: len(u) // 2]])
    return np.concatenate([below, [0.0], -below[::-1]]), masses
