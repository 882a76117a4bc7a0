"""Metrics of a validation set that any model can have, cheap enough for every epoch."""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.training.callbacks import Callback
from minidgm.training.data import Rows, Source, open_npy, spread

ROWS = 1000
PSEUDO_ROWS = 100  # a pseudo-likelihood costs a pass over all hidden units for every visible one


class Validation(Callback):
    """Records, of at most a thousand rows spread over the validation set, what the model's methods allow.

    ================================== =========================== ==========================================
    metric                             needs                       meaning
    ================================== =========================== ==========================================
    validation_reconstruction_error    ``reconstruct``             mean over rows of ||v - reconstruction||^2
    validation_pseudo_log_likelihood   ``pseudo_log_likelihood``   mean over 100 rows, nats, an estimate
    free_energy_gap                    ``free_energy``             mean F(validation) - mean F(training), nats
    ================================== =========================== ==========================================

    A gap that grows says that the model overfits (Hinton 2012, section 6): log Z drops out of it.
    """

    def __init__(self, rows: Any, training_source: Source, model: Any):
        if isinstance(rows, (str, bytes)) or hasattr(rows, "__fspath__"):
            rows = open_npy(rows)
        checked = Rows(rows, model, 1) if hasattr(rows, "shape") else None
        self.rows = model.check_data(spread(checked.X if checked else rows, ROWS), "validation")
        self.training_rows = None
        if isinstance(training_source, Rows):
            self.training_rows = model.check_data(spread(training_source.X, ROWS), "X")

    def on_epoch_end(self, training: Any) -> None:
        """Measure."""
        model, v = training.model, self.rows
        xp = get_xp(v)
        if hasattr(model, "reconstruct"):
            error = xp.sum((v - model.reconstruct(v)) ** 2, axis=-1)
            training.record["validation_reconstruction_error"] = float(error.mean())
        if hasattr(model, "pseudo_log_likelihood"):
            some = spread(v, PSEUDO_ROWS)
            training.record["validation_pseudo_log_likelihood"] = float(
                model.pseudo_log_likelihood(some).mean()
            )
        if hasattr(model, "free_energy") and self.training_rows is not None:
            gap = model.free_energy(v).mean() - model.free_energy(self.training_rows).mean()
            training.record["free_energy_gap"] = float(gap)
