"""Checkpoints: everything a training needs to continue to the same bits, in one safetensors file each.

The arrays are tensors of the file; the rest is JSON in its header. Files are written atomically, and older
ones are removed after a newer one is durable, so that a crash at any moment leaves a whole checkpoint.
"""

from __future__ import annotations

import errno
import json
import os
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minidgm.arguments import count
from minidgm.backend import is_array, to_numpy
from minidgm.errors import CheckpointError, ModelFileError
from minidgm.serialization import PathLike, read_tensors, write_tensors

FORMAT = "minidgm checkpoint"
VERSION = "1"
NAME = re.compile(r"step-(\d{9,})\.safetensors")
LEFTOVER = re.compile(r"\.step-\d{9,}\.safetensors\.[0-9a-f]+\.tmp")


class Checkpoint:
    """A folder of checkpoints, and when to write one.

    Parameters
    ----------
    folder : path-like
        Created when a training starts. Files of other names in it are left alone.
    every_epochs : int, optional
        Write after every so many epochs, and after the last; None: not at epochs.
    every_steps : int, optional
        Write after every so many steps, too.
    keep : int
        How many of the newest stay.

    Examples
    --------
    >>> Checkpoint("runs/a", every_steps=500)
    Checkpoint('runs/a', every_epochs=1, every_steps=500, keep=2)
    """

    def __init__(
        self, folder: PathLike, every_epochs: int | None = 1, every_steps: int | None = None, keep: int = 2
    ):
        self.folder = Path(folder)
        self.every_epochs = None if every_epochs is None else count("every_epochs", every_epochs)
        self.every_steps = None if every_steps is None else count("every_steps", every_steps)
        self.keep = count("keep", keep)

    def files(self) -> list[Path]:
        """Return the checkpoints, oldest first."""
        if self.folder.exists() and not self.folder.is_dir():
            raise CheckpointError(f"checkpoint={str(self.folder)!r} is a file, expected a folder")
        found = [path for path in self.folder.glob("step-*.safetensors") if NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.stem.removeprefix("step-")))

    def prepare(self) -> None:
        """Create the folder, so that one that cannot be written ends a training before it begins."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            reason = f"checkpoints cannot be written to {self.folder}: {error.strerror}"
            raise OSError(error.errno, reason) from error

    def write(self, step: int, contents: Mapping[str, Any]) -> Path:
        """Write one checkpoint and remove those that are too old.

        Raises
        ------
        OSError
            When it cannot be written; the older ones stay.
        """
        tensors: dict[str, np.ndarray] = {}
        tree = json.dumps(_pack(contents, "", tensors))
        path = self.folder / f"step-{step:09d}.safetensors"
        write_tensors(path, tensors, {"format": FORMAT, "version": VERSION, "contents": tree})
        for old in self.files()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> dict[str, Any] | None:
        """Read the newest whole checkpoint, or return None where there is none at all.

        A damaged one is passed over with a warning, as an older one continues to the same bits.

        Raises
        ------
        CheckpointError
            When there are checkpoints and none can be read.
        """
        self._sweep()
        problems = []
        for path in reversed(self.files()):
            try:
                contents = _read(path)
            except (CheckpointError, ModelFileError) as error:
                problems.append(str(error))
                continue
            if problems:
                warnings.warn(f"resuming from {path.name}: {'; '.join(problems)}", stacklevel=2)
            return contents
        if problems:
            raise CheckpointError(f"no checkpoint in {self.folder} can be read: {'; '.join(problems)}")
        return None

    def _sweep(self) -> None:
        """Remove what a killed write left behind."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                if LEFTOVER.fullmatch(path.name):
                    with suppress(OSError):
                        path.unlink()

    def __repr__(self) -> str:
        return (
            f"Checkpoint({str(self.folder)!r}, every_epochs={self.every_epochs}, "
            f"every_steps={self.every_steps}, keep={self.keep})"
        )


def _read(path: Path) -> dict[str, Any]:
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
        raise CheckpointError(
            f"{path} is {metadata.get('format')!r} version {metadata.get('version')!r}, "
            f"expected {FORMAT!r} version {VERSION!r}"
        )
    try:
        return _unpack(json.loads(metadata["contents"]), tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {error!r}") from error


def _pack(tree: Any, key: str, tensors: dict[str, np.ndarray]) -> Any:
    """Replace the arrays of nested dictionaries and lists by references into ``tensors``."""
    if isinstance(tree, Mapping):
        return {str(name): _pack(value, f"{key}/{name}", tensors) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_pack(value, f"{key}/{i}", tensors) for i, value in enumerate(tree)]
    if isinstance(tree, np.generic):
        return tree.item()
    if is_array(tree):
        tensors[key] = to_numpy(tree)
        return {"__array__": key}
    return tree


def _unpack(tree: Any, tensors: Mapping[str, np.ndarray]) -> Any:
    if isinstance(tree, dict):
        if set(tree) == {"__array__"}:
            return tensors[tree["__array__"]]
        return {name: _unpack(value, tensors) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_unpack(value, tensors) for value in tree]
    return tree


def differences(saved: Any, now: Any, name: str = "") -> list[str]:
    """Say where two JSON trees differ.

    >>> differences({"model": {"n": 2}, "seed": 0}, {"model": {"n": 3}, "seed": 0})
    ['model.n was 2, is 3']
    """
    if isinstance(saved, dict) and isinstance(now, dict):
        found = []
        for key in dict.fromkeys([*saved, *now]):
            path = f"{name}.{key}" if name else key
            if key not in now:
                found.append(f"{path} was {saved[key]!r}, is absent")
            elif key not in saved:
                found.append(f"{path} was absent, is {now[key]!r}")
            else:
                found += differences(saved[key], now[key], path)
        return found
    return [] if saved == now else [f"{name} was {saved!r}, is {now!r}"]
