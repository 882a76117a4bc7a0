"""Arrays from a user's own files, read without ever executing what they hold."""

from __future__ import annotations

import gzip
import io
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minidgm.errors import DataError, nearest

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
KINDS = ".npy, .npz, .csv, .tsv, .txt, .mat, .idx (or -ubyte), the last also as .gz"


def read(path: str | Path, *, mmap: bool = False) -> dict[str, np.ndarray]:
    """Read the arrays of a file by name; a file of one array gives {"data": array}.

    Parameters
    ----------
    path : path
        ``.npy``, ``.npz``, ``.csv`` / ``.tsv`` / ``.txt`` (one example a line, with or without a line of
        column names), ``.mat`` (up to version 7), ``.idx`` / ``-ubyte`` (MNIST's format; also ``.gz``).
    mmap : bool
        Map an ``.npy`` file into memory instead of reading it.

    Raises
    ------
    DataError
        If the file is missing, truncated, damaged, or holds Python objects (which are never unpickled).
    """
    path = Path(path)
    if not path.is_file():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file{nearest(path.name, siblings)}")
    name = path.name.lower()
    reader: Callable[[Path], dict[str, np.ndarray]]
    if name.endswith(".npy"):
        reader = _map_npy if mmap else _read_npy
    elif name.endswith(".npz"):
        reader = _read_npz
    elif name.endswith((".csv", ".tsv", ".txt")):
        reader = _read_table
    elif name.endswith(".mat"):
        reader = _read_mat
    elif name.removesuffix(".gz").endswith("ubyte") or ".idx" in name:
        reader = _read_idx
    else:
        raise DataError(f"{path}: no reader for this kind of file; expected one of {KINDS}")
    if mmap and reader is not _map_npy:
        raise DataError(f"{path}: only .npy files can be mapped into memory; save the array with numpy.save")
    try:
        arrays = reader(path)
    except DataError:
        raise
    # parsers of foreign formats fail in many ways on hostile bytes; to the caller all of them are one
    except Exception as error:
        raise DataError(
            f"{path} cannot be read; is it complete? ({type(error).__name__}: {error})"
        ) from error
    for key, array in arrays.items():
        if array.dtype.kind in "OV":
            raise DataError(f"{path}: {key!r} holds {array.dtype}; expected plain numbers")
    return arrays


def parse_npy(data: bytes, what: str) -> np.ndarray:
    """Parse the bytes of an .npy file, trusting its header only as far as there are bytes."""
    stream = io.BytesIO(data)
    shape, dtype = _npy_header(stream)
    _check_npy(shape, dtype, len(data) - stream.tell(), what)
    stream.seek(0)
    with warnings.catch_warnings():  # files written by Python 2 draw a UserWarning about speed
        warnings.simplefilter("ignore", UserWarning)
        return np.lib.format.read_array(stream, allow_pickle=False)


def parse_npz(data: bytes, what: str) -> dict[str, np.ndarray]:
    """Parse the bytes of an .npz file."""
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.namelist():
            if member.endswith(".npy"):
                arrays[member.removesuffix(".npy")] = parse_npy(archive.read(member), f"{what}[{member!r}]")
    return arrays


def parse_idx(data: bytes, what: str) -> np.ndarray:
    """Parse the bytes of an IDX file (the format of MNIST), uncompressed.

    Two zero bytes, a type code, the number of axes, the axes as big-endian 32-bit integers, the values.

    Examples
    --------
    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), "three bytes")
    array([7, 8, 9], dtype=uint8)
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES:
        came = data[:4].hex(" ") or "nothing"
        raise DataError(f"{what} starts with {came}; expected an IDX header: 00 00, type, number of axes")
    ndim = data[3]
    start = 4 + 4 * ndim
    if not ndim or len(data) < start:
        raise DataError(f"{what} is cut off inside its IDX header of {ndim} axes ({len(data)} bytes)")
    shape = struct.unpack(f">{ndim}I", data[4:start])
    dtype = np.dtype(_IDX_TYPES[data[2]])
    expected = math.prod(shape) * dtype.itemsize
    if len(data) - start != expected:
        raise DataError(f"{what} holds {len(data) - start} bytes of values; {shape} asks for {expected}")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _npy_header(stream: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def _check_npy(shape: tuple[int, ...], dtype: np.dtype, available: int, what: str) -> None:
    if dtype.hasobject:
        raise DataError(f"{what} holds Python objects; expected plain numbers (nothing is unpickled)")
    expected = math.prod(shape) * dtype.itemsize
    if available < expected or min(shape, default=0) < 0:
        raise DataError(f"{what} holds {available} bytes of values; {shape} {dtype} asks for {expected}")


def _read_npy(path: Path) -> dict[str, np.ndarray]:
    return {"data": parse_npy(path.read_bytes(), str(path))}


def _map_npy(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as stream:
        shape, dtype = _npy_header(stream)
        _check_npy(shape, dtype, path.stat().st_size - stream.tell(), str(path))
    return {"data": np.load(path, mmap_mode="r", allow_pickle=False)}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    return parse_npz(path.read_bytes(), str(path))


def _read_table(path: Path) -> dict[str, np.ndarray]:
    """Numbers in columns; {"data": [n, d]} or, with a line of names, one array [n] a column."""
    skip, first = 0, ""
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            first = line.split("#")[0].strip()
            if first:
                break
            skip += 1
    mark = next((m for m in "\t,;" if m in first), None)
    names = [cell.strip().strip('"') for cell in first.split(mark)]
    header = not all(map(_is_number, names))
    if header and len(set(names)) < len(names):
        raise DataError(f"{path}: the first line {first!r} is not numbers, and its names repeat")

    def cells(dtype: type) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # "input contained no data"
            return np.loadtxt(
                path,
                dtype,
                delimiter=mark,
                skiprows=skip + header,
                ndmin=2,
                encoding="utf-8-sig",
                quotechar='"',
            )

    if not header:
        return {"data": cells(float)}
    try:
        table = cells(float)
    except ValueError:
        table = cells(str)  # columns of text, which may be labels
    if table.shape[1] != len(names):
        raise DataError(f"{path}: lines of {table.shape[1]} cells under a first line of {len(names)}")
    return {name: _column(table[:, i]) for i, name in enumerate(names)}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _column(cells: np.ndarray) -> np.ndarray:
    try:
        return cells.astype(np.float64, copy=False)
    except ValueError:
        return cells


def _read_mat(path: Path) -> dict[str, np.ndarray]:
    import scipy.io
    import scipy.sparse

    with path.open("rb") as file:
        if file.read(20).startswith((b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3")):
            raise DataError(f"{path} is a MATLAB 7.3 (HDF5) file; save it with save(..., '-v7')")
    loaded = scipy.io.loadmat(path)
    return {
        key: value.toarray() if scipy.sparse.issparse(value) else np.asarray(value)
        for key, value in loaded.items()
        if not key.startswith("__")
    }


def _read_idx(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".gz":
        try:
            with gzip.open(path) as file:
                data = file.read()
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is not a complete gzip file: {error}") from error
    else:
        data = path.read_bytes()
    return {"data": parse_idx(data, str(path))}
