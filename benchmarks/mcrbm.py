"""Speed of one HMC step of the mcRBM (and mPoT) beside its matrix products alone, in one run.

    python benchmarks/mcrbm.py [--rounds 9] [--backend numpy|cupy]

A step moves 100 chains by one trajectory of 20 leapfrog steps in float32. ``products`` is the floor: the
matrix products of the 21 gradients of F that 20 leapfrog steps need (x R, its squares P, their means P^T, x
W, and the two products back to x) and nothing else.
Ratios are medians over interleaved rounds. ``plain`` is the
same step with the readable leapfrog, without buffers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from common import interleaved, ratio, write

from minidgm import Generator, MeanCovarianceRBM, MeanProductOfStudentT
from minidgm.backend import namespace, synchronize
from minidgm.samplers import hmc
from minidgm.workspace import Workspace

N_CHAINS, N_LEAPFROG, REPEATS = 100, 20, 5
# Visible, mean and covariance units, factors: patches of 8 x 8, and of 16 x 16 pixels.
SHAPES = [(64, 16, 64, None), (256, 64, 256, None), (256, 64, 256, 256), (256, 256, 1024, None)]


class Plain:
    """A model without its hot gradient: HMC takes the readable leapfrog."""

    def __init__(self, model: Any):
        self.free_energy, self.free_energy_input_gradient = (
            model.free_energy,
            model.free_energy_input_gradient,
        )


def products(model: Any, v: Any, backend: str) -> Callable[[], None]:
    """The products of 21 gradients, into buffers."""
    xp, W, R = namespace(backend), model.params["W"], model.params["R"]
    n, factored = v.shape[0], model.n_factors is not None
    t, m, x = (xp.zeros((n, k), dtype="float32") for k in (R.shape[1], W.shape[1], v.shape[1]))
    u = xp.zeros((n, model.n_covariance), dtype="float32")

    def run() -> None:
        for _ in range((N_LEAPFROG + 1) * REPEATS):
            xp.matmul(v, R, out=t)
            if factored:
                xp.matmul(t, model.params["P"], out=u)
                xp.matmul(u, model.params["P"].T, out=t)
            xp.matmul(t, R.T, out=x)
            xp.matmul(v, W, out=m)
            xp.matmul(m, W.T, out=x)
        synchronize(backend)

    return run


def steps(model: Any, v: Any, backend: str) -> Callable[[], None]:
    state, rng, scratch = hmc.init(v, 0.01), Generator(0, backend), Workspace()

    def run() -> None:
        chains = state
        for _ in range(REPEATS):
            chains, _info = hmc.step(model, chains, rng, N_LEAPFROG, scratch=scratch)
        synchronize(backend)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--backend", default="numpy", choices=("numpy", "cupy"))
    args = parser.parse_args()
    rows = []
    for kind in (MeanCovarianceRBM, MeanProductOfStudentT):
        for d, n_mean, n_covariance, n_factors in SHAPES:
            model = kind(d, n_mean, n_covariance, n_factors, seed=0, backend=args.backend)
            v = Generator(1, args.backend).normal((N_CHAINS, d))
            jobs = {
                "products": products(model, v, args.backend),
                "minidgm": steps(model, v, args.backend),
                "plain": steps(Plain(model), v, args.backend),
            }
            seconds = interleaved(jobs, args.rounds)
            for name in jobs:
                rows.append(
                    {
                        "model": kind.__name__,
                        "visible-mean-covariance": f"{d}-{n_mean}-{n_covariance}",
                        "factors": "one a unit" if n_factors is None else n_factors,
                        "job": name,
                        "ms a step": 1e3 * float(np.median(seconds[name])) / REPEATS,
                        "x products": ratio(seconds, name, "products"),
                    }
                )
    settings = {"chains": N_CHAINS, "leapfrog steps": N_LEAPFROG, "dtype": "float32", "rounds": args.rounds}
    write(f"mcrbm-speed-{'gpu' if args.backend == 'cupy' else 'cpu'}", rows, settings, args.backend)


if __name__ == "__main__":
    main()
