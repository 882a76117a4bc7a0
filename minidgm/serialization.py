"""Model files: one safetensors file, its header holding the class and configuration as JSON.

Nothing that is read is ever executed: the class is looked up by name in :mod:`minidgm.registry` (or given by
the caller), its constructor gets JSON values, and the arrays are checked against the layout it builds.
Writes are atomic: temporary file, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minidgm.backend import asarray, to_numpy
from minidgm.errors import ModelFileError
from minidgm.parameters import DTYPES, at_most

FORMAT = "minidgm model"
VERSION = 1
MAX_HEADER = 64 * 2**20

PathLike = str | os.PathLike[str]


def save(model: Any, path: PathLike) -> None:
    """Write a model to one file, atomically; an older file at this path stays until the new one is whole.

    Parameters
    ----------
    model : Model
    path : path-like
        A file name, usually ending in ``.safetensors``.

    Raises
    ------
    ValueError
        When a parameter holds NaN, or the path is a folder.
    TypeError
        When ``model.config()`` holds other things than JSON values.
    OSError
        When the file cannot be written; says why, and that nothing was changed.

    Examples
    --------
    >>> import tempfile
    >>> import minidgm
    >>> from minidgm.boltzmann.rbm import RBM
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     RBM(4, 2, seed=0).save(f"{folder}/rbm.safetensors")
    ...     minidgm.load(f"{folder}/rbm.safetensors").n_hidden
    2
    """
    tensors = {name: to_numpy(value) for name, value in model.params.items()}
    for name, value in tensors.items():
        if np.isnan(value).any():
            raise ValueError(f"parameter {name!r} holds NaN: nothing was written to {os.fspath(path)}")
    from minidgm import __version__

    try:
        config = json.dumps(model.config(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{type(model).__name__}.config() must hold JSON values: {error}") from error
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "minidgm": __version__,
        "model": type(model).__name__,
        "config": config,
        "dtype": str(model.params.dtype),
    }
    write_tensors(path, tensors, metadata)


def load(
    path: PathLike,
    backend: str | None = None,
    dtype: str | None = None,
    expected: Callable[..., Any] | None = None,
) -> Any:
    """Read a model that :func:`save` wrote.

    Parameters
    ----------
    path : path-like
    backend : str, optional
        Where the model shall live; ``"numpy"`` by default, wherever it lived when it was saved.
    dtype : {"float32", "float64"}, optional
        By default the one that was saved.
    expected : class, optional
        Class the file must hold, needed for classes that minidgm does not know. By default any of
        :func:`minidgm.registry.models`.

    Returns
    -------
    Model

    Raises
    ------
    ModelFileError
        When the file is corrupted, truncated, of another program, of a newer format, or of another class,
        or when its arrays do not fit its configuration.
    OSError
        When there is no such file, or it cannot be opened.
    """
    where = os.fspath(path)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        what = metadata.get("format", "a file without a format")
        raise ModelFileError(f"{where} is {what[:80]!r}, expected {FORMAT!r}: not written by model.save")
    _check_version(where, metadata.get("version"))
    name = metadata.get("model", "")
    if expected is not None:
        if name != getattr(expected, "__name__", None):
            raise ModelFileError(f"{where} holds a {name[:80]!r}, expected {expected.__name__!r}")
        cls = expected
    else:
        cls = _known_class(where, name)
    try:
        config = json.loads(metadata["config"])
        if not isinstance(config, dict) or not {"backend", "dtype", "seed"}.isdisjoint(config):
            raise ValueError("the configuration is not a dictionary of structure")
        if metadata["dtype"] not in DTYPES:
            raise ValueError(f"dtype {metadata['dtype'][:20]!r}")
        with at_most(sum(value.size for value in tensors.values())):
            model = cls(**config, backend="numpy", dtype=metadata["dtype"])
    except (
        KeyError,
        TypeError,
        ValueError,
        ArithmeticError,
        MemoryError,
        RecursionError,
        AttributeError,
    ) as error:
        raise ModelFileError(f"{where} does not configure a {name}: {error}") from error
    _fill(where, model, tensors)
    if (backend or "numpy") != "numpy" or (dtype or metadata["dtype"]) != metadata["dtype"]:
        model = model.to(backend or "numpy", dtype)
    return model


def _check_version(where: str, version: str | None) -> None:
    if version is None or not (version.isascii() and version.isdigit() and len(version) < 9):
        raise ModelFileError(f"{where} has format version {str(version)[:20]!r}, expected a number")
    if int(version) > VERSION:
        raise ModelFileError(
            f"{where} has format version {version}, this minidgm reads up to {VERSION}: upgrade minidgm"
        )


def _known_class(where: str, name: str) -> Callable[..., Any]:
    from minidgm import registry

    known = registry.models()
    if name not in list(known):
        raise ModelFileError(
            f"{where} holds a {name[:80]!r}, which is none of minidgm's models ({', '.join(known)}); "
            "for a class of your own call its load(path)"
        )
    return known[name]


def _fill(where: str, model: Any, tensors: Mapping[str, np.ndarray]) -> None:
    """Copy the arrays into the model after a check of names, shapes, dtypes and values."""
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    if shapes != model.params.shapes:
        raise ModelFileError(f"{where} holds arrays {shapes}, the model needs {model.params.shapes}")
    for name, value in tensors.items():
        if str(value.dtype) != model.params.dtype:
            raise ModelFileError(f"{where}: {name!r} is {value.dtype}, the header says {model.params.dtype}")
        if np.isnan(value).any():
            raise ModelFileError(f"{where}: {name!r} holds NaN")
        model.params[name][...] = asarray(value, model.params.backend)


def write_tensors(path: PathLike, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write host arrays and strings as one safetensors file, atomically."""
    from safetensors.numpy import save as encode

    # A fresh C-ordered copy: safetensors writes the memory of an array, not its elements in order.
    arrays = {name: np.array(value, order="C") for name, value in tensors.items()}
    write_atomically(path, encode(arrays, dict(metadata)))


def read_tensors(path: PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a safetensors file into host arrays and the strings of its header.

    Raises
    ------
    ModelFileError
        When it is not a whole safetensors file.
    """
    from safetensors import safe_open

    where = os.fspath(path)
    if os.path.isdir(where):
        raise ModelFileError(f"{where} is a folder, expected a file")
    size = os.path.getsize(where)
    with open(where, "rb") as file:
        head = file.read(8)
    length = int.from_bytes(head, "little")
    if len(head) < 8 or length > min(size - 8, MAX_HEADER):
        raise ModelFileError(
            f"{where} ({size} bytes) is not a whole safetensors file: it is truncated, corrupted or foreign"
        )
    try:
        with safe_open(where, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            return tensors, file.metadata() or {}
    except OSError:
        raise
    except Exception as error:  # the reader's own error type and those of NumPy on what it does not know
        raise ModelFileError(f"{where} is truncated, corrupted or foreign: {error}") from error


def write_atomically(path: PathLike, content: bytes | memoryview) -> None:
    """Write a file so that a crash at any moment leaves the old one or the new one, never a part.

    Raises
    ------
    OSError
        Of the kind that came (no space, no permission, no such folder), saying that nothing was changed.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise ValueError(f"{os.fspath(path)} is a folder, expected a file name such as model.safetensors")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        _write_durably(temporary, content)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        reason = f"could not write {target}: {error.strerror}; what was there before is unchanged"
        raise OSError(error.errno, reason) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _write_durably(path: Path, content: bytes | memoryview) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; not every system can open a folder."""
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
