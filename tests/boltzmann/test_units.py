"""Units: cumulants are derivatives of the cgf, states are all there once, domains are guarded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm.boltzmann.units import Bernoulli, Gaussian, Rectified, Softmax, Spin, from_name
from minidgm.errors import DataError

ALL = [Bernoulli(), Spin(), Gaussian(), Softmax(3), Rectified()]
FINITE = [Bernoulli(), Spin(), Softmax(3)]


def own(unit, d=3, value=0.4):
    return {name: np.full(shape, value) for name, shape in unit.parameter_shapes(d).items()}


@pytest.mark.parametrize("unit", ALL, ids=repr)
@given(
    a=st.lists(st.floats(-8, 8), min_size=3, max_size=3), u=st.lists(st.floats(-1, 1), min_size=3, max_size=3)
)
@settings(max_examples=25)
def test_cumulants_are_derivatives(unit, a, u):
    """Central differences of step 1e-5 are right to about 1e-9."""
    a, u, step = np.array([a]), np.array([u]), 1e-5

    def slope(f):
        return (f(a + step * u) - f(a - step * u)) / (2 * step)

    mine = own(unit)
    np.testing.assert_allclose(
        slope(lambda x: unit.cgf(x, **mine).sum()), (unit.mean(a, **mine) * u).sum(), rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(
        slope(lambda x: unit.mean(x, **mine)), unit.mean_jvp(a, u, **mine), rtol=1e-5, atol=1e-8
    )
    if unit.k == 1:
        np.testing.assert_allclose(
            slope(lambda x: unit.variance(x, **mine)), unit.third(a, **mine) * u, rtol=1e-5, atol=1e-7
        )
    else:
        with pytest.raises(TypeError, match="third cumulant"):
            unit.third(a)


@pytest.mark.parametrize("unit", FINITE, ids=repr)
def test_states_are_all_there_once(unit):
    states = unit.states(6)
    assert len({tuple(s) for s in states}) == len(states) == unit.n_states(6)
    unit.check(states, "v")
    np.testing.assert_array_equal(states[5:9], unit.states(6, 5, 9))


@pytest.mark.parametrize("unit", FINITE, ids=repr)
def test_alternatives_change_one_unit_to_each_other_value(unit):
    x = unit.states(6)
    for i in range(6 // unit.k):
        columns = slice(i * unit.k, (i + 1) * unit.k)
        seen = [x[:, columns]] + [other[:, columns] for other in unit.alternatives(x, i)]
        for row in range(len(x)):
            assert len({tuple(s[row]) for s in seen}) == len(seen) == unit.n_states(unit.k)
        for other in unit.alternatives(x, i):
            unit.check(other, "v")
            np.testing.assert_array_equal(
                np.delete(other, range(6)[columns], 1), np.delete(x, range(6)[columns], 1)
            )


@pytest.mark.parametrize("unit", ALL, ids=repr)
def test_log_base_gradient(unit):
    """The only base measure with parameters is the Gaussian's; its expectation is exact, by quadrature."""
    x, w, mine = np.array([[0.5, 1.0, 2.0], [1.0, 0.0, 0.5]]), np.array([0.7, -0.3]), own(unit)
    step, gradient = 1e-6, unit.base_gradient(x, w, **mine)
    for name, value in gradient.items():
        for j in range(3):
            shift = step * np.eye(3)[j]
            up, down = ({name: mine[name] + s} for s in (shift, -shift))
            difference = -(w @ (unit.log_base(x, **up) - unit.log_base(x, **down)).sum(axis=1)) / (2 * step)
            assert difference == pytest.approx(value[j], rel=1e-6, abs=1e-9)
    assert set(gradient) == set(mine) == set(unit.mean_base_gradient(x, w, **mine))


@given(a=st.floats(-5, 5), s=st.floats(-2, 2), w=st.floats(-2, 2))
@settings(max_examples=25)
def test_mean_base_gradient_of_gaussians(a, s, w):
    """-d cgf / d log lambda is the expected derivative of the energy's base term."""
    unit, step = Gaussian(), 1e-6
    field = np.array([[a]])
    up, down = (unit.cgf(field, log_precision=np.array([s + t]))[0, 0] for t in (step, -step))
    exact = unit.mean_base_gradient(field, np.array([w]), log_precision=np.array([s]))["log_precision"][0]
    assert exact == pytest.approx(-w * (up - down) / (2 * step), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("unit", [Bernoulli(), Spin(), Gaussian(), Softmax(3), Rectified()], ids=repr)
def test_logit_inverts_the_mean(unit):
    a = np.array([[0.3, -0.7, 1.1]])
    np.testing.assert_allclose(
        unit.mean(unit.logit(unit.mean(a, **own(unit)), **own(unit)), **own(unit)), unit.mean(a, **own(unit))
    )


def test_logit_of_a_rectified_unit_far_out():
    mean = np.array([0.0, 0.05, 0.3, 40.0])
    np.testing.assert_allclose(Rectified().mean(Rectified().logit(mean)), np.maximum(mean, 0.05), rtol=1e-9)


@pytest.mark.parametrize(
    ("unit", "bad", "message"),
    [
        (Bernoulli(), 1.5, "v holds 1.5 .row 0, column 1.; Bernoulli units take 0 or 1"),
        (Bernoulli(), -0.1, "Bernoulli"),
        (Spin(), 2.0, "spin units take -1 or 1"),
        (Spin(), -1.1, "spin"),
        (Softmax(3), 1.0, "group sums of v holds 2"),
        (Softmax(3), -0.2, "one-hot"),
        (Rectified(), -0.1, "rectified units take numbers >= 0"),
    ],
)
def test_values_outside_the_domain(unit, bad, message):
    with pytest.raises(DataError, match=message):
        unit.check(np.array([[1.0, bad, 0.0]]), "v")


def test_allowed_values_pass():
    Bernoulli().check(np.array([[0.0, 0.5, 1.0]]), "v")
    Spin().check(np.array([[-1.0, 0.0, 1.0]]), "v")
    Softmax(3).check(np.array([[0.2, 0.3, 0.5]]), "v")
    Gaussian().check(np.array([[-9.0, 1e6, 0.0]]), "v")
    Rectified().check(np.array([[0.0, 3.0, 1e6]]), "v")


def test_names():
    assert from_name("Softmax(4)") == Softmax(4)
    assert from_name(Spin) == Spin()
    assert from_name("spin") != Bernoulli()
    assert len({Spin(), Spin(), Softmax(2), Softmax(3)}) == 3
    with pytest.raises(ValueError, match="did you mean 'gaussian'"):
        from_name("gausian")
    with pytest.raises(ValueError, match="k >= 2"):
        Softmax(1)
    with pytest.raises(ValueError, match="multiple of 3"):
        Softmax(3).check_width(7, "visible")
    for unit in (Gaussian(), Rectified()):
        with pytest.raises(TypeError, match="infinitely many"):
            unit.states(2)
        with pytest.raises(TypeError, match="infinitely many"):
            unit.alternatives(np.zeros((1, 2)), 0)
