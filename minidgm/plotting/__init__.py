"""Pictures of data, filters, densities, chains and training: each function returns a matplotlib figure.

Nothing is shown and no global state is touched: figures are made with matplotlib's object interface, which
draws on a machine without a display. ``figure.savefig(path)`` writes one, :func:`to_png_bytes` and
:func:`to_base64` embed one, a notebook displays one. Arrays may live on any device.
"""

from minidgm.plotting.codes import latent_manifold, latent_traversal
from minidgm.plotting.curves import learning_curve, series
from minidgm.plotting.densities import density_2d
from minidgm.plotting.images import chains, filters, image_grid
from minidgm.plotting.moments import estimators
from minidgm.plotting.style import to_base64, to_png_bytes

__all__ = [
    "chains",
    "density_2d",
    "estimators",
    "filters",
    "image_grid",
    "latent_manifold",
    "latent_traversal",
    "learning_curve",
    "series",
    "to_base64",
    "to_png_bytes",
]
