"""The gradient oracle: autograd on a density, never on a hand-written gradient, in float64.

One random directional central difference guards it: an energy that leaves autograd's namespace
(``np.asarray``, a mask, an alias of a parameter) can give a wrong gradient without an error. Where the two
disagree, at a second, smaller step as well (an energy of steep higher derivatives is no polynomial over the
first), or autograd fails, the answer is built from central differences alone, and says so.

>>> import numpy as np
>>> from minidgm import RBM
>>> rbm = RBM(3, 2, dtype="float64", seed=0)
>>> v, h = np.ones((1, 3)), np.ones((1, 2))
>>> g = gradient(rbm, lambda model: model.energy(v, h).sum())
>>> g.method, g["b"].tolist()
('autograd', [-1.0, -1.0, -1.0])
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minidgm.checks.comparison import distance, host
from minidgm.checks.subject import parameters_of, set_parameters, with_parameters

AGREEMENT = 1e-5
STEPS = (1e-3, 1e-4)  # of the guard: the first has less rounding, the second less curvature
TOLERANCE = {"autograd": None, "central differences": 2e-6}


class Gradients(dict[str, np.ndarray]):
    """Gradients by name; ``method``: how they were found; ``tolerance``: how far to trust them, or None."""

    def __init__(self, values: Mapping[str, Any], method: str):
        super().__init__(values)
        self.method = method
        self.tolerance = TOLERANCE[method]


def reference(model: Any) -> Any:
    """Return a copy of the model on the host in float64, with the same parameter values.

    A model with a method ``to(backend, dtype)`` is asked for it; another one is copied deeply, and parameters
    of lower precision are replaced by float64 arrays.
    """
    if callable(getattr(model, "to", None)):
        return model.to(backend="numpy", dtype="float64")
    twin = copy.deepcopy(model)
    values = parameters_of(twin)
    if all(value.dtype == np.float64 for value in values.values()):
        return twin
    return with_parameters(twin, {name: host(value) for name, value in values.items()})


def gradient(model: Any, f: Callable[[Any], Any], guard: bool = True) -> Gradients:
    """Differentiate ``f(model)`` in every parameter.

    Parameters
    ----------
    model : object
        Any model; its float64 reference on the host is what ``f`` sees.
    f : callable
        ``f(model) -> scalar``, through traceable methods such as ``energy``.
    guard : bool
        Whether to compare with a directional central difference, of two steps if need be.

    Returns
    -------
    Gradients
        dict of float64 arrays with the parameters' names and shapes, and the method used.

    Raises
    ------
    ValueError
        When ``f`` is not a finite scalar at the model's parameters.
    """
    twin = reference(model)
    values = {name: host(value) for name, value in parameters_of(twin).items()}
    here = host(f(twin))
    if here.size != 1 or not np.isfinite(here).all():
        raise ValueError(f"the oracle differentiates a finite scalar, f(model) gave {here}")
    found = _autograd(twin, f, values)
    if found is not None:
        if not guard:
            return Gradients(found, "autograd")
        direction = _direction(values)
        actual = sum(float((found[name] * direction[name]).sum()) for name in values)
        # The shorter step is for functions of strong curvature, such as nets on top of nets.
        differences = (directional(twin, f, direction, step) for step in (1e-3, 1e-4))
        if any(distance([actual], [expected]) <= AGREEMENT for expected in differences):
            return Gradients(found, "autograd")
    return Gradients(_differences(twin, f, values), "central differences")


def directional(
    model: Any, f: Callable[[Any], Any], direction: Mapping[str, Any], step: float = STEPS[0]
) -> float:
    """Derivative of ``f(model)`` along ``direction``, by a fourth-order central difference.

    (8 (f(+s) - f(-s)) - (f(+2s) - f(-2s))) / 12 s, with s = ``step`` over the largest entry of ``direction``.
    """
    scale = max([float(np.abs(d).max()) for d in direction.values() if np.size(d)], default=0.0)
    if scale == 0.0:
        return 0.0
    s = step / scale
    twin = copy.deepcopy(reference(model))
    values = {name: host(value).copy() for name, value in parameters_of(twin).items()}

    def at(t: float) -> float:
        set_parameters(twin, {name: values[name] + t * host(d) for name, d in direction.items()})
        return float(host(f(twin)).reshape(()))

    return (8.0 * (at(s) - at(-s)) - (at(2.0 * s) - at(-2.0 * s))) / (12.0 * s)


def derivative(f: Callable[[Any], Any], x: Any) -> np.ndarray:
    """Differentiate a scalar function of one host array, by autograd."""
    from autograd import grad

    return np.asarray(grad(f)(host(x)))


def _autograd(
    model: Any, f: Callable[[Any], Any], values: dict[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    from autograd import grad  # a missing autograd is an error, a failing trace is not

    def traced(params: dict[str, Any]) -> Any:
        return f(with_parameters(model, params))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = grad(traced)(values)
        return {
            name: np.asarray(found[name], dtype=np.float64).reshape(values[name].shape) for name in values
        }
    except Exception:  # whatever the user's code does with a traced array: differences take over
        return None


def _direction(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    rng = np.random.Generator(np.random.SFC64(20160417))
    return {name: rng.uniform(-1.0, 1.0, size=value.shape) for name, value in values.items()}


def _differences(
    model: Any, f: Callable[[Any], Any], values: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    found = {}
    for name, value in values.items():
        flat = np.zeros(value.size)
        for i in range(value.size):
            unit = np.zeros(value.size)
            unit[i] = 1.0
            flat[i] = directional(model, f, {name: unit.reshape(value.shape)})
        found[name] = flat.reshape(value.shape)
    return found
