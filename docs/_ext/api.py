"""Write one page a public module under docs/api/, with its docstring and members, and the list of them."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "docs" / "api"
# Shown elsewhere: the identities as a table, the command line by its help.
SKIPPED = ("minidgm.checks.catalogue", "minidgm.cli")


def modules() -> list[tuple[str, str]]:
    """Name and first docstring line of every public module that defines something or has a docstring."""
    found = []
    for path in sorted((ROOT / "minidgm").rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        name = ".".join(parts)
        if any(part.startswith("_") for part in parts) or name.startswith(SKIPPED):
            continue
        text = ast.get_docstring(ast.parse(path.read_text()))
        if text:
            found.append((name, text.partition("\n")[0]))
    return sorted(found)


def page(name: str) -> str:
    options = ["   :members:", "   :show-inheritance:", "   :ignore-module-all:", ""]
    return "\n".join([name, "=" * len(name), "", f".. automodule:: {name}", *options])


def make(app) -> None:
    OUT.mkdir(exist_ok=True)
    pages = {f"{name}.rst": page(name) for name, _ in modules()}
    lines = ["API", "===", ""]
    lines += ["The names that most programs need are in the package itself: ``minidgm.RBM``, "]
    lines += ["``minidgm.BoltzmannMachine``, ``minidgm.Generator``, ``minidgm.Estimate``, "]
    lines += ["``minidgm.check_model``, ``minidgm.fit`` and ``minidgm.load``.", ""]
    lines += [".. list-table::", "   :widths: 35 65", ""]
    for name, text in modules():
        lines += [f"   * - :doc:`{name}`", f"     - {text}"]
    lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {name}" for name, _ in modules()), ""]
    pages["index.rst"] = "\n".join(lines)
    for old in OUT.glob("*.rst"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        if not (OUT / name).exists() or (OUT / name).read_text() != text:
            (OUT / name).write_text(text)


def setup(app):
    app.connect("builder-inited", make, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
