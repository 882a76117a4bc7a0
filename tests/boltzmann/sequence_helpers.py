"""Small models of sequences with drawn parameters."""

import numpy as np

from minidgm import RNNRBM, ConditionalRBM
from minidgm.backend import asarray

KINDS = {
    "conditional": lambda **kw: ConditionalRBM(3, 2, 2, **kw),
    "conditional, gaussian": lambda **kw: ConditionalRBM(2, 3, 1, visible="gaussian", **kw),
    "recurrent": lambda **kw: RNNRBM(3, 2, 4, **kw),
    "recurrent, softmax": lambda **kw: RNNRBM(4, 2, 3, visible="softmax(2)", **kw),
}


def drawn(kind, seed=0, scale=0.7, dtype="float64", **kw):
    """A model of that kind with normal parameters."""
    model = KINDS[kind](dtype=dtype, **kw)
    values = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, model.backend, dtype)
    return model


def sequences(model, lengths=(5, 3, 4), seed=0):
    """Sequences in the model's domain, on the host."""
    rng = np.random.default_rng(seed)
    if model.visible.bounded:
        states = model.visible.states(model.n_visible)
        return [states[rng.integers(0, len(states), n)] for n in lengths]
    return [rng.normal(size=(n, model.n_visible)) for n in lengths]


def one_batch(model, X):
    """All sequences as one batch of training, on the model's device."""
    from minidgm.backend import Generator

    source = model.source(X)
    source = model.source(X, source.n_rows)
    return asarray(next(iter(source.epoch(Generator(0)))), model.backend, model.dtype)
