"""Classical models beside the deep ones."""

from minidgm.classical.kde import KDE, ParzenWindow

__all__ = ["KDE", "ParzenWindow"]
