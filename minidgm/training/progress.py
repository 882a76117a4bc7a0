"""The progress bar of a training."""

from __future__ import annotations

import time
from typing import Any

from minidgm.training.history import Meter

HIDDEN = ("epoch", "step", "seconds", "learning_rate")


class Progress:
    """A tqdm bar over all steps, with the newest metrics beside it.

    Parameters
    ----------
    on : bool
    epochs : int
    n_steps : int or None
        Steps of an epoch, where known.
    live : bool
        Show metrics within an epoch: only where reading them does not wait for a device.
    """

    INTERVAL = 0.2  # seconds between two looks at the metrics

    def __init__(self, on: bool, epochs: int, n_steps: int | None, live: bool):
        self.on, self.epochs, self.n_steps, self.live = on, epochs, n_steps, live
        self._bar: Any = None
        self._last = 0.0

    def start(self, epoch: int, position: int) -> None:
        """Show the bar, at the place where a resumed training continues."""
        if self.on:
            from tqdm.auto import tqdm

            total = None if self.n_steps is None else self.epochs * self.n_steps
            done = position + epoch * (self.n_steps or 0)
            self._bar = tqdm(total=total, initial=done, unit="step", dynamic_ncols=True)
            self._bar.set_description(f"epoch {min(epoch + 1, self.epochs)}/{self.epochs}")

    def update(self, meter: Meter) -> None:
        """Count a step."""
        self._bar.update()
        now = time.monotonic()
        if self.live and now - self._last > self.INTERVAL:
            self._last = now
            self._bar.set_postfix(_shown(meter.latest()), refresh=False)

    def end_epoch(self, epoch: int, record: dict[str, Any]) -> None:
        """Show the metrics of an epoch."""
        if self.on:
            self._bar.set_description(f"epoch {min(epoch + 1, self.epochs)}/{self.epochs}", refresh=False)
            self._bar.set_postfix(_shown(record))

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()


def _shown(record: dict[str, Any]) -> dict[str, str]:
    return {
        name.replace("validation_", "val_"): f"{value:.4g}"
        for name, value in record.items()
        if name not in HIDDEN and isinstance(value, (int, float))
    }
