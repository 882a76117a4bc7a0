"""``minidgm evaluate``: what a model is worth, every figure with its kind, standard error and unit."""

from __future__ import annotations

import argparse
from typing import Any

from minidgm.cli import runs, text
from minidgm.cli.progress import Steps

HELP = "Measure the model of a run: log-likelihood (exact where possible, AIS and reverse AIS), monitors."
EXAMPLES = """\
examples:
  minidgm evaluate runs/demo
  minidgm evaluate runs/rbm --n-chains 500 --n-temperatures 10000
  minidgm evaluate runs/rbm --json > figures.json
  minidgm evaluate runs/rbm --data other.npy

AIS errs below log Z in expectation, so the log-likelihood by AIS errs above; reverse AIS errs on the other
side. A large distance between the two says that neither is to be trusted.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("--data", metavar="NAME_OR_FILE", help="other data than the run's own")
    parser.add_argument(
        "--n-chains", metavar="N", type=int, help="chains of AIS (100; 5 a frame of a sequence)"
    )
    parser.add_argument(
        "--n-temperatures", metavar="N", type=int, help="temperatures of AIS (1000; 200 for sequences)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0)
    parser.add_argument("--backend", metavar="NAME", help="numpy or cupy; that of the run by default")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Measure, write ``evaluation.json`` into the run, and print the table."""
    from minidgm.cli.measure import evaluate
    from minidgm.cli.settings import load_data, merge
    from minidgm.cli.train import data_table

    folder = runs.Run.open(args.run)
    model = folder.model(args.backend)
    table = folder.config.get("data", {})
    if args.data:
        table = merge({"data": table}, {"data": data_table(args.data)})["data"]
    of_sequences = getattr(model, "takes_sequences", False)
    data = model.prepare(load_data(table, getattr(model.visible, "name", "gaussian"), of_sequences)[0])
    with Steps("measuring", 4) as step:
        if of_sequences:
            from minidgm.cli.sequences import evaluate_sequences

            found = evaluate_sequences(model, data, args.n_chains, args.n_temperatures, args.seed, step)
        else:
            usual = {"n_chains": args.n_chains, "n_temperatures": args.n_temperatures}
            given = {name: value for name, value in usual.items() if value is not None}
            found = evaluate(model, data, **given, seed=args.seed, step=step)
    result = {"run": str(folder.path), "model": repr(model), "data": repr(data), "figures": found.to_list()}
    if not args.data:
        folder.write_json(runs.EVALUATION, result)
    if args.json:
        text.print_json(result)
    else:
        print(f"{model!r}\n{data!r}")
        show(found)
    return 0


def show(found: Any) -> None:
    """Print partition function and figures, a column for each part of the data."""
    lines = [
        (by, cell(value), value.kind, text.number(value.ess, 1), value.unit)
        for by, value in found.log_partition.items()
    ]
    if lines:
        text.heading("partition function")
        print(text.table(["log Z by", "value", "kind", "effective samples", "unit"], lines, right=[1, 3]))
    text.heading("means over rows")
    print(text.table(*figures(found), right=range(2, 2 + len(found.rows))))


def figures(found: Any) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of figures."""
    parts = list(found.rows)
    lines = []
    for figure in found.figures:
        first = next(iter(figure.parts.values()))
        cells = [cell(figure.parts[part]) if part in figure.parts else "" for part in parts]
        lines.append([figure.quantity, figure.by, *cells, first.kind, first.unit])
    head = ["quantity", "by", *(f"{part} ({found.rows[part]:,})" for part in parts), "kind", "unit"]
    return head, lines


def cell(value: Any) -> str:
    """A figure with its standard error."""
    if value.stderr:
        return f"{text.number(value.value)} ± {value.stderr:.2g}"
    return text.number(value.value)
