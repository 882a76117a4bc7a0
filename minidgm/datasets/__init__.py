"""Data sets: each function returns a :class:`Dataset` with training, validation and test examples.

========================  ==========================================================================
``digits``                8 x 8 handwritten digits, shipped with the package
``bars_and_stripes``      all images of bars or stripes: the best log-likelihood is known
``shifter``               all words beside themselves rotated: the best log-likelihood is known
``two_moons`` ``rings``   two-dimensional distributions with exact log-density
``eight_gaussians``       likewise
``pinwheel`` ``spiral``   likewise
``checkerboard``          likewise
``mnist``                 28 x 28 handwritten digits
``patches``               whitened patches of photographs, digits or images of your own
``shakespeare``           characters of plays
``names``                 first names
``jsb_chorales``          chorales by Bach
``uci_dna``               180 binary features of DNA
``load``                  your own .npy, .npz, .csv, .mat or idx file
========================  ==========================================================================

Public files are looked for in the folder that MINIDGM_DATA names, then in the download cache
(MINIDGM_CACHE, or the user's cache folder), then on the network; each is checked against its SHA256.
"""

from __future__ import annotations

from typing import Any

from minidgm.datasets.binarization import Resampled, binarized
from minidgm.datasets.dataset import Dataset, split
from minidgm.datasets.images import digits, mnist
from minidgm.datasets.patches import Patches, Whitening, patches, photographs
from minidgm.datasets.patterns import bars_and_stripes, shifter
from minidgm.datasets.sequences import jsb_chorales, names, shakespeare
from minidgm.datasets.tables import load, uci_dna
from minidgm.datasets.toys import checkerboard, eight_gaussians, pinwheel, rings, spiral, two_moons

__all__ = [
    "Dataset",
    "Patches",
    "Resampled",
    "Whitening",
    "bars_and_stripes",
    "binarized",
    "checkerboard",
    "digits",
    "eight_gaussians",
    "get",
    "jsb_chorales",
    "load",
    "mnist",
    "names",
    "patches",
    "photographs",
    "pinwheel",
    "rings",
    "shakespeare",
    "shifter",
    "spiral",
    "split",
    "two_moons",
    "uci_dna",
]


def get(name: str, **options: Any) -> Dataset:
    """Make a data set by name; an unknown name raises a ValueError that tells the nearest one.

    >>> get("bars_and_stripes", n=2)
    Dataset('bars_and_stripes', train=[6, 4] float32, validation=[0, 4], test=[0, 4])
    """
    from minidgm import registry

    return registry.datasets()[name](**options)
