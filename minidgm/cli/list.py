"""``minidgm list``: what can be called by name."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from minidgm.cli import text

HELP = "List models, objectives, optimizers and data sets, each with one line."
EXAMPLES = """\
examples:
  minidgm list
  minidgm list models
  minidgm list --json
"""
KINDS = ("models", "objectives", "optimizers", "datasets")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("kind", nargs="?", choices=KINDS, help="one of them only")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the catalogues."""
    from minidgm import registry

    kinds = [args.kind] if args.kind else KINDS
    found = {kind: {n: summary(thing) for n, thing in getattr(registry, kind)().items()} for kind in kinds}
    if args.json:
        text.print_json(found)
        return 0
    for kind, entries in found.items():
        catalogue = getattr(registry, kind)()
        short = {full: alias for alias, full in reversed(catalogue.aliases.items())}
        names = {name: f"{name} ({short[name]})" if name in short else name for name in entries}
        text.heading("data sets" if kind == "datasets" else kind)
        print(text.table(["name", ""], [(names[n], line) for n, line in entries.items()], wrap=1))
    text.note("\nminidgm info MODEL shows a model's equations; minidgm train --help how to train one")
    return 0


def summary(thing: Any) -> str:
    """First line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0].rstrip(".").replace("`", "")
