"""Data sets: each function returns a :class:`Dataset` with training, validation and test examples.

Files of the public sets are looked for in the folder named by MINIDGM_DATA, then in the download cache
(MINIDGM_CACHE, or the user's cache folder), then on the network.
"""

from minidgm.datasets.binarization import Resampled, binarized
from minidgm.datasets.dataset import Dataset, split
from minidgm.datasets.images import digits, mnist
from minidgm.datasets.patterns import bars_and_stripes, shifter

__all__ = ["Dataset", "Resampled", "bars_and_stripes", "binarized", "digits", "mnist", "shifter", "split"]
