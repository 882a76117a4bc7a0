"""Small models with drawn parameters, and their joint distribution from the energy alone."""

import itertools

import numpy as np

from minidgm import RBM, BoltzmannMachine
from minidgm.backend import asarray, get_xp, to_numpy
from minidgm.numerics import logsumexp
from minidgm.samplers import gibbs

# Every pair of units with one finite side, and machines with and without hidden units.
DISCRETE = {
    "bernoulli": lambda **kw: RBM(3, 2, **kw),
    "bernoulli, wide": lambda **kw: RBM(2, 4, **kw),
    "spin": lambda **kw: RBM(3, 2, visible="spin", hidden="spin", **kw),
    "bernoulli-spin": lambda **kw: RBM(3, 2, hidden="spin", **kw),
    "softmax": lambda **kw: RBM(4, 2, visible="softmax(2)", **kw),
    "softmax-softmax": lambda **kw: RBM(3, 3, visible="softmax(3)", hidden="softmax(3)", **kw),
    "bernoulli-gaussian": lambda **kw: RBM(3, 2, hidden="gaussian", **kw),
    "bernoulli-rectified": lambda **kw: RBM(3, 2, hidden="rectified", **kw),
    "machine": lambda **kw: BoltzmannMachine(3, 2, **kw),
    "machine, visible only": lambda **kw: BoltzmannMachine(3, **kw),
}
GAUSSIAN = {
    "gaussian": lambda **kw: RBM(2, 3, visible="gaussian", **kw),
    "gaussian-spin": lambda **kw: RBM(2, 3, visible="gaussian", hidden="spin", **kw),
    "gaussian-softmax": lambda **kw: RBM(2, 4, visible="gaussian", hidden="softmax(2)", **kw),
}
ALL = {**DISCRETE, **GAUSSIAN, "rectified": lambda **kw: RBM(2, 3, visible="rectified", **kw)}


def drawn(kind, seed=0, scale=0.7, dtype="float64", **kwargs):
    """A model of that kind with normal parameters."""
    model = ALL[kind](dtype=dtype, **kwargs)
    values = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, model.backend, dtype)
    return model


def rows(model, n, seed=0):
    """Visible states [n, n_visible] in the model's domain."""
    rng = np.random.default_rng(seed)
    unit = model.visible
    if unit.n_states(model.n_visible) < np.inf:
        states = unit.states(model.n_visible)
        x = states[rng.integers(0, len(states), n)]
    else:
        x = rng.normal(size=(n, model.n_visible))
        x = abs(x) if unit.name == "rectified" else x
    return asarray(x, model.backend, model.dtype)


def joint_states(model):
    """v, h [m, .] over every joint state of a finite model."""
    V, H = model.visible.states(model.n_visible), model.hidden.states(model.n_hidden)
    return np.repeat(V, len(H), axis=0), np.tile(H, (len(V), 1))


def log_visible(model):
    """log p(v) of every visible state, [m], traceable, from the energy (free energy where h is real)."""
    xp = get_xp(model.params["b"])
    V = model.visible.states(model.n_visible)
    if model.hidden.n_states(model.n_hidden) == np.inf:
        log_p = -model.free_energy(V)
    else:
        v, h = joint_states(model)
        log_p = logsumexp(xp.reshape(-model.energy(v, h), (len(V), -1)), axis=1)
    return log_p - logsumexp(log_p)


def negative_log_likelihood(model, v):
    """-mean log p(v), traceable."""
    if model.visible.n_states(model.n_visible) < np.inf:
        V = model.visible.states(model.n_visible)
        index = [int((V == row).all(axis=1).argmax()) for row in v]
        return -log_visible(model)[np.array(index)].mean()
    H = model.hidden.states(model.n_hidden)
    log_z = logsumexp(-model.hidden_free_energy(H))
    per_state = [-model.energy(v, np.tile(h, (len(v), 1))) for h in H]
    return -(logsumexp(get_xp(model.params["b"]).stack(per_state), axis=0) - log_z).mean()


def transition(model):
    """T[v, v'] of one sweep h ~ p(h|v), v' ~ p(v'|h) from the joint table of a finite RBM."""
    v, h = joint_states(model)
    joint = np.exp(-model.energy(v, h)).reshape(len(model.visible.states(model.n_visible)), -1)
    return (joint / joint.sum(axis=1, keepdims=True)) @ (joint / joint.sum(axis=0)).T


def plain_only(monkeypatch):
    """Switch the paths into reused arrays off."""
    monkeypatch.setattr(gibbs, "has_blocks", lambda model: False)


def assert_gradients(grads, expected, **tolerance):
    tolerance = tolerance or {"rtol": 1e-9, "atol": 1e-11}
    for name in expected:
        np.testing.assert_allclose(to_numpy(grads[name]), expected[name], err_msg=name, **tolerance)


def pairs(*kinds_of_things):
    return list(itertools.product(*kinds_of_things))
