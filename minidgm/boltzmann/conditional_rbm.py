"""Conditional RBM: a restricted Boltzmann machine whose biases follow the last m frames (Taylor et al. 2006).

    p(v_t, h_t | y_t) = exp(-E(v_t, h_t | y_t)) / Z(y_t),      y_t = [v_{t-m}, ..., v_{t-1}],
    E(v, h | y) = -(b + y A).v - (c + y B).h - v^T W h - log_base(v)

| symbol | shape | meaning |
|---|---|---|
| v, h | [n, n_visible], [n, n_hidden] | present frame and its hidden units |
| y | [n, n_context * n_visible] | the last m = n_context frames, oldest first |
| W | [n_visible, n_hidden] | couplings |
| A | [n_context * n_visible, n_visible] | autoregressive weights |
| B | [n_context * n_visible, n_hidden] | context-to-hidden weights |
| b, c | [n_visible], [n_hidden] | biases |
| visible_log_precision | [n_visible] | only with Gaussian visibles |

Given y this is an RBM with biases b + y A and c + y B: inference, free energy, Gibbs sampling and annealing
are those of the RBM, for any y, and learning is no harder. Only Z depends on y, so that a chain started for
one past is of no use to another: there is CD-k, and no persistent chain.

Sources: Taylor, Hinton and Roweis (2006), Modeling human motion using binary latent variables, section 3;
Taylor and Hinton (2009). The derivation, beside this code: docs/models/conditional_rbm.rst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, asarray, get_backend, get_xp
from minidgm.boltzmann.biased_rbms import BiasedRBMs, RowGradient
from minidgm.boltzmann.rbm import RBM
from minidgm.boltzmann.sequence_model import Frames, SequenceModel
from minidgm.boltzmann.units import Unit
from minidgm.errors import DataError

BLOCK = 4096
N_CONTEXT = 4


class ConditionalRBM(SequenceModel):
    """RBM of a frame given the last ``n_context`` frames.

    The methods take rows ``x`` [n, n_columns], the context and then the frame, n_columns =
    (n_context + 1) n_visible; or frames [n, n_visible] alone, whose context is then silent (zeros).

    Parameters
    ----------
    n_visible, n_hidden : int
        Columns of a frame and of h.
    n_context : int
        Past frames that a frame sees, at least 1.
    visible : str or Unit
        ``"bernoulli"``, ``"gaussian"``, ``"spin"``, ``"softmax(k)"``; hidden units are Bernoulli.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> model = ConditionalRBM(2, 3, n_context=1, dtype="float64", seed=0)
    >>> frames = model.visible.states(2)
    >>> rows = np.concatenate([np.tile([1.0, 0.0], (4, 1)), frames], axis=1)
    >>> bool(np.isclose(np.exp(model.log_prob(rows)).sum(), 1.0))
    True
    """

    equations: Mapping[str, str] = {
        "energy": "E(v, h | y) = -(b + y A).v - (c + y B).h - v^T W h",
        "hidden_given_visible": "p(h_j = 1 | v, y) = sigmoid(c_j + (y B)_j + (v W)_j)",
        "visible_given_hidden": "p(v_i = 1 | h, y) = sigmoid(b_i + (y A)_i + (W h)_i)",
        "log_prob": "log p(v | y) = -F(v | y) - log Z(y)",
        "gradient": "d/dA = y^T d/d(b + y A), d/dB = y^T d/d(c + y B)",
    }
    reference = "Taylor, Hinton and Roweis (2006); Deep Learning (2016), 20.7"

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        n_context: int,
        visible: str | Unit = "bernoulli",
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self._build_frame(n_visible, n_hidden, visible)
        self.n_context = count("n_context", n_context)
        past = self.n_context * self.n_visible
        shapes: dict[str, tuple[int, ...]] = {
            "W": (n_visible, n_hidden), "A": (past, n_visible), "B": (past, n_hidden),
            "b": (n_visible,), "c": (n_hidden,),
        }  # fmt: skip
        self._build_params(shapes, {"W": 0.1, "A": 0.1, "B": 0.1}, seed)

    def config(self) -> dict[str, Any]:
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden, "n_context": self.n_context}
        return {**sizes, "visible": self.visible.name}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> ConditionalRBM:
        """An instance whose states and contexts can be enumerated."""
        if like is not None and like.visible.k > 1:
            return cls(2 * like.visible.k, 2, 1, like.visible, **options)
        if like is not None and not like.visible.bounded:
            return cls(2, 2, 2, like.visible, **options)
        return cls(3, 2, 2, "bernoulli" if like is None else like.visible, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"n_context": N_CONTEXT, **super().arguments_for(data, given)}

    @property
    def n_columns(self) -> int:
        return (self.n_context + 1) * self.n_visible

    @property
    def shortest(self) -> int:  # type: ignore[override]
        return self.n_context + 1

    def shortest_reason(self) -> str:
        return (
            f"expected at least {self.shortest}: a context of n_context={self.n_context} and a frame to "
            "predict; drop such sequences or lower n_context"
        )

    def check_data(self, v: Any, what: str = "v") -> Any:
        """Return rows [n, n_columns], or frames [n, n_visible], on this model's device, checked."""
        if get_backend(v) == "autograd":
            return v
        frame = getattr(v, "ndim", 2) == 2 and getattr(v, "shape", (0, 0))[-1] == self.n_visible
        v = self.check_matrix(v, self.n_visible if frame else self.n_columns, what)
        self.visible.check(v, what)
        return v

    # The RBM of a row

    def split(self, x: Any) -> tuple[Any, Any]:
        """Frames [n, n_visible] of rows, and their contexts or None."""
        past = x.shape[-1] - self.n_visible
        return (x[..., past:], x[..., :past]) if past else (x, None)

    def biases(self, y: Any = None) -> tuple[Any, Any]:
        """b + y A, [n, n_visible], and c + y B, [n, n_hidden]; those of silence without ``y``."""
        b, c = self.params["b"], self.params["c"]
        return (b, c) if y is None else (b + y @ self.params["A"], c + y @ self.params["B"])

    def rbms(self, state: Any = None) -> BiasedRBMs:
        """The RBM of every context [n, n_context * n_visible]."""
        return BiasedRBMs(self.params["W"], *self.biases(state), self.visible, self.hidden, self._own())

    def given(self, y: Any = None) -> RBM:
        """The RBM of one context [n_context * n_visible] (or [n_context, n_visible]), a model of its own.

        `minidgm.evaluation.ais`, exact sampling and all else that takes an RBM then apply.
        """
        rbm = RBM(self.n_visible, self.n_hidden, self.visible, backend=self.backend, dtype=self.dtype)
        if y is not None:
            y = asarray(y, self.backend, self.dtype).reshape(-1)
            if y.shape[0] != self.n_context * self.n_visible:
                raise DataError(
                    f"the context has {y.shape[0]} values; expected n_context={self.n_context} frames of "
                    f"{self.n_visible}"
                )
        b, c = self.biases(y)
        for name in rbm.params:
            rbm.params[name][...] = {"b": b, "c": c}.get(name, self.params[name])
        return rbm

    # Energy and densities

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h | y), [n], from rows [n, n_columns] (or frames) and h [n, n_hidden]."""
        v, y = self.split(v)
        return self.rbms(y).energy(v, h)

    def free_energy(self, v: Any) -> Any:
        """F(v | y) = -log sum_h exp(-E(v, h | y)), [n], nats."""
        v, y = self.split(v)
        return self.rbms(y).free_energy(v)

    def hidden_free_energy(self, h: Any, y: Any = None) -> Any:
        """-log sum_v exp(-E(v, h | y)), [n], nats; without ``y`` after silence."""
        return self.rbms(y).hidden_free_energy(h)

    def log_partition(self, y: Any = None) -> Any:
        """log Z(y), exact, nats: [n] for contexts [n, ...], 0-d for silence; see `BiasedRBMs`."""
        return self.rbms(y).log_partition()

    def log_prob(self, v: Any) -> Any:
        """log p(v | y), [n], exact, nats; raises `IntractableError` beyond 2^25 states."""
        v, y = self.split(self.check_data(v))
        return self.rbms(y).log_prob(v)

    def pseudo_log_likelihood(self, v: Any) -> Any:
        """sum_i log p(v_i | v_-i, y), [n], exact, nats."""
        v, y = self.split(self.check_data(v))
        return self.rbms(y).pseudo_log_likelihood(v)

    # Conditionals and sampling

    def hidden_given_visible(self, v: Any) -> Any:
        """p(h | v, y): a factorial distribution, from rows."""
        v, y = self.split(v)
        return self.rbms(y).hidden_given_visible(v)

    def visible_given_hidden(self, h: Any, y: Any = None) -> Any:
        """p(v | h, y): a factorial distribution; without ``y`` after silence."""
        return self.rbms(y).visible_given_hidden(h)

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One sweep h ~ p(h | v, y), v ~ p(v | h, y) on rows; the context stays, ``h`` is not used."""
        h = self.hidden_given_visible(v).sample(rng)
        y = self.split(v)[1]
        v = self.visible_given_hidden(h, y).sample(rng)
        return (v if y is None else get_xp(v).concatenate([y, v], axis=1)), h

    def start(self, n: int, rng: Generator) -> Any:
        """``n`` frames drawn from the visible biases alone: where chains after silence begin."""
        field = self.xp.zeros((n, 1), dtype=self.dtype) + self.params["b"]
        return self.visible.sample(field, rng, **self._own())

    def after(self, frames: Any) -> tuple[Any, Any]:
        """The last n_context of ``frames`` [T, n_visible], side by side, and the last one; else silence.

        Raises
        ------
        DataError
            When there are fewer than n_context.
        """
        m = self.n_context
        if frames is None:
            past = self.xp.zeros((m, self.n_visible), dtype=self.dtype)
        else:
            past = self.check_frames(frames, "seed_frames")
        if past.shape[0] < m:
            raise DataError(f"seed_frames has {past.shape[0]} frames; expected n_context={m} or more")
        past = past[past.shape[0] - m :]
        return past.reshape(1, -1), past[-1:]

    def step(self, v: Any, state: Any) -> Any:
        """Contexts [n, n_context * n_visible] moved on by frames v [n, n_visible]: the oldest falls out."""
        return get_xp(v).concatenate([state[:, self.n_visible :], v], axis=1)

    def reconstruct(self, v: Any) -> Any:
        """Mean of p(v | h, y) at the mean of p(h | v, y): rows with their contexts, or frames."""
        v = self.check_data(v)
        y = self.split(v)[1]
        mean = self.visible_given_hidden(self.hidden_given_visible(v).mean, y).mean
        return mean if y is None else get_xp(v).concatenate([y, mean], axis=1)

    def transform(self, v: Any) -> Any:
        """Mean of p(h | v, y), [n, n_hidden]."""
        return self.hidden_given_visible(self.check_data(v)).mean

    # Training

    def source(self, X: Any, batch_size: int | None = None) -> Any:
        """Batches of rows [context | frame] from sequences; the rows are made batch by batch."""
        from minidgm.training.data import BATCH, Rows
        from minidgm.training.sequences import Windows

        rows = Windows(self.check_sequences(X), self.shortest)
        return Rows(rows, self, min(BATCH, len(rows)) if batch_size is None else batch_size)

    def frame_blocks(self, X: Any) -> Iterator[tuple[Any, BiasedRBMs]]:
        from minidgm.training.sequences import Windows

        rows = Windows(self.check_sequences(X), self.shortest)
        for start in range(0, len(rows), BLOCK):
            block = asarray(rows[slice(start, start + BLOCK)], self.backend, self.dtype)
            v, y = self.split(block)
            yield v, self.rbms(y)

    # Gradients

    def frames(self, batch: Any) -> Frames:
        v, y = self.split(batch)
        return Frames(v, get_xp(v).ones(v.shape[0], dtype=v.dtype), self.rbms(y), y)

    def pull_back(
        self, frames: Frames, gradient: RowGradient, out: Any = None, truncation: int | None = None
    ) -> Any:
        """From db_i and dc_i of every row to the parameters: b_i = b + y_i A, so dA = sum_i y_i^T db_i.

        Likewise dB = sum_i y_i^T dc_i, and db = sum_i db_i, dc = sum_i dc_i. A context reaches n_context
        frames back and no further: there is no time to truncate, and ``truncation`` is not used.
        """
        out = self.zero_gradient() if out is None else out
        self.write_frame_gradient(gradient, out)
        for name, rows in (("A", gradient.b), ("B", gradient.c)):
            out[name][...] = 0.0 if frames.past is None else frames.past.T @ rows
        return out

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(v_i, h_i | y_i)/dtheta for any signed weights [n], from rows (or frames)."""
        frames = self.frames(v)
        weights = frames.weights if weights is None else weights
        return self.pull_back(frames, frames.rbms.gradient(frames.v, h, weights), out)

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(v_i | y_i)/dtheta: the hidden means stand for h, in which E is linear."""
        return self.energy_gradient(v, self.hidden_given_visible(v).mean, weights, out)

    def path_from_base(self, base: Any) -> Any:
        """Annealing path of the RBM after silence; ``evaluation.ais(model.given(y))`` is that of a past."""
        from minidgm.evaluation.annealing import path_from_base

        return path_from_base(self.given(), base)

    def path_to(self, other: Any) -> Any:
        """Path from this model to another, both after silence."""
        from minidgm.evaluation.annealing import path_between

        return path_between(self.given(), other.given() if isinstance(other, ConditionalRBM) else other)
