"""Ways out as PNG, and no global state."""

import base64
import subprocess
import sys

import numpy as np

from minidgm.plotting import image_grid, to_base64, to_png_bytes


def test_png_bytes_are_a_picture_and_always_the_same():
    first, again = to_png_bytes(image_grid(np.eye(4))), to_png_bytes(image_grid(np.eye(4)))
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    assert first == again
    assert base64.b64decode(to_base64(image_grid(np.eye(4)))) == first


def test_matplotlib_loads_only_when_used_and_pyplot_never():
    code = """
import sys
import numpy as np
from minidgm import plotting
assert "matplotlib" not in sys.modules
plotting.to_png_bytes(plotting.image_grid(np.eye(4)), dpi=50)
plotting.to_png_bytes(plotting.filters(np.eye(4)), dpi=50)
plotting.to_png_bytes(plotting.chains(np.zeros((2, 2, 4))), dpi=50)
plotting.to_png_bytes(plotting.learning_curve([{"epoch": 1, "loss": 1.0}]), dpi=50)
plotting.to_png_bytes(plotting.density_2d(lambda x: x[:, 0], resolution=8), dpi=50)
plotting.to_png_bytes(plotting.series(np.arange(3), {"a": np.arange(3)}, references={"b": 1}), dpi=50)
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
