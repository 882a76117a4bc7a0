"""Walks through the codes of one layer out of several: the layers below follow by the means of p."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidgm.arguments import count
from minidgm.latent.walks import Walks, plane

__all__ = ["HierarchicalWalks"]


class HierarchicalWalks(Walks):
    """What a model with ``split``, ``down`` and ``n_codes`` can show of each layer; a base of it."""

    n_codes: tuple[int, ...]
    depth: int
    split: Any
    down: Any

    def visible_given_layer(self, layer: int, z: Any) -> Any:
        """p(x | z_1) at the codes z_1 to which codes z_l [n, n_l] lead by the means m of p, layer by layer.

        Raises
        ------
        ValueError
            For a layer that there is not, or codes of another width.
        """
        self._check_layer(layer, z)
        for i in range(layer, 1, -1):
            z = self.down(i, z)[0].mean
        return self.visible_given_latent(z)

    def reconstruct(self, x: Any, layer: int = 1) -> Any:
        """Mean of p(x | z_1), [n, n_visible], from what one layer keeps of x: means sent upward."""
        self._check_layer(layer)
        return self.visible_given_layer(layer, self.split(self.transform(x))[layer - 1]).mean

    def _check_layer(self, layer: int, z: Any = None) -> None:
        """Refuse a layer that there is not, and codes z that are not as wide as it."""
        known = 1 <= count("layer", layer) <= self.depth
        if not known or (z is not None and z.shape[-1] != self.n_codes[layer - 1]):
            codes = "" if z is None else f" with {z.shape[-1]} codes"
            raise ValueError(
                f"layer {layer}{codes}; the layers of this model have n_codes={self.n_codes}, the first is 1"
            )

    def traverse(
        self, x: Any, values: Sequence[float] = (-2.0, -1.0, 0.0, 1.0, 2.0), units: Any = None
    ) -> Any:
        """Means of p(x | z_1) as one code of a row takes other values, [n_units, n_values, n_visible].

        Parameters
        ----------
        x : array [1, n_visible]
            The other codes of the layer stay at theirs; the layers below follow.
        values : sequence of float
        units : sequence of int, optional
            Which codes, counted through the layers from the first; by default all.

        Raises
        ------
        ValueError
            For more than one row, or a code that there is not.
        """
        xp, z = self.xp, self.transform(x)
        if z.shape[0] != 1:
            raise ValueError(f"x has {z.shape[0]} rows; a traversal starts at one")
        steps = xp.asarray(list(values), dtype=self.dtype)[:, None]
        found = []
        for unit in self._chosen(units):
            one = self.split(xp.eye(self.n_latent, dtype=self.dtype)[unit])
            layer = next(i for i in range(1, self.depth + 1) if unit < sum(self.n_codes[:i]))
            here, there = self.split(z)[layer - 1], one[layer - 1]
            found.append(self.visible_given_layer(layer, here * (1.0 - there) + steps * there).mean)
        return xp.stack(found)

    def manifold(self, side: int = 20) -> Any:
        """Means of p(x | z_1) over the plane of the two highest codes, as for `VAE`, [side, side, n_visible].

        Raises
        ------
        ValueError
            When the highest layer has another number of codes than two.
        """
        if self.n_codes[-1] != 2:
            raise ValueError(f"a plane shows two codes, the highest has {self.n_codes[-1]}; use traverse")
        z = plane(count("side", side), self.xp, self.dtype)
        found = self.visible_given_layer(self.depth, z.reshape(-1, 2)).mean
        return found.reshape((side, side, found.shape[-1]))
