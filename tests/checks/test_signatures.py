"""Calls are checked against CuPy's signatures as the list has them."""

from __future__ import annotations

import pytest

from minidgm.checks.signatures import api, check_call


def test_check_call_reads_the_list():
    check_call("f", True, 9, ["anything"])
    check_call("f", ["*", "**"], 9, ["anything"])
    check_call("f", ["a", "b=", "*c="], 2, ["c"])
    with pytest.raises(TypeError, match="f takes at most 2 positional arguments in CuPy, got 3"):
        check_call("f", ["a", "b=", "*c="], 3, [])
    with pytest.raises(TypeError, match="f has no keyword 'd' in CuPy; it takes a, b, c"):
        check_call("f", ["a", "b=", "*c="], 1, ["d"])


def test_the_list_holds_what_is_known_of_cupy():
    # Facts of CuPy 14 that the package relies on or works around.
    assert api()["version"].startswith("14.")
    assert {"vecdot", "matvec", "einsum_path", "insert", "block", "geomspace"}.isdisjoint(api()["cupy"])
    assert {"normal", "permutation", "spawn"}.isdisjoint(api()["cupy.random.Generator"])
    assert api()["cupy"]["add"] == ["x1/", "x2/", "out=", "*casting=", "*dtype="]
    assert api()["cupy.ndarray"]["sum"] == ["axis=", "dtype=", "out=", "keepdims="]
    assert "log_ndtr" in api()["cupyx.scipy.special"]
