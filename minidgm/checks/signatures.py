"""CuPy's names and signatures, from a list made where CuPy is installed, to be checked anywhere."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["api", "check_call"]


@cache
def api() -> dict[str, Any]:
    """Return CuPy's names and parameters by section: ``cupy``, ``cupy.linalg``, ``cupy.ndarray`` ...

    >>> api()["cupy"]["sum"]
    ['a', 'axis=', 'dtype=', 'out=', 'keepdims=']
    """
    return json.loads(resources.files("minidgm.checks").joinpath("cupy_api.json").read_text(encoding="utf-8"))


def check_call(name: str, parameters: Any, n_positional: int, keywords: Any) -> None:
    """Refuse a call that CuPy's signature does not allow.

    Parameters
    ----------
    name : str
        For the message, e.g. ``"cupy.sum"``.
    parameters : list of str, True or None
        The entry of :func:`api`; anything but a list allows every call.
    n_positional : int
        Number of positional arguments.
    keywords : iterable of str
        Names of the keyword arguments.

    Raises
    ------
    TypeError
        If there are too many positional arguments, or a keyword that CuPy does not know.
    """
    if not isinstance(parameters, list) or not (n_positional or keywords):
        return
    known = [p.strip("*=/") for p in parameters]
    n_allowed = sum(not p.startswith("*") for p in parameters)
    if n_positional > n_allowed and "*" not in parameters:
        raise TypeError(f"{name} takes at most {n_allowed} positional arguments in CuPy, got {n_positional}")
    if "**" not in parameters:
        for keyword in keywords:
            if keyword not in known:
                takes = ", ".join(filter(None, known))
                raise TypeError(f"{name} has no keyword {keyword!r} in CuPy; it takes {takes}")
