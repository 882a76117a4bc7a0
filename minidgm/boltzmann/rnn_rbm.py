"""RNN-RBM: a recurrent net emits the biases of an RBM for every frame (Boulanger-Lewandowski et al. 2012).

    p(v_1 ... v_T) = prod_t p(v_t | u_{t-1}),      p(v | u) an RBM with W and the biases
    b_t = b + u_{t-1} A,      c_t = c + u_{t-1} B,
    u_t = tanh(d + v_t F + u_{t-1} R),             u_0 learned.

| symbol | shape | meaning | in the paper |
|---|---|---|---|
| v | [n, T, n_visible] | n sequences of T frames | v^(t) |
| u | [n, T, n_recurrent] | state before each frame | u^(t-1) |
| W | [n_visible, n_hidden] | couplings of the RBM | W |
| b, c | [n_visible], [n_hidden] | its biases in a state of 0 | b_v, b_h |
| A, B | [n_recurrent, n_visible], [n_recurrent, n_hidden] | state to biases | W_uv, W_uh |
| F, R | [n_visible, n_recurrent], [n_recurrent, n_recurrent] | frame to state, state to state | W_vu, W_uu |
| d, u0 | [n_recurrent] | bias of the state, first state | b_u, u^(0) |

The state is a deterministic function of the past, so the likelihood is a product of RBM likelihoods, each
with its own partition function, and nothing is approximated but what is for an RBM. A batch holds sequences
padded to one length, [n, T, n_visible + 1]: the last column, 1 for frames and 0 for padding, weighs them.

Source: N. Boulanger-Lewandowski, Y. Bengio, P. Vincent (2012), Modeling temporal dependencies in
high-dimensional sequences, section 4. The derivation, beside this code: docs/models/rnn_rbm.rst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from minidgm.arguments import count
from minidgm.backend import Generator, asarray, get_backend, get_xp
from minidgm.boltzmann.biased_rbms import BiasedRBMs, RowGradient
from minidgm.boltzmann.sequence_model import Frames, SequenceModel
from minidgm.boltzmann.units import Unit
from minidgm.errors import DataError

BATCH = 16  # sequences a step
N_RECURRENT = 64


class Past(NamedTuple):
    """Frames v and states u before them, the time first: [T, n, n_visible], [T, n, n_recurrent]."""

    v: Any
    u: Any


class RNNRBM(SequenceModel):
    """RBM of a frame given all frames before it, through the state of a recurrent net.

    Parameters
    ----------
    n_visible, n_hidden, n_recurrent : int
        Columns of a frame, of h, and of the state.
    visible : str or Unit
        ``"bernoulli"``, ``"gaussian"``, ``"spin"``, ``"softmax(k)"``; hidden units are Bernoulli.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> model = RNNRBM(2, 2, 3, dtype="float64", seed=0)
    >>> states = model.visible.states(2)
    >>> pairs = [np.stack([first, second]) for first in states for second in states]
    >>> bool(np.isclose(np.exp(model.log_prob(pairs)).sum(), 1.0))
    True
    """

    default_batch_size = BATCH
    of_sequences = ("log_prob", "sample")  # methods whose rows are no independent examples

    equations: Mapping[str, str] = {
        "log_prob": "log p(v_1 ... v_T) = sum_t log p(v_t | u_{t-1})",
        "biases": "b_t = b + u_{t-1} A, c_t = c + u_{t-1} B",
        "frame": "p(v_t | u_{t-1}): an RBM with W, b_t, c_t",
        "state": "u_t = tanh(d + v_t F + u_{t-1} R)",
        "gradient": "da_t = (db_{t+1} A^T + dc_{t+1} B^T + da_{t+1} R^T) (1 - u_t^2)",
    }
    reference = "Boulanger-Lewandowski, Bengio and Vincent (2012); Deep Learning (2016), 20.7"

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        n_recurrent: int,
        visible: str | Unit = "bernoulli",
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self._build_frame(n_visible, n_hidden, visible)
        self.n_recurrent = count("n_recurrent", n_recurrent)
        n_v, n_h, n_u = self.n_visible, self.n_hidden, self.n_recurrent
        shapes: dict[str, tuple[int, ...]] = {
            "W": (n_v, n_h), "A": (n_u, n_v), "B": (n_u, n_h), "F": (n_v, n_u), "R": (n_u, n_u),
            "b": (n_v,), "c": (n_h,), "d": (n_u,), "u0": (n_u,),
        }  # fmt: skip
        # Of a radius about 1, R remembers at first; with a small one no gradient comes back far.
        self._build_params(shapes, {"W": 0.1, "A": 0.1, "B": 0.1, "F": 0.1, "R": n_u**-0.5}, seed)

    def config(self) -> dict[str, Any]:
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden, "n_recurrent": self.n_recurrent}
        return {**sizes, "visible": self.visible.name}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> RNNRBM:
        """An instance whose frames, and short sequences of them, can be enumerated."""
        k = 1 if like is None else like.visible.k
        return cls(2 * k, 2, 2, "bernoulli" if like is None else like.visible, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"n_recurrent": N_RECURRENT, **super().arguments_for(data, given)}

    # States and biases

    def step(self, v: Any, state: Any) -> Any:
        """The next state tanh(d + v F + u R), [n, n_recurrent], after frames v [n, n_visible]."""
        params = self.params
        return get_xp(v, params["R"]).tanh(v @ params["F"] + state @ params["R"] + params["d"])

    def states(self, v: Any) -> Any:
        """The state before each frame, [T, n, n_recurrent], from frames v [T, n, n_visible]."""
        params = self.params
        xp = get_xp(v, params["R"])
        u = params["u0"] + xp.zeros((v.shape[1], 1), dtype=v.dtype)
        found = [u]
        drive = v[:-1] @ params["F"] + params["d"]  # [T - 1, n, n_recurrent]
        for t in range(v.shape[0] - 1):
            u = xp.tanh(drive[t] + u @ params["R"])
            found.append(u)
        return xp.stack(found)

    def rbms(self, state: Any) -> BiasedRBMs:
        """The RBM of every state, [n, n_recurrent]."""
        params = self.params
        b, c = params["b"] + state @ params["A"], params["c"] + state @ params["B"]
        return BiasedRBMs(params["W"], b, c, self.visible, self.hidden, self._own())

    def frames(self, batch: Any) -> Frames:
        """Frames [T n, n_visible] of a padded batch [n, T, n_visible + 1], time first, with an RBM each."""
        xp = get_xp(batch)
        if batch.ndim != 3 or batch.shape[-1] != self.n_visible + 1:
            raise ValueError(
                f"a batch has shape {tuple(batch.shape)}, expected (n, T, {self.n_visible + 1}): sequences "
                "padded to one length, and a last column of 1 for frames and 0 for padding"
            )
        by_time = xp.ascontiguousarray(batch.transpose(1, 0, 2)[..., : self.n_visible])
        weights = batch[..., self.n_visible].T.reshape(-1)
        u = self.states(by_time)
        n = weights.shape[0]
        return Frames(
            by_time.reshape(n, -1), weights, self.rbms(u.reshape(n, self.n_recurrent)), Past(by_time, u)
        )

    # Densities

    def frame_blocks(self, X: Any) -> Iterator[tuple[Any, BiasedRBMs]]:
        for x in self.check_sequences(X):
            v = asarray(x, self.backend, self.dtype)
            yield v, self.rbms(self.states(v[:, None])[:, 0])

    def log_prob(self, X: Any) -> Any:
        """log p(v_1 ... v_T) of every sequence, [n], exact, nats.

        Parameters
        ----------
        X : list of arrays [T_i, n_visible], array [n, T, n_visible], or one sequence [T, n_visible]

        Raises
        ------
        IntractableError
            When neither side of the RBM has at most 2^25 states: `evaluation.frame_log_likelihood`.
        """
        values = [rbms.log_prob(v).sum() for v, rbms in self.frame_blocks(X)]
        return get_xp(*values).stack(values)

    # Sampling

    def after(self, frames: Any) -> tuple[Any, Any]:
        """The state after ``frames`` [T, n_visible] and the last of them; else u_0 and silence.

        Raises
        ------
        DataError
            When ``frames`` is empty.
        """
        if frames is None:
            return self.params["u0"][None], self.xp.zeros((1, self.n_visible), dtype=self.dtype)
        past = self.check_frames(frames, "seed_frames")
        if not past.shape[0]:
            raise DataError("seed_frames has 0 frames; pass None to start from nothing")
        return self.step(past[-1:], self.states(past[:, None])[-1]), past[-1:]

    def sample(  # type: ignore[override]
        self, n: int, rng: Generator | int | None = None, steps: int = 25
    ) -> Any:
        """One sequence of ``n`` frames from the beginning, [n, n_visible], ``steps`` sweeps a frame."""
        return self.generate(None, count("n", n), rng, count("steps", steps))

    # Training

    def source(self, X: Any, batch_size: int | None = None) -> Any:
        """Batches [n, T, n_visible + 1] of whole sequences, padded, by default 16."""
        from minidgm.training.sequences import PaddedSequences

        X = self.check_sequences(X)
        return PaddedSequences(X, self, min(BATCH, len(X)) if batch_size is None else batch_size)

    def check_data(self, v: Any, what: str = "v") -> Any:
        """Return frames [T, n_visible] on this model's device, checked."""
        return v if get_backend(v) == "autograd" else self.check_frames(v, what)

    def start_from(self, rbm: Any) -> RNNRBM:
        """Take W, b, c from an RBM trained on single frames (section 4.1 of the paper: pretraining)."""
        sizes = (rbm.n_visible, rbm.n_hidden, rbm.visible.name)
        if sizes != (self.n_visible, self.n_hidden, self.visible.name):
            raise ValueError(
                f"the RBM has n_visible, n_hidden, visible = {sizes}; "
                f"expected {(self.n_visible, self.n_hidden, self.visible.name)}"
            )
        for name in (name for name in rbm.params if name in self.params):
            self.params[name][...] = asarray(rbm.params[name], self.backend, self.dtype)
        return self

    # Gradient through time

    def pull_back(
        self, frames: Frames, gradient: RowGradient, out: Any = None, truncation: int | None = None
    ) -> Any:
        """From db_t and dc_t of every frame to the parameters, by back-propagation through time.

        b_t = b + u_{t-1} A and c_t = c + u_{t-1} B, with u_t = tanh(a_t), a_t = d + v_t F + u_{t-1} R. The
        chain rule runs back from the last frame: the loss moves with u_t by b_{t+1}, c_{t+1} and a_{t+1},

            du_t = db_{t+1} A^T + dc_{t+1} B^T + da_{t+1} R^T,      da_t = du_t (1 - u_t^2),
            dA = sum_t u_{t-1}^T db_t,  dB = sum_t u_{t-1}^T dc_t,  dF = sum_t v_t^T da_t,
            dR = sum_t u_{t-1}^T da_t,  dd = sum_t da_t,            du0 = sum over sequences of du_0.

        Padding comes after the last frame and has db = dc = 0, so that nothing flows from it. With
        ``truncation`` = k the states u_k, u_2k ... count as given: a gradient crosses none of them, and the
        cost of a window of k frames does not depend on what came before.
        """
        out = self.zero_gradient() if out is None else out
        params, (v, u) = self.params, frames.past
        xp = get_xp(u)
        n_steps, n = u.shape[0], u.shape[1]
        rows = u.reshape(n_steps * n, self.n_recurrent)
        xp.matmul(rows.T, gradient.b, out=out["A"])
        xp.matmul(rows.T, gradient.c, out=out["B"])
        du = (gradient.b @ params["A"].T + gradient.c @ params["B"].T).reshape(u.shape)
        slope, R = 1.0 - u * u, params["R"].T
        da = xp.zeros_like(u)  # da[t] belongs to the state u[t + 1] that frame t makes
        for t in range(n_steps - 2, -1, -1):
            if truncation is None or (t + 1) % truncation:
                xp.multiply(du[t + 1], slope[t + 1], out=da[t])
                du[t] += da[t] @ R
        flat = da.reshape(rows.shape)
        xp.matmul(v.reshape(n_steps * n, -1).T, flat, out=out["F"])
        xp.matmul(rows.T, flat, out=out["R"])
        self.write_frame_gradient(gradient, out)
        out["d"][...], out["u0"][...] = flat.sum(axis=0), du[0].sum(axis=0)
        return out
