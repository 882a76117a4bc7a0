"""Counting what is read from the device: each read would stop the host until a GPU has finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class HostReads:
    """What a block of code read from the device: ``count``, and in ``kinds`` the name of each read."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    @property
    def count(self) -> int:
        return len(self.kinds)

    def __repr__(self) -> str:
        return f"HostReads({self.kinds})"


_counters: list[HostReads] = []


def note_host_read(kind: str) -> None:
    """Count a read in every block that counts."""
    for reads in _counters:
        reads.kinds.append(kind)


@contextmanager
def count_host_reads() -> Iterator[HostReads]:
    """Count the host reads of strict arrays inside a ``with`` block; blocks may be nested.

    >>> from minidgm.checks.strict import xp
    >>> with count_host_reads() as reads:
    ...     if xp.ones(2).sum() > 1:
    ...         pass
    >>> reads
    HostReads(['bool()'])
    """
    reads = HostReads()
    _counters.append(reads)
    try:
        yield reads
    finally:
        _counters.remove(reads)
