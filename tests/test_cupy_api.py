"""Every ``xp`` function and keyword that the package uses exists in CuPy, checked against a committed list.

The list is ``minidgm/checks/cupy_api.json``; ``tests/data/list_cupy_api.py`` renews it. No CuPy and no GPU
needed.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import minidgm
from minidgm.checks.signatures import api, check_call

PACKAGE = Path(minidgm.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# Asked of the module itself, and names that only a branch for the host uses.
MODULE_NAMES = {"__name__", "cuda"}
HOST_ONLY = {("optim/base.py", "errstate")}
SECTIONS = {"linalg": "cupy.linalg", "fft": "cupy.fft"}


def namespaces(node):
    """Say which section of the list an expression (``xp``, ``self.xp``, ``xp.linalg`` ...) stands for."""
    if isinstance(node, ast.Name) and node.id == "xp":
        return "cupy"
    if isinstance(node, ast.Attribute):
        if node.attr == "xp":
            return "cupy"
        return SECTIONS.get(node.attr) if namespaces(node.value) == "cupy" else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return {"get_xp": "cupy", "special": "cupyx.scipy.special"}.get(node.func.id)
    return None


def uses(tree):
    """Yield (section, name, call or None) for every attribute taken from an array namespace."""
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (section := namespaces(node.value)):
            yield section, node.attr, called.get(id(node)), node.lineno


def problems(source, file="?"):
    found = []
    for section, name, call, line in uses(ast.parse(source)):
        if name in MODULE_NAMES or name in SECTIONS or (file, name) in HOST_ONLY:
            continue
        if name not in api()[section]:
            found.append(f"{file}:{line}: CuPy {api()['version']} has no {section}.{name}")
            continue
        if call is None or any(isinstance(a, ast.Starred) for a in call.args):
            continue
        keywords = [k.arg for k in call.keywords if k.arg is not None]
        try:
            check_call(f"{section}.{name}", api()[section][name], len(call.args), keywords)
        except TypeError as error:
            found.append(f"{file}:{line}: {error}")
    return found


@pytest.mark.parametrize("file", FILES, ids=[f.relative_to(PACKAGE).as_posix() for f in FILES])
def test_the_package_uses_only_what_cupy_has(file):
    assert problems(file.read_text(encoding="utf-8"), file.relative_to(PACKAGE).as_posix()) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("xp.vecdot(a, b)", "has no cupy.vecdot"),
        ("get_xp(a).geomspace(1, 2)", "has no cupy.geomspace"),
        ("self.xp.linalg.vector_norm(a)", "has no cupy.linalg.vector_norm"),
        ("special(xp).bernoulli(3)", "has no cupyx.scipy.special.bernoulli"),
        ("xp.sum(a, where=mask)", "no keyword 'where'"),
        ("xp.exp(a, where=mask)", "no keyword 'where'"),
        ("xp.max(a, initial=0)", "no keyword 'initial'"),
        ("xp.eye(1, 2, 3, 4, 5, 6, 7)", "at most"),
    ],
)
def test_what_cupy_lacks_is_found(source, message):
    (problem,) = problems(source)
    assert message in problem


def test_the_uses_of_the_package_are_seen():
    names = {name for file in FILES for _, name, _, _ in uses(ast.parse(file.read_text(encoding="utf-8")))}
    assert {"where", "sum", "tanh", "logaddexp", "log_ndtr", "norm"} <= names


def test_the_list_is_that_of_the_installed_cupy():
    cupy = pytest.importorskip("cupy", reason="needs CuPy to compare the list with")
    if cupy.__version__ != api()["version"]:
        pytest.skip(f"the list is of CuPy {api()['version']}, installed is {cupy.__version__}")
    for name, parameters in api()["cupy"].items():
        if isinstance(parameters, list) and inspect.isfunction(getattr(cupy, name)):
            own = inspect.signature(getattr(cupy, name)).parameters.values()
            named = [p.name for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
            assert [p.strip("*=/") for p in parameters if p.strip("*")] == named
