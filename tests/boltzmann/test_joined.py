"""Parts side by side behave as each part does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm.boltzmann.joined import Joined
from minidgm.boltzmann.units import Bernoulli, Gaussian, Softmax, Spin
from minidgm.errors import DataError
from minidgm.random import Generator

SIDE = Joined([Bernoulli(), Softmax(3)], [2, 3])


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_distribution_is_the_product_of_its_parts(seed):
    rng = np.random.default_rng(seed)
    a, u = rng.normal(size=(2, 4, 5))
    d = SIDE.distribution(a)
    parts = Bernoulli().distribution(a[:, :2]), Softmax(3).distribution(a[:, 2:])
    states = SIDE.states(5)
    for row in range(4):
        one = SIDE.distribution(np.repeat(a[row : row + 1], len(states), axis=0))
        p = np.exp(one.log_prob(states))
        assert p.sum() == pytest.approx(1.0, abs=1e-12)
        np.testing.assert_allclose(p @ states, d.mean[row], atol=1e-12)
        np.testing.assert_allclose(p @ states**2 - (p @ states) ** 2, d.variance[row], atol=1e-12)
        assert -(p * np.log(p)).sum() == pytest.approx(d.entropy()[row], abs=1e-12)
        other = SIDE.distribution(np.repeat(u[row : row + 1], len(states), axis=0))
        gap = (p * (one.log_prob(states) - other.log_prob(states))).sum()
        assert gap == pytest.approx(d.kl(SIDE.distribution(u))[row], abs=1e-12)
    np.testing.assert_allclose(
        d.mean_jvp(u),
        np.concatenate([p.mean_jvp(x) for p, x in zip(parts, (u[:, :2], u[:, 2:]), strict=True)], 1),
    )
    assert SIDE.cgf(a).shape == (4, 3)
    assert d.mode[:, 2:].sum(axis=1).tolist() == [1.0] * 4


def test_states_are_all_there_once_and_come_in_blocks():
    states = SIDE.states(5)
    assert len(states) == SIDE.n_states(5) == 12
    assert len(np.unique(states, axis=0)) == 12
    for start, stop in ((0, 2), (2, 4), (1, 6), (3, 12), (5, 7)):
        np.testing.assert_array_equal(SIDE.states(5, start, stop), states[start:stop])
    assert SIDE.groups() == [slice(0, 1), slice(1, 2), slice(2, 5)]


def test_draws_are_states(backend):
    from minidgm.backend import asarray, to_numpy

    field = asarray(np.zeros((50, 5)), backend)
    draw = SIDE.distribution(field).sample(Generator(0, backend))
    out = asarray(np.empty((50, 5)), backend)
    SIDE.distribution(field).sample(Generator(0, backend), out=out)
    np.testing.assert_array_equal(to_numpy(draw), to_numpy(out))
    assert (to_numpy(draw)[:, 2:].sum(axis=1) == 1).all()


def test_own_parameters_belong_to_the_first_part():
    side = Joined([Gaussian(), Spin()], [2, 1])
    assert side.parameter_shapes(3) == {"log_precision": (2,)}
    assert not side.bounded
    own = {"log_precision": np.array([0.3, -0.2])}
    x, w = np.array([[1.0, -2.0, 1.0]]), np.array([2.0])
    base = Gaussian().log_base(x[:, :2], **own)
    np.testing.assert_allclose(side.log_base(x, **own), np.concatenate([base, [[0.0]]], axis=1))
    for name in ("base_gradient", "mean_base_gradient"):
        found = getattr(side, name)(x, w, **own)["log_precision"]
        np.testing.assert_allclose(found, getattr(Gaussian(), name)(x[:, :2], w, **own)["log_precision"])
    np.testing.assert_allclose(
        side.mean(side.logit(np.array([[0.5, -1.0, 0.25]]), **own), **own)[0], [0.5, -1, 0.25]
    )


def test_bad_rows_and_widths_are_refused():
    SIDE.check(SIDE.states(5), "x")
    with pytest.raises(DataError, match="group sums"):
        SIDE.check(np.zeros((1, 5)), "x")
    with pytest.raises(DataError, match="Bernoulli units"):
        SIDE.check(np.array([[2.0, 0, 1, 0, 0]]), "x")
    with pytest.raises(ValueError, match="n_visible=4, but the parts 2 bernoulli"):
        SIDE.check_width(4, "visible")
    with pytest.raises(DataError, match="4 columns; expected 5 = 2 \\+ 3"):
        SIDE.distribution(np.zeros((1, 5))).log_prob(np.zeros((1, 4)))
