"""Runs of the command inside the test's process."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from minidgm.cli import main


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as one JSON document, and nothing else."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The line that reports an error: the last on stderr, without a traceback above it."""
        assert "Traceback" not in self.err
        last = self.err.strip().splitlines()[-1]
        assert last.startswith("minidgm: error: "), self.err
        return last


class Command:
    """``minidgm``, called with its arguments."""

    def __init__(self, capsys):
        self.capsys = capsys

    def __call__(self, *argv: object) -> Outcome:
        self.capsys.readouterr()
        code = main([str(argument) for argument in argv])
        captured = self.capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    def train(self, out: object, *more: object) -> Outcome:
        """Train a tiny model in a moment."""
        data = () if "--data" in more or "--config" in more else ("--data", "bars_and_stripes")
        model = () if "--config" in more else ("RBM", "--n-hidden", 3, "--batch-size", 5, "--epochs", 2)
        return self("train", *model, *data, "--out", out, "--quiet", *more)
