"""The documentation's own small tools: code cut from files, docstrings turned into reStructuredText."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def extension(monkeypatch):
    """Import one module of docs/_ext; skips without Sphinx."""
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))

    def load(name):
        monkeypatch.delitem(sys.modules, name, raising=False)
        return __import__(name)

    return load


def test_locate_finds_methods_with_their_decorators(extension):
    lines = (ROOT / "minidgm" / "errors.py").read_text().splitlines()
    first, last = extension("beside").locate("minidgm/errors.py", "IdentityError.__init__")
    assert lines[first - 1].lstrip().startswith("def __init__")
    assert "self.report = report" in lines[last - 1]
    with pytest.raises(LookupError, match=r"no 'IdentityError\.nothing'"):
        extension("beside").locate("minidgm/errors.py", "IdentityError.nothing")


def test_comments_start_a_row_and_lines_keep_their_numbers(extension):
    lines = ["a = 1", "#: why", "#: so", "b = 2", "", "    #: inner", "    c = 3"]
    assert extension("beside").rows(lines, 10) == [
        ([], ["a = 1"], 10),
        (["why", "so"], ["b = 2", ""], 13),
        (["inner"], ["    c = 3"], 16),
    ]


def test_every_line_of_code_is_shown_once(extension):
    lines = (ROOT / "examples" / "bars_and_stripes.py").read_text().splitlines()
    shown = [
        line
        for _, code, first in extension("beside").rows(lines, 1)
        for i, line in enumerate(code)
        if lines[first + i - 1] == line
    ]
    assert shown == [line for line in lines if not line.startswith("#:")]


def test_docstrings_become_restructuredtext(extension):
    lines = ["| a | b |", "|---|---|", "| x | p(v|h) |", "", "so |x| and v_-i:", "", "    p(h | v) = 1"]
    converted = extension("docstrings").convert(lines)
    assert ".. list-table::" in converted
    assert r"so \|x\| and v\_-i:" in converted
    assert converted[converted.index(".. code-block:: text") + 2] == "    p(h | v) = 1"


def test_equations_right_after_a_table_are_no_part_of_it(extension):
    lines = ["| a | b |", "|---|---|", "| x | 1 |", "", "    p = |x|", "    q = 1", "", "so |x|"]
    converted = extension("docstrings").convert(lines)
    block = converted.index(".. code-block:: text")
    assert block > converted.index(".. list-table::")
    assert converted[block + 1 :] == ["", "    p = |x|", "    q = 1", "", r"so \|x\|"]


def test_sections_of_a_docstring_are_left_alone(extension):
    lines = ["Do it.", "", "Parameters", "----------", "x : int", "    A number.", "", "    More of it."]
    assert extension("docstrings").convert(lines) == lines
