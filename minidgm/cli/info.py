"""``minidgm info``: a model's equations, reference and identities, in a terminal."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from typing import Any

from minidgm.cli import text
from minidgm.cli.check import by_number
from minidgm.cli.list import summary

HELP = "Show a model's equations, reference, objectives that can train it, and the identities that prove it."
EXAMPLES = """\
examples:
  minidgm info RBM
  minidgm info BoltzmannMachine --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("model", metavar="MODEL", help="a model's name (see `minidgm list models`)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one model's page."""
    from minidgm.registry import models

    name = models().name(args.model)
    page = describe(models()[name])
    if args.json:
        text.print_json(page)
        return 0
    print(f"{text.styled(page['name'], text.BOLD)}: {page['summary']}")
    print(f"  {page['signature']}")
    text.heading("equations")
    print(text.table(["name", ""], list(page["equations"].items()), wrap=1))
    text.heading("reference")
    print(textwrap.fill(page["reference"], text.width(), initial_indent="  ", subsequent_indent="  "))
    text.heading("objectives that can train it")
    objectives = ", ".join(page["objectives"]) or "none: fit() takes no gradient steps"
    print(textwrap.fill(objectives, text.width(), initial_indent="  ", subsequent_indent="  "))
    text.heading("identities")
    rows = [(i["number"], i["name"], i["equation"]) for i in page["identities"]]
    print(text.table(["no.", "identity", "equation"], rows, wrap=2))
    print(f"\n  minidgm check {name}   proves them on drawn parameters")
    print(f"  {page['source']}   is the model's page of math")
    return 0


def describe(model_class: Any) -> dict[str, Any]:
    """Collect what the page shows: plain values."""
    from minidgm.checks import identities
    from minidgm.checks.subject import Subject
    from minidgm.objectives import fitting

    subject = Subject(model_class)
    objectives = fitting(subject.model)
    if hasattr(subject.model, "rbm"):  # a stack learns layer by layer
        objectives += [name for name in fitting(subject.model.rbm(1)) if name not in objectives]
    applicable = sorted((i for i in identities() if not i.reason_not_applicable(subject)), key=by_number)
    return {
        "name": model_class.__name__,
        "summary": summary(model_class),
        "signature": f"{model_class.__name__}{inspect.signature(model_class)}".replace("'", "").replace(
            " | None", ""
        ),
        "module": model_class.__module__,
        "source": model_class.__module__.replace(".", "/") + ".py",
        "equations": dict(getattr(model_class, "equations", {})),
        "reference": getattr(model_class, "reference", ""),
        "objectives": objectives,
        "identities": [
            {"number": i.number, "name": i.name, "equation": i.equation, "source": i.source}
            for i in applicable
        ],
    }
