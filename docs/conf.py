"""Configuration of the documentation: `sphinx-build -W -b html docs docs/_build/html`. Needs no network."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import minidgm  # noqa: E402

project = "minidgm"
author = "minidgm contributors"
project_copyright = "2026, minidgm contributors"
version = release = minidgm.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "beside",
    "sources",
    "identity_table",
    "gallery",
    "api",
    "docstrings",
    "command_help",
]
exclude_patterns = ["_build", "_static/mathjax"]
default_role = "py:obj"
# A word of a docstring that two classes use for an attribute ("dtype") is no cross-reference.
suppress_warnings = ["ref.python"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
maximum_signature_line_length = 90

html_theme = "furo"
html_title = "minidgm"
html_static_path = ["_static"]
html_css_files = ["beside.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
# MathJax lies in the repository, so that a page opened from disk shows its formulas with no network.
mathjax_path = "mathjax/tex-svg.js"
mathjax_options = {"defer": "defer"}
math_number_all = False
math_eqref_format = "({number})"
