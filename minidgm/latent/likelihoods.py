r"""What a decoder's output says about x: p(x | a), its log, its gradient in a, its mean and its draws.

| name | a | p(x given a) | x |
|---|---|---|---|
| bernoulli | logits, [n, d] | prod s(a)^x (1 - s(a))^(1 - x) | bits; grey levels in [0, 1] as means of bits |
| gaussian | means and log-variances, [n, 2 d] | N(x; m, e^l); with a fixed variance a is m alone | reals |
| categorical | logits, [n, d], groups of n_classes | softmax of each group | one-hot groups |
| discretized_logistic | means and log-scales, [n, 2 d] | logistic mass of the bin of x | levels 0 ... 1 |

The densities and derivatives are those of `minidgm.nn.losses`. Bits have hot paths: `minidgm.latent.bits` on
a host, fused kernels on a device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minidgm import distributions
from minidgm.arguments import count, real
from minidgm.backend import get_backend, get_xp
from minidgm.boltzmann import units
from minidgm.errors import DataError, unknown
from minidgm.latent import bits
from minidgm.latent.gaussian import DiagonalNormal
from minidgm.nn import losses
from minidgm.numerics import sigmoid, sigmoid_, softplus_sum

__all__ = ["LIKELIHOODS", "Likelihood", "likelihood", "likelihood_for"]


class Likelihood:
    """Base: p(x | a) by a loss of `minidgm.nn.losses`.

    Attributes
    ----------
    outputs : int
        Numbers of the decoder for each of x.
    visible : Unit or None
        The kind of x, for checks and enumeration.
    """

    name = ""
    outputs = 1
    visible: Any = None
    loss: Any

    def log_prob(self, a: Any, x: Any) -> Any:
        """log p(x | a), [n], nats; traceable."""
        return -self.loss.forward(a, x)[0]

    def forward(self, a: Any, x: Any) -> tuple[Any, Any]:
        """Return (log p(x | a) [k n], cache) for a [k n, ...] and x [n, d]: row s n + i is of row i of x."""
        loss, cache = self.loss.forward(a, repeated(x, a.shape[0]))
        return -loss, cache

    def backward(self, weights: Any, cache: Any) -> Any:
        """Gradient in a of sum_i weights_i log p(x_i | a_i), of the shape of a."""
        return self.loss.backward(-weights, cache)

    def distribution(self, a: Any) -> Any:
        """p(x | a), with ``mean``, ``sample(rng)`` and ``log_prob(x)``."""
        raise NotImplementedError

    def check(self, x: Any, what: str) -> None:
        """Refuse values that this likelihood gives no probability; raises `DataError`."""
        if self.visible is None:
            return
        try:
            self.visible.check(x, what)
        except DataError as error:
            raise DataError(str(error).replace("visible=", "likelihood=")) from None

    def begin(self, X: Any) -> None:
        """Refuse training rows that this likelihood cannot learn from; raises `DataError`."""

    def options(self) -> dict[str, Any]:
        """Constructor's arguments other than the defaults, JSON-able."""
        return {}


class Bernoulli(Likelihood):
    """Bits, from logits."""

    name = "bernoulli"
    visible = units.Bernoulli()
    loss = losses.Bernoulli()

    def forward(self, a: Any, x: Any) -> tuple[Any, Any]:
        if get_backend(a) == "numpy":
            return bits.forward(a, x)
        x = repeated(x, a.shape[0])
        log_p = get_xp(a, x).sum(x * a, axis=-1) - softplus_sum(a).astype(a.dtype)
        return log_p, (a, x)

    def backward(self, weights: Any, cache: Any) -> Any:
        if get_backend(cache[0]) == "numpy":
            return bits.backward(weights, cache)
        a, x = cache
        xp = get_xp(a, x)
        out = sigmoid_(a, out=xp.empty_like(a))
        xp.subtract(x, out, out=out)
        return xp.multiply(out, weights[:, None], out=out)

    def distribution(self, a: Any) -> Any:
        return distributions.Bernoulli(a)


class Gaussian(Likelihood):
    """Reals.

    Parameters
    ----------
    variance : float, optional
        Of every number; without it the decoder puts out a log-variance beside each mean.
    """

    name = "gaussian"

    def __init__(self, variance: float | None = None):
        self.variance = None if variance is None else real("variance", variance, positive=True)
        self.outputs = 2 if variance is None else 1
        self.visible = units.Gaussian()
        self.loss = losses.Gaussian(None if self.variance is None else math.log(self.variance))

    def distribution(self, a: Any) -> Any:
        if self.variance is not None:
            return DiagonalNormal(a, get_xp(a).zeros_like(a) + math.log(self.variance))
        d = a.shape[-1] // 2
        return DiagonalNormal(a[..., :d], a[..., d:])

    def begin(self, X: Any) -> None:
        """Refuse columns without variance, unless the variance is fixed: it would be learned as 0."""
        xp = get_xp(X)
        constant = xp.max(X, axis=0) == xp.min(X, axis=0)
        if self.variance is None and X.shape[0] > 1 and bool(constant.any()):
            column = int(xp.argmax(constant))
            raise DataError(
                f"column {column} is constant: its learned variance would go to 0 and the density to "
                "infinity; drop the column, add noise, or fix variance="
            )

    def options(self) -> dict[str, Any]:
        return {} if self.variance is None else {"variance": self.variance}


class Categorical(Likelihood):
    """One-hot groups of ``n_classes`` neighbouring columns, from logits."""

    name = "categorical"

    def __init__(self, n_classes: int):
        self.n_classes = count("n_classes", n_classes, 2)
        self.visible = units.Softmax(self.n_classes)
        self.loss = losses.Categorical()

    def _groups(self, x: Any) -> Any:
        return x.reshape((x.shape[0], x.shape[1] // self.n_classes, self.n_classes))

    def log_prob(self, a: Any, x: Any) -> Any:
        return -self.loss.forward(self._groups(a), self._groups(x))[0]

    def forward(self, a: Any, x: Any) -> tuple[Any, Any]:
        return super().forward(self._groups(a), self._groups(x))

    def backward(self, weights: Any, cache: Any) -> Any:
        found = super().backward(weights, cache)
        return found.reshape((found.shape[0], math.prod(found.shape[1:])))

    def distribution(self, a: Any) -> Any:
        return distributions.Categorical(a, self.n_classes)

    def options(self) -> dict[str, Any]:
        return {"n_classes": self.n_classes}


class DiscretizedLogistic(Likelihood):
    """Numbers of the grid 0, 1/(levels - 1), ..., 1: pixels of 256 levels by default."""

    name = "discretized_logistic"
    outputs = 2

    def __init__(self, levels: int = 256):
        self.loss = losses.DiscretizedLogistic(levels)
        self.levels = self.loss.levels

    def distribution(self, a: Any) -> Any:
        return Bins(a, self)

    def check(self, x: Any, what: str) -> None:
        xp, top = get_xp(x), self.levels - 1
        if bool(((x < 0) | (x > 1) | (xp.abs(top * x - xp.rint(top * x)) > 1e-2)).any()):
            raise DataError(
                f"{what} has numbers off the grid 0, 1/{top}, ..., 1 of levels={self.levels}; scale it, or "
                "use likelihood='gaussian'"
            )

    def options(self) -> dict[str, Any]:
        return {} if self.levels == 256 else {"levels": self.levels}


class Bins:
    """Masses that a logistic density gives the bins of a grid in [0, 1]; the field is the decoder's output.

    Mass beyond the ends belongs to the first and the last bin.
    """

    def __init__(self, field: Any, family: DiscretizedLogistic):
        self.field, self.family = field, family
        self._d = field.shape[-1] // 2

    def log_prob(self, x: Any) -> Any:
        """log p(x), [n], nats."""
        return self.family.log_prob(self.field, x)

    @property
    def mean(self) -> Any:
        """Expectation, [n, d]: 1 - sum over the edges u of P(x < u), over levels - 1."""
        xp, top = get_xp(self.field), self.family.levels - 1
        location, t = self.field[..., : self._d], xp.exp(-self.field[..., self._d :])
        below = xp.zeros_like(location)
        for level in range(top):
            below = below + sigmoid(((level + 0.5) / top - location) * t)
        return 1.0 - below / top

    def sample(self, rng: Any) -> Any:
        """Draw once from each, [n, d]."""
        xp, top = get_xp(self.field), self.family.levels - 1
        location, log_scale = self.field[..., : self._d], self.field[..., self._d :]
        u = rng.uniform(location.shape, dtype=self.field.dtype)
        u = xp.clip(u, 1e-7, 1.0 - 1e-7)
        drawn = location + xp.exp(log_scale) * (xp.log(u) - xp.log1p(-u))
        return xp.clip(xp.rint(top * drawn), 0.0, float(top)) / top


def repeated(x: Any, rows: int) -> Any:
    """Rows x [n, ...] k times one after the other, where ``rows`` = k n are asked for."""
    n = x.shape[0]
    return x if rows == n else get_xp(x).tile(x, (rows // n, *([1] * (x.ndim - 1))))


LIKELIHOODS = {found.name: found for found in (Bernoulli, Gaussian, Categorical, DiscretizedLogistic)}


def likelihood(name: Any, options: Mapping[str, Any]) -> Likelihood:
    """Make a likelihood from its name and options, or pass one through.

    >>> likelihood("gaussian", {"variance": 0.25}).options()
    {'variance': 0.25}
    """
    if isinstance(name, Likelihood):
        return name
    if name not in LIKELIHOODS:
        raise unknown("likelihood", name, LIKELIHOODS)
    try:
        return LIKELIHOODS[name](**options)
    except TypeError as error:
        expected = {"gaussian": "variance=", "categorical": "n_classes=", "discretized_logistic": "levels="}
        takes = expected.get(name, "no options")
        raise TypeError(f"likelihood {name!r} takes {takes}: {error}") from None


def likelihood_for(rows: Any, given: Mapping[str, Any]) -> Likelihood:
    """The likelihood that a model's arguments name; without one Bernoulli for rows in [0, 1], else Gaussian.

    >>> import numpy as np
    >>> likelihood_for(np.eye(2), {}).name, likelihood_for(np.eye(2), {"likelihood": "gaussian"}).name
    ('bernoulli', 'gaussian')
    """
    name = given.get("likelihood")
    if name is None:
        name = "bernoulli" if (rows.min() >= 0 and rows.max() <= 1) else "gaussian"
    return likelihood(name, {key: given[key] for key in ("variance", "n_classes", "levels") if key in given})
