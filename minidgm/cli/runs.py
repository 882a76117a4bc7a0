"""Run folders: everything about one training, enough to continue it, to repeat it and to judge it.

========================  ============================================================================
``config.toml``           every setting, defaults included: ``minidgm train --config`` repeats the run
``environment.json``      versions and kind of machine (no names, no paths)
``metrics.jsonl``         one line an epoch
``model.safetensors``     the trained model
``checkpoint/``           what ``--resume`` needs
``summary.json``          how the training ended
``evaluation.json`` ...   what ``minidgm evaluate`` and ``minidgm sample`` add
========================  ============================================================================
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from minidgm.cli import toml
from minidgm.errors import DataError
from minidgm.serialization import write_atomically

CONFIG = "config.toml"
ENVIRONMENT = "environment.json"
METRICS = "metrics.jsonl"
MODEL = "model.safetensors"
CHECKPOINT = "checkpoint"
SUMMARY = "summary.json"
EVALUATION = "evaluation.json"
CHECKS = "checks.json"
REPORT = "report.html"
LARGER = "larger"  # the demo's second model, a run of its own
PICTURES = (
    "learning_curve.png",
    "samples.png",
    "samples.npy",
    "samples-larger.png",
    "means.png",
    "means-larger.png",
    "filters.png",
    "digits.png",
    "digits-grey.png",
)
OWNED = (CONFIG, ENVIRONMENT, METRICS, MODEL, SUMMARY, EVALUATION, CHECKS, REPORT, *PICTURES)
LIBRARIES = ("numpy", "scipy", "safetensors", "autograd", "hypothesis", "matplotlib")


class Run:
    """One run folder.

    Attributes
    ----------
    path : Path
    config : dict
        The settings that ``config.toml`` holds.
    """

    def __init__(self, path: Path, config: Mapping[str, Any]):
        self.path, self.config = path, dict(config)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: Mapping[str, Any], overwrite: bool = False) -> Run:
        """Make a folder and write configuration and environment into it.

        Parameters
        ----------
        path : path-like
        config : mapping
            Values and one level of tables. ``config["command"]`` says what made the run.
        overwrite : bool
            Replace an earlier run. Only files that a run writes are deleted, and only in a folder that
            holds a run: never another's files.

        Raises
        ------
        DataError
            When something is there already, or the folder cannot be made or written.
        """
        folder = Path(path)
        run = cls(folder, config)
        _check_free(folder, str(config.get("command", "train")), overwrite)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            clear(folder)
            run.write_config()
        except OSError as error:
            reason = error.strerror or str(error)
            raise DataError(
                f"cannot write to {folder}: {reason}; choose another folder with --out"
            ) from error
        run.write_json(ENVIRONMENT, environment(str(config.get("backend", "numpy"))))
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Run:
        """Open the folder of an earlier run.

        Raises
        ------
        DataError
            When there is no run.
        """
        folder = Path(path)
        if not is_run(folder):
            what = "no such folder" if not folder.exists() else f"there is no {CONFIG} of a run in it"
            raise DataError(f"{folder} is not a run: {what}; `minidgm train --out {folder}` makes one")
        return cls(folder, toml.read(folder / CONFIG))

    def model(self, backend: str | None = None) -> Any:
        """Load the trained model.

        Raises
        ------
        DataError
            When the training has not finished.
        """
        from minidgm.serialization import load

        if not (self / MODEL).is_file():
            raise DataError(
                f"{self.path} holds no {MODEL}: its training did not finish; "
                f"`minidgm train --out {self.path} --resume` continues it"
            )
        return load(self / MODEL, backend=backend or self.config.get("backend"))

    def write_config(self) -> None:
        """Write ``config.toml``, atomically."""
        write_atomically(self / CONFIG, toml.write(self.config).encode())

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file, atomically."""
        from minidgm.cli.text import plain

        text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(self / name, (text + "\n").encode())

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run, or None where there is none."""
        try:
            return json.loads((self / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(f"{self / name} is damaged: {error}") from None

    def records(self) -> list[dict[str, Any]]:
        """Return the epochs' metrics."""
        lines = (self / METRICS).read_text(encoding="utf-8").splitlines() if (self / METRICS).exists() else []
        return [json.loads(line) for line in lines if line.strip()]

    def discard_if_untrained(self) -> None:
        """Take away a folder in which nothing was learned, so that the corrected command can use its name."""
        if not self.records() and not any(self.path.glob(f"{CHECKPOINT}/*")):
            clear(self.path)
            if not any(self.path.iterdir()):
                self.path.rmdir()


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, by the first table of its configuration."""
    try:
        return "command" in toml.read(folder / CONFIG)
    except (OSError, DataError):
        return False


def _check_free(folder: Path, command: str, overwrite: bool) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise DataError(f"{folder} is a file, expected the name of a folder; choose another with --out")
    try:
        empty = not any(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}; choose another with --out") from error
    if empty:
        return
    if not is_run(folder):
        raise DataError(
            f"{folder} exists and is no run of minidgm: nothing was touched; choose another folder with --out"
        )
    if not overwrite:
        go_on = ", continue it with --resume" if command == "train" else ""
        raise DataError(
            f"{folder} already holds a run: choose another --out{go_on}, or replace it with --overwrite"
        )


def clear(folder: Path) -> None:
    """Delete what a run wrote in a folder, and nothing else."""
    for name in OWNED:
        (folder / name).unlink(missing_ok=True)
    stages = [path for path in (folder / CHECKPOINT).glob("layer-*") if path.is_dir()]
    for place in (*stages, folder / CHECKPOINT):
        for path in place.glob("*step-*.safetensors*"):
            path.unlink()
    if is_run(folder / LARGER):
        clear(folder / LARGER)
    for place in (*stages, folder / CHECKPOINT, folder / LARGER):
        with suppress(OSError):  # it is not there, or holds what a run did not write
            place.rmdir()


def environment(backend: str) -> dict[str, Any]:
    """Describe software and kind of machine: enough to explain a difference, nothing that names a person.

    >>> sorted(environment("numpy"))
    ['backend', 'libraries', 'machine', 'minidgm', 'python', 'system']
    """
    from minidgm import __version__

    found: dict[str, Any] = {
        "minidgm": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "backend": backend,
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }
    if backend == "cupy":
        from minidgm.backend import namespace

        device = namespace("cupy").cuda.runtime.getDeviceProperties(0)
        found["device"] = device["name"].decode()
    return found
