"""``fit``: from data, objective and optimizer by name or as objects to a training that runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from minidgm import optim, registry
from minidgm.arguments import count
from minidgm.backend import asarray
from minidgm.errors import CheckpointError
from minidgm.parameters import Parameters
from minidgm.training.callbacks import Callback, EachEpoch
from minidgm.training.checkpoint import Checkpoint
from minidgm.training.data import Rows, spread
from minidgm.training.data import source as as_source
from minidgm.training.history import History
from minidgm.training.loop import Training
from minidgm.training.validation import Validation

LOOKED_AT = 10_000  # rows that a model sees before its first step


def fit(
    model: Any,
    X: Any,
    objective: Any = None,
    optimizer: Any = None,
    epochs: int = 10,
    batch_size: int | None = None,
    validation: Any = None,
    callbacks: Sequence[Callback | Callable[[Training], Any]] = (),
    seed: int | None = 0,
    checkpoint: Any = None,
    resume: bool = False,
    progress: bool = False,
) -> History:
    """Train a model on the rows of ``X``, in place.

    Parameters
    ----------
    model : Model
    X : array [n, d], memory map, path of a ``.npy`` file, lazy array, or batches
        Batches are an iterable of arrays [m, d], or a callable that returns a fresh one every epoch (an
        iterator that can be walked once gives one epoch). Nothing is copied but a batch at a time; rows
        come in a new random order every epoch, and the last batch has what is left. A model of sequences
        takes a list of arrays [T, d]. A model with a method ``begin(X)`` is first shown at most 10,000 of
        the rows, evenly spread, to start from if it is untrained.
    objective : Objective, str or class, optional
        The gradient estimator; by default ``model.default_objective()``.
    optimizer : Optimizer, str or class, optional
        By default ``Adam(1e-3)``.
    epochs : int
        Passes over the data, counted from the beginning of the run also when it is resumed.
    batch_size : int, optional
        Rows a step, at most n; by default 100, or n where there are fewer. Batches that come ready keep
        their size.
    validation : array [m, d] or path of a ``.npy`` file, optional
        Rows on which :class:`~minidgm.training.validation.Validation` measures after every epoch.
    callbacks : sequence of Callback or callable
        A callable is called with the :class:`~minidgm.training.loop.Training` after every epoch.
    seed : int or None
        Of the order of rows and of the objective's draws. None draws one.
    checkpoint : path-like or Checkpoint, optional
        A folder for checkpoints, by default one an epoch.
    resume : bool
        Continue from the newest checkpoint, to the same bits as a run that was never interrupted; start
        afresh where there is none.
    progress : bool
        Show a progress bar with live metrics.

    Returns
    -------
    History

    Raises
    ------
    DataError
        For data that are not a matrix of finite real numbers in the domain of the model, or that the
        objective cannot mean (``check_source``). Arrays are checked before the first step, other sources
        batch by batch.
    ValueError, TypeError
        For impossible settings, and for names that are not known (with the nearest one).
    DivergenceError
        When the loss, a gradient or a parameter is not finite; says step, tensor and likely cause.
    CheckpointError
        When the folder holds checkpoints and ``resume`` is False, or those of another run.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm.boltzmann.rbm import RBM
    >>> from minidgm.optim import SGD
    >>> X = np.eye(8, dtype="float32")
    >>> history = fit(RBM(8, 4, seed=0), X, "ContrastiveDivergence", SGD(0.1), epochs=3, batch_size=3)
    >>> history["epoch"], history["step"]
    ([1, 2, 3], [3, 6, 9])
    """
    epochs = count("epochs", epochs, low=0)
    if not isinstance(getattr(model, "params", None), Parameters):
        raise TypeError(f"{type(model).__name__} has no params of type minidgm.parameters.Parameters")
    folder = _checkpoint(checkpoint, resume)
    objective, optimizer = as_objective(model, objective), _optimizer(model, optimizer)
    if hasattr(model, "check_optimizer"):
        model.check_optimizer(optimizer)
    own_source = getattr(model, "source", None)
    source = own_source(X, batch_size) if own_source else as_source(X, model, batch_size)
    if isinstance(source, Rows) and hasattr(model, "begin"):
        model.begin(asarray(spread(source.X, LOOKED_AT), model.backend, model.dtype))
    if hasattr(objective, "check_source"):
        objective.check_source(model, source)
    hooks = [as_callback(c) for c in callbacks]
    if validation is not None:
        own_validation = getattr(model, "validation", None)
        own = own_validation(validation) if own_validation else Validation(validation, source, model)
        hooks.insert(0, own)
    settings = {"batch_size": source.batch_size, "seed": seed}
    training = Training(
        model, source, objective, optimizer, epochs, settings, seed, hooks, folder, bool(progress)
    )
    found = folder.latest() if folder and resume else None
    if found is not None:
        training.restore(found)
    return training.run()


def _checkpoint(checkpoint: Any, resume: bool) -> Checkpoint | None:
    if checkpoint is None:
        if resume:
            raise ValueError("resume=True needs checkpoint=, the folder to resume from")
        return None
    folder = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
    present = folder.files()
    if present and not resume:
        raise CheckpointError(
            f"{folder.folder} has {len(present)} checkpoints, up to {present[-1].name}: pass resume=True to "
            "continue that run, or another folder"
        )
    return folder


def as_objective(model: Any, objective: Any) -> Any:
    """Return an objective for a name, a class, an object, or the model's default for None."""
    if objective is None:
        if not hasattr(model, "default_objective"):
            raise TypeError(f"{type(model).__name__} has no default_objective(): pass objective=")
        return model.default_objective()
    if isinstance(objective, str):
        return registry.objectives()[objective]()
    if inspect.isclass(objective):
        objective = objective()
    if not hasattr(objective, "gradient"):
        raise TypeError(
            f"objective={objective!r} has no gradient(model, batch, rng); pass a name such as "
            "'ContrastiveDivergence' or one of minidgm.objectives"
        )
    return objective


def _optimizer(model: Any, optimizer: Any) -> Any:
    if optimizer is None:
        return model.default_optimizer() if hasattr(model, "default_optimizer") else optim.Adam(1e-3)
    if isinstance(optimizer, str):
        return registry.optimizers()[optimizer]()
    if inspect.isclass(optimizer):
        optimizer = optimizer()
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "step")):
        raise TypeError(
            f"optimizer={optimizer!r} has no init and step; pass a name such as 'adam' or one of "
            "minidgm.optim, e.g. SGD(0.01)"
        )
    return optimizer


def as_callback(callback: Any) -> Any:
    """Return a callback, or a function as one that is called every epoch; refuse anything else."""
    hooks = [name for name in vars(Callback) if name.startswith("on_")]
    if any(hasattr(callback, hook) for hook in hooks):
        return callback
    if callable(callback):
        return EachEpoch(callback)
    raise TypeError(f"callback {callback!r} is no function and has none of {', '.join(hooks)}")
