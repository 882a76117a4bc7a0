"""Settings of a training: TOML file and command line to checked, complete values, and the objects they make.

A configuration has values (``seed``, ``backend``, ``dtype``) and five tables: ``model``, ``data``,
``objective``, ``optimizer``, ``training``. The keys of a table are the arguments of the thing that its
``name`` names; an unknown one is answered with the nearest.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minidgm import registry
from minidgm.arguments import count
from minidgm.backend import is_array
from minidgm.cli import toml
from minidgm.cli.command import UsageError
from minidgm.errors import DataError, unknown

VALUES: dict[str, Any] = {
    "command": "train",
    "minidgm": None,
    "seed": 0,
    "backend": "numpy",
    "dtype": "float32",
}
TABLES = ("model", "data", "objective", "optimizer", "training")
TRAINING: dict[str, Any] = {
    "epochs": 50,
    "batch_size": 100,
    "patience": None,
    "monitor": None,
    "measure_every": None,
}
SET_BY_VALUES = ("backend", "dtype", "seed")
MEASUREMENTS = 50
LEARNING_RATE = {"SGD": 0.05, "Momentum": 0.02, "Nesterov": 0.02, "Adam": 0.005, "AdamW": 0.005}


def from_file(path: str | Path) -> dict[str, Any]:
    """Read settings from a TOML file and check its keys."""
    config = toml.read(Path(path))
    for key, value in config.items():
        if key not in VALUES and key not in TABLES:
            raise unknown(
                f"key in {path}", key, [*(k for k in VALUES if k not in ("command", "minidgm")), *TABLES]
            )
        if (key in TABLES) != isinstance(value, Mapping):
            expected = "a table" if key in TABLES else "a value"
            raise DataError(f"{path}: {key} = {value!r}, expected {expected}")
    return config


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over others. A table whose ``name`` (or ``file``) changes starts afresh.

    >>> merge({"seed": 1, "model": {"name": "RBM", "n_hidden": 4}}, {"model": {"n_hidden": 8}})
    {'seed': 1, 'model': {'name': 'RBM', 'n_hidden': 8}}
    """
    merged = {key: dict(value) if isinstance(value, Mapping) else value for key, value in base.items()}
    for key, value in over.items():
        if not isinstance(value, Mapping):
            merged[key] = value
            continue
        old = merged.get(key, {})
        renamed = any(k in value and value[k] != old.get(k) for k in ("name", "file"))
        merged[key] = {**({} if renamed else old), **value}
    return merged


def assignments(pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``--set table.key=value`` arguments.

    >>> assignments(["optimizer.momentum=0.9", "seed=3"])
    {'optimizer': {'momentum': 0.9}, 'seed': 3}
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        table, dot, key = name.strip().partition(".")
        if not equals or not table or (dot and not key):
            raise UsageError(f"--set {pair!r}: expected TABLE.KEY=VALUE, e.g. --set optimizer.momentum=0.9")
        if dot and table not in TABLES:
            raise unknown("table", table, TABLES)
        if not dot and table not in SET_BY_VALUES:
            raise unknown("setting", table, [*SET_BY_VALUES, *(f"{t}.KEY" for t in TABLES)])
        if dot:
            settings.setdefault(table, {})[key] = toml.parse_value(text.strip())
        else:
            settings[table] = toml.parse_value(text.strip())
    return settings


class Settings:
    """Checked settings and the objects they describe.

    Attributes
    ----------
    config : dict
        Every setting, defaults included: the same objects can be made from it again.
    data : Dataset
    model, objective, optimizer
    """

    def __init__(self, raw: Mapping[str, Any], command: str = "train"):
        values = {key: raw.get(key, default) for key, default in VALUES.items()}
        from minidgm import __version__

        values |= {"command": command, "minidgm": __version__}
        if not isinstance(values["seed"], int) or isinstance(values["seed"], bool) or values["seed"] < 0:
            raise DataError(f"seed = {values['seed']!r}, expected a whole number from 0 on")
        tables = {name: dict(raw.get(name, {})) for name in TABLES}
        model_name, model_class = _named("model", tables["model"], registry.models())
        usual = {"batch_size": getattr(model_class, "default_batch_size", TRAINING["batch_size"])}
        self.training = {**TRAINING, **usual, **_checked("training", tables["training"], list(TRAINING))}
        if self.training["measure_every"] is None:
            self.training["measure_every"] = max(
                1, count("epochs", self.training["epochs"], low=0) // MEASUREMENTS
            )
        objective = _optional(tables["objective"], registry.objectives())
        optimizer = tables["optimizer"]
        optimizer.setdefault("name", "Adam")
        optimizer_name, optimizer_class = _named("optimizer", optimizer, registry.optimizers())
        options = _checked("model", tables["model"], _arguments(model_class, without=SET_BY_VALUES))

        of_sequences = getattr(model_class, "takes_sequences", False)
        units = _units(model_class, options)
        self.data, self.data_config = load_data(tables["data"], units, of_sequences)
        if "batch_size" not in tables["training"]:
            self.training["batch_size"] = min(self.training["batch_size"], max(1, len(self.data.train)))
        self.model = self._build_model(model_class, options, values)
        self.data = self.model.prepare(self.data)
        self.objective = self._build(objective, "objective", tables["objective"])
        at_once = getattr(self.model, "fits_at_once", False)
        if at_once and self.objective is not None:
            raise UsageError(f"{model_name} is fitted at once and takes no objective: leave --objective out")
        if self.objective is None and not at_once:
            self.objective = self.model.default_objective()
        optimizer.setdefault("learning_rate", LEARNING_RATE.get(optimizer_name, 0.01))
        _checked("optimizer", optimizer, _arguments(optimizer_class))
        self.optimizer = _optimizer({**optimizer, "name": optimizer_name})
        self.config = {
            **values,
            "model": {"name": model_name, **self.model.config()},
            "data": self.data_config,
            "objective": {}
            if self.objective is None
            else {"name": type(self.objective).__name__, **_set(self.objective.config())},
            "optimizer": _set(self.optimizer.config()),
            "training": _set(self.training),
        }

    def _build_model(self, cls: Any, options: dict[str, Any], values: Mapping[str, Any]) -> Any:
        options = cls.arguments_for(self.data, options)
        return cls(**options, **{key: values[key] for key in SET_BY_VALUES})

    @staticmethod
    def _build(cls: Any, section: str, table: Mapping[str, Any]) -> Any:
        if cls is None:
            if table:
                raise UsageError(f"[{section}] has {', '.join(table)} but no name")
            return None
        return cls(**_checked(section, table, _arguments(cls)))


def _units(model_class: Any, options: Mapping[str, Any]) -> str:
    """Name of the visible units: those named, those of a likelihood of grey levels, those of the class."""
    if "visible" in options:
        return options["visible"]
    if options.get("likelihood") in ("gaussian", "discretized_logistic"):
        return "gaussian"
    return getattr(getattr(model_class, "visible", None), "name", "bernoulli")


def load_data(
    table: Mapping[str, Any], visible: str = "bernoulli", of_sequences: bool = False
) -> tuple[Any, dict[str, Any]]:
    """Make a data set of rows, or of sequences, from a ``[data]`` table; return it with the complete table.

    Grey levels become bits by threshold for models of bits or spins, unless ``binarize`` says otherwise; for
    models of spins bits become -1 and 1.
    """
    table = dict(table)
    if ("name" in table) == ("file" in table):
        raise UsageError("no data were named: pass --data digits, or --data FILE (see `minidgm list`)")
    if "name" in table:
        name, function = _named("data", table, registry.datasets())
        head: dict[str, Any] = {"name": name}
        options = _checked("data", table, _arguments(function))
        arguments: tuple[Any, ...] = ()
    else:
        from minidgm.datasets import load as function

        head = {"file": str(table["file"]), "sha256": _digest(Path(table["file"]), table.get("sha256"))}
        options = _checked("data", table, _arguments(function, without=("path",)), extra=("file", "sha256"))
        arguments = (table["file"],)
    if visible in ("bernoulli", "spin") and "binarize" in _arguments(function) and "name" in head:
        options.setdefault("binarize", "threshold")
    data = function(*arguments, **options)
    if of_sequences:
        from minidgm.cli.sequences import as_sequences

        data = as_sequences(data, from_file="file" in head)
    elif getattr(data.train, "ndim", 0) > 2:
        _each_part(data, lambda rows: rows.reshape(len(rows), -1))
    if not of_sequences and len(getattr(data.train, "shape", ())) != 2:
        raise DataError(
            f"{data.name} is made of sequences; expected a data set of rows, [n, d], such as digits or mnist"
        )
    if visible == "spin" and of_sequences:
        _each_part(data, lambda sequences: [_spins(x) for x in sequences])
    elif visible == "spin":
        _each_part(data, _spins)
    bound = {p.name: p.default for p in inspect.signature(function).parameters.values()}
    bound.pop("path", None)
    return data, {**head, **_set({**bound, **options})}


def _each_part(data: Any, change: Callable[[Any], Any]) -> None:
    for part in ("train", "validation", "test"):
        setattr(data, part, change(getattr(data, part)))


def _spins(rows: Any) -> Any:
    if not is_array(rows):
        raise DataError(
            "binarize = 'dynamic' draws bits, and the model takes spins: use 'threshold' or 'fixed'"
        )
    return 2.0 * rows - 1.0 if bool(((rows == 0) | (rows == 1)).all()) else rows


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name the settings in which two configurations differ, apart from the number of epochs."""
    found = []
    for section in [*(k for k in VALUES if k not in ("command", "minidgm")), *TABLES]:
        a, b = old.get(section), new.get(section)
        if not isinstance(a, Mapping) or not isinstance(b, Mapping):
            found += [f"{section} ({a!r} -> {b!r})"] if a != b else []
            continue
        for key in dict.fromkeys([*a, *b]):
            if a.get(key) != b.get(key) and (section, key) != ("training", "epochs"):
                found.append(f"{section}.{key} ({a.get(key)!r} -> {b.get(key)!r})")
    return found


def _named(section: str, table: Mapping[str, Any], catalogue: registry.Catalogue) -> tuple[str, Any]:
    if "name" not in table:
        raise UsageError(f"no {catalogue.kind} was named: one of {', '.join(catalogue)} (see `minidgm list`)")
    name = catalogue.name(table["name"])
    return name, catalogue[name]


def _optional(table: Mapping[str, Any], catalogue: registry.Catalogue) -> Any:
    return catalogue[table["name"]] if "name" in table else None


def _arguments(function: Callable[..., Any], without: Sequence[str] = ()) -> list[str]:
    """Names of the arguments that a configuration can set."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in kinds and p.name not in without]


def _checked(
    section: str, table: Mapping[str, Any], known: Sequence[str], extra: Sequence[str] = ("name",)
) -> dict[str, Any]:
    for key in table:
        if key not in known and key not in extra:
            raise unknown("setting", f"{section}.{key}", [f"{section}.{name}" for name in known])
    return {key: value for key, value in table.items() if key in known}


def _optimizer(table: dict[str, Any]) -> Any:
    from minidgm.optim import from_config

    try:
        return from_config(table)
    except TypeError as error:
        raise DataError(f"[optimizer] {table}: {error}") from None


def _set(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _digest(path: Path, expected: Any = None) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    found = digest.hexdigest()
    if expected is not None and found != expected:
        raise DataError(
            f"{path} has changed since the run (SHA256 {found[:12]}..., was {str(expected)[:12]}...); "
            "pass --data to train on it as it is now"
        )
    return found
