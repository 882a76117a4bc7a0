"""The distribution of a `GaussianRBM` in natural parameters, as an `RBM` with Gaussian visible units.

    RBM:          lambda |v|^2 / 2 - b'.v - c'.h - v^T W' h
    GaussianRBM:  |z|^2 / 2 - c.h - z^T W h,      z = v / sigma - b,      lambda = 1 / sigma^2

agree up to |b|^2 / 2 with W' = W / sigma, b' = b / sigma and c' = c - b W. Annealing works on the former.
"""

from __future__ import annotations

from typing import Any

from minidgm.boltzmann.energy_model import TwoSidedModel
from minidgm.boltzmann.rbm import RBM

__all__ = ["NaturalTwin"]


class NaturalTwin(TwoSidedModel):
    """Part of `GaussianRBM`: to natural parameters and back, and annealing in them."""

    n_hidden: int

    def natural(self) -> RBM:
        """The same distribution as an `RBM` with Gaussian visibles: E differs by |b|^2 / 2, a constant.

        W / sigma, b / sigma, c - b W and the same precisions: what annealing works on.
        """
        twin = RBM(self.n_visible, self.n_hidden, "gaussian", backend=self.backend, dtype=self.dtype)
        W, b, c, log_precision = (self.params[name] for name in ("W", "b", "c", "visible_log_precision"))
        root = self.xp.exp(0.5 * log_precision)
        twin.params["W"][...], twin.params["b"][...] = root[:, None] * W, root * b
        twin.params["c"][...], twin.params["visible_log_precision"][...] = c - b @ W, log_precision
        return twin

    @classmethod
    def from_natural(cls, rbm: RBM) -> Any:
        """The inverse of `natural`: the distribution of an `RBM` with Gaussian visibles and hidden bits."""
        make: Any = cls
        twin = make(rbm.n_visible, rbm.n_hidden, rbm.centered, backend=rbm.backend, dtype=rbm.dtype)
        W, b, c, log_precision = (rbm.params[name] for name in ("W", "b", "c", "visible_log_precision"))
        sigma = rbm.xp.exp(-0.5 * log_precision)
        twin.params["W"][...], twin.params["b"][...] = sigma[:, None] * W, sigma * b
        twin.params["c"][...] = c + twin.params["b"] @ twin.params["W"]
        twin.params["visible_log_precision"][...] = log_precision
        return twin

    def path_from_base(self, base: Any) -> tuple[Any, float]:
        """Annealing path from independent normals (natural biases ``base``) and the base's log Z."""
        from minidgm.evaluation.annealing import path_from_base

        path, log_z = path_from_base(self.natural(), base)
        b = self.params["b"].astype("float64")
        return path, log_z - 0.5 * float(b @ b)
