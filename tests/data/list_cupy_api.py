"""Print CuPy's names and signatures as JSON; to renew the list, run it where CuPy is installed (no GPU).

    python tests/data/list_cupy_api.py > minidgm/checks/cupy_api.json

A callable becomes the list of its parameters: ``x/`` is positional only, ``x`` required, ``x=`` optional,
``*x=`` keyword only, ``*`` and ``**`` take the rest. A name that is no function (dtype, constant, property)
becomes null; a function whose signature CuPy does not tell becomes true.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from typing import Any

import cupy
import cupyx.scipy.special

COMPILED = ("_GUFunc", "method_descriptor", "builtin_function_or_method")


def from_signature(signature: inspect.Signature) -> list[str]:
    parameters = []
    for name, p in signature.parameters.items():
        if p.kind is p.VAR_POSITIONAL:
            parameters.append("*")
        elif p.kind is p.VAR_KEYWORD:
            parameters.append("**")
        else:
            prefix = "*" if p.kind is p.KEYWORD_ONLY else ""
            suffix = "=" if p.default is not p.empty else "/" if p.kind is p.POSITIONAL_ONLY else ""
            parameters.append(prefix + name + suffix)
    return parameters


def from_docstring(f: Any) -> list[str] | None:
    first = (getattr(f, "__doc__", None) or "").split("\n")[0].replace("\\*", "*")
    match = re.match(r"[\w.]+\((.*)\)", first)
    if match is None:
        return None
    text = re.sub(r"\[, out1, out2\]|, / \[, out=\(None, None\)\]", "", match[1])
    text = text + ", out=None" if text != match[1] and "out=" not in text else text
    parameters: list[str] = []
    keyword_only = False
    for part in filter(None, (p.strip() for p in text.split(","))):
        if part == "/":
            parameters = [p + "/" for p in parameters]
        elif part == "*":
            keyword_only = True
        elif part.startswith("*"):
            parameters.append("**" if part.startswith("**") else "*")
            keyword_only = True
        else:
            name = part.split("=")[0].split()[-1]
            parameters.append(("*" if keyword_only else "") + name + ("=" if "=" in part else ""))
    return parameters[1:] if parameters[:1] in (["self"], ["_ndarray_base self"]) else parameters


def describe(f: Any) -> list[str] | bool | None:
    if isinstance(f, type) or not callable(f):
        return None
    if isinstance(f, cupy.ufunc) and from_docstring(f) is None:
        return [f"x{i + 1}/" for i in range(f.nin)] + ["out=", "*casting=", "*dtype="]
    if isinstance(f, cupy.ufunc) or type(f).__name__ in COMPILED:
        return from_docstring(f) or True
    try:
        return from_signature(inspect.signature(f))
    except (TypeError, ValueError):
        return from_docstring(f) or True


def public(namespace: Any) -> dict[str, Any]:
    skip = inspect.ismodule
    names = (n for n in dir(namespace) if not n.startswith("_") and not skip(getattr(namespace, n)))
    return {name: describe(getattr(namespace, name)) for name in names}


def without_self(methods: dict[str, Any]) -> dict[str, Any]:
    drop = ("self", "self/")
    return {n: [p for p in s if p not in drop] if isinstance(s, list) else s for n, s in methods.items()}


if __name__ == "__main__":
    api = {
        "cupy": public(cupy),
        "cupy.linalg": public(cupy.linalg),
        "cupy.fft": public(cupy.fft),
        "cupy.random.Generator": without_self(public(cupy.random.Generator)),
        "cupy.ndarray": without_self(public(cupy.ndarray)),
        "cupyx.scipy.special": public(cupyx.scipy.special),
    }
    rows = [f'"version": "{cupy.__version__}"']
    for section, names in api.items():
        body = ",\n".join(f"  {json.dumps(n)}: {json.dumps(s)}" for n, s in sorted(names.items()))
        rows.append(f'"{section}": {{\n{body}\n}}')
    sys.stdout.write("{" + ",\n".join(rows) + "}\n")
