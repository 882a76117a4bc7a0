"""Paths: the weight of a step is a ratio of the path densities, and a sweep leaves its density invariant."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minidgm.backend import Generator, to_numpy
from minidgm.evaluation.annealing import path_between, path_from_base
from minidgm.evaluation.path import LinearPath
from tests.evaluation.models import machine, rbm

UNITS = ["bernoulli", "spin", "gaussian", "softmax(2)", "rectified"]
PAIRS = [(v, h) for v, h in itertools.product(UNITS, UNITS) if not {v, h} <= {"gaussian", "rectified"}]
STEPS = [(0.0, 0.4), (0.4, 1.0), (0.0, 1.0), (0.9, 0.2), (0.5, 0.5)]


def states(model, n=7):
    v = model.visible.sample(
        model.xp.zeros((n, model.n_visible)), model.generator(3), **model._own("visible")
    )
    return v if model.visible.bounded else 2.0 * v


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_increment_is_the_free_energy_difference_of_tempered_models(visible, hidden, backend):
    model = rbm(4, 4, visible, hidden, seed=1, backend=backend)
    base = model.xp.linspace(-0.5, 0.5, 4)
    path, _ = path_from_base(model, base)
    v = states(model)
    for here, there in STEPS:
        expected = model.tempered(here, base).free_energy(v) - model.tempered(there, base).free_energy(v)
        np.testing.assert_allclose(
            to_numpy(path.log_increment(v, here, there)), to_numpy(expected), atol=1e-10
        )


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_ends_of_a_path_are_the_base_and_the_model(visible, hidden):
    model = rbm(4, 4, visible, hidden, seed=2)
    path, _ = path_from_base(model, np.linspace(-1.0, 1.0, 4))
    v = states(model)
    p_a, p_b = path.hidden_given_visible(v, 1.0)
    np.testing.assert_allclose(p_b.mean, model.hidden_given_visible(v).mean)
    assert p_a.field.shape == (7, 0)
    h = p_b.sample(Generator(0))
    at_end = path.visible_given_hidden(p_a.field, h, 1.0)
    np.testing.assert_allclose(at_end.mean, model.visible_given_hidden(h).mean)
    at_start = path.visible_given_hidden(p_a.field, h, 0.0)
    own = model._own("visible")
    expected = model.visible.mean(np.tile(np.linspace(-1.0, 1.0, 4), (7, 1)), **own)
    np.testing.assert_allclose(at_start.mean, expected)


@pytest.mark.parametrize("units", [("bernoulli", "bernoulli", "spin"), ("softmax(2)", "spin", "softmax(2)")])
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_sweep_between_two_models_is_stationary_and_reversible(units, beta):
    visible, hidden_a, hidden_b = units
    a, b = rbm(4, 2, visible, hidden_a, seed=1), rbm(4, 2, visible, hidden_b, seed=2)
    path = path_between(a, b)
    v = a.visible.states(4)
    f = np.exp(-a.free_energy(v) + path.log_increment(v, 0.0, beta))
    joint = list(itertools.product(a.hidden.states(2), b.hidden.states(2)))
    h_a, h_b = (np.array(side) for side in zip(*joint, strict=True))
    p_a, p_b = path.hidden_given_visible(v, beta)
    to_h = np.exp(
        [
            p_a.log_prob(np.tile(x, (len(v), 1))) + p_b.log_prob(np.tile(y, (len(v), 1)))
            for x, y in zip(h_a, h_b, strict=True)
        ]
    ).T
    p_v = path.visible_given_hidden(h_a, h_b, beta)
    to_v = np.exp([p_v.log_prob(np.tile(x, (len(h_a), 1))) for x in v]).T
    T = to_h @ to_v
    np.testing.assert_allclose(T.sum(axis=1), 1.0)
    flow = f[:, None] * T
    np.testing.assert_allclose(flow, flow.T, rtol=1e-9)


def test_sweep_between_two_models_samples_the_conditionals():
    """The draws of `sweep` are those of its two distributions, in order, from the same stream."""
    a, b = rbm(5, 2, seed=1), rbm(5, 3, "bernoulli", "spin", seed=2)
    path, v = path_between(a, b), states(a)
    rng = Generator(4)
    p_a, p_b = path.hidden_given_visible(v, 0.3)
    h_a, h_b = p_a.sample(rng), p_b.sample(rng)
    expected = path.visible_given_hidden(h_a, h_b, 0.3).sample(rng)
    np.testing.assert_array_equal(path.sweep(v, 0.3, Generator(4)), expected)


def test_constants_are_those_of_the_idle_layers():
    a, b = rbm(3, 2, hidden="spin", seed=1), rbm(3, 4, hidden="gaussian", seed=2)
    path = path_between(a, b)
    log_precision = b.params["hidden_log_precision"]
    expected = 0.5 * (np.log(2.0 * np.pi) - log_precision).sum() - 2 * np.log(2.0)
    assert float(path.log_constants()) == pytest.approx(expected, rel=1e-12)


def test_gaussian_precisions_mix_linearly():
    a, b = rbm(3, 2, "gaussian", seed=1), rbm(3, 2, "gaussian", seed=2)
    path = path_between(a, b)
    assert path.mixes_precisions
    assert not path_from_base(a, None)[0].mixes_precisions
    empty = np.zeros((1, 2))
    precision = 1.0 / path.visible_given_hidden(empty, empty, 0.25).variance[0]
    expected = 0.75 * np.exp(a.params["visible_log_precision"]) + 0.25 * np.exp(
        b.params["visible_log_precision"]
    )
    np.testing.assert_allclose(precision, expected)
    v = states(a)
    own = [model.visible.log_base(v, **model._own("visible")).sum(axis=1) for model in (a, b)]
    ratio = own[1] - own[0] + v @ (b.params["b"] - a.params["b"])
    hidden = np.logaddexp(0.0, b.hidden_field(v)).sum(axis=1) - np.logaddexp(0.0, a.hidden_field(v)).sum(
        axis=1
    )
    np.testing.assert_allclose(path.log_increment(v, 0.0, 1.0), ratio + hidden, rtol=1e-10)


def test_linear_path_is_the_machine_with_mixed_parameters(backend):
    a, b = machine(3, 2, seed=1, backend=backend), machine(3, 2, seed=2, backend=backend)
    path = path_between(a, b)
    assert isinstance(path, LinearPath)
    assert not path.reversible
    s = a.visible.states(5, xp=a.xp)
    state = (s[:, :3], s[:, 3:])
    for here, there in STEPS:
        expected = path.at(here).energy(*state) - path.at(there).energy(*state)
        np.testing.assert_allclose(
            to_numpy(path.log_increment(state, here, there)), to_numpy(expected), atol=1e-12
        )
    np.testing.assert_allclose(to_numpy(path.at(0.0).energy(*state)), to_numpy(a.energy(*state)))
    np.testing.assert_allclose(to_numpy(path.at(1.0).energy(*state)), to_numpy(b.energy(*state)))
    assert path.visible(state) is state[0]
