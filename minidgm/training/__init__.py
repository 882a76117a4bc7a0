"""Training: the loop, its data, callbacks and checkpoints."""

from minidgm.training.callbacks import Callback, EarlyStopping, JSONLines, Metrics, Samples
from minidgm.training.checkpoint import Checkpoint
from minidgm.training.fit import fit
from minidgm.training.history import History
from minidgm.training.loop import Training
from minidgm.training.validation import Validation

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "JSONLines",
    "Metrics",
    "Samples",
    "Training",
    "Validation",
    "fit",
]
