"""Source files as pages, and a role that links to them.

``:src:`tests/boltzmann/test_rbm.py::test_energy``` links to the line where that function starts. The page
with the numbered, colored file is made only for files that something links to.
"""

import html

from beside import ROOT, locate
from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from sphinx.util.docutils import SphinxRole


class SourceRole(SphinxRole):
    def run(self):
        path, _, name = self.text.partition("::")
        self.env.note_dependency(str(ROOT / path))
        try:
            line = locate(path, name)[0] if name else 1
        except (LookupError, OSError) as error:
            message = self.inliner.reporter.error(f"src: {error}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        return [source_link(self.env, path, line, name or path)], []


def source_link(env, path, line=1, label=None):
    """A reference node from the current page to a line of a source page."""
    if not hasattr(env, "minidgm_sources"):
        env.minidgm_sources = set()
    env.minidgm_sources.add(path)
    up = "../" * env.docname.count("/")
    label = label or path
    return nodes.reference("", "", nodes.literal("", label), refuri=f"{up}source/{path}.html#L-{line}")


def merge(app, env, docnames, other):
    env.minidgm_sources = getattr(env, "minidgm_sources", set()) | getattr(other, "minidgm_sources", set())


def pages(app):
    """Make one page a linked file."""
    formatter = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True, wrapcode=True)
    for path in sorted(getattr(app.env, "minidgm_sources", set())):
        body = highlight((ROOT / path).read_text(), PythonLexer(), formatter)
        title = html.escape(path)
        yield (
            f"source/{path}",
            {"title": title, "body": f'<h1>{title}</h1><div class="source-page">{body}</div>'},
            "page.html",
        )


def setup(app):
    app.add_role("src", SourceRole())
    app.connect("html-collect-pages", pages)
    app.connect("env-merge-info", merge)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
