"""What codes mean, in pictures: the plane of two, and one code after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minidgm.plotting.images import image_grid
from minidgm.plotting.style import host

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def latent_manifold(
    model: Any, side: int = 20, shape: tuple[int, int] | None = None, title: str | None = None
) -> Figure:
    """Decoded means over the plane of two codes, at equal steps of probability of their prior.

    Parameters
    ----------
    model : VAE
        With two codes.
    side : int
        Images a row, and rows.
    shape : (h, w), optional
        Shape of an image; square without it.
    title : str, optional
    """
    means = host(model.manifold(side))
    return image_grid(means.reshape(side * side, -1), shape, ncols=side, title=title)


def latent_traversal(
    model: Any,
    x: Any,
    values: Sequence[float] = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0),
    shape: tuple[int, int] | None = None,
    title: str | None = None,
) -> Figure:
    """A row a code: decoded means as it takes ``values``, the others as they are for the image x [1, d]."""
    means = host(model.traverse(x, values))
    return image_grid(means.reshape(-1, means.shape[-1]), shape, ncols=len(values), title=title)
