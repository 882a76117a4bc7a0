r"""Kernel density estimate, the Parzen window (Rosenblatt 1956; Parzen 1962): a Gaussian on every sample.

    p(x) = 1/m sum_j N(x; s_j, sigma^2 I)

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | points |
| samples (s) | [n_samples, n_visible] | centers |
| log_bandwidth | [1] | log sigma |

Nothing is learned but sigma, the one with the largest likelihood of held-out rows. The gradient of a
weighted sum of log-densities follows from the responsibilities r_ij = N_ij / sum_j N_ij and squared
distances D_ij:

    d log p(x_i) / d log sigma = sum_j r_ij D_ij / sigma^2 - n_visible.

As a yardstick of *samples*, ("Parzen estimates" of a generator that has no likelihood), it is known to
mislead in many dimensions (Theis, van den Oord & Bethge 2016): print the figure of the training set as
samples beside it.

The distances of a block are one product of matrices, D = |x|^2 + |s|^2 - 2 x s^T, taken from the samples'
mean so that little cancels; blocks keep the memory to `VALUES` numbers, whatever n and m.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.units import Gaussian
from minidgm.errors import DataError
from minidgm.model import Model
from minidgm.parameters import Parameters

__all__ = ["KDE", "ParzenWindow"]

VALUES = 2**21  # squared distances at a time: 8 MB in float32
BANDWIDTHS = tuple(10.0 ** (-2.0 + 0.1 * i) for i in range(21))  # 0.01 ... 1, in steps of a tenth of a decade


class KDE(Model):
    """Parzen window with Gaussian kernels.

    Parameters
    ----------
    n_visible, n_samples : int
        Columns, and centers. `fit` and `from_samples` bring their own number of centers.
    bandwidth : float
        sigma, standard deviation of the kernels.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> kde = KDE.from_samples(np.array([[-1.0], [1.0]]), bandwidth=0.5)
    >>> float(np.exp(kde.log_prob(np.array([[1.0]])))[0]).__round__(4)
    0.3991
    """

    equations: Mapping[str, str] = {
        "density": "p(x) = 1/m sum_j N(x; s_j, sigma^2 I)",
        "gradient": "d log p(x)/d log sigma = sum_j r_j |x - s_j|^2 / sigma^2 - n_visible",
    }
    reference = "Rosenblatt (1956); Parzen (1962); Theis, van den Oord and Bethge (2016)"
    visible = Gaussian()
    fits_at_once = True  # fit takes neither objective nor epochs

    def __init__(
        self,
        n_visible: int,
        n_samples: int = 4,
        bandwidth: float = 1.0,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_visible, self.n_samples = count("n_visible", n_visible), count("n_samples", n_samples)
        shapes = {"samples": (n_samples, n_visible), "log_bandwidth": (1,)}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        self.params["samples"][...] = Generator(seed, self.backend).normal(
            (n_samples, n_visible), dtype=self.dtype
        )
        self.params["log_bandwidth"][...] = math.log(real("bandwidth", bandwidth, positive=True))

    def config(self) -> dict[str, Any]:
        return {"n_visible": self.n_visible, "n_samples": self.n_samples}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> KDE:
        """An instance that checks can integrate over."""
        return cls(2, 3, 0.7, **options)

    @classmethod
    def from_samples(cls, samples: Any, bandwidth: float = 1.0, **options: Any) -> KDE:
        """A window on each row of ``samples`` [m, n_visible]; ``options`` are backend and dtype.

        Raises
        ------
        DataError
            For no rows, another rank, or values that are not finite.
        """
        if len(getattr(samples, "shape", ())) != 2 or not samples.shape[0]:
            shape = getattr(samples, "shape", "none")
            raise DataError(f"samples have shape {shape}; expected [m, d] with m at least 1")
        kde = cls(int(samples.shape[1]), int(samples.shape[0]), bandwidth, **options)
        kde.params["samples"][...] = kde.check_matrix(samples, kde.n_visible, "samples")
        return kde

    def default_objective(self) -> Any:
        """Refuse: nothing here is learned by gradients."""
        raise TypeError("KDE is not trained by an objective; call KDE(n_visible).fit(X, validation=...)")

    def check_data(self, v: Any, what: str = "v") -> Any:
        """Return ``v`` on this model's device, or raise `DataError`."""
        return self.check_matrix(v, self.n_visible, what)

    @property
    def bandwidth(self) -> float:
        """sigma."""
        return math.exp(float(self.params["log_bandwidth"][0]))

    # Density

    def log_prob(self, x: Any) -> Any:
        """log p(x), [n], nats: exact for this density, whatever it estimates."""
        samples, log_sigma = self.params["samples"], self.params["log_bandwidth"][0]
        xp = get_xp(x, samples, log_sigma)
        if xp.__name__ != "autograd.numpy":
            x = self.check_data(x)
        center, s, norms = self._centers()
        precision = xp.exp(-2.0 * log_sigma)
        height = 0.5 * precision * norms
        parts = []
        for rows in self._blocks(x.shape[0]):  # -D/2 sigma^2, but for the |x|^2 that all centers share
            block = x[rows] - center
            a = (precision * block) @ s.T - height
            top = xp.max(a, axis=1, keepdims=True)
            shared = 0.5 * precision * xp.sum(block * block, axis=1)
            parts.append(xp.log(xp.sum(xp.exp(a - top), axis=1)) + (top[:, 0] - shared))
        constant = -math.log(self.n_samples) - 0.5 * self.n_visible * math.log(2.0 * math.pi)
        return xp.concatenate(parts) - self.n_visible * log_sigma + constant

    def _centers(self) -> tuple[Any, Any, Any]:
        """The samples' mean, the samples from there, and their squared norms [n_samples]."""
        samples = self.params["samples"]
        xp = get_xp(samples)
        center = xp.mean(samples, axis=0)
        s = samples - center
        return center, s, xp.sum(s * s, axis=1)

    def _distances(self, x: Any, centers: tuple[Any, Any, Any]) -> Any:
        """|x_i - s_j|^2, [n, n_samples]."""
        center, s, norms = centers
        xp = get_xp(x, s)
        x = x - center
        squared = (-2.0 * x) @ s.T + norms + xp.sum(x * x, axis=1)[:, None]
        return xp.maximum(squared, 0.0)

    def _blocks(self, n: int) -> Iterator[slice]:
        step = max(1, VALUES // self.n_samples)
        return (slice(start, start + step) for start in range(0, max(n, 1), step))

    # Sampling

    def sample(self, n: int, rng: Generator | int | None = None) -> Any:
        """Draw x [n, n_visible]: a sample at random, and noise."""
        rng = self.generator(rng)
        j = rng.integers(0, self.n_samples, (count("n", n),))
        noise = rng.normal((n, self.n_visible), dtype=self.dtype)
        return self.params["samples"][j] + self.bandwidth * noise

    # Learning

    def bandwidth_gradient(self, x: Any, weights: Any = None) -> Any:
        """sum_i w_i d log p(x_i) / d log sigma, a 0-d array."""
        x, xp = self.check_data(x), self.xp
        weights = xp.ones(x.shape[0], dtype=self.dtype) if weights is None else weights
        precision = xp.exp(-2.0 * self.params["log_bandwidth"][0])
        total, centers = xp.zeros((), dtype=self.dtype), self._centers()
        for rows in self._blocks(x.shape[0]):
            D = self._distances(x[rows], centers) * precision
            r = xp.exp(-0.5 * (D - xp.min(D, axis=1, keepdims=True)))
            mean = xp.sum(r * D, axis=1) / xp.sum(r, axis=1)
            total = total + weights[rows] @ (mean - self.n_visible)
        return total

    def choose_bandwidth(self, x: Any, bandwidths: Sequence[float] = BANDWIDTHS) -> dict[float, float]:
        """Set sigma to the best of ``bandwidths`` for the rows of ``x``; returns the mean log p of each,
        nats.

        Distances are computed once. Rows that are themselves centers would make every sigma too small:
        use held-out ones.
        """
        x, xp = self.check_data(x), self.xp
        candidates = [real("bandwidth", b, positive=True) for b in bandwidths]
        if not candidates or not x.shape[0]:
            raise ValueError("choosing a bandwidth needs at least one candidate and one row")
        totals, centers = [0.0] * len(candidates), self._centers()
        for rows in self._blocks(x.shape[0]):
            D = self._distances(x[rows], centers)
            nearest = xp.min(D, axis=1)
            for i, sigma in enumerate(candidates):
                scale = -0.5 / sigma**2
                e = xp.exp(scale * (D - nearest[:, None]))
                log_sum = xp.log(xp.sum(e, axis=1)) + scale * nearest
                totals[i] += float(xp.sum(log_sum, dtype="float64"))
        constant = -math.log(self.n_samples) - 0.5 * self.n_visible * math.log(2.0 * math.pi)
        found = {
            sigma: total / x.shape[0] - self.n_visible * math.log(sigma) + constant
            for sigma, total in zip(candidates, totals, strict=True)
        }
        self.params["log_bandwidth"][...] = math.log(max(found, key=lambda sigma: found[sigma]))
        return found

    def fit(  # type: ignore[override]
        self, X: Any, validation: Any = None, bandwidths: Sequence[float] = BANDWIDTHS
    ) -> KDE:
        """Take the rows of ``X`` as centers, and the bandwidth that suits ``validation`` best.

        Parameters
        ----------
        X : array [m, n_visible]
        validation : array [n, n_visible], optional
            By default every tenth row of X, which then is no center.
        bandwidths : sequence of float

        Returns
        -------
        KDE
            This model.
        """
        X = self.check_data(X, "X")
        if validation is None:
            if X.shape[0] < 2:
                raise DataError("X has one row; a bandwidth needs rows to validate on, pass validation=")
            held = self.xp.arange(X.shape[0]) % 10 == 0
            X, validation = X[~held], X[held]
        if not X.shape[0]:
            raise DataError(f"X has no rows: its shape is {tuple(X.shape)}")
        self.n_samples = int(X.shape[0])
        shapes = {"samples": (self.n_samples, self.n_visible), "log_bandwidth": (1,)}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        self.params["samples"][...] = X
        self.choose_bandwidth(validation, bandwidths)
        return self


ParzenWindow = KDE
