"""What machines with label units share: rows [v | y], exact p(y | v), learning with and without labels.

A label is one softmax unit beside the visible ones: a state of the observed side is a row x = [v | y], y
one-hot of n_classes columns. A label has few values, so that whatever free energy F(v, y) a machine has,

    p(y | v) = exp(-F(v, y)) / sum_k exp(-F(v, k)),      F(v) = -log sum_k exp(-F(v, k)),

are exact sums: the partition function cancels (Larochelle and Bengio 2008, equations 2 and 3). So does

    d(-log p(y | v))/dtheta = dF(v, y)/dtheta - sum_k p(k | v) dF(v, k)/dtheta,

one weighted gradient over configurations (v, every label) with weights 1[k = y] - p(k | v). A machine
provides F(v, k) for all labels at once and that weighted gradient; the rest is here.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, asarray, get_backend, get_xp
from minidgm.boltzmann.joined import Joined
from minidgm.boltzmann.label_training import LabelTraining
from minidgm.boltzmann.units import Softmax, Unit, from_name
from minidgm.errors import DataError
from minidgm.numerics import logsumexp
from minidgm.training.labels import one_hot, read_labels

CHUNK = 2**21


class LabelModel(LabelTraining):
    """Base of the models with label units. ``x`` [n, n_columns] is a row [v | y], ``v`` [n, n_visible] alone.

    A subclass has ``energy(x, h)``, ``gibbs_step``, ``free_energy_of_rows(x)`` for rows with labels,
    ``input_field(v)``, ``label_free_energy(v, field)`` and ``label_gradient(v, weights, out, field)``.
    """

    n_hidden: int

    def _build_sides(self, n_visible: int, n_classes: int, visible: str | Unit) -> None:
        self.n_visible, self.n_classes = count("n_visible", n_visible), count("n_classes", n_classes, 2)
        self.visible, self.labels = from_name(visible), Softmax(self.n_classes)
        self.visible.check_width(self.n_visible, "visible")
        self.row_unit = Joined([self.visible, self.labels], [self.n_visible, self.n_classes])

    @property
    def n_columns(self) -> int:
        """Columns of a row [v | y]."""
        return self.n_visible + self.n_classes

    def visible_states(self) -> Any:
        """Every row [v | y], [states, n_columns]: for exact checks of small models."""
        return self.row_unit.states(self.n_columns, xp=self.xp)

    def _own(self, side: str) -> dict[str, Any]:
        """The parameters that belong to one side's units: {"log_precision": ...} or {}."""
        prefix = f"{side}_"
        return {name[len(prefix) :]: value for name, value in self.params.items() if name.startswith(prefix)}

    # Rows

    def split(self, x: Any) -> tuple[Any, Any]:
        """v [n, n_visible] and y [n, n_classes] of rows x."""
        return x[:, : self.n_visible], x[:, self.n_visible :]

    def join(self, v: Any, y: Any) -> Any:
        """Rows [v | y], [n, n_columns], from v [n, n_visible] and labels y [n], checked."""
        v = self.check_visible(v)
        labels = asarray(read_labels(y, v.shape[0], self.n_classes), self.backend)
        return self.xp.concatenate([v, one_hot(labels, self.n_classes, v.dtype)], axis=1)

    def check_visible(self, v: Any, what: str = "v") -> Any:
        """Return v [n, n_visible] on this model's device, or raise `DataError`."""
        return super().check_data(v, what)

    def check_data(self, v: Any, what: str = "v") -> Any:
        """Return rows [v | y] on this model's device, or raise `DataError`; outside `fit` all need a label.
        """
        if get_backend(v) == "autograd":
            return v
        shape: tuple[int, ...] = getattr(v, "shape", ())
        if len(shape) == 2 and shape[1] == self.n_visible:
            raise DataError(
                f"{what} has the {self.n_visible} columns of v and no labels; expected {self.n_columns}, "
                f"[v | one-hot y]: call fit(X, y), or model.join(v, y)"
            )
        v = self.check_matrix(v, self.n_columns, what)
        inputs, y = self.split(v)
        self.visible.check(inputs, what)
        known = (y > 0).any(axis=1)
        if self.unlabelled:
            y = y + (~known)[:, None] / self.n_classes
        elif not bool(known.all()):
            raise DataError(
                f"{what} has no label in row {int(self.xp.argmax(~known))} ({int((~known).sum())} in all); "
                "drop such rows, or train with HybridLikelihood, which takes rows without label"
            )
        self.labels.check(y, f"the label of {what}")
        return v

    # Densities of labels

    def input_field(self, v: Any) -> Any:
        """What v alone contributes to the hidden fields; computed once for all that is asked about v."""
        raise NotImplementedError

    def label_free_energy(self, v: Any, field: Any = None) -> Any:
        """F(v, k) for every label k, [n, n_classes], nats; ``field``: ``input_field(v)`` where it is known.
        """
        raise NotImplementedError

    def label_gradient(self, v: Any, weights: Any, out: Any = None, field: Any = None) -> Any:
        """sum_ik w_ik dF(v_i, k)/dtheta for any signed weights [n, n_classes]; into ``out`` if given."""
        raise NotImplementedError

    def free_energy_of_rows(self, x: Any) -> Any:
        """F(v, y) of rows with labels, [n]."""
        raise NotImplementedError

    def free_energy(self, v: Any) -> Any:
        """F(v, y) = -log sum_h exp(-E(v, y, h)) of rows [v | y], [n], nats."""
        if not self.unlabelled:
            return self.free_energy_of_rows(v)
        inputs, y = self.split(v)
        allowed = y + (y.sum(axis=1) == 0.0)[:, None]
        return -logsumexp(self.xp.where(allowed > 0.0, -self.label_free_energy(inputs), -self.xp.inf), axis=1)

    def label_log_prob(self, v: Any, field: Any = None) -> Any:
        """log p(y | v) of every label, [n, n_classes], exact, nats; v alone, [n, n_visible]."""
        scores = -self.label_free_energy(v, field)
        return scores - logsumexp(scores, axis=1, keepdims=True)

    def input_free_energy(self, v: Any) -> Any:
        """F(v) = -log sum_y exp(-F(v, y)), [n], nats; v alone."""
        return -logsumexp(-self.label_free_energy(v), axis=1)

    def log_prob(self, v: Any, y: Any = None, log_partition: Any = None) -> Any:
        """log p(v, y), [n], exact, nats, of rows [v | y], or of v [n, n_visible] and labels y [n].

        Raises
        ------
        IntractableError
            Where no side can be enumerated; ``log_partition`` (exact or estimated) saves the enumeration.
        """
        x = self.check_data(v) if y is None else self.join(v, y)
        return -self.free_energy(x) - (self.log_partition() if log_partition is None else log_partition)

    def input_log_prob(self, v: Any, log_partition: Any = None) -> Any:
        """log p(v) = log sum_y p(v, y), [n], exact, nats."""
        v = self.check_visible(v)
        log_z = self.log_partition() if log_partition is None else log_partition
        return -self.input_free_energy(v) - log_z

    def log_partition(self) -> Any:
        """log Z in nats, exact."""
        raise NotImplementedError

    # Classification

    def predict_proba(self, v: Any) -> Any:
        """p(y | v), [n, n_classes], exact."""
        v = self.check_visible(v)
        step = max(1, CHUNK // self.n_hidden)
        blocks = [self.label_log_prob(v[i : i + step]) for i in range(0, max(1, v.shape[0]), step)]
        return self.xp.exp(self.xp.concatenate(blocks))

    def predict(self, v: Any) -> Any:
        """The most probable label of each row, int64 [n], on the model's device."""
        return self.predict_proba(v).argmax(axis=1)

    def accuracy(self, v: Any, y: Any) -> float:
        """Share of rows whose label is predicted; all need one."""
        proba = self.predict(v)
        labels = asarray(read_labels(y, int(proba.shape[0]), self.n_classes), self.backend)
        return float((proba == labels).mean()) if proba.shape[0] else float("nan")

    def error_rate(self, x: Any) -> float:
        """Share of rows [v | y] whose label is not the predicted one."""
        v, y = self.split(self.check_data(x))
        return float((self.predict(v) != y.argmax(axis=1)).mean())

    # Sampling

    def sample(
        self, n: int, rng: Generator | int | None = None, steps: int = 1000, init: Any = None, y: Any = None
    ) -> Any:
        """Draw rows [v | y], [n, n_columns]: ``steps`` Gibbs sweeps from ``init`` (or the biases alone).

        With labels ``y`` [n] the label units stay clamped, and the rows are from p(v | y).
        """
        from minidgm.boltzmann.energy_model import same_rows

        rng, xp = self.generator(rng), self.xp
        bias = xp.concatenate([self.params["b"], self.params["d"]])
        field = xp.zeros((count("n", n), 1), dtype=self.dtype) + bias
        own = self._own("visible")
        x = self.row_unit.sample(field, rng, **own) if init is None else self.check_data(init, "init")
        same_rows(x, n)
        step = self.gibbs_step
        if y is not None:
            labels = asarray(read_labels(y, n, self.n_classes), self.backend)
            fixed = one_hot(labels, self.n_classes, self.dtype)
            x, step = xp.concatenate([self.split(x)[0], fixed], axis=1), self.clamped_step
        h = None
        for _ in range(count("steps", steps, 0)):
            x, h = step(x, h, rng)
        return x

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """A sweep over rows [v | y] and hidden units that leaves p(v, y, h) invariant; ignores ``h``."""
        raise NotImplementedError

    def clamped_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """A sweep that keeps the labels of rows [v | y]: leaves p(v, h | y) invariant."""
        raise NotImplementedError

    def complete(self, x: Any, rng: Generator, log_p: Any = None) -> Any:
        """Rows in which a missing label is drawn from p(y | v), whose logarithm is ``log_p`` if known."""
        v, y = self.split(x)
        drawn = self.labels.sample(self.label_log_prob(v) if log_p is None else log_p, rng)
        known = y.sum(axis=1, keepdims=True)
        return get_xp(x).concatenate([v, y + (1.0 - known) * drawn], axis=1)

    def initialize(self, X: Any, y: Any = None) -> Any:
        """Set the biases so that zero couplings would give the means of the data; returns the model."""
        x = self.check_data(X, "X") if y is None else self.join(X, y)
        mean = self.row_unit.logit(x.mean(axis=0), **self._own("visible"))
        self.params["b"][...], self.params["d"][...] = mean[: self.n_visible], mean[self.n_visible :]
        return self
