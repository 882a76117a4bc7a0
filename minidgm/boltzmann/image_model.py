"""Energy models of images: rows are flattened images, stacks of images are taken as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_backend
from minidgm.boltzmann.convolution import image, pair
from minidgm.boltzmann.energy_model import EnergyModel
from minidgm.errors import DataError

FILTERS = 24


class ImageModel(EnergyModel):
    """Base of the convolutional models: ``image_shape`` is (channels, height, width)."""

    image_shape: tuple[int, int, int]

    def as_rows(self, X: Any, what: str = "X") -> Any:
        """Images [n, height, width] or [n, channels, height, width] as rows; anything else as it is.

        Raises
        ------
        DataError
            For images of another size or number of channels.
        """
        if getattr(X, "ndim", 2) not in (3, 4):
            return X
        allowed = {self.image_shape} | ({self.image_shape[1:]} if self.image_shape[0] == 1 else set())
        if tuple(X.shape[1:]) not in allowed:
            expected = " or ".join(str(["n", *shape]).replace("'", "") for shape in sorted(allowed, key=len))
            raise DataError(
                f"{what} has shape {tuple(X.shape)}; expected {expected}, channels before rows and columns, "
                f"or rows [n, {self.n_visible}]"
            )
        return X.reshape(X.shape[0], self.n_visible)

    def check_data(self, v: Any, what: str = "v") -> Any:
        """Return rows [n, n_visible] on this model's device, from rows or images, or raise `DataError`."""
        return v if get_backend(v) == "autograd" else super().check_data(self.as_rows(v, what), what)

    def source(self, X: Any, batch_size: int | None) -> Any:
        """Batches of rows, from rows or images."""
        from minidgm.training.data import source

        return source(self.as_rows(X), self, batch_size)

    @classmethod
    def _image_shape_of(cls, data: Any, given: Mapping[str, Any]) -> tuple[int, int, int]:
        """Image shape that the user gave or the data set tells."""
        shape = given.get("image_shape") or getattr(data, "shape", None)
        if shape is None or len(shape) not in (2, 3):
            raise DataError(
                f"{data.name} does not say the shape of its images; set model.image_shape, e.g. [28, 28]"
            )
        shape = image(shape)
        size = shape[0] * shape[1] * shape[2]
        if size != data.train.shape[1]:
            raise DataError(
                f"model.image_shape = {list(shape)} has {size} pixels, but rows of {data.name} have "
                f"{data.train.shape[1]}"
            )
        return shape


def fitting_size(shape: tuple[int, ...], pool: Any) -> list[int]:
    """Filter size [rows, columns] near a third of the image that leaves whole blocks.

    >>> fitting_size((1, 28, 28), 2), fitting_size((1, 8, 8), 2)
    ([9, 9], [3, 3])
    """
    sizes = []
    for n, p in zip(shape[1:], pair("pool", pool), strict=True):
        whole = [s for s in range(1, n + 1) if (n - s + 1) % p == 0]
        sizes.append(min(whole, key=lambda s: abs(s - n / 3)) if whole else n)
    return sizes
