"""Tables, numbers and JSON for a terminal and for programs."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.cli import text

CELLS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=40)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.integers(40, 120))
def test_a_table_keeps_every_word_and_its_columns_aligned(rows, columns):
    laid = text.table(["name", "what"], rows, wrap=1, columns=columns).split("\n")
    assert len({line.index("─") for line in laid[1:2]}) == 1
    start = laid[1].rindex(" ") + 1
    assert laid[0][start:].strip() == "what"
    joined = "".join("".join(laid[2:]).split())
    for row in rows:
        for cell in row:
            assert all(word[:16] in joined for word in cell.split())


def test_a_table_fits_the_page_when_one_column_may_wrap():
    laid = text.table(["a", "b", "c"], [["x" * 10, "word " * 40, "y"]], wrap=1, columns=60)
    assert max(len(line) for line in laid.split("\n")) <= 60


def test_columns_to_the_right_end_together():
    laid = text.table(["v"], [["1"], ["-22.5"]], right=[0]).split("\n")
    assert len({len(line) for line in laid}) == 1


def test_styles_only_on_a_terminal(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert text.styled("x", text.RED, Terminal()) == "\033[31mx\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert text.styled("x", text.RED, Terminal()) == "x"
    assert text.styled("x", text.RED) == "x"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (np.array([1.0, np.inf]), [1.0, "inf"]),
        ((1, None, "x"), [1, None, "x"]),
        ({1: {"a": 2.0}}, {"1": {"a": 2.0}}),
    ],
)
def test_json_holds_numpy_values_and_what_json_lacks(capsys, value, expected):
    text.print_json(value)
    assert json.loads(capsys.readouterr().out) == expected
