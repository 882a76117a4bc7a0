"""What a training can do besides training: measure, draw, write, stop.

A callback is any object with some of the methods of :class:`Callback`, or a plain function, called with the
:class:`~minidgm.training.loop.Training` at the end of every epoch.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from minidgm.arguments import count, real
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.serialization import PathLike, write_atomically

if TYPE_CHECKING:
    from minidgm.training.loop import Training


class Callback:
    """Base of the callbacks: override what is needed.

    Within an epoch's end, ``on_epoch_end`` of all callbacks comes first (they add to
    ``training.record``), then ``on_record`` of all (they read it), then the checkpoint.
    """

    def on_start(self, training: Training) -> None:
        """Prepare; a resumed training has its history already."""

    def on_step_end(self, training: Training) -> None:
        """Act after a step; reading a device here costs a wait."""

    def on_epoch_end(self, training: Training) -> None:
        """Measure, and add to ``training.record``."""

    def on_record(self, training: Training) -> None:
        """Use the epoch's complete record."""

    def on_stop(self, training: Training) -> None:
        """Finish, after the last epoch."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: numbers, strings and arrays, by name."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state` returned."""


class EachEpoch(Callback):
    """Calls a function with the training at the end of every epoch."""

    def __init__(self, function: Callable[[Training], Any]):
        self.function = function

    def on_epoch_end(self, training: Training) -> None:
        """Call the function."""
        self.function(training)


class Metrics(Callback):
    """Adds metrics to the record.

    Parameters
    ----------
    function : callable
        From the model to a dictionary of numbers.
    every : int
        Epochs between two measurements; the last epoch is always measured.

    Examples
    --------
    >>> norm = Metrics(lambda model: {"weight_norm": (model.params["W"] ** 2).sum() ** 0.5}, every=5)
    """

    def __init__(self, function: Callable[[Any], Mapping[str, Any]], every: int = 1):
        self.function = function
        self.every = count("every", every)

    def on_epoch_end(self, training: Training) -> None:
        """Measure, if it is time."""
        if due(training, self.every):
            for name, value in self.function(training.model).items():
                training.record[name] = float(value)


class Samples(Callback):
    """Draws from the model with a generator of its own, so that the training stays what it was.

    Parameters
    ----------
    n : int
        Rows to draw.
    every : int
        Epochs between two draws; the last epoch is always drawn.
    folder : path-like, optional
        Where to write ``samples-000012.npy`` (12: the epoch).
    seed : int
        The same for every draw: what changes between two pictures is the model.
    **settings
        Further arguments of ``model.sample``, e.g. ``steps=200``.

    Attributes
    ----------
    latest : ndarray or None
        The newest draw, on the host.
    """

    def __init__(
        self, n: int = 64, every: int = 1, folder: PathLike | None = None, seed: int = 0, **settings: Any
    ):
        self.n, self.every, self.seed = count("n", n), count("every", every), seed
        self.folder = None if folder is None else Path(folder)
        self.settings = settings
        self.latest: np.ndarray | None = None

    def on_epoch_end(self, training: Training) -> None:
        """Draw, if it is time."""
        if not due(training, self.every):
            return
        rng = Generator(self.seed, training.model.backend)
        self.latest = to_numpy(training.model.sample(self.n, rng, **self.settings))
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            content = io.BytesIO()
            np.save(content, self.latest, allow_pickle=False)
            write_atomically(self.folder / f"samples-{training.epoch:06d}.npy", content.getvalue())


class EarlyStopping(Callback):
    """Stops when a metric has not improved for ``patience`` epochs (Goodfellow et al. 2016, algorithm 7.1).

    Parameters
    ----------
    metric : str
        A name in the record, e.g. ``"validation_reconstruction_error"``.
    patience : int
        Epochs to wait for an improvement.
    mode : {"min", "max"}
        Whether small or large values are good.
    min_delta : float
        The least change that counts as an improvement.
    restore_best : bool
        Put the parameters of the best epoch back at the end.
    """

    def __init__(
        self,
        metric: str,
        patience: int = 10,
        mode: Literal["min", "max"] = "min",
        min_delta: float = 0.0,
        restore_best: bool = False,
    ):
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
        self.metric, self.mode = metric, mode
        self.patience = count("patience", patience)
        self.min_delta = real("min_delta", min_delta)
        self.restore_best = restore_best
        self._best: Any = None

    def on_record(self, training: Training) -> None:
        """Compare with the past, which the history holds."""
        values = training.history[self.metric]
        if self.metric not in training.record:
            return
        waited, best = 0, math.inf
        for value in values:
            score = value if self.mode == "min" else -value
            if score < best - self.min_delta:
                best, waited = score, 0
            else:
                waited += 1
        if waited == 0 and self.restore_best:
            self._best = training.model.params.buffer.copy()
        if waited >= self.patience:
            best = best if self.mode == "min" else -best
            training.stop(f"{self.metric} has not improved on {best:.6g} for {waited} records")

    def on_stop(self, training: Training) -> None:
        """Put the best parameters back, if asked to."""
        if self._best is not None:
            training.model.params.buffer[...] = asarray(self._best, training.model.backend)

    def state(self) -> dict[str, Any]:
        """Return the best parameters."""
        return {} if self._best is None else {"best": self._best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put back the best parameters."""
        self._best = state.get("best")


class JSONLines(Callback):
    """Writes the record of every epoch as a line of JSON, at once.

    A resumed training rewrites the file from its history, so that epochs which a killed run wrote after its
    last checkpoint do not appear twice. Values that are not finite are written as null.

    Parameters
    ----------
    path : path-like
        The file; what it held is replaced when a training starts.
    """

    def __init__(self, path: PathLike):
        self.path = Path(path)

    def on_start(self, training: Training) -> None:
        """Start the file with the history so far."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(_line(record) for record in training.history.records)
        write_atomically(self.path, lines.encode())

    def on_record(self, training: Training) -> None:
        """Append the epoch."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(_line(training.record))


def _line(record: Mapping[str, Any]) -> str:
    def clean(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps({name: clean(value) for name, value in record.items()}) + "\n"


def due(training: Training, every: int) -> bool:
    """Say whether this epoch is one of every so many, or the last."""
    return training.epoch % every == 0 or training.epoch >= training.epochs
