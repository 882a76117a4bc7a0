"""A generator that takes every outcome at once: row r follows path r, and the path's probability is kept."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss

from minidgm.backend import Generator


class EveryPath(Generator):
    """Draws that branch over all outcomes, until ``n_paths`` rows are told apart; later draws are constant.

    ``log_prob`` [n_paths] is the log-probability of each row's path. The expectation of anything a sampler
    computes, over all of its randomness, is then a weighted sum over rows: exact for discrete draws, and to
    the accuracy of a Gauss rule with ``nodes`` points for normal and uniform ones.
    """

    def __init__(self, n_paths, nodes=0):
        super().__init__(0)
        self.rest = np.arange(n_paths)
        self.left = n_paths
        self.log_prob = np.zeros(n_paths)
        self.nodes = nodes

    def spawn(self, n):
        assert n == 1, "one block, so that a row is a path"
        return [self]

    def digit(self, base):
        """Branch into ``base`` outcomes: which of them each row takes, or None when all branches are used."""
        if self.left == 1:
            return None
        assert self.left % base == 0, "n_paths is no product of the numbers of outcomes"
        digit, self.rest, self.left = self.rest % base, self.rest // base, self.left // base
        return digit

    def bernoulli_from_logits(self, x, bias=None, out=None, mean=None):
        logits = (x if bias is None else x + bias).reshape(x.shape[0], -1).astype(float)
        width = logits.shape[1]
        digit = self.digit(2**width)
        bits = np.zeros(logits.shape)
        if digit is not None:
            bits = (digit[:, None] >> np.arange(width) & 1).astype(float)
            self.log_prob -= np.logaddexp(0.0, (1.0 - 2.0 * bits) * logits).sum(axis=1)
        out = np.empty_like(x) if out is None else out
        out[...] = bits.reshape(x.shape)
        return out

    def categorical(self, logits, axis=-1):
        groups, k = logits.reshape(logits.shape[0], -1, logits.shape[-1]), logits.shape[-1]
        digit = self.digit(k ** groups.shape[1])
        if digit is None:
            return np.eye(k)[np.zeros(logits.shape[:-1], dtype=int)]
        states = digit[:, None] // k ** np.arange(groups.shape[1]) % k
        one_hot = np.eye(k)[states]
        log_p = groups - np.logaddexp.reduce(groups, axis=-1, keepdims=True)
        self.log_prob += (one_hot * log_p).sum(axis=(1, 2))
        return one_hot.reshape(logits.shape)

    def normal(self, shape, dtype="float64", out=None):
        points, weights = hermegauss(self.nodes)
        return self._node(shape, points, weights / weights.sum())

    def uniform(self, shape, dtype="float64", out=None):
        points, weights = leggauss(self.nodes)
        return self._node(shape, 0.5 * (points + 1.0), 0.5 * weights)

    def _node(self, shape, points, weights):
        assert shape[1] == 1, "one continuous unit"
        digit = self.digit(len(points))
        if digit is None:
            return np.zeros(shape)
        self.log_prob += np.log(weights)[digit]
        return points[digit][:, None]
