"""Docstrings are written to be read in an editor; this makes reStructuredText of them.

Markdown tables become tables, indented equations become literal blocks, and a bar that stands for "given" or
for an absolute value is not taken for markup. Numpydoc sections are left to napoleon.
"""

import re


def is_rule(line: str) -> bool:
    return bool(re.fullmatch(r"\s*\|[\s:|-]+\|\s*", line)) and "-" in line


def cells(line: str) -> list[str]:
    return [escape(cell.strip()) for cell in line.strip().strip("|").split("|")]


def escape(line: str) -> str:
    """Protect bars, and underscores that end a word, outside ``literals``."""
    parts = re.split(r"(``.*?``|`.*?`)", line)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"(?<=\w)_(?=\W|$)", r"\_", parts[i].replace("|", r"\|"))
    return "".join(parts)


def list_table(rows: list[list[str]], indent: str) -> list[str]:
    out = ["", f"{indent}.. list-table::", f"{indent}   :header-rows: 1", ""]
    for row in rows:
        for i, cell in enumerate(row):
            out.append(f"{indent}   {'* -' if i == 0 else '  -'} {cell}".rstrip())
    return [*out, ""]


def convert(lines: list[str]) -> list[str]:
    out: list[str] = []
    i, literal = 0, False
    in_sections = after_table = False
    while i < len(lines):
        line = lines[i]
        indent = line[: len(line) - len(line.lstrip())]
        following = lines[i + 1] if i + 1 < len(lines) else ""
        if re.fullmatch(r"\s*-{3,}\s*", following) and line.strip():
            in_sections = True
        if line.lstrip().startswith("|") and is_rule(following):
            rows = [cells(line)]
            i += 2
            while i < len(lines) and lines[i].lstrip().startswith("|"):
                rows.append(cells(lines[i]))
                i += 1
            out += list_table(rows, indent)
            after_table = True
            continue
        previous = "" if after_table else next((o for o in reversed(out) if o.strip()), "")
        if literal and line.strip() and not indent:
            literal = False
        starts = line.strip() and len(indent) >= 4 and out and not out[-1].strip()
        if starts and not literal and not in_sections:
            literal = True
            directive = previous.lstrip().startswith("..") or previous.startswith("    ")
            if not previous.endswith("::") and not directive and not re.match(r"\s*([-*]|\d+\.) ", previous):
                out += [".. code-block:: text", ""]
        plain = literal or line.lstrip().startswith((">>>", "..."))
        out.append(line if plain else escape(line))
        after_table = after_table and not line.strip()
        i += 1
    return out


def process(app, what, name, obj, options, lines) -> None:
    lines[:] = convert(lines)


def setup(app):
    app.connect("autodoc-process-docstring", process, priority=300)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
