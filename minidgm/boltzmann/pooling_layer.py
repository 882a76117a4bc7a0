"""The pooling units of a convolutional RBM as a layer of their own: below them, its detectors and pixels.

A pooling unit is on where any detector of its block is. Given that a block is on, exactly one of its K
detectors is, y with probability softmax(x)_y in the fields x = v * W + c of the block; in a block that is off
none is. So pooling units can be held while v and h are drawn: the way down through a stack of such machines.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.convolution import Filters
from minidgm.boltzmann.energy_model import TwoSidedModel
from minidgm.numerics import logsumexp


class PoolingLayer(TwoSidedModel):
    """Part of `ConvolutionalRBM`: from detectors to pooling units and back."""

    maps: Filters
    filters: int
    n_hidden: int
    hidden_field: Any

    def pooled(self, h: Any) -> Any:
        """Pooling units of detectors h [n, n_hidden], [n, filters * P * Q]: whether any of a block is on."""
        xp, n, maps = get_xp(h), h.shape[0], self.maps
        on = xp.sum(xp.reshape(h, (n, maps.P * maps.Q, self.filters, maps.K)), axis=-1)
        return xp.reshape(xp.transpose(on, (0, 2, 1)), (n, self.filters * maps.P * maps.Q))

    def sample_given_pooled(self, pool: Any, rng: Generator, steps: int = 50) -> Any:
        """Draw images from p(v | pooling units), [n, n_visible], by ``steps`` Gibbs sweeps of v and h.

        In a block that is on exactly one detector is, with probability softmax(x); in others none. The chain
        starts from detectors drawn in no field.
        """
        xp, maps, n = self.xp, self.maps, pool.shape[0]
        on = self._per_block(pool)
        x = xp.zeros((n, maps.P * maps.Q, self.filters, maps.K), dtype=self.dtype)
        for step in range(count("steps", steps, 0) + 1):
            h = (rng.categorical(x) * on).reshape(n, self.n_hidden)
            v = self.visible_given_hidden(h).sample(rng)
            if step < steps:
                x = self.hidden_field(v).reshape(x.shape)
        return v

    def reconstruct_given_pooled(self, v: Any, pool: Any) -> Any:
        """Mean of p(v' | h), [n, n_visible], with h the detectors of ``v`` at other pooling probabilities."""
        blocks = self.hidden_field(v).reshape(-1, self.maps.P * self.maps.Q, self.filters, self.maps.K)
        share = get_xp(blocks).exp(blocks - logsumexp(blocks, axis=-1, keepdims=True))
        h = (share * self._per_block(pool)).reshape(v.shape[0], self.n_hidden)
        return self.visible_given_hidden(h).mean

    def _per_block(self, pool: Any) -> Any:
        """Pooling units [n, filters * P * Q] in the order of detectors, [n, P * Q, filters, 1]."""
        xp, maps = get_xp(pool), self.maps
        images = xp.reshape(pool, (pool.shape[0], self.filters, maps.P * maps.Q))
        return xp.transpose(images, (0, 2, 1))[..., None]
