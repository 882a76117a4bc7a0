r"""Distributions whose draws move with their parameters: q(z; y), given by the numbers y that a net puts out.

A draw z = path(noise; y) has a derivative in y, and so has an average over draws (Deep Learning, 20.9):

    d/dy E_q[f(z)] = E_noise[(dz/dy)^T f'(z)].

| class | y | path | dz/dy |
|---|---|---|---|
| `PathNormal` | mu, l | mu + e^(l/2) eps | 1, (z - mu)/2 |
| `PathFullNormal` | mu, l, r | mu + L eps, L lower with diagonal e^l, r below | 1, eps_j L_jj, eps_j |
| `PathLogistic` | m, s | m + e^s g, g = log u - log(1 - u) | 1, z - m |
| `PathGamma` | log a, log b | F^-1(u; a)/b | (a/b) dF^-1/da, -z |

For the gamma the derivative is implicit: dz/da = -(dF/da)/p(z) at F(z; a) = u, whose integral is in
`minidgm.distributions.gamma_path`; it needs z, not u, so that any sampler will do.

| symbol | shape | meaning |
|---|---|---|
| y | [n, outputs(d)] | parameters |
| z, noise, g | [k, n, d] | k draws a row, their noise, and derivatives in z |
| c | [k, n, d] | weights of the terms of log q, one a column |

Each has a prior to which it is compared: N(0, I), the standard logistic, Gamma(a_0, 1). The divergence from
it is known but for the logistic.
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.backend import get_xp
from minidgm.errors import IntractableError
from minidgm.numerics import softplus

__all__ = ["PathDistribution", "PathLogistic", "PathNormal"]

LOG_2PI = math.log(2.0 * math.pi)
EDGE = 2.0**-24


class PathDistribution:
    """Base: a distribution over the last axis whose draws have derivatives in its parameters ``y``.

    Attributes
    ----------
    y : array [n, outputs(d)]
    d : int
        Columns of a draw.
    closed : bool
        Whether the divergence from the prior is known.
    positive : bool
        Whether draws are positive.
    """

    closed = True
    positive = False

    def __init__(self, y: Any):
        self.y, self.d = y, self.columns(y.shape[1])
        if self.outputs(self.d) != y.shape[1]:
            raise ValueError(
                f"y has {y.shape[1]} numbers a row; {type(self).__name__} of {self.d} columns takes "
                f"{self.outputs(self.d)}, of {self.d + 1} it takes {self.outputs(self.d + 1)}"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}{tuple(self.y.shape)}"

    @staticmethod
    def outputs(d: int) -> int:
        """Length of a row of y for d columns."""
        return 2 * d

    @staticmethod
    def columns(size: int) -> int:
        """The most columns for which a row of y of this length has numbers enough: `outputs`, inverted."""
        return size // 2

    @property
    def mean(self) -> Any:
        """Expectation, [n, d]."""
        raise NotImplementedError

    @property
    def variance(self) -> Any:
        """Variance of each column, [n, d]."""
        raise NotImplementedError

    def noise(self, k: int, rng: Any) -> Any:
        """Noise of k draws a row, [k, n, d]."""
        raise NotImplementedError

    def at(self, noise: Any) -> Any:
        """The draws z that ``noise`` [k, n, d] makes."""
        raise NotImplementedError

    def path(self, noise: Any) -> tuple[Any, Any]:
        """Draws z [k, n, d], and ``backward(g)``: sum_k (dz/dy)^T g for g [k, n, d], shape of y."""
        z = self.at(noise)
        return z, lambda g: self.path_backward(z, g)

    def path_backward(self, z: Any, g: Any) -> Any:
        """sum_k (dz/dy)^T g at draws z, of the shape of y: any draws of q, however they were made."""
        raise NotImplementedError

    def sample(self, rng: Any) -> Any:
        """Draw once from each row, [n, d]."""
        return self.at(self.noise(1, rng))[0]

    def log_terms(self, z: Any) -> Any:
        """Terms of log q(z), [..., n, d], nats: one a column; traceable."""
        raise NotImplementedError

    def log_prob(self, z: Any) -> Any:
        """log q(z), [..., n], exact, nats; traceable."""
        return get_xp(z, self.y).sum(self.log_terms(z), axis=-1)

    def log_backward(self, z: Any, c: Any) -> tuple[Any, Any]:
        """Derivatives of sum c log_terms(z) in z [k, n, d], and in y at fixed z, summed over k."""
        raise NotImplementedError

    def log_prior_terms(self, z: Any) -> Any:
        """Terms of log p(z) of the prior, like z, nats; traceable."""
        return -0.5 * (z * z + LOG_2PI)

    def prior_slope(self, z: Any) -> Any:
        """d log p(z)/dz, like z."""
        return -z

    def prior(self, n: int, d: int) -> Any:
        """The prior as a distribution of the same class, n rows of d columns."""
        y = get_xp(self.y).zeros((n, self.outputs(d)), dtype=self.y.dtype)
        return self._like(y)

    def _like(self, y: Any) -> Any:
        return type(self)(y)

    def kl_terms(self) -> Any:
        """KL from the prior by column, [n, d], nats; traceable.

        Raises
        ------
        IntractableError
            Unless ``closed``.
        """
        raise IntractableError(
            f"{type(self).__name__} has no divergence in closed form; average log_terms(z) - "
            "log_prior_terms(z) over draws z"
        )

    def kl(self) -> Any:
        """KL from the prior, [n], exact, nats; traceable; raises as `kl_terms` does."""
        return get_xp(self.y).sum(self.kl_terms(), axis=-1)

    def kl_backward(self, c: Any) -> Any:
        """Derivative of sum c kl_terms in y for c [n, d], shape of y; only where ``closed``."""
        raise NotImplementedError


class PathNormal(PathDistribution):
    """Independent normals N(mu, e^l), y = [mu, l].

    Examples
    --------
    >>> import numpy as np
    >>> q = PathNormal(np.array([[1.0, 0.0]]))
    >>> z, backward = q.path(np.array([[[2.0]]]))
    >>> z.tolist(), backward(np.ones((1, 1, 1))).tolist(), q.kl().tolist()
    ([[[3.0]]], [[1.0, 1.0]], [0.5])
    """

    def __init__(self, y: Any):
        super().__init__(y)
        self._mean, self._log_variance = y[:, : self.d], y[:, self.d :]

    @property
    def mean(self) -> Any:
        return self._mean

    @property
    def variance(self) -> Any:
        return get_xp(self.y).exp(self._log_variance)

    def noise(self, k: int, rng: Any) -> Any:
        return rng.normal((k, *self._mean.shape), dtype=str(self.y.dtype))

    def at(self, noise: Any) -> Any:
        return self._mean + get_xp(self.y).exp(0.5 * self._log_variance) * noise

    def path_backward(self, z: Any, g: Any) -> Any:
        return joined(g.sum(axis=0), 0.5 * (g * (z - self._mean)).sum(axis=0))

    def log_terms(self, z: Any) -> Any:
        r = (z - self._mean) * get_xp(self.y).exp(-0.5 * self._log_variance)
        return -0.5 * (r * r + self._log_variance + LOG_2PI)

    def log_backward(self, z: Any, c: Any) -> tuple[Any, Any]:
        slope = c * (z - self._mean) / self.variance
        in_l = 0.5 * (slope * (z - self._mean) - c)
        return -slope, joined(slope.sum(axis=0), in_l.sum(axis=0))

    def kl_terms(self) -> Any:
        """(mu^2 + e^l - 1 - l)/2."""
        return 0.5 * (self._mean * self._mean + self.variance - 1.0 - self._log_variance)

    def kl_backward(self, c: Any) -> Any:
        return joined(c * self._mean, 0.5 * c * (self.variance - 1.0))


class PathLogistic(PathDistribution):
    """Independent logistic variables, y = [m, s]: density e^-t / (e^s (1 + e^-t)^2), t = (z - m) e^-s.

    With T = tanh(t/2) = -dlog p/dt: d/dz = -T e^-s, d/dm = T e^-s, d/ds = t T - 1.
    """

    closed = False

    def __init__(self, y: Any):
        super().__init__(y)
        self._location, self._log_scale = y[:, : self.d], y[:, self.d :]

    @property
    def mean(self) -> Any:
        return self._location

    @property
    def variance(self) -> Any:
        return (math.pi**2 / 3.0) * get_xp(self.y).exp(2.0 * self._log_scale)

    def noise(self, k: int, rng: Any) -> Any:
        """Logistic numbers."""
        u = uniform_inside(rng, (k, *self._location.shape), self.y.dtype)
        xp = get_xp(u)
        return xp.log(u) - xp.log1p(-u)

    def at(self, noise: Any) -> Any:
        return self._location + get_xp(self.y).exp(self._log_scale) * noise

    def path_backward(self, z: Any, g: Any) -> Any:
        return joined(g.sum(axis=0), (g * (z - self._location)).sum(axis=0))

    def log_terms(self, z: Any) -> Any:
        t = (z - self._location) * get_xp(self.y).exp(-self._log_scale)
        return -t - self._log_scale - 2.0 * softplus(-t)

    def log_backward(self, z: Any, c: Any) -> tuple[Any, Any]:
        xp = get_xp(z)
        rate = xp.exp(-self._log_scale)
        t = (z - self._location) * rate
        pull = c * xp.tanh(0.5 * t)
        slope = pull * rate
        return -slope, joined(slope.sum(axis=0), (t * pull - c).sum(axis=0))

    def log_prior_terms(self, z: Any) -> Any:
        return -z - 2.0 * softplus(-z)

    def prior_slope(self, z: Any) -> Any:
        return -get_xp(z).tanh(0.5 * z)


def joined(*parts: Any) -> Any:
    return get_xp(*parts).concatenate(parts, axis=1)


def uniform_inside(rng: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Uniform numbers inside (0, 1): both ends are cut off."""
    return rng.uniform(shape, str(dtype)) * (1.0 - 2.0 * EDGE) + EDGE
