"""What the command measures while a model learns."""

from __future__ import annotations

from typing import Any

from minidgm.cli.measure import CHEAP_STATES, n_terms, rows_of
from minidgm.training import Callback
from minidgm.training.callbacks import due


class Every(Callback):
    """Lets another callback measure after every so many epochs, and after the last."""

    def __init__(self, epochs: int, inner: Any):
        self.epochs, self.inner = epochs, inner

    def on_epoch_end(self, training: Any) -> None:
        """Measure, if it is time."""
        if due(training, self.epochs):
            self.inner.on_epoch_end(training)


class Likelihood(Callback):
    """Records the exact mean log-likelihood of training and validation rows where enumeration is cheap.

    Nothing is recorded for models beyond 2^16 states of the smaller side.
    """

    def __init__(self, model: Any, data: Any):
        cheap = n_terms(model) <= CHEAP_STATES
        self.parts = {part: rows for part, rows in rows_of(model, data).items() if cheap and part != "test"}

    def on_epoch_end(self, training: Any) -> None:
        """Measure."""
        if self.parts:
            model = training.model
            log_partition = float(model.log_partition())
            for part, rows in self.parts.items():
                value = -float(model.free_energy(rows).mean()) - log_partition
                training.record[f"{part}_log_likelihood"] = value
