"""A model seen through the names of its methods: no base class is asked for."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidgm.backend import asarray, get_backend
from minidgm.checks.comparison import host

MAX_JOINT = 64
MAX_STATES = 2**16
SMALL = {"n_visible": 3, "n_hidden": 2}
SIZES = {"visible": ("n_visible", "num_visible", "n_v"), "hidden": ("n_hidden", "num_hidden", "n_h")}


@dataclass(frozen=True)
class Domain:
    """The values of one side: ``states`` [m, n] where they can be listed, else ``kind`` says which reals.

    A side whose columns differ has kind "mixed", and ``mixed`` names the kind of each.
    """

    n: int
    kind: str
    states: Any = None
    mixed: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of every column."""
        return self.mixed or (self.kind,) * self.n

    @property
    def n_reals(self) -> int:
        """Columns that are not bits."""
        return sum(kind != "bernoulli" for kind in self.kinds)

    @property
    def discrete(self) -> bool:
        """Whether the values can be listed."""
        return self.states is not None


class Subject:
    """What :func:`minidgm.checks.check_model` needs from a model: parameters, domains, calls.

    Parameters
    ----------
    model : class or instance
        A class is constructed as ``Class(n_visible=3, n_hidden=2)`` as far as its signature has these names.
        An instance is copied, so that it is left as it was; where it is too large to enumerate, a small twin
        of the same configuration (``model.config()``) takes its place, and ``notes`` says so.
    backend, dtype : str, optional
        For models whose constructor takes them.

    Raises
    ------
    TypeError
        When the class cannot be constructed, or has no parameters to draw; the message says what was looked
        for.
    """

    def __init__(
        self,
        model: Any,
        backend: str | None = None,
        dtype: str | None = None,
        objectives: Mapping[str, Any] | None = None,
    ):
        self._objectives = dict(objectives or {})
        self.notes: list[str] = []
        if inspect.isclass(model):
            self.name = model.__name__
            self.model = _construct(model, backend, dtype)
        else:
            self.name = type(model).__name__
            self.model = self._copy(model, backend, dtype)
        self.model_class = type(self.model)
        self.parameter_names = list(self.parameters)
        if not self.parameter_names:
            raise TypeError(
                f"{self.name} has no parameters to draw: give it a dict of arrays `params`, "
                "or floating-point arrays as attributes"
            )
        self.visible = self._domain("visible")
        self.hidden = self._domain("hidden")
        self._check_states(self.n_joint)

    # Parameters

    @property
    def parameters(self) -> dict[str, Any]:
        """Named arrays: the model's mapping ``params``, or else its floating-point array attributes."""
        return parameters_of(self.model)

    @property
    def float32(self) -> bool:
        """Whether any parameter has less than double precision."""
        return any(
            np.dtype(str(p.dtype)).itemsize < 8 for p in self.parameters.values() if p.dtype.kind == "f"
        )

    @property
    def backend(self) -> str:
        """Backend of the parameters."""
        return get_backend(next(iter(self.parameters.values()))) or "numpy"

    @property
    def dtype(self) -> str:
        """Working precision, ``"float32"`` or ``"float64"``."""
        return "float32" if self.float32 else "float64"

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """Write values into the model's own arrays (in place, so that aliases see them)."""
        set_parameters(self.model, values)

    # Methods

    def has(self, name: str) -> bool:
        """Whether the model has a method of this name (dotted names reach into attributes)."""
        if name == "gibbs_step" and not self.takes("gibbs_step", "rng"):
            return False
        if name in getattr(self.model, "of_sequences", ()):  # its rows are no independent examples
            return False
        if name in getattr(self.model, "intractable", ()):  # it only says what to call instead
            return False
        if name in getattr(self.model, "intractable", ()):  # a method that its structure leaves unanswered
            return False
        found: Any = self.model
        for part in name.split("."):
            found = getattr(found, part, None)
        return callable(found)

    def takes(self, method: str, argument: str, optional: bool = False) -> bool:
        """Whether a method's signature has an argument of this name (with a default, if ``optional``)."""
        found = getattr(self.model, method, None)
        try:
            accepted = inspect.signature(found).parameters if callable(found) else {}
        except (TypeError, ValueError):
            return False
        return argument in accepted and not (
            optional and accepted[argument].default is inspect.Parameter.empty
        )

    def objective(self, name: str) -> Any:
        """Gradient estimator of this name: the given one, else the library's."""
        from minidgm import registry

        return self._objectives.get(name) or registry.objectives()[name]

    def cannot_train(self, name: str) -> str:
        """Say why an objective does not apply to this model, or ``""``."""
        if not self.of_library:
            return "needs minidgm.model.Model"
        obstacle = getattr(self.objective(name), "obstacle", None)
        return (obstacle(self.model) or "") if callable(obstacle) else ""

    @property
    def of_library(self) -> bool:
        """Whether the model has this library's base class."""
        from minidgm.model import Model

        return isinstance(self.model, Model)

    # Domains

    @property
    def n_joint(self) -> float:
        """Number of joint states; infinite where a side is continuous."""
        sides = [self.visible, self.hidden]
        return math.prod(len(s.states) if s.discrete else 1 for s in sides)

    @property
    def discrete(self) -> bool:
        """Whether both sides can be listed."""
        return self.visible.discrete and self.hidden.discrete

    def cannot_list(self, largest: int = 2**16) -> str:
        """Say why joint states cannot be listed, or are more than ``largest``; else ``""``."""
        if not self.discrete:
            return "needs units that can be listed"
        return "" if self.n_joint <= largest else f"needs at most {largest} joint states"

    def _domain(self, side: str) -> Domain:
        listed = getattr(self.model, f"{side}_states", None)
        if callable(listed) and not inspect.signature(listed).parameters:
            states = host(listed())
            return Domain(states.shape[1], "listed", states)
        n = self._size(side)
        unit: Any = getattr(self.model, side, None)
        if isinstance(unit, str):
            from minidgm.boltzmann.units import from_name

            unit = from_name(unit)
        if hasattr(unit, "kinds"):
            return Domain(n, "mixed", mixed=unit.kinds(n))
        if not hasattr(unit, "states"):
            self._check_states(2.0**n)
            return Domain(n, "bernoulli", enumerate_states(n))
        if math.isinf(unit.n_states(n)):
            return Domain(n, "nonnegative" if "rectified" in unit.name else "real")
        self._check_states(unit.n_states(n))
        return Domain(n, unit.name, host(unit.states(n)))

    def _check_states(self, count: float) -> None:
        if count > MAX_STATES:
            raise TypeError(
                f"{self.name} has at least {count:.3g} states, too many to enumerate; pass the class, "
                "a smaller instance, or give it a method config() that returns its constructor's arguments"
            )

    def _size(self, side: str) -> int:
        for name in SIZES[side]:
            if isinstance(getattr(self.model, name, None), (int, np.integer)):
                return int(getattr(self.model, name))
        if side == "hidden" and self.energy_arguments() == 1:
            return 0
        W = self.parameters.get("W")
        if W is not None and W.ndim == 2:
            return int(W.shape[0 if side == "visible" else 1])
        b = self.parameters.get("b")
        if side == "visible" and b is not None and b.ndim == 1:
            return int(b.shape[0])
        if side == "hidden" and not callable(getattr(self.model, "energy", None)):
            return 0
        raise TypeError(f"cannot tell how many {side} units {self.name} has; give it an attribute n_{side}")

    def energy_arguments(self) -> int:
        """Number of arrays that ``energy`` takes: 2 for (v, h), 1 for a model without hidden units."""
        energy = getattr(self.model, "energy", None)
        if not callable(energy):
            return 0
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        arguments = inspect.signature(energy).parameters.values()
        return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in arguments)

    # Construction

    def _copy(self, model: Any, backend: str | None, dtype: str | None) -> Any:
        options = {}
        if backend is not None or dtype is not None:
            if not hasattr(model, "to"):
                raise TypeError(
                    f"{self.name} has no method to(backend, dtype), so backend= and dtype= mean nothing"
                )
            options = {"backend": backend, "dtype": dtype}
        if _is_small(model):
            return model.to(**options) if options else copy.deepcopy(model)
        if not callable(getattr(model, "config", None)):
            return copy.deepcopy(model)
        chosen = {
            "backend": backend or getattr(model, "backend", None),
            "dtype": dtype or getattr(model, "dtype", None),
        }
        chosen = {key: value for key, value in chosen.items() if value is not None}
        if callable(getattr(type(model), "small", None)):
            twin = type(model).small(like=model, **chosen)
            self.notes.append(f"checked on a small twin whose states can be enumerated, {twin!r}")
            return twin
        config = {**model.config(), **_small_sizes(model)}
        sizes = ", ".join(f"{key}={config[key]}" for key in SMALL if key in config)
        self.notes.append(
            f"checked on a small twin of the same configuration ({sizes}), whose states can be enumerated"
        )
        return type(model)(**config, **chosen)


def parameters_of(model: Any) -> dict[str, Any]:
    """Return the named parameter arrays of any model."""
    params = getattr(model, "params", None)
    if isinstance(params, Mapping):
        return dict(params)
    found = {}
    for name, value in vars(model).items():
        if get_backend(value) is not None and getattr(value, "ndim", 0) >= 1 and value.dtype.kind == "f":
            found[name] = value
    return found


def set_parameters(model: Any, values: Mapping[str, Any]) -> None:
    """Write values into a model's arrays: in place where they are writable floats, else by assignment."""
    for name, value in values.items():
        target = parameters_of(model)[name]
        backend = get_backend(target) or "numpy"
        if target.dtype.kind == "f" and getattr(getattr(target, "flags", None), "writeable", True):
            target[...] = asarray(value, backend, str(target.dtype))
        elif isinstance(getattr(model, "params", None), Mapping):
            model.params[name] = asarray(value, backend, "float64")
        else:
            setattr(model, name, asarray(value, backend, "float64"))


def with_parameters(model: Any, values: Mapping[str, Any]) -> Any:
    """Return a shallow copy of a model that computes with other arrays, traced ones too."""
    if callable(getattr(model, "with_params", None)):
        return model.with_params(dict(values))
    twin = copy.copy(model)
    if isinstance(getattr(model, "params", None), Mapping):
        twin.params = dict(values)
    else:
        for name, value in values.items():
            setattr(twin, name, value)
    return twin


def enumerate_states(n: int, values: tuple[float, ...] = (0.0, 1.0)) -> np.ndarray:
    """List every configuration of ``n`` units, [len(values)^n, n], float64; unit 0 changes fastest.

    Examples
    --------
    >>> enumerate_states(2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> enumerate_states(3, values=(-1, 1)).shape
    (8, 3)
    """
    k = len(values)
    digits = np.arange(k**n)[:, None] // k ** np.arange(n)[None, :] % k
    return np.asarray(values, dtype=np.float64)[digits].reshape(k**n, n)


def _construct(model_class: Any, backend: str | None, dtype: str | None) -> Any:
    if callable(getattr(model_class, "small", None)):
        return model_class.small(dtype=dtype or "float64", **({"backend": backend} if backend else {}))
    try:
        accepted = set(inspect.signature(model_class).parameters)
    except (TypeError, ValueError):
        accepted = set()
    options: dict[str, Any] = {key: value for key, value in SMALL.items() if key in accepted}
    options |= {"dtype": dtype or "float64"} if "dtype" in accepted else {}
    options |= {"backend": backend} if "backend" in accepted and backend else {}
    try:
        return model_class(**options)
    except TypeError as error:
        arguments = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise TypeError(
            f"{model_class.__name__}({arguments}) does not construct: {error}. "
            "Pass an instance instead, or let the other arguments have defaults"
        ) from error


def _units(model: Any) -> dict[str, Any]:
    return {side: getattr(model, side, None) for side in SIZES}


def _is_small(model: Any) -> bool:
    total = 1.0
    for side, unit in _units(model).items():
        n = next((getattr(model, name) for name in SIZES[side] if hasattr(model, name)), 0)
        states = unit.n_states(n) if hasattr(unit, "n_states") else 2.0 ** int(n)
        if math.isinf(states):
            total *= 1.0 if n <= 2 else math.inf
        else:
            total *= states
    return total <= MAX_JOINT


def _small_sizes(model: Any) -> dict[str, int]:
    sizes = {}
    for side, unit in _units(model).items():
        name = f"n_{side}"
        given = getattr(model, name, None)
        if not given:
            continue
        k = getattr(unit, "k", 1)
        continuous = hasattr(unit, "n_states") and math.isinf(unit.n_states(k))
        sizes[name] = min(given, 2 * k if k > 1 or continuous else SMALL[name])
    return sizes
