"""Run the CUDA kernels on the host: g++ under host_cuda.h, the threads of a small grid one by one."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from minidgm.kernels import cuda

HEADER = Path(__file__).with_name("host_cuda.h")
SCALARS = {
    np.uint32: ctypes.c_uint32,
    np.uint64: ctypes.c_uint64,
    np.int32: ctypes.c_int32,
    np.float32: ctypes.c_float,
    np.float64: ctypes.c_double,
}
GRID = (3, 2)  # blocks, threads: few, so that every thread strides


def compile_kernels(folder: Path) -> dict[str, ctypes.CDLL]:
    """Compile for float and double; skip the test where there is no g++."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++ to run the CUDA kernels on the host")
    unit = folder / "fused.cpp"
    unit.write_text(cuda.source(), encoding="utf-8")
    libraries = {}
    for dtype, real in (("float32", "float"), ("float64", "double")):
        library = folder / f"{real}.so"
        options = ["-O1", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror"]
        source = [f"-DREAL={real}", "-include", str(HEADER), str(unit)]
        subprocess.run(["g++", *options, *source, "-o", str(library)], check=True)
        libraries[dtype] = ctypes.CDLL(str(library))
    return libraries


class HostModule:
    """Stands in for ``cupy.RawModule``: launches run on NumPy arrays."""

    def __init__(self, library: ctypes.CDLL):
        self.library = library

    def get_function(self, name):
        function = getattr(self.library, name)
        function.restype = None

        def launch(grid, block, arguments):
            assert len(grid) == len(block) == 1
            assert grid[0] >= 1
            values = [_argument(a) for a in arguments]
            for b in range(GRID[0]):
                for t in range(GRID[1]):
                    self.library.place(b, t, *GRID)
                    function(*values)

        return launch


def _argument(a):
    if isinstance(a, np.ndarray):
        assert a.flags.c_contiguous
        return ctypes.c_void_p(a.ctypes.data)
    return SCALARS[type(a)](a.item())
