"""Turn every examples/*.py into a gallery page: its story, what it printed, its pictures, its code.

An example is an ordinary script: a docstring (title, then the story in reStructuredText), ``#:`` comments
beside the code, and pictures saved into the current folder. It runs once, in docs/gallery/NAME/, when it is
newer than its page.
"""

import ast
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sphinx.errors import ExtensionError
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "docs" / "gallery"
log = logging.getLogger(__name__)


def story(script: Path) -> tuple[str, str]:
    """Title and text of a script's docstring."""
    title, _, text = (ast.get_docstring(ast.parse(script.read_text())) or script.stem).partition("\n")
    return title.rstrip("."), text.strip()


def run(script: Path) -> None:
    """Run a script in its own folder and write its page."""
    page, folder = OUT / f"{script.stem}.rst", OUT / script.stem
    if page.exists() and page.stat().st_mtime > max(script.stat().st_mtime, Path(__file__).stat().st_mtime):
        return
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise ExtensionError(f"examples/{script.name} failed:\n{done.stderr[-3000:]}")
    title, text = story(script)
    pictures = sorted(path.name for path in folder.glob("*.png"))
    lines = [":hide-toc:", "", title, "=" * len(title), "", text, ""]
    for name in pictures:
        lines += [f".. figure:: {script.stem}/{name}", f"   :alt: {title}", "   :class: figure-wide", ""]
    if done.stdout.strip():
        lines += ["What it prints:", "", ".. code-block:: text", ""]
        lines += ["   " + line for line in done.stdout.rstrip().splitlines()] + [""]
    lines += ["The script", "----------", "", f"Run it with ``python examples/{script.name}``.", ""]
    lines += [f".. beside:: examples/{script.name}", ""]
    page.write_text("\n".join(lines))


def index(scripts: list[Path]) -> str:
    """The gallery's front page: a card an example."""
    lines = ["Gallery", "=======", ""]
    lines += ["Short stories, each a script in ``examples/`` that makes a picture.", ""]
    lines += [".. container:: gallery-grid", ""]
    for script in scripts:
        title, _ = story(script)
        pictures = sorted((OUT / script.stem).glob("*.png"))
        lines += ["   .. container:: gallery-card", ""]
        if pictures:
            lines += [f"      .. image:: {script.stem}/{pictures[0].name}", f"         :alt: {title}", ""]
        lines += [f"      :doc:`{title} <{script.stem}>`", ""]
    lines += [".. toctree::", "   :hidden:", "", *(f"   {script.stem}" for script in scripts), ""]
    return "\n".join(lines)


def make(app) -> None:
    scripts = sorted((ROOT / "examples").glob("[!_]*.py"))
    OUT.mkdir(exist_ok=True)
    for old in OUT.glob("*.rst"):
        if old.stem not in {script.stem for script in scripts}:
            old.unlink()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(run, scripts))
    text = index(scripts)
    page = OUT / "index.rst"
    if not page.exists() or page.read_text() != text:
        page.write_text(text)


def setup(app):
    app.connect("builder-inited", make, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
