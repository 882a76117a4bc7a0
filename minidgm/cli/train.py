"""``minidgm train``: settings from a TOML file and the command line to a trained model in a run folder."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from minidgm.backend import is_array
from minidgm.cli import runs, settings, text
from minidgm.cli.command import UsageError
from minidgm.errors import DataError

HELP = "Train a model on a data set or a file of yours; everything about the run is kept in one folder."
EXAMPLES = """\
examples:
  minidgm train RBM --data digits --objective PCD --n-hidden 64 --epochs 100 --out runs/rbm
  minidgm train RBM --data mine.npy --set model.visible=gaussian --optimizer Adam --out runs/mine
  minidgm train --out runs/rbm --resume --epochs 200           continue, for more epochs
  minidgm train --config runs/rbm/config.toml --out runs/again  repeat: the same bits on the same machine
  minidgm train --config settings.toml --set optimizer.learning_rate=0.01 --out runs/b

A settings file has the tables [model], [data], [objective], [optimizer] and [training], with the arguments of
what `name` names; the command line overrides it. `config.toml` of any run is a complete example.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a model's name, such as RBM (see `minidgm list`)"
    )
    parser.add_argument(
        "--data", metavar="NAME_OR_FILE", help="a data set's name, or a .npy, .npz, .csv, .mat or idx file"
    )
    parser.add_argument(
        "--binarize", metavar="HOW", help="fixed, dynamic or threshold: how grey levels become bits"
    )
    parser.add_argument(
        "--objective", metavar="NAME", help="gradient estimator, such as CD, PCD, PseudoLikelihood"
    )
    parser.add_argument("--optimizer", metavar="NAME", help="SGD, Momentum, Nesterov, Adam, AdamW")
    parser.add_argument("--learning-rate", metavar="RATE", type=float)
    parser.add_argument("--n-hidden", metavar="N", type=int, help="hidden units")
    parser.add_argument(
        "--epochs", metavar="N", type=int, help="passes over the data, from the beginning of the run"
    )
    parser.add_argument("--batch-size", metavar="N", type=int, help="rows a step")
    parser.add_argument(
        "--patience", metavar="N", type=int, help="stop when validation has not improved for N epochs"
    )
    parser.add_argument("--seed", metavar="N", type=int)
    parser.add_argument("--backend", metavar="NAME", help="numpy (default) or cupy")
    parser.add_argument("--dtype", metavar="NAME", help="float32 (default) or float64")
    parser.add_argument(
        "--set", metavar="TABLE.KEY=VALUE", action="append", default=[], help="any other setting"
    )
    parser.add_argument("--config", metavar="FILE", help="settings from a TOML file")
    parser.add_argument("--out", metavar="RUN", required=True, help="the folder of the run")
    parser.add_argument("--resume", action="store_true", help="continue the run in this folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in this folder")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Train, save, and say what can be done next."""
    if args.resume and args.overwrite:
        raise UsageError("--resume continues a run and --overwrite deletes it: choose one")
    asked = from_arguments(args)
    stored: dict[str, Any] = {}
    if args.resume and runs.is_run(Path(args.out)):
        stored = runs.Run.open(args.out).config
    base = settings.from_file(args.config) if args.config else {}
    known = settings.merge(stored, settings.merge(base, asked))
    plan = settings.Settings(known)
    if stored:
        changed = settings.differences(stored, plan.config)
        if changed:
            raise UsageError(
                f"--resume must keep the settings of {args.out}; different: {', '.join(changed)}"
            )
        folder = runs.Run(Path(args.out), plan.config)
    else:
        check_rows(plan)
        folder = runs.Run.create(args.out, plan.config, args.overwrite)
    summary = train(plan, folder, resume=args.resume, progress=not args.quiet)
    if args.json:
        text.print_json({"run": str(folder.path), **summary})
    else:
        report(folder, summary)
    return 0


def from_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Collect what the command line sets, in the form of a settings file."""
    asked: dict[str, Any] = {key: getattr(args, key) for key in ("seed", "backend", "dtype")}
    asked["model"] = {"name": args.model, "n_hidden": args.n_hidden}
    asked["data"] = {**data_table(args.data), "binarize": args.binarize}
    asked["objective"] = {"name": args.objective}
    asked["optimizer"] = {"name": args.optimizer, "learning_rate": args.learning_rate}
    asked["training"] = {"epochs": args.epochs, "batch_size": args.batch_size, "patience": args.patience}
    given: dict[str, Any] = {}
    for key, value in asked.items():
        if isinstance(value, dict):
            value = {name: item for name, item in value.items() if item is not None}
        if value is not None and value != {}:
            given[key] = value
    return settings.merge(given, settings.assignments(args.set))


def data_table(name: str | None) -> dict[str, str]:
    """Tell a data set's name from a file's."""
    if name is None:
        return {}
    from minidgm.registry import datasets

    is_file = name not in datasets() and (Path(name).exists() or "." in name or "/" in name)
    return {"file": name} if is_file else {"name": name}


def check_rows(plan: settings.Settings) -> None:
    """Refuse data that the model cannot mean before anything is written."""
    for part in ("train", "validation", "test"):
        rows = getattr(plan.data, part)
        try:
            if len(rows) and getattr(plan.model, "takes_sequences", False):
                plan.model.check_sequences(rows, f"{plan.data.name}.{part}")
            elif len(rows) and is_array(rows):
                plan.model.check_data(rows, f"{plan.data.name}.{part}")
        except DataError as error:
            raise DataError(f"{error}{_hint(plan, str(error))}") from None


def _hint(plan: settings.Settings, problem: str) -> str:
    if "holds NaN" in problem or getattr(plan.model, "visible", None) is None:
        return ""
    name = plan.model.visible.name
    return f" (the visible units are {name}: pass --binarize threshold, or --set model.visible=gaussian)"


def train(
    plan: settings.Settings,
    folder: runs.Run,
    resume: bool = False,
    progress: bool = True,
    label: str = "",
) -> dict[str, Any]:
    """Train what the settings describe in a run folder; return and write the summary.

    Raises
    ------
    KeyboardInterrupt
        Says how to continue.
    """
    from minidgm.cli.progress import Progress
    from minidgm.training import Checkpoint, JSONLines

    if getattr(plan.model, "fits_at_once", False):
        return at_once(plan, folder)
    options = plan.training
    bar = Progress(label or f"{type(plan.model).__name__} on {plan.data.name}", progress)
    try:
        hooks = [*measurements(plan), JSONLines(folder / runs.METRICS), bar]
        history = plan.model.fit(
            plan.data.train,
            objective=plan.objective,
            optimizer=plan.optimizer,
            epochs=options["epochs"],
            batch_size=options["batch_size"],
            callbacks=hooks,
            seed=plan.config["seed"],
            checkpoint=Checkpoint(folder / runs.CHECKPOINT, every_epochs=options["measure_every"]),
            resume=resume,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(interrupted(folder)) from None
    except (ValueError, TypeError):
        if not resume:
            folder.discard_if_untrained()
        raise
    finally:
        bar.close()
    plan.model.save(folder / runs.MODEL)
    if resume:
        folder.write_config()
    return summarize(plan, folder, history)


def at_once(plan: settings.Settings, folder: runs.Run) -> dict[str, Any]:
    """Fit a model that takes no gradient steps; return and write the summary."""
    from minidgm.training import History

    validation = plan.data.validation if len(plan.data.validation) else None
    start = time.perf_counter()
    plan.model.fit(plan.data.train, validation)
    seconds = time.perf_counter() - start
    plan.model.save(folder / runs.MODEL)
    return summarize(plan, folder, History([{"epoch": 1, "seconds": seconds}]))


def summarize(plan: settings.Settings, folder: runs.Run, history: Any) -> dict[str, Any]:
    """Write how the training ended, and return it."""
    summary = {
        "model": repr(plan.model),
        "data": {"name": plan.data.name, "rows": len(plan.data.train), "shape": plan.data.shape},
        "epochs": len(history),
        "stopped": history.stopped,
        "seconds": history.seconds,
        "last": history.records[-1] if history.records else {},
    }
    folder.write_json(runs.SUMMARY, summary)
    return summary


def measurements(plan: settings.Settings) -> list[Any]:
    """Return the callbacks that measure the model, and the one that stops when it no longer improves."""
    from minidgm.cli.recording import Every, Likelihood
    from minidgm.training import EarlyStopping, Validation
    from minidgm.training.data import source

    options, data = plan.training, plan.data
    of_sequences = getattr(plan.model, "takes_sequences", False)
    hooks: list[Any] = [] if of_sequences else [Likelihood(plan.model, data)]
    if len(data.validation) and of_sequences:
        hooks.append(plan.model.validation(data.validation))
    elif len(data.validation):
        rows = source(data.train, plan.model, options["batch_size"])
        hooks.append(Validation(data.validation, rows, plan.model))
    hooks = [Every(options["measure_every"], hook) for hook in hooks]
    if options["patience"] is not None:
        metric = options["monitor"] or "validation_reconstruction_error"
        if options["monitor"] is None and not len(data.validation):
            raise UsageError(f"--patience watches validation rows, and {data.name} has none")
        if "likelihood" in metric:
            hooks.append(EarlyStopping(metric, options["patience"], "max", restore_best=True))
        else:
            hooks.append(EarlyStopping(metric, options["patience"], restore_best=True))
    return hooks


def interrupted(folder: runs.Run) -> str:
    """Say how to continue a training that was stopped."""
    if any((folder / runs.CHECKPOINT).glob("*")):
        return f"the last checkpoint is kept; continue with `minidgm train --out {folder.path} --resume`"
    return f"nothing was trained yet; start again with `minidgm train ... --out {folder.path} --overwrite`"


def report(folder: runs.Run, summary: dict[str, Any]) -> None:
    """Print the outcome and the next commands."""
    from minidgm.cli.progress import HIDDEN

    print(
        f"{summary['model']} on {summary['data']['name']}: "
        f"{summary['epochs']} epochs, {summary['seconds']:.1f} s"
    )
    last = [(name, value) for name, value in summary["last"].items() if name not in HIDDEN]
    if last:
        print(
            text.table(
                ["metric", "last epoch"], [(name, text.number(value, 4)) for name, value in last], right=[1]
            )
        )
    print(f"written to {folder.path}; next:")
    for command in ("evaluate", "sample", "check"):
        print(f"  minidgm {command} {folder.path}")
