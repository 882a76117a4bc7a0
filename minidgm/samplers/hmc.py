"""Hamiltonian Monte Carlo on any differentiable energy (Duane et al. 1987; Neal 2011; Deep Learning, 17.5.3).

Each row of v gets a momentum p ~ N(0, I), and both move along the Hamiltonian H(v, p) = U(v) + p.p / 2 by L
leapfrog steps of size eps,

    p <- p - eps/2 dU(v),     v <- v + eps p,     p <- p - eps/2 dU(v).

Each of the three lines shears (v, p), so that the map preserves volume; with p negated at the end it is its
own inverse. Accepting the end with probability

    min(1, exp(H(v, p) - H(v', p')))

therefore keeps exp(-H), hence exp(-U), in detailed balance, whatever eps is. The energy error after a
trajectory of fixed length is O(eps^2).

**Step size.** All chains share one, which is part of the state and stays on the device. After a trajectory
log eps grows by ``adaptation`` times (mean acceptance - target): 2 % when everything is accepted at the
defaults, less 16 % when nothing is. A step size that follows the chains' past is no longer exactly invariant;
``adaptation=0`` freezes it.

U is ``model.free_energy`` with ``model.free_energy_input_gradient``, or else ``model.energy`` of v alone with
``model.energy_input_gradient``. A model that also has ``input_gradient_in_place(m, scratch)``, which returns
a function ``fill(v, out)``, is moved in buffers.

>>> import numpy as np
>>> from minidgm import Generator, MeanCovarianceRBM
>>> model, rng = MeanCovarianceRBM(4, 3, 2, seed=0), Generator(0)
>>> state = init(np.zeros((5, 4), dtype="float32"), step_size=0.3)
>>> state, info = step(model, state, rng)
>>> state.v.shape, info.accepted.shape
((5, 4), (5,))
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from minidgm.arguments import count, real
from minidgm.backend import get_backend, get_xp
from minidgm.workspace import Workspace

__all__ = ["HMCInfo", "HMCState", "init", "leapfrog", "leapfrog_in_place", "step", "warn_if_stuck"]

N_LEAPFROG = 20
TARGET = 0.9
ADAPTATION = 0.2


class HMCState(NamedTuple):
    """Chains v [m, d] and the step size they share, [1]."""

    v: Any
    step_size: Any


class HMCInfo(NamedTuple):
    """What the last trajectory did.

    ``acceptance`` [1] is the mean acceptance probability, ``accepted`` [m] has 1 where a chain moved, and
    ``energy_error`` [m] is H at the end less H at the start (NaN or infinite where the path diverged).
    """

    acceptance: Any
    accepted: Any
    energy_error: Any


def init(v: Any, step_size: float = 0.1) -> HMCState:
    """Start chains at ``v`` [m, d]."""
    size = real("step_size", step_size, positive=True)
    return HMCState(v, get_xp(v).full(1, size, dtype=v.dtype))


def step(
    model: Any,
    state: HMCState,
    rng: Any,
    n_leapfrog: int = N_LEAPFROG,
    target: float = TARGET,
    adaptation: float = ADAPTATION,
    scratch: Workspace | None = None,
) -> tuple[HMCState, HMCInfo]:
    """Move every chain by one trajectory, then adapt the step size.

    Parameters
    ----------
    model : object
        With an energy of v [m, d] and its gradient, see above.
    state : HMCState
        Left as it is.
    rng : Generator
        Draws m d normals and m uniforms.
    n_leapfrog : int
        Leapfrog steps of a trajectory, each one gradient.
    target : float
        Wanted mean acceptance probability, below 1.
    adaptation : float
        Gain of the step size's logarithm; 0 freezes it.
    scratch : Workspace, optional
        Buffers to use again from call to call.

    Returns
    -------
    (HMCState, HMCInfo)
        Everything on the device: nothing is read.
    """
    v, step_size = state
    xp = get_xp(v)
    energy, gradient = _potential(model)
    p = rng.normal(v.shape, dtype=str(v.dtype))
    with _quiet(v):
        kinetic = xp.sum(p * p, axis=1)
        if hasattr(model, "input_gradient_in_place"):
            work = Workspace() if scratch is None else scratch
            end = v.copy()
            fill = model.input_gradient_in_place(v.shape[0], work)
            leapfrog_in_place(fill, end, p, step_size, n_leapfrog, work)
        else:
            end, p = leapfrog(gradient, v, p, step_size, n_leapfrog)
        potential = energy(xp.concatenate([v, end]))
        kinetic = xp.sum(p * p, axis=1) - kinetic
        error = potential[v.shape[0] :] - potential[: v.shape[0]] + 0.5 * kinetic
        # A path that diverged has an error that is infinite or NaN: rejected.
        probability = xp.where(error == error, xp.exp(xp.minimum(-error, 0.0)), 0.0)
        accepted = rng.uniform((v.shape[0],), dtype=str(v.dtype)) < probability
        v = xp.where(accepted[:, None], end, v)
        acceptance = xp.sum(probability, axis=0, keepdims=True) / max(v.shape[0], 1)
        if adaptation:
            step_size = step_size * xp.exp(adaptation * (acceptance - target))
    return HMCState(v, step_size), HMCInfo(acceptance, accepted.astype(v.dtype), error)


def leapfrog(
    gradient: Callable[[Any], Any], v: Any, p: Any, step_size: Any, n: int = N_LEAPFROG
) -> tuple[Any, Any]:
    """``n`` leapfrog steps from (v, p), each [m, d]; neighboring half steps of p are taken as one."""
    count("n_leapfrog", n)
    p = p - 0.5 * step_size * gradient(v)
    for _ in range(n - 1):
        v = v + step_size * p
        p = p - step_size * gradient(v)
    v = v + step_size * p
    return v, p - 0.5 * step_size * gradient(v)


def leapfrog_in_place(
    fill: Callable[[Any, Any], None], v: Any, p: Any, step_size: Any, n: int, scratch: Workspace
) -> None:
    """The hot twin of `leapfrog`: moves ``v`` and ``p`` themselves; ``fill(v, out)`` writes the gradient.

    It goes by q = eps p, which v moves by as it is: q <- q - eps^2 dU(v), v <- v + q.
    """
    count("n_leapfrog", n)
    xp, g = get_xp(v, p), scratch.array("force", v.shape, v)
    square = step_size * step_size
    half = 0.5 * square
    xp.multiply(p, step_size, out=p)
    fill(v, g)
    xp.subtract(p, xp.multiply(g, half, out=g), out=p)
    for i in range(n):
        xp.add(v, p, out=v)
        fill(v, g)
        xp.subtract(p, xp.multiply(g, square if i + 1 < n else half, out=g), out=p)
    xp.divide(p, step_size, out=p)


def warn_if_stuck(acceptance: float, step_size: float, where: str = "HMC") -> None:
    """Warn when nothing was accepted; called between epochs or after a run, since it needs host numbers."""
    if not acceptance > 1e-3:
        warnings.warn(
            f"{where} rejected everything (mean acceptance {acceptance:.2g}) at step size {step_size:.3g}: "
            "start from a smaller step_size, let it adapt over more trajectories, or lower the learning rate "
            "if the parameters have grown",
            RuntimeWarning,
            stacklevel=3,
        )


def _potential(model: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    for name in ("free_energy", "energy"):
        if hasattr(model, name) and hasattr(model, f"{name}_input_gradient"):
            return getattr(model, name), getattr(model, f"{name}_input_gradient")
    raise TypeError(
        f"{type(model).__name__} has no free_energy(v) with free_energy_input_gradient(v), nor energy(v) "
        "with energy_input_gradient(v): HMC needs an energy and its gradient in v"
    )


def _quiet(v: Any) -> Any:
    """No NumPy warnings from paths that overflow: they are rejected."""
    import numpy as np

    return np.errstate(all="ignore") if get_backend(v) == "numpy" else contextlib.nullcontext()
