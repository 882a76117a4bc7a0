"""Scratch memory of hot loops."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp


class Workspace:
    """Scratch arrays that are allocated once and reused from step to step.

    An array asked for again by the same name is the same memory, so its old content is lost; a smaller one is
    a contiguous part of it (the ragged last batch of an epoch allocates nothing).
    """

    def __init__(self) -> None:
        self._flat: dict[str, Any] = {}

    def array(self, name: str, shape: tuple[int, ...], like: Any) -> Any:
        """Return an uninitialised array of this shape, with the dtype and the backend of ``like``."""
        size = 1
        for extent in shape:
            size *= extent
        flat = self._flat.get(name)
        if flat is None or flat.shape[0] < size:
            flat = self._flat[name] = get_xp(like).empty(size, dtype=like.dtype)
        return flat[:size].reshape(shape)
