"""``.. command-help:: train`` shows what ``minidgm train --help`` prints today."""

import contextlib
import io
import os

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class CommandHelp(SphinxDirective):
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        from minidgm.cli import main

        os.environ["COLUMNS"] = "92"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = main([*self.arguments, "--help"])
        if code:
            raise self.error(f"minidgm {' '.join(self.arguments)} --help ended with {code}")
        # The exit codes are the same for all, and the page has them once.
        text = printed.getvalue().partition("exit codes:")[0] if self.arguments else printed.getvalue()
        return [nodes.literal_block(text, text.strip(), language="text")]


def setup(app):
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
