"""What the models of sequences share: frames whose RBM depends on the past, and what follows from that.

Such a model is a product over frames, log p(v_1 ... v_T) = sum_t log p(v_t | past), and every factor is an
RBM whose biases the past has moved (`minidgm.boltzmann.biased_rbms`). What a model remembers of the past is
its state: the last frames, or a summary of all. It has these methods of its own:

    rbms(state)                  the RBM of every state
    after(frames), step(v, s)    the state after a sequence, and after one frame more
    frames(batch)                the RBM of every frame of a batch, and the frames themselves
    pull_back(frames, gradient)  from a gradient in every frame's biases to one in the parameters

Learning rules (`minidgm.objectives.conditional`), generation and evaluation need no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from minidgm.arguments import count
from minidgm.backend import Generator, asarray, get_backend
from minidgm.boltzmann.biased_rbms import BiasedRBMs, RowGradient
from minidgm.boltzmann.energy_model import EnergyModel
from minidgm.boltzmann.units import Bernoulli, Unit, from_name
from minidgm.errors import DataError
from minidgm.parameters import Parameters

N_HIDDEN = 64


class Frames(NamedTuple):
    """The frames of a batch: v [n, n_visible], weights [n] (0 for padding), an RBM each, and their past."""

    v: Any
    weights: Any
    rbms: BiasedRBMs
    past: Any


class SequenceModel(EnergyModel):
    """Base of the models that train on sequences [T, n_visible]."""

    takes_sequences = True
    default_batch_size = 100
    shortest = 1  # frames that a sequence must have at least

    def _build_frame(self, n_visible: int, n_hidden: int, visible: str | Unit) -> None:
        """Set the units of a frame."""
        self.n_visible, self.n_hidden = count("n_visible", n_visible), count("n_hidden", n_hidden)
        self.visible, self.hidden = from_name(visible), Bernoulli()
        self.visible.check_width(n_visible, "visible")

    def _build_params(
        self, shapes: dict[str, tuple[int, ...]], scales: Mapping[str, float], seed: int | None
    ) -> None:
        """Zeros of ``shapes`` and of the visible units' own parameters; normals of the given scales."""
        own = self.visible.parameter_shapes(self.n_visible)
        shapes = {**shapes, **{f"visible_{name}": shape for name, shape in own.items()}}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        rng = Generator(seed, self.backend)
        for name, scale in scales.items():
            self.params[name][...] = scale * rng.normal(shapes[name], dtype=self.dtype)

    def rbms(self, state: Any) -> BiasedRBMs:
        """The RBM of every state, [n, ...]."""
        raise NotImplementedError

    def after(self, frames: Any) -> tuple[Any, Any]:
        """State after ``frames`` [T, n_visible] (None: at the beginning) and the last frame, a row each."""
        raise NotImplementedError

    def step(self, v: Any, state: Any) -> Any:
        """The states after frames v [n, n_visible] in the given states."""
        raise NotImplementedError

    def frames(self, batch: Any) -> Frames:
        """The RBM of every frame of a batch, as training uses it."""
        raise NotImplementedError

    def pull_back(
        self, frames: Frames, gradient: RowGradient, out: Any = None, truncation: int | None = None
    ) -> Any:
        """Gradient in the parameters, given that in W and in the biases of every frame."""
        raise NotImplementedError

    def frame_blocks(self, X: Any) -> Iterator[tuple[Any, BiasedRBMs]]:
        """Real frames v [n, n_visible] with their RBMs, in the order of the sequences, a block at a time."""
        raise NotImplementedError

    def _own(self) -> dict[str, Any]:
        """The visible units' own parameters: {"log_precision": ...} or {}."""
        prefix = "visible_"
        return {name[len(prefix) :]: value for name, value in self.params.items() if name.startswith(prefix)}

    def write_frame_gradient(self, gradient: RowGradient, out: Any) -> None:
        """Write what the past does not touch: W, the biases' constant parts and the units' own parameters."""
        out["W"][...] = gradient.W
        out["b"][...], out["c"][...] = gradient.b.sum(axis=0), gradient.c.sum(axis=0)
        for name, value in gradient.own.items():
            out[f"visible_{name}"][...] = value

    def generate(
        self, seed_frames: Any = None, steps: int = 100, rng: Generator | int | None = None, sweeps: int = 25
    ) -> Any:
        """Continue a sequence by ``steps`` frames, [steps, n_visible]; each is drawn by ``sweeps`` of Gibbs.

        Parameters
        ----------
        seed_frames : array [T, n_visible], optional
            What came before, as `after` needs it; by default the beginning.
        steps, sweeps : int
            The chain of a frame starts at the frame before.
        rng : Generator or int, optional

        Raises
        ------
        DataError
            When there is less in ``seed_frames`` than `after` needs.
        """
        rng, frames = self.generator(rng), []
        state, v = self.after(seed_frames)
        for _ in range(count("steps", steps)):
            v = self.rbms(state).gibbs(v, rng, count("sweeps", sweeps))
            state = self.step(v, state)
            frames.append(v)
        return self.xp.concatenate(frames)

    def default_objective(self) -> Any:
        """Contrastive divergence of 15 sweeps: a persistent chain would belong to one past only."""
        from minidgm.objectives import ConditionalContrastiveDivergence

        return ConditionalContrastiveDivergence(k=15)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        first = data.train[0] if isinstance(data.train, (list, tuple)) else data.train
        width = int(first.shape[-1])
        if given.get("n_visible", width) != width:
            raise DataError(
                f"model.n_visible = {given['n_visible']!r}, but frames of {data.name} have {width}"
            )
        return {"n_hidden": N_HIDDEN, **given, "n_visible": width}

    def check_sequences(self, X: Any, what: str = "X") -> list[Any]:
        """Return sequences as a list of arrays [T_i, n_visible]; nothing is copied.

        Parameters
        ----------
        X : list of arrays [T_i, n_visible], array [n, T, n_visible], or one array [T, n_visible]

        Raises
        ------
        DataError
            No sequence, one that is too short, of another width, not finite, or outside the units' domain.
        """
        if get_backend(X) is not None:
            X = [X] if X.ndim == 2 else list(X) if X.ndim == 3 else X
        elif isinstance(X, tuple) or (isinstance(X, list) and X and not hasattr(X[0], "shape")):
            X = list(X)
        if not isinstance(X, list) or any(not hasattr(x, "shape") for x in X):
            shape = f" of shape {tuple(X.shape)}" if hasattr(X, "shape") else ""
            raise DataError(
                f"{what} is a {type(X).__name__}{shape}; expected a list of arrays [T, {self.n_visible}], "
                f"or one such array"
            )
        if not X:
            raise DataError(f"{what} has no sequences: the list is empty")
        for i, x in enumerate(X):
            name = what if len(X) == 1 else f"sequence {i} of {what}"
            if x.ndim == 2 and x.shape[0] < self.shortest:
                raise DataError(f"{name} has {x.shape[0]} frames; {self.shortest_reason()}")
            self.check_frames(x, name)
        return X

    def check_frames(self, v: Any, what: str = "v") -> Any:
        """Return frames [T, n_visible] on this model's device, checked."""
        v = self.check_matrix(v, self.n_visible, what)
        self.visible.check(v, what)
        return v

    def shortest_reason(self) -> str:
        """What to do about a sequence that is too short."""
        return "expected at least one; drop empty sequences"

    def initialize(self, X: Any) -> Any:
        """Set b so that all else at 0 would give the mean frame of the sequences ``X``."""
        X = self.check_sequences(X)
        total = sum(asarray(x, self.backend, self.dtype).sum(axis=0) for x in X)
        self.params["b"][...] = self.visible.logit(total / sum(x.shape[0] for x in X), **self._own())
        return self

    def pseudo_log_likelihood_of(self, X: Any) -> float:
        """Mean over frames of sum_i log p(v_i | other units, past), nats: exact, and needs no Z."""
        total, n = 0.0, 0
        for v, rbms in self.frame_blocks(X):
            total += float(rbms.pseudo_log_likelihood(v).sum(dtype="float64"))
            n += v.shape[0]
        return total / n

    def reconstruction_error_of(self, X: Any) -> float:
        """Mean over frames of ||v - E[v | E[h | v]]||^2, summed over units."""
        total, n = 0.0, 0
        for v, rbms in self.frame_blocks(X):
            again = rbms.visible_given_hidden(rbms.hidden_given_visible(v).mean).mean
            total += float(((v - again) ** 2).sum(dtype="float64"))
            n += v.shape[0]
        return total / n

    def validation(self, X: Any) -> Any:
        """The callback that measures sequences after every epoch (`minidgm.training.fit`)."""
        from minidgm.training.sequences import SequenceValidation

        return SequenceValidation(X, self)
