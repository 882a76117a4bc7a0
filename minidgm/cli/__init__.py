"""The ``minidgm`` command: a file a subcommand, each with ``HELP``, ``arguments(parser)``, ``run(args)``.

Results go to stdout, progress and errors to stderr, so that ``--json`` can be piped. Exit codes: 0 success,
1 failure (an identity that does not hold, a diverged training, a full disk), 2 bad input, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Examples
    --------
    >>> main(["--version"])
    minidgm ...
    0
    """
    from minidgm.cli.command import run

    return run(argv)
