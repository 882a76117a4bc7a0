"""Walks through a space of codes, seen in the data: between two rows, along one code, over a plane."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

from minidgm.arguments import count
from minidgm.errors import unknown

__all__ = ["Walks", "plane"]

PATHS = ("line", "arc")


class Walks:
    """What models with ``transform`` and ``visible_given_latent`` can show; a base of them."""

    xp: Any
    dtype: str
    n_latent: int
    check_data: Any
    transform: Any
    visible_given_latent: Any

    def interpolate(self, start: Any, end: Any, n_steps: int = 10, path: str = "line") -> Any:
        """Means of p(x | z) on the way between the codes of two sets of rows, [n_steps, n, n_visible].

        Parameters
        ----------
        start, end : array [n, n_visible]
        n_steps : int
            At least 2; both ends are among them.
        path : {"line", "arc"}
            Straight, or at the radius of codes of a standard normal: z = cos(t) z_0 + sin(t) z_1, which stays
            as far from the origin as independent ends are, about sqrt(n_latent).

        Raises
        ------
        ValueError
            When the two sets have different numbers of rows.
        """
        if path not in PATHS:
            raise unknown("path", path, PATHS)
        n_steps, xp = count("n_steps", n_steps, 2), self.xp
        a, b = self.transform(start), self.transform(end)
        if a.shape != b.shape:
            raise ValueError(f"start has {a.shape[0]} rows, end has {b.shape[0]}; expected pairs of rows")
        t = xp.linspace(0.0, 1.0, n_steps).astype(self.dtype)[:, None, None]
        angle = t * (0.5 * xp.pi)
        z = (1.0 - t) * a + t * b if path == "line" else xp.cos(angle) * a + xp.sin(angle) * b
        return self._means(z)

    def traverse(
        self, x: Any, values: Sequence[float] = (-2.0, -1.0, 0.0, 1.0, 2.0), units: Any = None
    ) -> Any:
        """Means of p(x | z) as one code of a row takes other values, [n_units, n_values, n_visible].

        Parameters
        ----------
        x : array [1, n_visible]
            The other codes stay at theirs.
        values : sequence of float
        units : sequence of int, optional
            Which codes; by default all.

        Raises
        ------
        ValueError
            For more than one row, or a code that there is not.
        """
        xp, z = self.xp, self.transform(x)
        if z.shape[0] != 1:
            raise ValueError(f"x has {z.shape[0]} rows; a traversal starts at one")
        chosen = xp.asarray(self._chosen(units))
        one = xp.eye(self.n_latent, dtype=self.dtype)[chosen][:, None]  # [n_units, 1, n_latent]
        steps = xp.asarray(list(values), dtype=self.dtype)[None, :, None]
        return self._means(z * (1.0 - one) + steps * one)

    def manifold(self, side: int = 20) -> Any:
        """Means of p(x | z) over the plane of two codes, [side, side, n_visible].

        Codes lie at equal steps of probability of the prior, from the lower left of the plane to the upper
        right: rows fall in z_2, columns rise in z_1 (Kingma & Welling 2014, figure 4).

        Raises
        ------
        ValueError
            When the model has another number of codes than two.
        """
        if self.n_latent != 2:
            raise ValueError(f"a plane shows two codes, this model has {self.n_latent}; use traverse")
        return self._means(plane(count("side", side), self.xp, self.dtype))

    def _chosen(self, units: Any) -> list[int]:
        """A choice of codes, those counted from the end by their places; all where it is None."""
        n, chosen = self.n_latent, range(self.n_latent) if units is None else [int(unit) for unit in units]
        if not all(-n <= unit < n for unit in chosen):
            raise ValueError(f"units={units!r}; the codes of this model are 0 ... {n - 1}")
        return [unit % n for unit in chosen]

    def _means(self, z: Any) -> Any:
        """Means of p(x | z) at codes [..., n_latent]."""
        found = self.visible_given_latent(z.reshape(-1, self.n_latent)).mean
        return found.reshape((*z.shape[:-1], found.shape[-1]))


def plane(side: int, xp: Any, dtype: str, line: Any = None) -> Any:
    """Pairs of codes at equal steps of probability of N(0, I), [side, side, 2]: rows fall, columns rise.

    ``line`` [side] are such codes of another prior.

    >>> import numpy as np
    >>> plane(2, np, "float64").round(2).tolist()
    [[[-0.67, 0.67], [0.67, 0.67]], [[-0.67, -0.67], [0.67, -0.67]]]
    """
    if line is None:
        places = [NormalDist().inv_cdf((i + 0.5) / side) for i in range(side)]
        line = xp.asarray(places, dtype=dtype)
    across = xp.broadcast_to(line[None, :], (side, side))
    down = xp.broadcast_to(line[::-1][:, None], (side, side))
    return xp.stack([across, down], axis=-1)
