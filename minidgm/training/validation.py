"""Metrics of a validation set that any model can have, cheap enough for every epoch."""

from __future__ import annotations

from typing import Any

from minidgm.backend import asarray, get_backend, get_xp
from minidgm.errors import DataError
from minidgm.training.callbacks import Callback
from minidgm.training.data import Rows, Source, as_rows, checker, spread

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
        rows = as_rows(rows)
        if len(getattr(rows, "shape", ())) != 2:
            raise DataError(
                f"validation is a {type(rows).__name__} of shape {getattr(rows, 'shape', None)}, "
                "expected an array [m, d] or the path of a .npy file"
            )
        if rows.shape[0] == 0:
            raise DataError("validation has no rows")
        self.rows = self._here(spread(rows, ROWS), model, "validation")
        self.training_rows = None
        if isinstance(training_source, Rows):
            self.training_rows = self._here(spread(training_source.X, ROWS), model, "X")

    @staticmethod
    def _here(rows: Any, model: Any, what: str) -> Any:
        rows = checker(model, get_backend(rows) or "numpy")(rows, what)
        return asarray(rows, model.backend, model.dtype)

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
