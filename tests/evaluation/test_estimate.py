"""Estimates: kinds turn with the sign, units convert, errors combine."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm import RBM
from minidgm.backend import asarray, to_numpy
from minidgm.evaluation import KINDS, AnnealedEstimate, Estimate

OPPOSITE = {
    "lower bound": "upper bound",
    "upper bound": "lower bound",
    "exact": "exact",
    "estimate": "estimate",
}
values = st.floats(-1e6, 1e6)


@given(values, st.sampled_from(KINDS))
def test_negation_turns_bounds(value, kind):
    turned = -Estimate(value, kind)
    assert (turned.value, turned.kind) == (-value, OPPOSITE[kind])
    assert -turned == Estimate(value, kind)


@pytest.mark.parametrize(
    ("a", "b", "both"),
    [
        ("exact", "exact", "exact"),
        ("exact", "lower bound", "lower bound"),
        ("exact", "upper bound", "upper bound"),
        ("exact", "estimate", "estimate"),
        ("lower bound", "lower bound", "lower bound"),
        ("upper bound", "upper bound", "upper bound"),
        ("lower bound", "upper bound", "estimate"),
        ("lower bound", "estimate", "estimate"),
        ("upper bound", "estimate", "estimate"),
    ],
)
def test_kinds_of_sums_and_differences(a, b, both):
    assert (Estimate(1.0, a) + Estimate(2.0, b)).kind == both
    assert (Estimate(1.0, b) + Estimate(2.0, a)).kind == both
    assert (Estimate(1.0, a) - Estimate(2.0, OPPOSITE[b])).kind == both


def test_an_array_takes_the_value(backend):
    """Not an array of estimates, whose mean would divide an error that all rows share."""
    x, log_z = asarray(np.arange(3.0), backend, "float32"), Estimate(2.0, "lower bound", stderr=0.5)
    for result, expected in (
        (x - log_z, [-2.0, -1.0, 0.0]),
        (log_z - x, [2.0, 1.0, 0.0]),
        (x + log_z, [2.0, 3.0, 4.0]),
        (log_z + x, [2.0, 3.0, 4.0]),
    ):
        assert (result.dtype, result.shape) == (x.dtype, (3,))
        np.testing.assert_array_equal(to_numpy(result), expected)


@pytest.mark.parametrize("number", [3, 3.0, np.float32(3.0), np.float64(3.0), np.int64(3)])
def test_a_scalar_of_numpy_is_a_number(number):
    e = Estimate(2.0, "lower bound", stderr=0.5)
    assert number - e == Estimate(1.0, "upper bound", stderr=0.5)
    assert e + number == number + e == Estimate(5.0, "lower bound", stderr=0.5)
    assert e * number == number * e == Estimate(6.0, "lower bound", stderr=1.5)
    assert (e / number).kind == "lower bound"


def test_a_log_probability_with_an_estimate_of_z_is_an_array_of_numbers(backend):
    rbm = RBM(3, 2, backend=backend, seed=0)
    v = asarray(np.eye(3), backend, "float32")
    found = rbm.log_prob(v, Estimate(3.0, "lower bound", stderr=0.1))
    np.testing.assert_array_equal(to_numpy(found), to_numpy(rbm.log_prob(v, 3.0)))


def test_errors_add_in_quadrature_and_the_smaller_sample_counts():
    a = Estimate(1.0, stderr=3.0, how="this", ess=7.0, settings={"x": 1})
    b = Estimate(2.5, stderr=4.0, how="that", ess=5.0, settings={"x": 2, "y": 3})
    total = a - b
    assert (total.value, total.stderr, total.ess) == (-1.5, 5.0, 5.0)
    assert total.how == "this; that"
    assert total.settings == {"x": 1, "y": 3}
    assert (a + Estimate(1.0, "exact")).stderr == 3.0
    assert (Estimate(1.0, "exact") + Estimate(1.0, "exact")).stderr is None
    assert (a + Estimate(1.0)).stderr is None  # its error is unknown, not 0


@given(values, values, st.sampled_from(KINDS))
def test_numbers_shift_and_scale(value, number, kind):
    a = Estimate(value, kind, stderr=None if kind == "exact" else 2.0)
    assert (a + number) == (number + a)
    assert (a + number).value == value + number
    assert (a - number).value == value - number
    assert (number - a).value == pytest.approx(number - value)
    assert (number - a).kind == OPPOSITE[kind]
    assert (a * number).value == value * number
    assert (number * a).kind == (kind if number >= 0 else OPPOSITE[kind])
    if kind != "exact":
        assert (a * number).stderr == 2.0 * abs(number)
        assert (a - number).stderr == 2.0
    assert float(a) == value


def test_units():
    a = Estimate(-math.log(2.0) * 8, "lower bound", stderr=math.log(2.0))
    bits = a.to("bits")
    assert (bits.value, bits.kind, bits.unit) == (pytest.approx(-8.0), "lower bound", "bits")
    assert bits.stderr == pytest.approx(1.0)
    per = a.to("bits/dim", dimensions=4)
    assert (per.value, per.kind, per.unit) == (pytest.approx(2.0), "upper bound", "bits/dim")
    assert per.stderr == pytest.approx(0.25)
    back = per.to("nats", dimensions=4)
    assert (back.value, back.kind, back.unit) == (pytest.approx(a.value), "lower bound", "nats")
    assert per.to("bits", dimensions=4).value == pytest.approx(-8.0)
    assert a.to("nats") is a
    assert bits.to("nats").value == pytest.approx(a.value)
    assert (a / 2.0).value == a.value / 2.0


def test_printing():
    assert str(Estimate(1.5, "exact")) == "1.5000 nats (exact)"
    assert (
        str(Estimate(-86.3412, "lower bound", 0.0234, how="IWAE"))
        == ">= -86.341 +- 0.023 nats (lower bound; IWAE)"
    )
    assert str(Estimate(12.0, "upper bound", 3.0)) == "<= 12.0 +- 3.0 nats (upper bound)"
    assert str(Estimate(500.0, stderr=31.0)) == "~ 500 +- 31 nats (estimate)"
    assert "effective sample size 12.3" in str(Estimate(1.0, ess=12.34))
    assert str(Estimate(1.0, stderr=math.inf)) == "~ 1.0000 nats (estimate)"


def test_frozen_and_picklable():
    a = AnnealedEstimate(1.0, stderr=0.1, log_weights=[1.0], samples=[0.0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.value = 2.0
    assert pickle.loads(pickle.dumps(a)).log_weights == [1.0]
    assert (-a).log_weights == [1.0]
    assert a.to("bits").samples == [0.0]
    assert "log_weights" not in repr(a)


def test_errors():
    with pytest.raises(ValueError, match=r"unknown kind 'lower bond'; did you mean 'lower bound'\?"):
        Estimate(1.0, "lower bond")
    with pytest.raises(ValueError, match="not negative"):
        Estimate(1.0, stderr=-1.0)
    with pytest.raises(ValueError, match="an exact value has no standard error"):
        Estimate(1.0, "exact", stderr=1.0)
    with pytest.raises(ValueError, match="unit=''"):
        Estimate(1.0, unit="")
    with pytest.raises(ValueError, match=r"unknown unit of information 'bit'; did you mean 'bits'\?"):
        Estimate(1.0).to("bit")
    with pytest.raises(ValueError, match="unknown unit of information 'squared error'"):
        Estimate(1.0, unit="squared error").to("bits")
    for dimensions in (None, 0, 2.0, True):
        with pytest.raises(ValueError, match="bits/dim needs dimensions, a positive integer"):
            Estimate(1.0).to("bits/dim", dimensions)
    with pytest.raises(ValueError, match=r"cannot add bits to nats; convert one with .to\('nats'\)"):
        Estimate(1.0) + Estimate(1.0, unit="bits")
    for operation in (lambda a: a + "1", lambda a: a * a, lambda a: a / "2"):
        with pytest.raises(TypeError):
            operation(Estimate(1.0))
