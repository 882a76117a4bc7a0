"""The training loop: batches, steps, epochs, and what a checkpoint of them holds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidgm.backend import Generator, asarray, to_numpy
from minidgm.errors import CheckpointError
from minidgm.parameters import Parameters
from minidgm.training.callbacks import Callback, due
from minidgm.training.checkpoint import Checkpoint, differences
from minidgm.training.data import Source, Stream
from minidgm.training.guard import SQUARE, Guard, all_finite, divergence
from minidgm.training.history import History, Meter
from minidgm.training.progress import Progress


class Training:
    """A training in progress, as callbacks see it.

    Attributes
    ----------
    model, objective, optimizer
    epoch, epochs : int
        Epochs done (within ``on_epoch_end``, this one included), and epochs asked for.
    step : int
        Steps done since the beginning.
    record : dict
        Of the current epoch.
    history : History
    """

    def __init__(
        self,
        model: Any,
        source: Source,
        objective: Any,
        optimizer: Any,
        epochs: int,
        settings: Mapping[str, Any],
        seed: Any,
        callbacks: Sequence[Callback],
        checkpoint: Checkpoint | None,
        progress: bool,
    ):
        self.model, self.source, self.objective, self.optimizer = model, source, objective, optimizer
        self.epoch, self.epochs, self.step = 0, epochs, 0
        self.history = History()
        self.record: dict[str, Any] = {}
        self.callbacks, self.checkpoint = callbacks, checkpoint
        self.rng = Generator(seed, model.backend)
        self._shuffle = Generator(seed).spawn(1)[
            0
        ]  # the order of rows is drawn on the host, everywhere alike
        self._settings = settings
        self._position = 0  # steps done in the current epoch
        self._shuffle_start = self._shuffle.state()  # before the order of the current epoch was drawn
        self._meter = Meter()
        self._guard = Guard(model.params)
        self._gathered: Parameters | None = None
        self._reason: str | None = None
        self._seconds = 0.0
        self._started = time.perf_counter()
        self._progress = Progress(progress, epochs, source.n_steps, live=model.backend == "numpy")
        total = None if source.n_steps is None else epochs * source.n_steps
        if not all_finite(model.params):
            raise self._diverged(0, None, {}, None)
        optimizer.init(model.params, total)
        if hasattr(objective, "reset"):
            objective.reset()

    def stop(self, reason: str) -> None:
        """Ask for the end of the training after the current step or epoch."""
        self._reason = reason

    def run(self) -> History:
        """Train to the end."""
        # The guard finds what is not finite; NumPy's warnings on the way there would come first.
        if self.checkpoint:
            self.checkpoint.prepare()
        with np.errstate(all="ignore"), self._progress:
            self._progress.start(self.epoch, self._position)
            self._call("on_start")
            while self.epoch < self.epochs and self._reason is None:
                if isinstance(self.source, Stream) and self.source.exhausted:
                    self.stop("the iterator of batches is exhausted; pass a callable for several epochs")
                    break
                self._run_epoch()
            self.history.stopped = self._reason or f"all {self.epochs} epochs done"
            self._call("on_stop")
        return self.history

    def _run_epoch(self) -> None:
        if self._position == 0:
            self._shuffle_start = self._shuffle.state()
        step_callbacks = [c for c in self.callbacks if _overrides(c, "on_step_end")]
        every_steps = self.checkpoint.every_steps if self.checkpoint else None
        model, params, gradient, update = (
            self.model,
            self.model.params,
            self.objective.gradient,
            self.optimizer.step,
        )
        project = getattr(model, "project", None)
        watch, add, rng, progress = self._guard.watch, self._meter.add, self.rng, self._progress
        for batch in self.source.epoch(self._shuffle, self._position):
            grads, metrics = gradient(model, batch, rng)
            if not isinstance(grads, Parameters):
                grads = self._gather(grads)
            seen, well = watch(grads, metrics)
            if not well:
                raise self._diverged(self.step + 1, grads, metrics, batch)
            update(params, grads)
            if project is not None:
                project()
            self.step += 1
            self._position += 1
            add(batch.shape[0], seen)
            if progress.on:
                progress.update(self._meter)
            for callback in step_callbacks:
                callback.on_step_end(self)
            if every_steps and self.step % every_steps == 0 and self._position != self.source.n_steps:
                self._write_checkpoint()
            if self._reason is not None:
                break
        self._end_epoch()

    def _end_epoch(self) -> None:
        means = self._read_meter()
        if hasattr(self.objective, "review"):
            self.objective.review(means)
        self.epoch += 1
        self.record = {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self._elapsed(),
            "learning_rate": getattr(self.optimizer, "last_rate", None),
            **means,
        }
        self.history.records.append(self.record)
        self._position, self._meter = 0, Meter()
        self._call("on_epoch_end")
        self.record["seconds"] = self._elapsed()
        self._progress.end_epoch(self.epoch, self.record)
        self._call("on_record")
        if self.checkpoint and self._checkpoint_due():
            self._write_checkpoint()

    def _checkpoint_due(self) -> bool:
        assert self.checkpoint is not None
        every_epochs, every_steps = self.checkpoint.every_epochs, self.checkpoint.every_steps
        if self._reason is not None or self.epoch >= self.epochs:
            return True
        by_epoch = every_epochs is not None and due(self, every_epochs)
        return by_epoch or (every_steps is not None and self.step % every_steps == 0)

    def _read_meter(self) -> dict[str, float]:
        """Return the epoch's means so far: here a device is read, and found to have diverged."""
        means = self._meter.means()
        for name in (SQUARE, "loss"):
            if name in means and not np.isfinite(means[name]):
                bad = Guard.first_bad(self._meter.series(name))
                if bad is not None:
                    raise self._diverged(self.step - self._position + bad + 1, None, {name: np.nan}, None)
        if not all_finite(self.model.params):
            raise self._diverged(self.step, None, {}, None)
        means.pop(SQUARE, None)
        return means

    def _diverged(self, step: int, grads: Any, metrics: Any, batch: Any) -> Exception:
        largest = float(np.abs(to_numpy(batch)).max(initial=0.0)) if batch is not None else 0.0
        rate = getattr(self.optimizer, "last_rate", None) or 0.0
        error = divergence(step, self.model.params, grads, metrics, rate, largest)
        if self.checkpoint and self.checkpoint.files():
            error.args = (f"{error}; the last good checkpoint is {self.checkpoint.files()[-1]}",)
        return error

    def _gather(self, grads: Mapping[str, Any]) -> Parameters:
        """Lay gradients that came as separate arrays into one buffer."""
        if self._gathered is None:
            self._gathered = self.model.params.like()
        if set(grads) != set(self._gathered):
            raise ValueError(
                f"{type(self.objective).__name__} returned gradients of {sorted(grads)}, "
                f"the model's parameters are {sorted(self._gathered)}"
            )
        for name, value in grads.items():
            self._gathered[name] = value
        return self._gathered

    def _call(self, hook: str) -> None:
        for callback in self.callbacks:
            function = getattr(callback, hook, None)
            if function is not None:
                function(self)

    def _elapsed(self) -> float:
        return self._seconds + time.perf_counter() - self._started

    # What a checkpoint holds

    def describe(self) -> dict[str, Any]:
        """Return what a resumed run must share with this one, as JSON."""
        from minidgm.optim.schedules import Schedule

        rate = getattr(self.optimizer, "learning_rate", None)
        total = None if self.source.n_steps is None else self.epochs * self.source.n_steps
        open_ended = isinstance(rate, Schedule) and rate.over(1) != rate
        return {
            "model": {"class": type(self.model).__name__, **_config(self.model)},
            "backend": self.model.backend,
            "dtype": str(self.model.params.dtype),
            "objective": {"class": type(self.objective).__name__, **_config(self.objective)},
            "optimizer": _config(self.optimizer),
            "data": self.source.describe(),
            **({"steps of the learning-rate schedule": total} if open_ended else {}),
            **self._settings,
        }

    def _write_checkpoint(self) -> None:
        assert self.checkpoint is not None
        self._read_meter()
        self._seconds, self._started = self._elapsed(), time.perf_counter()
        self.checkpoint.write(
            self.step,
            {
                "run": self.describe(),
                "epoch": self.epoch,
                "step": self.step,
                "position": self._position,
                "stop": self._reason,
                "seconds": self._seconds,
                "history": self.history.records,
                "params": dict(self.model.params),
                "optimizer": self.optimizer.state(),
                "objective": _state(self.objective),
                "rng": self.rng.state(),
                "shuffle": self._shuffle_start if self._position else self._shuffle.state(),
                "data": self.source.state(),
                "meter": self._meter.state(),
                "callbacks": {str(i): _state(c) for i, c in enumerate(self.callbacks)},
            },
        )

    def restore(self, contents: Mapping[str, Any]) -> None:
        """Continue where a checkpoint was written.

        Raises
        ------
        CheckpointError
            When it belongs to another run; says every difference.
        """
        different = differences(contents["run"], self.describe())
        if different:
            raise CheckpointError(f"the checkpoint belongs to another run: {'; '.join(different)}")
        for name, value in contents["params"].items():
            self.model.params[name][...] = asarray(value, self.model.backend)
        self.optimizer.set_state(contents["optimizer"])
        if hasattr(self.objective, "set_state"):
            self.objective.set_state(contents["objective"])
        self.rng.set_state(contents["rng"])
        self._shuffle.set_state(contents["shuffle"])
        self._shuffle_start = contents["shuffle"]
        self.source.set_state(contents["data"])
        self._meter.set_state(contents["meter"])
        for i, callback in enumerate(self.callbacks):
            if hasattr(callback, "set_state") and str(i) in contents["callbacks"]:
                callback.set_state(contents["callbacks"][str(i)])
        self.history = History(contents["history"])
        self.epoch, self.step, self._position = contents["epoch"], contents["step"], contents["position"]
        self._seconds, self._reason = contents["seconds"], contents["stop"]


def _state(thing: Any) -> Any:
    """Return ``thing.state``, a method here and a property there."""
    state = getattr(thing, "state", {})
    return state() if callable(state) else state


def _config(thing: Any) -> dict[str, Any]:
    return thing.config() if hasattr(thing, "config") else {}


def _overrides(callback: Any, hook: str) -> bool:
    return hasattr(callback, hook) and getattr(type(callback), hook, None) is not getattr(Callback, hook)
