"""Annealing between free energies of real values, with Hamiltonian Monte Carlo as the transition.

    log f_beta(x) = -(1 - beta) F_A(x) - beta F_B(x)

for two models A and B of the same x, whose hidden units are summed out at every beta. The base is a factorial
Gaussian, whose Z is known.

A step size that followed the chains' own past would bias the weights. It is therefore found beforehand, for
every temperature, by a few pilot chains whose weights are thrown away, and is fixed for the chains that
count: given the pilot each transition leaves f_beta exactly invariant and is reversible, so that
E[w] = Z_B / Z_A.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from minidgm.evaluation.path import Path
from minidgm.evaluation.schedule import base_biases
from minidgm.samplers import hmc
from minidgm.workspace import Workspace

N_LEAPFROG = 10
N_PILOTS = 20
WARM_UP = 30


class FactorialGaussian:
    """Independent normals with F(x) = lambda.x^2 / 2 - b.x, lambda = exp(log_precision).

    Parameters
    ----------
    b, log_precision : array [n_visible]
    """

    def __init__(self, visible: Any, b: Any, log_precision: Any, xp: Any):
        self.visible, self.b, self.log_precision, self.xp = visible, b, log_precision, xp
        self.n_visible = b.shape[0]

    def free_energy(self, v: Any) -> Any:
        """F(x), [n]."""
        return 0.5 * ((v * v) @ self.xp.exp(self.log_precision)) - v @ self.b

    def free_energy_input_gradient(self, v: Any) -> Any:
        """dF/dx = lambda x - b, [n, n_visible]."""
        return self.xp.exp(self.log_precision) * v - self.b

    def log_partition(self) -> float:
        """log Z = sum_i (b_i^2 / lambda_i + log(2 pi / lambda_i)) / 2, nats."""
        b, log_precision = self.b.astype("float64"), self.log_precision.astype("float64")
        return float(self.visible.cgf(b[None, :], log_precision=log_precision).sum())

    def sample(self, n: int, rng: Any) -> Any:
        """Independent draws, [n, n_visible]."""
        field = self.xp.zeros((n, 1), dtype=self.b.dtype) + self.b
        return self.visible.sample(field, rng, log_precision=self.log_precision)


class Between:
    """The model of free energy (1 - beta) F_A + beta F_B, as HMC asks for one."""

    def __init__(self, a: Any, b: Any, beta: float):
        self.a, self.b, self.beta = a, b, beta

    def free_energy(self, v: Any) -> Any:
        """[n], nats."""
        return (1.0 - self.beta) * self.a.free_energy(v) + self.beta * self.b.free_energy(v)

    def free_energy_input_gradient(self, v: Any) -> Any:
        """[n, n_visible]."""
        first = (1.0 - self.beta) * self.a.free_energy_input_gradient(v)
        return first + self.beta * self.b.free_energy_input_gradient(v)

    def input_gradient_in_place(self, n: int, scratch: Workspace) -> Callable[[Any, Any], None]:
        """The same as a function ``fill(v, out)``; B in its own buffers."""
        fill_b = self.b.input_gradient_in_place(n, scratch)

        def fill(v: Any, out: Any) -> None:
            fill_b(v, out)
            out *= self.beta
            out += (1.0 - self.beta) * self.a.free_energy_input_gradient(v)

        return fill


class FreeEnergyPath(Path):
    """Path from A to B, which have ``free_energy`` and its gradient; states are v [n, n_visible]."""

    sweeps = "HMC"

    def __init__(self, a: Any, b: Any):
        self.a, self.b = a, b
        self.step_sizes: dict[float, Any] = {}
        self._scratch = Workspace()

    def log_increment(self, state: Any, here: float, there: float) -> Any:
        difference = self.a.free_energy(state) - self.b.free_energy(state)
        return (there - here) * difference.astype("float64")

    def sweep(self, state: Any, beta: float, rng: Any) -> Any:
        """One trajectory at ``beta`` with the pilot's step size."""
        chains = hmc.HMCState(state, self.step_sizes[beta])
        return self._step(chains, beta, rng, 0.0)[0].v

    def _step(self, chains: hmc.HMCState, beta: float, rng: Any, adaptation: float) -> Any:
        model = Between(self.a, self.b, beta)
        return hmc.step(model, chains, rng, N_LEAPFROG, hmc.TARGET, adaptation, self._scratch)

    def anneal(self, state: Any, betas: Sequence[float], rng: Any) -> tuple[Any, Any]:
        """As `Path.anneal`, after a pilot that finds a step size for each beta, always from A to B."""
        pilot = FreeEnergyPath(self.a, self.b)  # the blocks of a run may share this path between threads
        pilot.tune(sorted(set(betas)), rng)
        return Path.anneal(pilot, state, betas, rng)

    def tune(self, betas: Sequence[float], rng: Any) -> None:
        """Find a step size for each of the rising ``betas``."""
        chains = hmc.init(self.sample_base(N_PILOTS, rng), 0.1)
        for _ in range(WARM_UP):
            chains, _info = self._step(chains, betas[0], rng, hmc.ADAPTATION)
        self.step_sizes = {betas[0]: chains.step_size}
        for _here, there in pairwise(betas):
            chains, _info = self._step(chains, there, rng, hmc.ADAPTATION)
            self.step_sizes[there] = chains.step_size

    def sample_base(self, n: int, rng: Any) -> Any:
        """States of A: independent draws of a base, approximate ones of a model."""
        return self.a.sample(n, rng)

    def log_constants(self) -> Any:
        return 0.0


def gaussian_base(model: Any, base: Any) -> tuple[FreeEnergyPath, float]:
    """The path to ``model`` from a factorial Gaussian, see `HamiltonianModel.path_from_base`, and its log Z.

    Raises
    ------
    ValueError
        For another shape, a value that is not finite, or an unknown name.
    """
    log_precision = model.params["visible_log_precision"]
    if isinstance(base, tuple) and len(base) == 2:
        base, given = base
        log_precision = base_biases(model, given)
    b = base_biases(model, "biases" if base is None else base)
    start = FactorialGaussian(model.visible, b, log_precision, model.xp)
    return FreeEnergyPath(start, model), start.log_partition()
