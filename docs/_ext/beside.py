"""A directive that sets explanation beside code, the code being the real lines of the real file.

    .. beside:: minidgm/boltzmann/rbm.py RBM.energy

       Whatever stands here, formulas included, becomes the left column.

Inside the code, a comment that starts with ``#:`` is text too: it moves to the left column and starts a new
row. Without an object the whole file is shown, which is how the gallery shows its scripts. Line numbers are
those of the file.
"""

import ast
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]


def locate(path: str, name: str) -> tuple[int, int]:
    """First and last line (1-based, decorators included) of an object in a Python file."""
    body: list[ast.stmt] = ast.parse((ROOT / path).read_text()).body
    for part in name.split("."):
        found = [node for node in body if getattr(node, "name", None) == part]
        if not found:
            raise LookupError(f"{path} has no {name!r}")
        node = found[-1]
        body = getattr(node, "body", [])
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return first, node.end_lineno or first


def after_docstring(path: str) -> int:
    """First line of a file below its docstring."""
    first = ast.parse((ROOT / path).read_text()).body[0]
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (first.end_lineno or 0) + 1 if text else 1


def rows(lines: list[str], start: int) -> list[tuple[list[str], list[str], int]]:
    """Split code into (text of the ``#:`` comments, code, number of the first code line)."""
    result: list[tuple[list[str], list[str], int]] = []
    text: list[str] = []
    code: list[str] = []
    first = start
    for number, line in enumerate(lines, start):
        if line.lstrip().startswith("#:"):
            if code and any(part.strip() for part in code):
                result.append((text, code, first))
                text, code = [], []
            text.append(line.lstrip()[2:].removeprefix(" "))
        else:
            if not code:
                first = number
            code.append(line)
    result.append((text, code, first))
    return result


class Beside(SphinxDirective):
    required_arguments = 1
    optional_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        path, name = self.arguments[0], (self.arguments[1:] or [""])[0]
        self.env.note_dependency(str(ROOT / path))
        try:
            lines = (ROOT / path).read_text().splitlines()
            start, stop = locate(path, name) if name else (after_docstring(path), len(lines))
        except (LookupError, OSError) as error:
            raise self.error(str(error)) from error
        table = nodes.container(classes=["beside"])
        for i, (text, code, first) in enumerate(rows(lines[start - 1 : stop], start)):
            left, right = nodes.container(classes=["beside-text"]), nodes.container(classes=["beside-code"])
            if i == 0:
                self.state.nested_parse(self.content, self.content_offset, left)
            self.state.nested_parse(StringList(text, source=path), 0, left)
            while code and not code[-1].strip():
                code.pop()
            while code and not code[0].strip():
                code, first = code[1:], first + 1
            indent = min((len(c) - len(c.lstrip()) for c in code if c.strip()), default=0)
            source = "\n".join(c[indent:] for c in code)
            block = nodes.literal_block(source, source, language="python", linenos=True)
            block["highlight_args"] = {"linenostart": first}
            if i == 0 and name:
                caption = nodes.paragraph(classes=["beside-where"])
                parsed, messages = self.parse_inline(f":src:`{path}::{name}`", lineno=self.lineno)
                caption += [*parsed, *messages]
                right += caption
            if code:
                right += block
            table += nodes.container("", left, right, classes=["beside-row"])
        return [table]


def setup(app):
    app.add_directive("beside", Beside)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
