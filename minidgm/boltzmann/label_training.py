"""How machines with label units train: labels beside rows, some of them missing, from arrays or data sets."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_backend
from minidgm.boltzmann.energy_model import EnergyModel
from minidgm.errors import DataError
from minidgm.model import N_HIDDEN
from minidgm.training.labels import MISSING, LabelledRows, label_beside, read_labels


class LabelTraining(EnergyModel):
    """Part of `LabelModel`: `fit` and what the command line asks of a model."""

    n_classes: int
    check_visible: Any
    unlabelled = False  # whether rows may lack their label; a twin made for such a training says so

    def fit(self, X: Any, y: Any = None, **kwargs: Any) -> Any:
        """Train on the rows of ``X`` and their labels; other arguments as in `minidgm.training.fit`.

        Parameters
        ----------
        X : array-like [n, n_visible]
            Or rows [v | one-hot y], [n, n_columns], without ``y``.
        y : array-like [n], optional
            Labels 0 to n_classes - 1; -1 or NaN for a row without label, where the objective takes those.
        validation : array-like [m, n_columns] or (X, y), optional

        Raises
        ------
        DataError
            Labels out of range, or missing where the objective needs all of them, or one at least.
        """
        from minidgm import training
        from minidgm.training.fit import as_objective

        objective = as_objective(self, kwargs.pop("objective", None))
        missing = bool(getattr(objective, "takes_unlabelled", False))
        if y is not None:
            X = self.labelled(X, y, missing)
            if missing and not objective.learns_unlabelled:
                known = read_labels(y, int(X.shape[0]), self.n_classes, missing) != MISSING
                if not known.any():
                    raise DataError(
                        f"none of the {len(known)} rows has a label, from which alone "
                        f"{type(objective).__name__} learns; label some, or train with HybridLikelihood"
                    )
        validation = kwargs.get("validation")
        if isinstance(validation, tuple):
            rows, labels = validation
            kwargs["validation"] = self.labelled(rows, labels, what="validation labels")
        student = self
        if missing:
            student = copy.copy(self)
            student.unlabelled = True
        return training.fit(student, X, objective=objective, **kwargs)

    def labelled(self, X: Any, y: Any, missing: bool = False, what: str = "y") -> Any:
        """Rows [v | y], joined when they are asked for; of an array on a device at once."""
        from minidgm.training.data import as_rows

        X = as_rows(X)
        if len(getattr(X, "shape", ())) != 2 or X.shape[1] != self.n_visible:
            raise DataError(
                f"X has shape {getattr(X, 'shape', None)}; with labels beside it expected rows of v, "
                f"[n, {self.n_visible}]"
            )
        rows = LabelledRows(X, read_labels(y, int(X.shape[0]), self.n_classes, missing, what), self.n_classes)
        if get_backend(X) not in (None, "numpy"):
            return rows[:]
        if get_backend(X) == "numpy" and X.dtype.kind in "buif":
            self.on("numpy").check_visible(X, "X")
        return rows

    def on(self, backend: str) -> Any:
        """This structure on another backend, for checks of rows before they are moved."""
        from minidgm.backend import namespace

        twin = copy.copy(self)
        twin.backend, twin.xp = backend, namespace(backend)
        return twin

    def default_objective(self) -> Any:
        """Hybrid of log p(y | v) and 0.01 log p(v, y) (Larochelle and Bengio 2008)."""
        from minidgm.objectives import HybridLikelihood

        return HybridLikelihood()

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Columns and classes from a data set with labels."""
        if data.train_labels is None:
            raise DataError(f"{data.name} has no labels; {cls.__name__} needs some, as digits and mnist have")
        parts = [getattr(data, f"{part}_labels") for part in ("train", "validation", "test")]
        found = {"n_classes": 1 + max(int(y.max()) for y in parts if y is not None and len(y))}
        needed = {name for name, p in inspect.signature(cls).parameters.items() if p.default is p.empty}
        sizes = {"n_hidden": N_HIDDEN} if "n_hidden" in needed else {}
        own = super().arguments_for(data, {k: v for k, v in given.items() if k != "n_classes"})
        return {**sizes, **found, **own, **given}

    def prepare(self, data: Any) -> Any:
        """The data set with rows [v | y]."""
        return label_beside(data, self.n_classes, type(self).__name__)
