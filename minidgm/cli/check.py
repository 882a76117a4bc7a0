"""``minidgm check``: prove the identities of a model of this library, of a run, or of a user's file."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from typing import Any

from minidgm.cli import text
from minidgm.cli.command import UsageError
from minidgm.cli.progress import Steps
from minidgm.errors import nearest

HELP = "Prove a model: every identity that its methods make checkable, on drawn parameters."
EXAMPLES = """\
examples:
  minidgm check                          every model of the library
  minidgm check RBM --max-examples 100
  minidgm check my_model.py:MyRBM        a class of yours: methods such as energy(v, h), no base class
  minidgm check runs/demo                the model of a run
  minidgm check RBM --identity "free energy" --identity 11 --json

A file of yours is run as Python, as `python my_model.py` would be: check only code that you trust.
"""
METHODS = ("energy", "free_energy", "log_prob")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("target", metavar="MODEL | FILE.py:CLASS | RUN", nargs="?")
    parser.add_argument(
        "--identity", metavar="NAME_OR_NUMBER", action="append", help="only this one; may be repeated"
    )
    parser.add_argument(
        "--max-examples", metavar="N", type=int, default=25, help="drawn parameters an identity (25)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the draws (0)")
    parser.add_argument("--backend", metavar="NAME", help="numpy, cupy, or strict (a fake device)")
    parser.add_argument(
        "--dtype", metavar="NAME", help="float64 (default) or float32, with its wider tolerance"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Check each target; 0 when all identities hold, 1 when one does not."""
    reports = [
        prove(
            target,
            args.identity,
            max_examples=args.max_examples,
            seed=args.seed,
            backend=args.backend,
            dtype=args.dtype,
        )
        for target in targets(args.target)
    ]
    if args.json:
        found = [report.to_dict() for report in reports]
        text.print_json(found[0] if args.target else {"ok": all(r.ok for r in reports), "models": found})
    else:
        for report in reports:
            show(report)
    return 0 if all(report.ok for report in reports) else 1


def prove(model: Any, identities: Any = None, progress: bool = True, **options: Any) -> Any:
    """Run :func:`minidgm.checks.check_model` an identity at a time, showing where it stands."""
    from minidgm.checks import Report, check_model
    from minidgm.checks.registry import select

    chosen = select(identities)
    parts = []
    name = model.__name__ if inspect.isclass(model) else type(model).__name__
    with Steps(f"checking {name}", len(chosen), progress) as step:
        for identity in chosen:
            step(identity.name)
            parts.append(check_model(model, [identity], raises=False, **options))
    return Report(
        model=parts[0].model,
        results=tuple(sorted((result for part in parts for result in part.results), key=by_number)),
        not_applicable={name: why for part in parts for name, why in part.not_applicable.items()},
        notes=parts[0].notes,
        seconds=sum(part.seconds for part in parts),
    )


def show(report: Any) -> None:
    """Print a report: table, what did not apply, and each failure in full."""
    text.heading(title(report))
    for line in report.notes:
        print(f"  note: {line}")
    print(table(report))
    if report.not_applicable:
        print(f"  {len(report.not_applicable)} other identities do not apply; --json says why, for each")
    for failure in report.failures:
        print(f"\n{failure.message}")


def title(report: Any) -> str:
    """One line: how many identities hold."""
    if not report.results:
        return (
            f"{report.model}: no identity applies; a check needs methods such as energy(v, h) or log_prob(v)"
        )
    held = sum(result.ok for result in report.results)
    return f"{report.model}: {held} of {len(report.results)} identities hold ({report.seconds:.1f} s)"


def table(report: Any) -> str:
    """Identity, equation, worst error, what is allowed, verdict."""
    rows = [
        (r.number, r.name, r.equation, text.small(r.worst_error), text.small(r.tolerance), r.verdict)
        for r in report.results
    ]
    laid = text.table(
        ["no.", "identity", "equation", "worst error", "allowed", "verdict"], rows, right=[3, 4], wrap=2
    )
    lines = laid.split("\n")
    for word, style in (("holds", text.GREEN), ("fails", text.RED), ("raises", text.RED)):
        lines = [
            line.removesuffix(word) + text.styled(word, style) if line.endswith(f"  {word}") else line
            for line in lines
        ]
    return "\n".join(lines)


def targets(target: str | None) -> list[Any]:
    """Find what is to be checked: classes or instances."""
    from minidgm.cli.runs import Run
    from minidgm.registry import models

    if target is None:
        return list(models().values())
    path, _, name = target.rpartition(":")
    if path.endswith(".py"):
        return [load_class(Path(path), name)]
    if target.endswith(".py"):
        return [load_class(Path(target), None)]
    if target not in models() and Path(target).is_dir():
        return [Run.open(target).model("numpy")]
    return [models()[target]]


def load_class(path: Path, name: str | None) -> Any:
    """Import a user's file and return one of its classes.

    Raises
    ------
    UsageError
        When there is no such file or class, or the file itself fails; says where.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; expected path/to/file.py:Class")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except SystemExit as stop:
        raise UsageError(
            f"{path} exits when it is imported ({stop}); guard it with __name__ == '__main__'"
        ) from stop
    except Exception as error:
        last = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = getattr(error, "lineno", None) or (last[-1].lineno if last else "?")
        raise UsageError(f"{path}, line {line}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    classes = {
        n: c for n, c in vars(module).items() if inspect.isclass(c) and c.__module__ == module.__name__
    }
    candidates = {n: c for n, c in classes.items() if any(hasattr(c, method) for method in METHODS)}
    if name:
        if name not in vars(module):
            raise UsageError(
                f"{path} has no class {name!r}{nearest(name, classes)}; it has: {_names(classes)}"
            )
        if not inspect.isclass(vars(module)[name]):
            raise UsageError(f"{path}: {name} is no class; it has: {_names(classes)}")
        return vars(module)[name]
    if len(candidates) != 1:
        raise UsageError(
            f"which class of {path}? Write {path}:CLASS; it has: {_names(candidates or classes)}"
        )
    return next(iter(candidates.values()))


def by_number(result: Any) -> tuple[int, str]:
    """Order of the catalogue: 2, 7b, 11, 11a."""
    digits = result.number.rstrip("abcdefghij")
    return (int(digits) if digits.isdigit() else 10**6, result.number)


def _names(classes: Any) -> str:
    return ", ".join(classes) or "none"
