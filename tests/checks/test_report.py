import json
import math

import numpy as np
import pytest

from minidgm.checks import Report, Result
from minidgm.checks.report import show_array

HOLDS = Result("free energy", "F = -log sum", "holds", 2.1e-16, 1e-9, number="8", examples=25)
FAILS = Result(
    "score", "s = dlog p/dv", "fails", math.inf, 1e-9, number="11c", message="MyModel: score does not hold"
)


def test_ok_needs_all_and_some():
    assert Report("M", (HOLDS,)).ok
    assert not Report("M", (HOLDS, FAILS)).ok
    assert not Report("M", ()).ok


def test_table_aligns_and_failures_follow():
    text = str(Report("MyModel", (HOLDS, FAILS), notes=("a small twin",)))
    lines = text.splitlines()
    assert lines[0] == "MyModel: 1 of 2 identities hold"
    assert lines[1] == "  note: a small twin"
    head, rule, first, second = lines[3:7]
    assert head.index("verdict") == first.index("holds") == second.index("fails")
    assert rule.startswith("---")
    assert "2.1e-16" in first
    assert "inf" in second
    assert text.endswith("MyModel: score does not hold")


def test_an_empty_report_says_what_is_missing():
    assert "energy(v, h)" in str(Report("M", ()))


def test_results_by_name():
    report = Report("M", (HOLDS,), {"score": "needs score"})
    assert report["free energy"] is HOLDS
    with pytest.raises(KeyError, match="needs score"):
        report["score"]


def test_to_dict_is_json():
    loaded = json.loads(json.dumps(Report("M", (HOLDS, FAILS)).to_dict(), allow_nan=False))
    assert loaded["results"][1]["worst_error"] == "inf"
    assert loaded["ok"] is False


def test_arrays_are_short():
    assert show_array(np.zeros((2, 2))) == "[[0. 0.]\n [0. 0.]]"
    assert len(show_array(np.zeros(10_000))) < 200
