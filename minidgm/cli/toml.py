"""Configuration files: TOML read by the standard library, written here for the values that a run holds."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minidgm.errors import DataError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    DataError
        When it is no text or no TOML; says where.
    OSError
        When it cannot be opened.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a UTF-8 text file: {error}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not TOML: {error}") from None


def parse_value(text: str) -> Any:
    """Read a value as TOML would, or as a plain string if it is none.

    >>> parse_value("0.1"), parse_value("true"), parse_value("gaussian"), parse_value("[1, 2]")
    (0.1, True, 'gaussian', [1, 2])
    """
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if list(parsed) == ["value"] else text


def write(config: Mapping[str, Any]) -> str:
    """Write values and one level of tables; None, which TOML lacks, is left out.

    >>> print(write({"seed": 0, "model": {"name": "RBM", "units": ["a", "b"], "rate": {"start": 1e-05}}}))
    seed = 0
    <BLANKLINE>
    [model]
    name = "RBM"
    units = ["a", "b"]
    rate = {start = 1e-05}
    <BLANKLINE>
    """
    tables = {key: value for key, value in config.items() if isinstance(value, Mapping)}
    lines = _assignments({key: value for key, value in config.items() if key not in tables})
    for key, entries in tables.items():
        lines += ["", f"[{_key(key)}]", *_assignments(entries)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _assignments(entries: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in entries.items() if value is not None]


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(_assignments(value))}}}"
    raise TypeError(f"a configuration cannot hold {value!r} of type {type(value).__name__}")
