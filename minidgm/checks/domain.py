"""What values the units of one side of a model take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Domain:
    """The values of one side: ``states`` [m, n] where they can be listed, else ``kind`` says which reals.

    A side whose columns differ has kind "mixed", and ``mixed`` names the kind of each.
    """

    n: int
    kind: str
    states: Any = None
    mixed: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of every column."""
        return self.mixed or (self.kind,) * self.n

    @property
    def n_reals(self) -> int:
        """Columns that are not bits."""
        return sum(kind != "bernoulli" for kind in self.kinds)

    @property
    def discrete(self) -> bool:
        """Whether the values can be listed."""
        return self.states is not None


def enumerate_states(n: int, values: tuple[float, ...] = (0.0, 1.0)) -> np.ndarray:
    """List every configuration of ``n`` units, [len(values)^n, n], float64; unit 0 changes fastest.

    Examples
    --------
    >>> enumerate_states(2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> enumerate_states(3, values=(-1, 1)).shape
    (8, 3)
    """
    k = len(values)
    digits = np.arange(k**n)[:, None] // k ** np.arange(n)[None, :] % k
    return np.asarray(values, dtype=np.float64)[digits].reshape(k**n, n)
