"""Progress on stderr: a bar on a terminal, about ten lines where the output goes to a file."""

from __future__ import annotations

import sys
import time
from typing import Any

from minidgm.cli.text import note
from minidgm.training import Callback

HIDDEN = ("epoch", "step", "seconds", "learning_rate")
SHORT = {
    "log_likelihood": "LL",
    "pseudo_log_likelihood": "PLL",
    "reconstruction_error": "recon",
    "free_energy_gap": "gap",
    "mean_gap": "mean gap",
}
LINES = 10
BAR = "{desc} {percentage:3.0f}%|{bar:16}| {n_fmt}/{total_fmt}"
MOST = 4


class Progress(Callback):
    """Shows epochs, speed and the newest metrics of a training.

    Parameters
    ----------
    label : str
        What is trained.
    on : bool
    stream : file, optional
        stderr by default.
    """

    def __init__(self, label: str, on: bool = True, stream: Any = None):
        self.label, self.on, self.stream = label, on, stream or sys.stderr
        self._bar: Any = None
        self._shown: dict[str, str] = {}
        self._next = 1

    def on_start(self, training: Any) -> None:
        """Show the bar at the epoch where the training stands."""
        self._started = time.perf_counter()
        if self.on and self.stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=training.epochs,
                initial=training.epoch,
                desc=self.label,
                unit="epoch",
                file=self.stream,
                dynamic_ncols=True,
                bar_format=BAR + " epochs, {elapsed}{postfix}",
            )

    def on_record(self, training: Any) -> None:
        """Show the epoch; metrics that are measured now and then stay until their next value."""
        self._shown |= shown(training.record)
        if self._bar is not None:
            self._bar.set_postfix(dict(list(self._shown.items())[-MOST:]), refresh=False)
            self._bar.update()
        elif self.on and training.epoch >= self._next:
            metrics = "  ".join(f"{name} {value}" for name, value in list(self._shown.items())[-MOST:])
            seconds = time.perf_counter() - self._started
            print(
                f"{self.label}: epoch {training.epoch}/{training.epochs}  {seconds:.1f} s  {metrics}",
                file=self.stream,
                flush=True,
            )
            self._next = min(training.epoch + max(1, training.epochs // LINES), training.epochs)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.refresh()
            self._bar.close()
            self._bar = None

    def on_stop(self, training: Any) -> None:
        """Finish the bar."""
        self.close()


class Steps:
    """Counts the items of a list of slow things, under their names.

    >>> with Steps("checking", 2, on=False) as steps:
    ...     steps("first")
    """

    def __init__(self, label: str, total: int, on: bool = True):
        self.label, self.total, self.on = label, total, on
        self._bar: Any = None
        self._done = 0

    def __enter__(self) -> Steps:
        if self.on and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.total,
                desc=self.label,
                file=sys.stderr,
                dynamic_ncols=True,
                leave=False,
                bar_format=BAR + "{postfix}",
            )
        elif self.on:
            note(f"{self.label}: {self.total} to do")
        return self

    def __call__(self, name: str) -> None:
        """Begin the next item."""
        if self._bar is not None:
            self._bar.set_postfix_str(name, refresh=False)
            self._bar.update(self._done > 0)
            self._bar.refresh()
        self._done += 1

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()


def shown(record: dict[str, Any]) -> dict[str, str]:
    """Shorten an epoch's metrics to what fits beside a bar.

    >>> shown({"epoch": 3, "validation_log_likelihood": -17.80333})
    {'val LL': '-17.8'}
    """
    texts = {}
    for name, value in record.items():
        if name in HIDDEN or not isinstance(value, (int, float)):
            continue
        part, _, rest = name.partition("_")
        prefix, base = {"validation": ("val ", rest), "train": ("train ", rest)}.get(part, ("", name))
        texts[prefix + SHORT.get(base, base.replace("_", " "))] = f"{value:.4g}"
    return texts
