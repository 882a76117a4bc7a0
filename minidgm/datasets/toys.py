r"""Two-dimensional distributions whose density is known: samples to learn from, the truth to compare with.

Most are a curve blurred by an isotropic Gaussian of standard deviation :math:`\sigma` (``noise``), so that

.. math:: p(x) = \int N(x;\, c(t),\, \sigma^2 I)\, w(t)\, dt

with curve :math:`c` and density :math:`w` along it: a finite mixture for eight Gaussians, a Bessel function
for rings, and for the arcs and the spiral a one-dimensional integral of an analytic function, taken by
Gauss-Legendre quadrature, which reaches rounding (relative error below 1e-9) within ten standard
deviations of the curve. Densities are computed in float64, in nats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidgm.backend import to_numpy
from minidgm.datasets.dataset import PARTS, Dataset
from minidgm.errors import DataError

Sampler = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]
_BLOCK = 1 << 20


def eight_gaussians(n: int = 10_000, *, noise: float = 0.2, radius: float = 2.0, seed: int = 0) -> Dataset:
    """Eight Gaussians on a circle, equally likely; labels are the components.

    ``n`` training examples (a tenth as many for validation and for test), ``noise`` the standard deviation.
    ``log_density`` is exact.

    >>> data = eight_gaussians(100)
    >>> data.train.shape, data.log_density([[2.0, 0.0]]).round(4).tolist()
    ((100, 2), [-0.6984])
    """
    _check_positive(noise=noise, radius=radius)
    angle = np.arange(8) * np.pi / 4
    centers = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # [8, 2]

    def sample(m: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, 8, m)
        return centers[labels] + noise * rng.standard_normal((m, 2)), labels

    return _toy(
        "eight_gaussians",
        n,
        seed,
        sample,
        _mixture(centers, np.full(8, -np.log(8)), noise),
        "exact: a mixture",
    )


def two_moons(n: int = 10_000, *, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Two interleaved half circles of radius 1, blurred; labels are the moons.

    The upper moon is centered at (0, 0), the lower at (1, 0.5). ``log_density`` is by quadrature, to
    rounding.

    >>> two_moons(100).log_density([[0.0, 1.0]]).round(4).tolist()
    [-0.453]
    """
    _check_positive(noise=noise)

    def curve(angle: np.ndarray) -> np.ndarray:
        upper = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        return np.stack([upper, np.array([1.0, 0.5]) - upper])  # [2, ..., 2]

    def sample(m: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, 2, m)
        angle = rng.uniform(0, np.pi, m)
        return curve(angle)[labels, np.arange(m)] + noise * rng.standard_normal((m, 2)), labels

    node, weight = _gauss_legendre(length=np.pi, noise=noise)
    density = _mixture(curve(np.pi * node).reshape(-1, 2), np.log(np.tile(weight, 2) / 2), noise)
    return _toy("two_moons", n, seed, sample, density, "one-dimensional quadrature, to rounding")


def spiral(
    n: int = 10_000, *, noise: float = 0.1, turns: float = 1.5, arms: int = 2, seed: int = 0
) -> Dataset:
    """Archimedean spirals of outer radius 2, blurred; labels are the arms.

    The angle grows as the square root of a uniform, which spreads examples almost evenly along an arm.
    ``log_density`` is by quadrature, to rounding.

    >>> spiral(100).log_density([[0.0, 0.0]]).round(4).tolist()
    [-2.531]
    """
    _check_positive(noise=noise, turns=turns)
    _check_count(arms=arms)
    start = 2 * np.pi * np.arange(arms) / arms

    def curve(fraction: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * turns * fraction + start.reshape(-1, *[1] * np.ndim(fraction))
        return 2 * np.asarray(fraction)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)

    def sample(m: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, arms, m)
        fraction = np.sqrt(rng.random(m))
        return curve(fraction)[labels, np.arange(m)] + noise * rng.standard_normal((m, 2)), labels

    node, weight = _gauss_legendre(length=2 * np.hypot(1, 2 * np.pi * turns), noise=noise)
    weights = np.log(np.tile(2 * node * weight, arms) / arms)  # the square root of a uniform has density 2t
    density = _mixture(curve(node).reshape(-1, 2), weights, noise)
    return _toy("spiral", n, seed, sample, density, "one-dimensional quadrature, to rounding")


def rings(
    n: int = 10_000, *, noise: float = 0.08, radii: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0), seed: int = 0
) -> Dataset:
    r"""Concentric circles, equally likely, blurred; labels are the circles.

    Around a circle of radius r the blurred density is exact,
    :math:`p(x) = \exp(-(|x|^2 + r^2) / 2\sigma^2)\, I_0(r |x| / \sigma^2) / 2\pi\sigma^2`
    (the radius follows Rice's law).

    >>> rings(100).log_density([[0.0, 0.0], [1.0, 0.0]]).round(3).tolist()
    [-17.704, -1.617]
    """
    from scipy.special import i0e

    _check_count(**{"len(radii)": len(radii)})
    _check_positive(noise=noise, **{f"radii[{i}]": r for i, r in enumerate(radii)})
    radius = np.asarray(radii, dtype=np.float64)

    def sample(m: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, len(radius), m)
        angle = rng.uniform(0, 2 * np.pi, m)
        on_ring = radius[labels, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return on_ring + noise * rng.standard_normal((m, 2)), labels

    def log_density(x: np.ndarray) -> np.ndarray:
        r = np.hypot(x[:, 0], x[:, 1])[:, None]  # [n, 1] against radii [k]
        terms = np.log(i0e(r * radius / noise**2)) - (r - radius) ** 2 / (2 * noise**2)
        return _logsumexp(terms) - np.log(2 * np.pi * noise**2 * len(radius))

    return _toy("rings", n, seed, sample, log_density, "exact: Rice's law of the radius")


def pinwheel(
    n: int = 10_000,
    *,
    blades: int = 5,
    length: float = 0.45,
    width: float = 0.1,
    twist: float = 1.0,
    seed: int = 0,
) -> Dataset:
    """Gaussian blades around a center, twisted; labels are the blades.

    A blade is a Gaussian of standard deviations ``length`` along and ``width`` across, at distance 1.2; then
    every point is rotated by ``twist`` radians for each unit of its distance from the center. A rotation by
    an angle that depends on the distance alone is invertible and keeps areas, so ``log_density`` is exact:
    that of the mixture at the point rotated back.

    >>> pinwheel(100).log_density([[1.2 * np.cos(1.2), 1.2 * np.sin(1.2)]]).round(3).tolist()
    [-0.346]
    """
    _check_positive(length=length, width=width)
    _check_count(blades=blades)
    angle = 2 * np.pi * np.arange(blades) / blades
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # [k, 2]
    across = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    distance = 1.2

    def rotated(x: np.ndarray, sign: float) -> np.ndarray:
        turn = sign * twist * np.hypot(x[:, 0], x[:, 1])
        cos, sin = np.cos(turn), np.sin(turn)
        return np.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], axis=1)

    def sample(m: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, blades, m)
        u = np.array([distance, 0.0]) + np.array([length, width]) * rng.standard_normal((m, 2))
        return rotated(u[:, :1] * along[labels] + u[:, 1:] * across[labels], +1), labels

    def log_density(x: np.ndarray) -> np.ndarray:
        y = rotated(x, -1)
        terms = -0.5 * (((y @ along.T - distance) / length) ** 2 + ((y @ across.T) / width) ** 2)  # [n, k]
        return _logsumexp(terms) - np.log(2 * np.pi * length * width * blades)

    return _toy(
        "pinwheel", n, seed, sample, log_density, "exact: a mixture under a rotation that keeps areas"
    )


def checkerboard(n: int = 10_000, *, seed: int = 0) -> Dataset:
    """Uniform on the dark squares of a 4 x 4 board that covers [-2, 2] x [-2, 2]; labels are the squares.

    ``log_density`` is exact: -log 8 on a dark square, -inf elsewhere.

    >>> checkerboard(100).log_density([[0.5, 0.5], [0.5, 1.5]]).round(4).tolist()
    [-2.0794, -inf]
    """
    row, column = np.divmod(np.arange(16), 4)
    corners = (np.stack([column, row], axis=1) - 2)[(row + column) % 2 == 0]  # [8, 2]

    def sample(m: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, 8, m)
        return corners[labels] + rng.random((m, 2)), labels

    def log_density(x: np.ndarray) -> np.ndarray:
        square = np.floor(x)
        dark = (square.sum(axis=1) % 2 == 0) & np.all((square >= -2) & (square < 2), axis=1)
        return np.where(dark, -np.log(8), -np.inf)

    return _toy("checkerboard", n, seed, sample, log_density, "exact: uniform")


def _toy(
    name: str, n: int, seed: int, sample: Sampler, log_density: Callable[[np.ndarray], np.ndarray], how: str
) -> Dataset:
    """Draw the three parts, each from a stream of its own."""
    _check_count(n=n)
    fields: dict[str, Any] = {}
    for part, m, seeds in zip(
        PARTS, (n, -(-n // 10), -(-n // 10)), np.random.SeedSequence(seed).spawn(3), strict=True
    ):
        X, labels = sample(int(m), np.random.Generator(np.random.PCG64(seeds)))
        fields[part], fields[f"{part}_labels"] = X.astype(np.float32), labels

    def checked(x: Any) -> np.ndarray:
        x = np.asarray(to_numpy(x), dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != 2:
            raise DataError(f"{name}.log_density: x came as {x.shape}; expected [n, 2]")
        return log_density(x)

    return Dataset(
        name,
        **fields,
        log_density=checked,
        description=f"two-dimensional toy distribution; log-density {how}",
        source="generated",
        license="public domain",
    )


def _mixture(
    centers: np.ndarray, log_weights: np.ndarray, noise: float
) -> Callable[[np.ndarray], np.ndarray]:
    """Log-density of isotropic Gaussians at centers [k, 2], in blocks of rows."""
    constant = np.log(2 * np.pi * noise**2)
    rows = max(1, _BLOCK // len(centers))

    def block(x: np.ndarray) -> np.ndarray:
        squares = (x[:, :1] - centers[:, 0]) ** 2 + (x[:, 1:] - centers[:, 1]) ** 2  # [n, k]
        return _logsumexp(log_weights - squares / (2 * noise**2)) - constant

    def log_density(x: np.ndarray) -> np.ndarray:
        return np.concatenate([block(x[i : i + rows]) for i in range(0, max(len(x), 1), rows)])

    return log_density


def _logsumexp(terms: np.ndarray) -> np.ndarray:
    top = terms.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(terms - top).sum(axis=1))


def _gauss_legendre(length: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, 1) for a curve of this length blurred by this noise: four nodes a sigma."""
    count = int(64 + 4 * length / noise)
    if count > 20_000:
        raise DataError(f"noise={noise!r} is too small for quadrature along a curve of length {length:.3g}")
    node, weight = np.polynomial.legendre.leggauss(count)
    return (node + 1) / 2, weight / 2


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and np.isfinite(value)):
            raise DataError(f"{name}={value!r}; expected a positive number")


def _check_count(**values: int) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise DataError(f"{name}={value!r}; expected a whole number, at least 1")
