"""Arguments, exit codes and error messages of the ``minidgm`` command."""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from minidgm.errors import nearest

COMMANDS = {
    "demo": "train, measure and prove an RBM on handwritten digits in under a minute",
    "train": "train a model on a data set or a file of yours",
    "sample": "draw from a trained model",
    "evaluate": "measure a trained model: log-likelihood, partition function, and how each was computed",
    "check": "prove the identities of a model, of this library or of your own",
    "info": "show a model's equations, reference and identities",
    "list": "list models, objectives, optimizers and data sets",
}
EXIT_CODES = """\
exit codes:
  0    success
  1    failure: an identity does not hold, training diverged, no such device, the disk is full
  2    bad input: arguments, names, files, data
  130  interrupted (Ctrl-C); says how to go on
"""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)


class UsageError(ValueError):
    """Arguments that do not make sense together."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are exceptions, so that they end in one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def run(argv: Sequence[str] | None = None) -> int:
    """Parse, run the subcommand, and turn what it raises into one line and an exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    args: Any = argparse.Namespace(debug="--debug" in argv)
    try:
        args = parse(argv)
        code = importlib.import_module(f"minidgm.cli.{args.command}").run(args) if args.command else 0
        sys.stdout.flush()
        return int(code or 0)
    except SystemExit as stop:  # --help and --version
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        print(f"\nminidgm: interrupted{': ' if str(stop) else ''}{stop}", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read stdout has gone (`minidgm list | head -1`): no error, and no more output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if args.debug:
            raise
        code, message = explain(error)
        print(f"minidgm: error: {message}", file=sys.stderr)
        return code


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Turn the arguments into a namespace; imports the one subcommand that is called."""
    from minidgm import __version__

    described = "\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items())
    parser = Parser(
        prog="minidgm",
        usage="minidgm COMMAND [options]",
        description="Deep generative models as explicit array math, trained, measured and proved.\n\n"
        f"commands:\n{described}",
        epilog=f"minidgm COMMAND --help explains one command, with examples.\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"minidgm {__version__}")
    parser.set_defaults(command=None, debug=False)
    if not argv:
        parser.print_help()
        return argparse.Namespace(command=None, debug=False)
    name = argv[0]
    if name.startswith("-"):
        args, extra = parser.parse_known_args(argv)
        raise UsageError(f"unknown option {(extra or argv)[0]!r}; see minidgm --help")
    if name not in COMMANDS:
        hint = nearest(name, COMMANDS) or f". Known: {', '.join(COMMANDS)}."
        raise UsageError(f"unknown command {name!r}{hint} See minidgm --help")
    module: ModuleType = importlib.import_module(f"minidgm.cli.{name}")
    command = Parser(
        prog=f"minidgm {name}",
        description=module.HELP,
        epilog=f"{module.EXAMPLES}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.arguments(command)
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    args, extra = command.parse_known_args(argv[1:])
    if extra:
        options = [option for action in command._actions for option in action.option_strings]
        close = difflib.get_close_matches(extra[0].split("=")[0], options, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        what = "option" if extra[0].startswith("-") else "argument"
        raise UsageError(f"unknown {what} {extra[0]!r}{hint} See minidgm {name} --help")
    args.command = name
    return args


def explain(error: Exception) -> tuple[int, str]:
    """Return the exit code and the line for an error.

    >>> explain(UsageError("no such thing"))
    (2, 'no such thing')
    >>> explain(FloatingPointError("diverged"))
    (1, 'diverged')
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or text
        missing = isinstance(
            error, (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)
        )
        if error.errno in NO_ROOM:
            return 1, f"{where}{reason}; free some space, or write elsewhere with --out"
        return (2 if missing else 1), f"{where}{reason}"
    if isinstance(error, (FloatingPointError, RuntimeError, AssertionError, MemoryError)):
        return 1, text
    if isinstance(error, KeyError) and error.args:
        return 2, str(error.args[0])
    if isinstance(error, (ValueError, TypeError, LookupError, OverflowError)):
        return 2, text
    return 1, f"{type(error).__name__}: {text} (run again with --debug for the traceback)"
