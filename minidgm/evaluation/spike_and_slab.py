"""Annealing path of the spike-and-slab RBM: from independent normals, by turning the spikes' fields up.

    log f_beta(x) = -x.Lambda x / 2 + sum_i log(2 pi / alpha_i) / 2 + sum_i softplus(beta a_i(x))

At beta the model is again an ssRBM (`SpikeAndSlabRBM.weakened`), so that its Gibbs sweep serves; its
covariances lie between those of the ends and keep their definiteness.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.evaluation.path import Path
from minidgm.numerics import softplus


class SpikeAndSlabPath(Path):
    """Path to an ssRBM from N(0, Lambda^-1); states are x [n, n_visible]."""

    sweeps = "block"

    def __init__(self, model: Any):
        self.a, self.b = model.weakened(0.0), model

    def log_increment(self, state: Any, here: float, there: float) -> Any:
        a = self.b.hidden_field(state)
        change = softplus(there * a) - softplus(here * a)
        return get_xp(a).sum(change, axis=-1, dtype="float64")

    def sweep(self, state: Any, beta: float, rng: Any) -> Any:
        return self.b.weakened(beta).gibbs_step(state, None, rng)[0]

    def sample_base(self, n: int, rng: Any) -> Any:
        """Independent draws [n, n_visible] from N(0, Lambda^-1)."""
        return self.b.start(n, rng)

    def log_constants(self) -> Any:
        return 0.0
