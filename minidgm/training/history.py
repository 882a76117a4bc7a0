"""What a training run recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidgm.backend import is_array, to_numpy
from minidgm.errors import nearest


class History:
    """Records of a training run, one dictionary an epoch.

    Attributes
    ----------
    records : list of dict
        ``epoch`` and ``step`` (both count what is done), ``seconds`` since the start of the run,
        ``learning_rate`` of the last step, and the metrics: means over the epoch's rows.
    stopped : str or None
        Why the training ended; None before it did.

    Examples
    --------
    >>> history = History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.5}])
    >>> history["loss"]
    [2.0, 1.5]
    >>> history["los"]
    Traceback (most recent call last):
    ...
    KeyError: "no metric 'los'; did you mean 'loss'? Recorded: epoch, loss."
    """

    def __init__(self, records: Sequence[Mapping[str, Any]] = (), stopped: str | None = None):
        self.records: list[dict[str, Any]] = [dict(record) for record in records]
        self.stopped = stopped

    @property
    def names(self) -> list[str]:
        """Everything recorded in any epoch, in order of appearance."""
        return list(dict.fromkeys(name for record in self.records for name in record))

    @property
    def seconds(self) -> float:
        """Seconds spent, summed over interrupted runs."""
        return self.records[-1].get("seconds", 0.0) if self.records else 0.0

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.names and self.records:
            raise KeyError(
                f"no metric {name!r}{nearest(name, self.names)}"
                f"{'' if nearest(name, self.names) else '.'} Recorded: {', '.join(self.names)}."
            )
        return [record[name] for record in self.records if name in record]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"History({len(self)} epochs, {self.seconds:.1f} s, {', '.join(self.names)})"


class Meter:
    """Means of a step's metrics over an epoch, weighted by the rows of each batch.

    Values stay where they are: on a device a step costs nothing and nothing is read until :meth:`series`.
    A thousand steps at a time are folded into one array, so that long epochs keep few small objects.

    >>> meter = Meter()
    >>> meter.add(100, {"loss": 1.0})
    >>> meter.add(50, {"loss": 4.0})
    >>> meter.means()
    {'loss': 2.0}
    """

    FOLD = 1024

    def __init__(self) -> None:
        self._values: dict[str, list[Any]] = {}
        self._folded: dict[str, list[Any]] = {}
        self._rows: dict[str, list[int]] = {}

    def add(self, n_rows: int, metrics: Mapping[str, Any]) -> None:
        """Take in the metrics (numbers, or arrays without axes) of a step on ``n_rows`` rows."""
        for name, value in metrics.items():
            if name not in self._values:
                self._values[name], self._folded[name], self._rows[name] = [], [], []
            values = self._values[name]
            values.append(value)
            self._rows[name].append(n_rows)
            if len(values) == self.FOLD:
                self._folded[name].append(_stack(values))
                values.clear()

    def series(self, name: str) -> np.ndarray:
        """Return the values of all steps on the host, float64 [steps]: one read of the device."""
        parts = [*self._folded[name], *([_stack(self._values[name])] if self._values[name] else [])]
        return np.concatenate([to_numpy(part).astype(np.float64) for part in parts])

    def means(self) -> dict[str, float]:
        """Return the mean of every metric over the rows seen."""
        return {name: float(np.average(self.series(name), weights=self._rows[name])) for name in self._values}

    def latest(self) -> dict[str, float]:
        """Return the newest value of every metric (reads a device)."""
        return {name: float(values[-1]) for name, values in self._values.items() if values}

    def state(self) -> dict[str, Any]:
        """Return values and rows, on the host."""
        return {name: {"values": self.series(name), "rows": list(self._rows[name])} for name in self._values}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state` returned."""
        self._values = {name: [] for name in state}
        self._folded = {name: [kept["values"]] for name, kept in state.items()}
        self._rows = {name: list(kept["rows"]) for name, kept in state.items()}


def _stack(values: list[Any]) -> Any:
    """Join numbers into one array, on the device they live on."""
    if is_array(values[0]):
        from minidgm.backend import get_xp

        return get_xp(*values).stack(values)
    return np.array(values, dtype=np.float64)
