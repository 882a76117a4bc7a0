"""``minidgm demo``: handwritten digits, two RBMs, exact numbers, proofs and a report, in under a minute."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from minidgm.cli import check, evaluate, runs, text, train
from minidgm.cli.progress import Steps

HELP = """\
Train an RBM on 1,797 handwritten digits of 8 x 8 pixels, measure it exactly, prove its identities on drawn
parameters, and write a report that needs nothing but a browser. Takes less than a minute on two cores."""
EXAMPLES = """\
examples:
  minidgm demo
  minidgm demo --backend cupy
  minidgm demo --seed 1 --out runs/demo1

A second demo replaces the first one's folder; a run that you trained is never replaced without --overwrite.
"""
SMALL: dict[str, Any] = {
    "model": {"name": "RBM", "n_hidden": 16, "centered": True},
    "data": {"name": "digits", "binarize": "threshold"},
    "objective": {"name": "PersistentContrastiveDivergence", "n_chains": 500, "weight_decay": 5e-4},
    "optimizer": {"name": "SGD", "learning_rate": {"name": "Linear", "start": 0.3, "stop": 0.0}},
    "training": {"epochs": 800, "batch_size": 100, "measure_every": 16},
}
LARGE: dict[str, Any] = {
    **SMALL,
    "model": {**SMALL["model"], "n_hidden": 128},
    "objective": {**SMALL["objective"], "weight_decay": 2e-3},
    "optimizer": {"name": "SGD", "learning_rate": {"name": "Linear", "start": 0.4, "stop": 0.0}},
    "training": {"epochs": 400, "batch_size": 100, "measure_every": 40},
}
QUICK = 20
EXAMPLES_PER_IDENTITY = 15
EXAMPLES_ON_A_DEVICE = 4  # tiny models spend their time on launching kernels
N_SAMPLES = 60
SWEEPS = 5000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--out", metavar="RUN", default="runs/demo", help="the folder to write (runs/demo)")
    parser.add_argument("--backend", metavar="NAME", default="numpy", help="numpy (default) or cupy")
    parser.add_argument("--seed", metavar="N", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="a twentieth of the training, to see that all works"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a run that is not a demo")
    parser.add_argument("--json", action="store_true", help="print every result as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Run the demo; 1 when an identity does not hold."""
    started = time.perf_counter()
    try:
        results = demonstrate(args)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("start again with the same command; it takes less than a minute") from None
    results["seconds"] = time.perf_counter() - started
    folder = results["folder"]
    publish(results)
    if args.json:
        text.print_json(summary(results))
    else:
        print(f"\n{results['seconds']:.0f} s; all of it is in {folder.path}, the model included. Open")
        print(f"  {text.styled((folder / runs.REPORT).resolve().as_uri(), text.BOLD)}")
    return 0 if results["checks"].ok else 1


def demonstrate(args: argparse.Namespace) -> dict[str, Any]:
    """Train, measure and prove; print each table as soon as it is known."""
    from minidgm.cli import measure
    from minidgm.cli.settings import Settings

    quiet, talk = args.quiet, not args.json
    plan = Settings(shared(SMALL, args), command="demo")
    folder = runs.Run.create(args.out, plan.config, args.overwrite or is_demo(Path(args.out)))
    if talk:
        introduce(plan)
    summary = train.train(plan, folder, progress=not quiet, label=plan_label(plan))
    large = Settings(shared(LARGE, args), command="demo")
    large_folder = runs.Run.create(folder / runs.LARGER, large.config)
    large_summary = train.train(large, large_folder, progress=not quiet, label=plan_label(large))

    with Steps("measuring", 7, not quiet) as step:
        found = measure.evaluate(plan.model, plan.data, seed=args.seed, step=step)
        larger = measure.evaluate(large.model, large.data, seed=args.seed, step=step)
    for run_folder, evaluation in ((folder, found), (large_folder, larger)):
        run_folder.write_json(runs.EVALUATION, {"figures": evaluation.to_list()})
    if talk:
        text.heading("mean log-likelihood, nats an image")
        print(text.table(*likelihoods(found, larger), right=[2, 3, 4]))
        text.heading("log partition function, nats")
        print(text.table(*partitions(found, larger), right=[2, 3, 4]))
        text.heading("monitors, nats an image")
        print(text.table(*monitors(found, larger), right=[1, 2, 3]))

    checks = check.prove(
        plan.model,
        progress=not quiet,
        max_examples=EXAMPLES_PER_IDENTITY if plan.model.backend == "numpy" else EXAMPLES_ON_A_DEVICE,
        seed=args.seed,
        dtype="float64",
    )
    folder.write_json(runs.CHECKS, checks.to_dict())
    if talk:
        check.show(checks)
    return {
        "args": args,
        "folder": folder,
        "plan": plan,
        "large": large,
        "summaries": (summary, large_summary),
        "evaluation": found,
        "larger": larger,
        "checks": checks,
    }


def introduce(plan: Any) -> None:
    """Say what is going to happen."""
    data = plan.data
    n = len(data.train) + len(data.validation) + len(data.test)
    print(
        text.styled("minidgm demo", text.BOLD)
        + f": restricted Boltzmann machines on {n:,} handwritten digits"
    )
    print(f"  data       {data.description}, black where at least half inked; {data.source}")
    print(f"  split      {len(data.train):,} train, {len(data.validation)} validation, {len(data.test)} test")
    print(f"  model      {plan.model!r}, {plan.config['backend']}")
    print(f"  objective  {plan.objective!r}", flush=True)


def plan_label(plan: Any) -> str:
    """What the progress bar calls a training."""
    return f"{plan.model.n_hidden} hidden units"


def shared(settings: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """The settings with those of the command line."""
    training = dict(settings["training"])
    if args.quick:
        training["epochs"] //= QUICK
        training["measure_every"] = max(1, training["measure_every"] // QUICK)
    return {**settings, "training": training, "seed": args.seed, "backend": args.backend}


def is_demo(folder: Path) -> bool:
    """Whether an earlier demo made this folder."""
    return runs.is_run(folder) and runs.Run.open(folder).config["command"] == "demo"


def likelihoods(found: Any, larger: Any) -> tuple[list[str], list[list[str]]]:
    """The table that compares both models with what has no hidden units."""
    lines = []
    for by in ("uniform", "independent bits"):
        lines.append([by, "closed form", *_cells(found["baseline log-likelihood", by]), "exact"])
    for name, evaluation in ((found.label, found), (larger.label, larger)):
        for figure in evaluation.figures:
            if figure.quantity == "log-likelihood":
                kind = next(iter(figure.parts.values())).kind
                lines.append([name, figure.by, *_cells(figure.parts), kind])
    return ["model", "log Z by", *_parts(found), "kind"], lines


def partitions(found: Any, larger: Any) -> tuple[list[str], list[list[str]]]:
    """The table of partition functions, the error beside each where the truth is known."""
    lines = []
    for name, evaluation in ((found.label, found), (larger.label, larger)):
        exact = evaluation.log_partition.get("enumeration")
        for by, value in evaluation.log_partition.items():
            error = f"{value.value - exact.value:+.3f}" if exact is not None and value is not exact else "–"
            lines.append([name, by, evaluate.cell(value), error, text.number(value.ess, 1), value.kind])
    return ["model", "log Z by", "log Z", "error", "effective samples", "kind"], lines


def monitors(found: Any, larger: Any) -> tuple[list[str], list[list[str]]]:
    """Pseudo-likelihood and free-energy gap of both models."""
    lines = []
    for name, evaluation in ((found.label, found), (larger.label, larger)):
        for quantity, by in (
            ("log pseudo-likelihood", "conditionals"),
            ("free-energy gap to train", "free energies"),
        ):
            values = evaluation[quantity, by]
            cells = [evaluate.cell(values[part]) if part in values else "–" for part in found.rows]
            lines.append([f"{name}: {quantity}", *cells, "exact"])
    return ["quantity", *_parts(found), "kind"], lines


def _parts(found: Any) -> list[str]:
    return [f"{part} ({n:,})" for part, n in found.rows.items()]


def _cells(parts: Any) -> list[str]:
    return [evaluate.cell(value) for value in parts.values()]


def publish(results: dict[str, Any]) -> None:
    """Draw the pictures and write the report."""
    from minidgm import datasets, plotting
    from minidgm.backend import Generator, to_numpy
    from minidgm.cli.report import page
    from minidgm.evaluation import exact_samples
    from minidgm.serialization import write_atomically

    folder, plan, large = results["folder"], results["plan"], results["large"]
    shape = plan.data.shape
    rng, large_rng = Generator(results["args"].seed, plan.model.backend).spawn(2)
    samples = exact_samples(plan.model, N_SAMPLES, rng)
    large_samples = large.model.sample(N_SAMPLES, large_rng, steps=SWEEPS)
    images = {
        "digits.png": plan.data.test[:N_SAMPLES],
        "digits-grey.png": datasets.digits().test[:N_SAMPLES],
        "samples.png": samples,
        "means.png": plan.model.reconstruct(samples, rng),
        "samples-larger.png": large_samples,
        "means-larger.png": large.model.reconstruct(large_samples, large_rng),
    }
    figures = {name: plotting.image_grid(to_numpy(rows), shape, ncols=10) for name, rows in images.items()}
    figures |= {
        "filters.png": plotting.filters(plan.model.params["W"], shape=shape, ncols=8),
        "learning_curve.png": plotting.learning_curve(
            [record for record in folder.records() if "train_log_likelihood" in record],
            ["train_log_likelihood", "validation_log_likelihood"],
        ),
    }
    pictures = {name: plotting.to_png_bytes(figure) for name, figure in figures.items()}
    for name, content in pictures.items():
        write_atomically(folder / name, content)
    results["pictures"] = pictures
    write_atomically(folder / runs.REPORT, page(results).encode())


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """Everything that was found, as plain values."""
    small, large = results["summaries"]
    return {
        "run": str(results["folder"].path),
        "report": str(results["folder"] / runs.REPORT),
        "ok": results["checks"].ok,
        "seconds": results["seconds"],
        "models": [
            {
                "model": small["model"],
                "seconds": small["seconds"],
                "figures": results["evaluation"].to_list(),
            },
            {"model": large["model"], "seconds": large["seconds"], "figures": results["larger"].to_list()},
        ],
        "checks": results["checks"].to_dict(),
    }
