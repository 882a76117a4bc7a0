"""What is written is what is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.cli import toml
from minidgm.errors import DataError

NAMES = st.text(min_size=1, max_size=8).filter(lambda s: not any("\ud800" <= c <= "\udfff" for c in s))
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=12)
).filter(lambda x: not isinstance(x, str) or not any("\ud800" <= c <= "\udfff" for c in x))
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(NAMES, SCALARS, max_size=3))


@given(
    st.dictionaries(NAMES, SCALARS, max_size=3),
    st.dictionaries(NAMES.map("t".__add__), st.dictionaries(NAMES, VALUES, max_size=3), max_size=3),
)
def test_writing_and_reading_gives_the_same_values(tmp_path_factory, values, tables):
    config = {**{f"v{key}": value for key, value in values.items()}, **tables}
    path = tmp_path_factory.mktemp("toml") / "config.toml"
    path.write_text(toml.write(config), encoding="utf-8", newline="")
    assert toml.read(path) == config


def test_none_is_left_out():
    assert toml.write({"a": None, "t": {"b": None, "c": 1}}) == "[t]\nc = 1\n"


def test_what_toml_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="cannot hold"):
        toml.write({"a": object()})


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe", b"[a", b"a = 1\na = 2\n", b"\x00"])
def test_damaged_files_say_so(tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.toml is not"):
        toml.read(path)


@given(st.text(max_size=30))
def test_any_text_is_a_value_or_itself(text):
    value = toml.parse_value(text)
    assert value == text or not isinstance(value, str) or text.strip()[:1] in "\"'"
