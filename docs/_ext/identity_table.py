"""The table of identities, made from `minidgm.checks.identities()` when the documentation is built.

``.. identities::`` lists the catalogue; ``.. identities:: RBM`` those that apply to a model, each with its
worst error in a check run while building, so that the table is a measurement and not a promise.
"""

import inspect
import re
from pathlib import Path

from beside import ROOT
from docutils import nodes
from sources import source_link
from sphinx.util.docutils import SphinxDirective


class Identities(SphinxDirective):
    optional_arguments = 1
    option_spec = {"test": str}

    def run(self) -> list[nodes.Node]:
        from minidgm import checks, registry

        catalogue = {identity.name: identity for identity in checks.identities()}
        head = ["", "identity", "equation", "source", "likely cause when it fails"]
        measured = {}
        if self.arguments:
            report = checks.check_model(registry.models()[self.arguments[0]], max_examples=10, raises=False)
            if not report.ok:
                raise self.error(str(report))
            measured = {result.name: result for result in report.results}
            catalogue = {name: catalogue[name] for name in measured}
            head = ["", "identity", "equation", "source", "worst error", "allowed"]
        rows = []
        for name, identity in sorted(catalogue.items(), key=lambda item: order(item[1].number)):
            equation = nodes.literal("", identity.equation)
            cells = [identity.number, self.link(identity), equation, identity.source]
            if measured:
                cells += [f"{measured[name].worst_error:.1g}", f"{measured[name].tolerance:.1g}"]
            else:
                cells.append(identity.likely_cause)
            rows.append(cells)
        return [table(head, rows)]

    def link(self, identity) -> nodes.Node:
        """The identity's name, linking to the function that states it."""
        function = inspect.unwrap(identity.function)
        path = Path(inspect.getsourcefile(function)).resolve().relative_to(ROOT)
        line = inspect.getsourcelines(function)[1]
        return source_link(self.env, path.as_posix(), line, identity.name)


def order(number: str) -> tuple[int, str]:
    """Sort 2 before 11 and 11 before 11a."""
    digits = re.match(r"\d*", number).group()
    return int(digits or 1000), number


def table(head: list, rows: list[list]) -> nodes.table:
    """A docutils table from cells that are text or nodes."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    header, body = nodes.thead(), nodes.tbody()
    for target, cells in [(header, head), *((body, cells) for cells in rows)]:
        row = nodes.row()
        for cell in cells:
            content = cell if isinstance(cell, nodes.Node) else nodes.Text(str(cell))
            row += nodes.entry("", nodes.paragraph("", "", content))
        target += row
    group += [header, body]
    return nodes.table("", group, classes=["identities"])


def setup(app):
    app.add_directive("identities", Identities)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
