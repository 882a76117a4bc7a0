"""Stopping at values that are not finite, with the step, the tensor and the likely cause."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidgm.backend import to_numpy
from minidgm.errors import DivergenceError
from minidgm.parameters import Parameters

SQUARE = "gradient_square"
GROWN = 1e3


class Guard:
    """Watches the loss, the gradient and the parameters of a training.

    A gradient is finite if and only if its square norm is (or else it is too long for its dtype). On the host
    that number is read at every step, before the update; on a device it is kept there and read with the
    metrics, at the end of an epoch and before every checkpoint.
    """

    def __init__(self, params: Parameters):
        self.on_host = params.backend == "numpy"

    def watch(self, grads: Parameters, metrics: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Look at a step before its update; return what to record and whether all is known to be well."""
        if self.on_host:
            with np.errstate(all="ignore"):  # an overflow is what is looked for
                square = float(np.dot(grads.buffer, grads.buffer))
            return metrics, math.isfinite(square) and math.isfinite(metrics.get("loss", 0.0))
        return {**metrics, SQUARE: grads.buffer.dot(grads.buffer)}, True

    @staticmethod
    def first_bad(series: np.ndarray) -> int | None:
        """Return the first step of a recorded series that is not finite."""
        bad = ~np.isfinite(series)
        return int(np.argmax(bad)) if bad.any() else None


def all_finite(params: Parameters) -> bool:
    """Say whether every value is finite (reads a device)."""
    return bool(np.isfinite(to_numpy(params.buffer)).all())


def divergence(
    step: int,
    params: Parameters,
    grads: Parameters | None,
    metrics: dict[str, Any],
    rate: float,
    largest: float,
) -> DivergenceError:
    """Build the error: which tensor, at which step, and what usually makes it so.

    Parameters
    ----------
    step : int
        Number of the step, from 1; 0 before the first.
    params, grads : Parameters
    metrics : dict
        Of that step.
    rate : float
        Learning rate of that step.
    largest : float
        Largest absolute value of the batch.
    """
    found = _first_tensor(params, "parameter") or (grads and _first_tensor(grads, "gradient of"))
    if not found:
        loss = metrics.get("loss")
        found = f"the loss is {float(loss)}" if loss is not None else "the gradient's norm overflowed"
    weights = np.abs(to_numpy(params.buffer))
    peak = float(weights[np.isfinite(weights)].max(initial=0.0))
    if step == 0:
        return DivergenceError(f"{found} before the first step: start from finite parameters")
    if found.startswith("parameter"):
        cause = f"an update overflowed: the learning rate {rate:g} is too large"
    elif peak > GROWN:
        cause = (
            f"the parameters grew to {peak:.3g}: the learning rate {rate:g} is too large for this data; "
            "lower it or pass clip= to the optimizer"
        )
    elif largest > GROWN:
        cause = f"the data reach {largest:.3g}: scale them to about 1"
    elif step == 1:
        cause = "the initial parameters or the objective, since no update was made yet"
    else:
        cause = f"the learning rate {rate:g} is too large, or the objective is not finite everywhere"
    return DivergenceError(f"training diverged at step {step}: {found}; likely cause: {cause}")


def _first_tensor(tensors: Parameters, kind: str) -> str | None:
    for name, value in tensors.items():
        host = to_numpy(value)
        n_bad = int((~np.isfinite(host)).sum())
        if n_bad:
            return f"{kind} {name!r} is not finite in {n_bad} of {host.size} values"
    return None
