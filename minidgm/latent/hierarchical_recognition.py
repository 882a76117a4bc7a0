"""The recognition model of several layers of codes, from the bottom up."""

from __future__ import annotations

from typing import Any

from minidgm.backend import Generator, get_xp
from minidgm.latent.gaussian import DiagonalNormal


class BottomUp:
    """q(z | x) = q(z_1 | x) q(z_2 | z_1) ...: each layer is normal given the one below.

    Parameters
    ----------
    model : HierarchicalVAE
    x : array [n, n_visible]
    first : DiagonalNormal, optional
        q(z_1 | x), where it is known.

    Attributes
    ----------
    mean : array [n, n_latent]
        Means sent upward: exact for the first layer, those given the means below for the others.
    """

    def __init__(self, model: Any, x: Any, first: DiagonalNormal | None = None):
        self._model = model
        self._first = model.encode(x)[0] if first is None else first

    def _layer(self, layer: int, below: Any) -> DiagonalNormal:
        """q(z_l | z_(l-1)); of the first layer, that of the rows."""
        return self._first if layer == 1 else self._model.up(layer, below)[0]

    def at(self, noise: Any) -> Any:
        """Codes z [n, n_latent] that noise of the same shape makes, layer by layer; traceable."""
        found: list[Any] = []
        for layer, eps in enumerate(self._model.split(noise), 1):
            found.append(self._layer(layer, found[-1] if found else None).at(eps))
        return get_xp(*found).concatenate(found, axis=-1)

    def noise(self, z: Any) -> Any:
        """The noise that makes codes z, [n, n_latent]: (z_l - mu) / sigma."""
        return get_xp(z).concatenate([(z - q.mean) / q.deviation for q, z in self._pairs(z)], axis=-1)

    def sample(self, rng: Generator) -> Any:
        """Draw z [n, n_latent]."""
        shape = (self._first.mean.shape[0], self._model.n_latent)
        return self.at(rng.normal(shape, dtype=str(self._first.mean.dtype)))

    def log_prob(self, z: Any) -> Any:
        """log q(z | x), [n], exact, nats; traceable."""
        return sum(q.log_prob(z) for q, z in self._pairs(z))

    def _pairs(self, z: Any) -> list[tuple[DiagonalNormal, Any]]:
        """q(z_l | z_(l-1)) and z_l, for every layer."""
        codes = self._model.split(z)
        return [(self._layer(layer, codes[layer - 2]), codes[layer - 1]) for layer in self._model.layers]

    @property
    def mean(self) -> Any:
        found = [self._first.mean]
        for layer in self._model.layers[1:]:
            found.append(self._layer(layer, found[-1]).mean)
        return get_xp(*found).concatenate(found, axis=-1)
