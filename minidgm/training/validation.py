"""Metrics of a validation set that any model can have, cheap enough for every epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidgm.backend import asarray, get_backend
from minidgm.errors import DataError, IntractableError
from minidgm.evaluation.monitor import free_energy_gap, pseudo_likelihood, reconstruction_error
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
    validation_error                   ``error_rate``              share of wrong labels
    free_energy_gap                    ``free_energy``             mean F(validation) - mean F(training), nats
    ================================== =========================== ==========================================

    A gap that grows says that the model overfits (Hinton 2012, section 6): log Z drops out of it. The
    functions are those of :mod:`minidgm.evaluation`.

    Parameters
    ----------
    rows : array [m, d], or path of a ``.npy`` file
    training_source : Source
        The training set, for the gap.
    model : Model

    Raises
    ------
    DataError
        For rows that the model cannot mean.
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
        v = _on_device(spread(rows, ROWS), model, "validation")
        self._measures: dict[str, Callable[[Any], Any]] = {}
        self._keep("validation_reconstruction_error", model, lambda m: reconstruction_error(m, v))
        if hasattr(model, "error_rate"):
            self._keep("validation_error", model, lambda m: m.error_rate(v))
        few = spread(v, PSEUDO_ROWS)
        self._keep("validation_pseudo_log_likelihood", model, lambda m: pseudo_likelihood(m, few))
        if isinstance(training_source, Rows) and hasattr(model, "free_energy"):
            seen = _on_device(spread(training_source.X, ROWS), model, "X")
            self._keep("free_energy_gap", model, lambda m: free_energy_gap(m, seen, v))

    def _keep(self, name: str, model: Any, measure: Callable[[Any], Any]) -> None:
        """Keep a measure if this model allows it: units without alternatives have no pseudo-likelihood."""
        try:
            measure(model)
        except (TypeError, IntractableError):
            return
        self._measures[name] = measure

    def on_epoch_end(self, training: Any) -> None:
        """Measure."""
        for name, measure in self._measures.items():
            training.record[name] = float(measure(training.model))


def _on_device(rows: Any, model: Any, what: str) -> Any:
    rows = checker(model, get_backend(rows) or "numpy")(rows, what)
    return asarray(rows, model.backend, model.dtype)
