r"""What an estimator of a gradient is worth: bias, variance and signal-to-noise, exactly.

For g(outcome) an estimate of G, with every outcome of its random draws listed with its probability,

    mean = E[g],   bias = |E[g] - G|,   variance = E|g - E[g]|^2,   signal-to-noise = |E[g]| / sqrt(variance).

Bias and variance are of the whole vector of parameters, or of a part: E|g - G|^2 = bias^2 + variance.

The best constant baseline of a score-function estimator g = (f - b) s, s = d log q, minimizes its variance:

    d/db E|(f - b) s|^2 = 0   gives   b* = E[f |s|^2] / E[|s|^2],      V(b* + t) = V(b*) + t^2 E|s|^2.

It is not E[f]: where scores are long, the signal counts more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidgm.backend import to_numpy

LIMIT = 2**14


@dataclass(frozen=True)
class GradientMoments:
    """Moments of one estimator of a gradient, exact over all outcomes (or of samples, if ``n_samples``).

    Attributes
    ----------
    name : str
    mean : array [m]
        E[g], all parameters one after the other.
    exact : array [m]
        The gradient that it estimates.
    variance : array [m]
        Variance of every entry.
    n_samples : int or None
        Number of draws where outcomes were not enumerated.
    """

    name: str
    mean: Any
    exact: Any
    variance: Any
    n_samples: int | None = None

    @property
    def bias(self) -> float:
        """Length of E[g] - G."""
        return float(np.linalg.norm(self.mean - self.exact))

    @property
    def total_variance(self) -> float:
        """E|g - E[g]|^2."""
        return float(self.variance.sum())

    @property
    def signal_to_noise(self) -> float:
        """|E[g]| / sqrt(total variance); infinite without noise."""
        noise = math.sqrt(self.total_variance)
        return float(np.linalg.norm(self.mean)) / noise if noise else math.inf

    def __str__(self) -> str:
        return (
            f"{self.name}: bias {self.bias:.3g}, variance {self.total_variance:.3g}, "
            f"signal-to-noise {self.signal_to_noise:.3g}"
        )


def gradient_moments(
    model: Any,
    objectives: Mapping[str, Any] | Sequence[Any],
    batch: Any,
    exact: Any = None,
    n_samples: int | None = None,
    rng: Any = 0,
    part: str | Sequence[str] = "",
) -> list[GradientMoments]:
    """Moments of each estimator of the gradient of the loss on one batch.

    Parameters
    ----------
    model : Model
        Small enough: every outcome of an estimator's draws is run, at most 16384.
    objectives : mapping of str to Objective, or sequence
        Their state is put back before every outcome, and at the end.
    batch : array [n, n_visible]
    exact : mapping of str to array, optional
        The gradient that is estimated: by default that of minus the mean of ``model.elbo``, without a
        generator, by central differences in float64.
    n_samples : int, optional
        Estimate the moments from so many draws with ``rng`` instead (for draws that are not discrete).
    rng : Generator or int
    part : str or sequence of str
        Beginnings of the names of the parameters to look at: ``("R", "r")`` is a recognition net.

    Returns
    -------
    list of GradientMoments

    Raises
    ------
    ValueError
        When no parameter's name begins with ``part``.
    TypeError
        When an estimator draws from infinitely many outcomes, or too many, and ``n_samples`` is not given.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import SigmoidBeliefNet
    >>> from minidgm.objectives import Reinforce
    >>> net = SigmoidBeliefNet([2, 2], dtype="float64", seed=0)
    >>> plain, centered = gradient_moments(net, [Reinforce(None), Reinforce(-1.0)], np.eye(2), part="R")
    >>> plain.bias < 1e-8, centered.bias < 1e-8
    (True, True)
    """
    if not isinstance(objectives, Mapping):
        objectives = {repr(objective): objective for objective in objectives}
    beginnings = (part,) if isinstance(part, str) else tuple(part)
    names = [name for name in model.params if name.startswith(beginnings)]
    if not names:
        raise ValueError(f"no parameter's name begins with part={part!r}; there are {list(model.params)}")
    target = _flat(bound_gradient(model, batch) if exact is None else exact, names)
    rng = model.generator(rng)
    found = []
    for name, objective in objectives.items():
        state = objective.state
        run = _runner(model, objective, model.check_data(batch), names)
        found.append(GradientMoments(name, *_moments(run, target, n_samples, rng, model.backend), n_samples))
        objective.set_state(state)
    return found


def _runner(model: Any, objective: Any, batch: Any, names: list[str]) -> Callable[[Any], Any]:
    state = objective.state

    def run(rng: Any) -> Any:
        objective.set_state(state)
        return _flat(objective.gradient(model, batch, rng)[0], names)

    return run


def _moments(
    run: Callable[[Any], Any], target: Any, n_samples: int | None, rng: Any, backend: str
) -> tuple[Any, Any, Any]:
    from minidgm.checks.exhaustive import outcomes

    if n_samples is None:
        listed = list(outcomes(run, backend, LIMIT))
        weights = np.asarray([p for p, _ in listed])
        values = np.stack([value for _, value in listed])
    else:
        values = np.stack([run(rng) for _ in range(n_samples)])
        weights = np.full(n_samples, 1.0 / n_samples)
    mean = weights @ values
    return mean, target, weights @ (values - mean) ** 2


def _flat(grads: Mapping[str, Any], names: Sequence[str]) -> Any:
    parts = [np.asarray(to_numpy(grads[name]), dtype=np.float64).reshape(-1) for name in names]
    return np.concatenate(parts) if parts else np.zeros(0)


def bound_gradient(model: Any, batch: Any, step: float = 1e-3) -> dict[str, Any]:
    """Gradient of minus the mean of ``model.elbo(batch)``, enumerated, by fourth-order central differences.

    In float64; the error is below 1e-9 for parameters of ordinary size. A model of m parameters takes 4 m
    enumerations.
    """
    twin = model.to(backend="numpy", dtype="float64")
    x = twin.check_data(to_numpy(batch))
    buffer = twin.params.buffer

    def loss(i: int, value: float, t: float) -> float:
        buffer[i] = value + t
        return -float(twin.elbo(x).mean())

    flat = np.zeros(buffer.size)
    for i in range(buffer.size):
        value = float(buffer[i])
        near, far = (loss(i, value, s) - loss(i, value, -s) for s in (step, 2.0 * step))
        flat[i] = (8.0 * near - far) / (12.0 * step)
        buffer[i] = value
    return dict(type(twin.params)(twin.params.shapes, "numpy", "float64", flat))


def optimal_baseline(probabilities: Any, signal: Any, scores: Any) -> float:
    """The constant b* = E[f |s|^2] / E[|s|^2] that minimizes the variance of (f - b) s.

    Parameters
    ----------
    probabilities : array [m]
        Of the outcomes.
    signal : array [m]
        f.
    scores : array [m, d]
        s = d log q of each outcome.

    Examples
    --------
    >>> import numpy as np
    >>> q = np.array([0.9, 0.1])
    >>> optimal_baseline(q, np.array([0.0, 1.0]), np.array([[-0.1], [0.9]])).__round__(6)
    0.9
    """
    weights = np.asarray(to_numpy(probabilities)) * (np.asarray(to_numpy(scores)) ** 2).sum(axis=1)
    total = float(weights.sum())
    return float(weights @ np.asarray(to_numpy(signal))) / total if total else 0.0
