"""A model seen through the names of its methods: no base class is asked for."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minidgm.backend import get_backend
from minidgm.checks.comparison import host
from minidgm.checks.domain import Domain, enumerate_states
from minidgm.checks.parameters import parameters_of, set_parameters, with_parameters
from minidgm.checks.small import SIZES, SMALL, construct, is_small, small_sizes

__all__ = ["Domain", "Subject", "enumerate_states", "parameters_of", "set_parameters", "with_parameters"]

MAX_STATES = 2**16


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
            self.model = construct(model, backend, dtype)
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
        if is_small(model):
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
        config = {**model.config(), **small_sizes(model)}
        sizes = ", ".join(f"{key}={config[key]}" for key in SMALL if key in config)
        self.notes.append(
            f"checked on a small twin of the same configuration ({sizes}), whose states can be enumerated"
        )
        return type(model)(**config, **chosen)
