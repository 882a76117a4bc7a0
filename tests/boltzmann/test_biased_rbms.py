"""RBMs that share W: every row is the RBM of its own biases."""

import numpy as np
import pytest

from minidgm import RBM, Generator, IntractableError
from minidgm.boltzmann.biased_rbms import BiasedRBMs
from minidgm.boltzmann.units import from_name


def some(visible="bernoulli", n=4, n_v=4, n_h=3, seed=0):
    rng = np.random.default_rng(seed)
    unit = from_name(visible)
    own = {k: 0.3 * rng.normal(size=s) for k, s in unit.parameter_shapes(n_v).items()}
    W, b, c = rng.normal(size=(n_v, n_h)), rng.normal(size=(n, n_v)), rng.normal(size=(n, n_h))
    rows = BiasedRBMs(W, b, c, unit, from_name("bernoulli"), own)
    v = unit.states(n_v)[rng.integers(0, 4, n)] if unit.bounded else rng.normal(size=(n, n_v))
    return rows, v, rng.integers(0, 2, (n, n_h)).astype(float)


def alone(rows, i):
    """The RBM of row i, by the library's RBM."""
    rbm = RBM(*rows.W.shape, rows.visible, dtype="float64")
    values = {"W": rows.W, "b": rows.b[i], "c": rows.c[i]}
    for name in rbm.params:
        rbm.params[name][...] = values[name] if name in values else rows.own[name[8:]]
    return rbm


@pytest.mark.parametrize("visible", ["bernoulli", "spin", "gaussian", "softmax(2)"])
@pytest.mark.parametrize("wide", [False, True])
def test_each_row_is_an_rbm(visible, wide):
    rows, v, h = some(visible, n_h=6 if wide else 3)
    for i in range(len(v)):
        rbm, one = alone(rows, i), slice(i, i + 1)
        pairs = [
            (rows.energy(v, h), rbm.energy(v[one], h[one])),
            (rows.free_energy(v), rbm.free_energy(v[one])),
            (rows.hidden_free_energy(h), rbm.hidden_free_energy(h[one])),
            (rows.log_partition(), rbm.log_partition()[None]),
            (rows.log_prob(v), rbm.log_prob(v[one])),
            (rows.hidden_given_visible(v).mean, rbm.hidden_given_visible(v[one]).mean),
            (rows.visible_given_hidden(h).mean, rbm.visible_given_hidden(h[one]).mean),
        ]
        if rows.visible.bounded:
            pairs.append((rows.pseudo_log_likelihood(v), rbm.pseudo_log_likelihood(v[one])))
        for left, right in pairs:
            np.testing.assert_allclose(left[i], right[0], rtol=1e-12)
        part = rows.take(one)
        np.testing.assert_allclose(part.free_energy(v[one]), rbm.free_energy(v[one]), rtol=1e-12)


def test_enumeration_in_blocks_is_the_same(monkeypatch):
    rows, *_ = some(n_h=5)
    whole = rows.log_partition()
    monkeypatch.setattr("minidgm.boltzmann.biased_rbms.VALUES", 50)
    np.testing.assert_allclose(rows.log_partition(), whole, rtol=1e-13)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_expected_gradient_is_that_of_log_z(visible):
    """sum_i w_i <dE_i> = -sum_i w_i dlog Z_i, by central differences."""
    rows, *_ = some(visible)
    w = np.array([1.0, -0.5, 2.0, 0.0])
    found = rows.expected_gradient(w)
    named = {"W": (rows.W, found.W), "b": (rows.b, found.b), "c": (rows.c, found.c)}
    named |= {name: (rows.own[name], value) for name, value in found.own.items()}
    for array, gradient in named.values():
        for index in [(0,) * array.ndim, tuple(n - 1 for n in array.shape)]:
            before, ends = array[index], []
            for step in (1e-5, -1e-5):
                array[index] = before + step
                ends.append(-(w * rows.log_partition()).sum())
            array[index] = before
            assert abs((ends[0] - ends[1]) / 2e-5 - gradient[index]) < 1e-7


def test_chains_leave_every_distribution_as_it_is():
    """4000 exact draws of each row, one sweep: Pearson's statistic, false alarms below 1e-6."""
    rows, *_ = some(n=2, n_v=2, n_h=2)
    states = rows.visible.states(2)
    rng, n = Generator(3), 4000
    p = np.stack([np.exp(alone(rows, i).log_prob(states)) for i in range(2)])
    start = np.concatenate([states[np.random.default_rng(i).choice(4, n, p=p[i])] for i in range(2)])
    b, c = np.repeat(rows.b, n, axis=0), np.repeat(rows.c, n, axis=0)
    many = BiasedRBMs(rows.W, b, c, rows.visible, rows.hidden)
    before = start.copy()
    end = many.gibbs(start, rng, 1)
    np.testing.assert_array_equal(start, before)
    for i in range(2):
        code = (end[i * n : (i + 1) * n] @ [1, 2]).astype(int)
        counts = np.bincount(code, minlength=4)
        assert ((counts - n * p[i]) ** 2 / (n * p[i])).sum() < 32.0  # chi-square, 3 degrees: 5e-7


def test_too_many_states():
    unit = from_name("bernoulli")
    wide = BiasedRBMs(np.zeros((30, 30)), np.zeros(30), np.zeros(30), unit, unit)
    with pytest.raises(IntractableError, match="frame_log_likelihood"):
        wide.log_partition()
    with pytest.raises(IntractableError, match="ConditionalContrastiveDivergence"):
        wide.expected_gradient(np.ones(1))
