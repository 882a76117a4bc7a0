"""Elementary functions: values, dtypes and gradients at the extremes, on every backend and under autograd."""

from __future__ import annotations

import math

import numpy as np
import pytest
from autograd import grad
from autograd import numpy as anp
from hypothesis import given
from hypothesis import strategies as st

from minidgm import numerics
from minidgm.backend import asarray, get_backend, to_numpy
from minidgm.checks.strict import count_host_reads
from minidgm.numerics import (
    log1mexp,
    log_ndtr,
    log_sigmoid,
    logcosh,
    logit,
    logsumexp,
    sigmoid,
    sigmoid_,
    softplus,
    softplus_sum,
    xlogy,
)

DTYPES = ("float32", "float64")
REAL = st.floats(-1e4, 1e4, width=32) | st.sampled_from([0.0, -0.0, 1e4, -1e4, 1e-30, -1e-30])
long = np.longdouble


def exact_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def exact_softplus(x):
    return np.logaddexp(long(0), x)


def exact_log1mexp(x):
    return np.log(-np.expm1(x)) if x > -1 else np.log1p(-np.exp(x))


# Function: reference in extended precision, its derivative, domain; errors count roundings of scale(x).
FUNCTIONS = {
    sigmoid: (exact_sigmoid, lambda x: exact_sigmoid(x) * exact_sigmoid(-x), REAL, lambda x: 1.0),
    softplus: (exact_softplus, exact_sigmoid, REAL, lambda x: exact_softplus(x)),
    log_sigmoid: (
        lambda x: -exact_softplus(-x),
        lambda x: exact_sigmoid(-x),
        REAL,
        lambda x: exact_softplus(-x),
    ),
    logcosh: (
        lambda x: np.logaddexp(x, -x) - np.log(long(2)),
        np.tanh,
        REAL,
        lambda x: 1.0 + abs(x),
    ),
    log1mexp: (
        exact_log1mexp,
        lambda x: -1 / np.expm1(-x),
        st.floats(-1e4, -(2.0**-20), width=32) | st.floats(-20, -0.125, width=32),
        lambda x: -exact_log1mexp(x),
    ),
    logit: (
        lambda p: np.log(p) - np.log1p(-p),
        lambda p: 1 / (p * (1 - p)),
        st.floats(2.0**-20, 1 - 2.0**-20, width=32),
        lambda p: 1 - np.log(p) - np.log1p(-p),
    ),
}
CASES = [pytest.param(f, *rest, id=f.__name__) for f, rest in FUNCTIONS.items()]
FIELDS = ("f", "reference", "derivative", "domain", "scale")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(FIELDS, CASES)
@given(data=st.data())
def test_values(backend, f, reference, derivative, domain, scale, dtype, data):
    x = np.array(data.draw(st.lists(domain, min_size=1, max_size=5)), dtype=dtype)
    with count_host_reads() as reads:
        got = f(asarray(x, backend))
    assert reads.count == 0
    assert get_backend(got) == backend
    assert got.dtype == dtype
    with np.errstate(over="ignore"):
        want = np.array([reference(long(v)) for v in x])
        allowed = 4 * np.finfo(dtype).eps * np.array([scale(long(v)) for v in x])
    error = np.abs(to_numpy(got).astype(long) - want)
    assert (error <= allowed + np.finfo(dtype).tiny).all()


@pytest.mark.parametrize(FIELDS, CASES)
@given(data=st.data())
def test_gradients(f, reference, derivative, domain, scale, data):
    x = data.draw(domain)
    with np.errstate(over="ignore"):
        want = float(derivative(long(x)))
    assert grad(f)(x) == pytest.approx(want, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("f", "slope"),
    [(sigmoid, [0, 0.25, 0]), (softplus, [0, 0.5, 1]), (log_sigmoid, [1, 0.5, 0]), (logcosh, [-1, 0, 1])],
)
def test_gradients_at_the_extremes_and_at_zero(f, slope, dtype):
    x = np.array([-1e4, 0.0, 1e4], dtype=dtype)
    got = grad(lambda v: anp.sum(f(v)))(x)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.array(slope, dtype))


@pytest.mark.parametrize(
    ("f", "second"),
    [(softplus, 0.25), (log_sigmoid, -0.25), (logcosh, 1.0), (sigmoid, 0.0)],
)
def test_second_derivatives_at_zero(f, second):
    # softplus'' = sigmoid' = 1/4 there, and logcosh'' = 1 - tanh^2 = 1.
    assert grad(grad(f))(0.0) == pytest.approx(second, abs=1e-15)


@given(REAL)
def test_sigmoid_is_the_same_number_while_traced(x):
    traced = []
    grad(lambda v: (traced.append(sigmoid(v)), sigmoid(v))[1])(x)
    assert traced[0]._value == pytest.approx(float(sigmoid(np.array(x))), rel=0, abs=3e-16)


@given(REAL)
def test_softplus_is_the_same_number_while_traced(x):
    traced = []
    grad(lambda v: (traced.append(softplus(v)), softplus(v))[1])(x)
    assert traced[0]._value == pytest.approx(float(softplus(np.array(x))), rel=1e-15, abs=0)


@pytest.mark.parametrize("dtype", DTYPES)
@given(x=st.lists(st.floats(-1e4, 37, width=32), min_size=1, max_size=5))
def test_log_ndtr(backend, dtype, x):
    x = np.array(x, dtype=dtype)
    got = log_ndtr(asarray(x, backend))
    assert get_backend(got) == backend
    assert got.dtype == dtype
    for value, at in zip(to_numpy(got), x, strict=True):
        want = _log_ndtr(float(at))
        assert float(value) == pytest.approx(want, rel=1e-6 if dtype == "float32" else 1e-12, abs=1e-44)


def _log_ndtr(x):
    # Below -5 by the continued fraction of the tail (Abramowitz & Stegun 26.2.14).
    tail = 0.5 * math.erfc(abs(x) / math.sqrt(2))
    if x > -5:
        return math.log1p(-tail) if x > 0 else math.log(tail)
    fraction = 0.0
    for k in range(60, 0, -1):
        fraction = k / (-x + fraction)
    return -0.5 * x * x - 0.5 * math.log(2 * math.pi) - math.log(-x + fraction)


@given(st.floats(-1e4, 37))
def test_log_ndtr_gradient_is_the_inverse_mills_ratio(x):
    # phi(x) / Phi(x) by _log_ndtr; for x -> -inf it tends to -x.
    want = math.exp(-0.5 * x * x - 0.5 * math.log(2 * math.pi) - _log_ndtr(x))
    assert grad(log_ndtr)(x) == pytest.approx(want, rel=1e-6, abs=1e-300)


def test_log_ndtr_can_be_differentiated_twice():
    # With r = phi/Phi, r' = -r (x + r).
    for x in (-3.0, 0.0, 2.0):
        r = grad(log_ndtr)(x)
        assert grad(grad(log_ndtr))(x) == pytest.approx(-r * (x + r), rel=1e-12)


def test_ends_of_the_domains(backend):
    def at(f, *values):
        return to_numpy(f(asarray(np.array(values), backend))).tolist()

    assert at(log1mexp, 0.0, -np.inf) == [-np.inf, 0.0]
    assert at(logit, 0.0, 1.0) == [-np.inf, np.inf]
    assert np.isnan(at(log1mexp, 1.0, np.nan)).all()
    assert np.isnan(at(logit, -0.1, 1.1, np.nan)).all()
    assert at(softplus, -np.inf, np.inf) == [0.0, np.inf]
    assert at(sigmoid, -np.inf, np.inf) == [0.0, 1.0]
    for f in (sigmoid, softplus, log_sigmoid, logcosh, logsumexp, log_ndtr):
        assert np.isnan(at(lambda x, f=f: f(x).reshape(-1), np.nan)).all()


@given(
    st.lists(st.lists(REAL | st.just(-np.inf), min_size=3, max_size=3), min_size=1, max_size=4),
    st.sampled_from([None, 0, 1, -1, (0, 1)]),
    st.booleans(),
    st.sampled_from(DTYPES),
)
def test_logsumexp(backend, rows, axis, keepdims, dtype):
    x = np.array(rows, dtype=dtype)
    got = logsumexp(asarray(x, backend), axis=axis, keepdims=keepdims)
    assert got.dtype == dtype
    want = np.logaddexp.reduce(x.astype(long), axis=axis, keepdims=keepdims)
    assert got.shape == np.shape(want)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(to_numpy(got).astype(long), want, rtol=8 * eps, atol=8 * eps)


@given(st.lists(REAL, min_size=1, max_size=5), st.booleans())
def test_logsumexp_gradient_is_the_softmax(values, tied):
    x = np.array(values + values[:1] * tied, dtype="float64")
    weights = np.exp(x - x.max())
    np.testing.assert_allclose(grad(logsumexp)(x), weights / weights.sum(), rtol=1e-12, atol=1e-15)


def test_logsumexp_gradient_ignores_what_contributes_nothing():
    np.testing.assert_array_equal(grad(logsumexp)(np.array([0.0, -np.inf])), [1.0, 0.0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_xlogy(backend, dtype):
    x = asarray(np.array([0.0, 0.0, 2.0, 1.0, 1.0], dtype), backend)
    y = asarray(np.array([0.0, 3.0, 1.0, 0.0, np.e], dtype), backend)
    got = xlogy(x, y)
    assert got.dtype == dtype
    np.testing.assert_allclose(to_numpy(got), [0.0, 0.0, 0.0, -np.inf, 1.0], rtol=1e-6)


def test_xlogy_gradients():
    assert grad(xlogy, 0)(0.0, 3.0) == math.log(3.0)
    assert grad(xlogy, 1)(0.0, 3.0) == 0.0
    assert grad(xlogy, 0)(2.0, 5.0) == math.log(5.0)
    assert grad(xlogy, 1)(2.0, 5.0) == 2 / 5
    assert grad(xlogy, 0)(0.0, 0.0) == 0.0
    assert grad(xlogy, 1)(0.0, 0.0) == 0.0


@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from(DTYPES), st.integers(0, 2**32))
def test_sigmoid_in_place_equals_its_twin(backend, n, d, dtype, seed):
    x = asarray((20 * np.random.default_rng(seed).normal(size=(n, d))).astype(dtype), backend)
    want = to_numpy(sigmoid(x))
    out = asarray(np.empty((n, d), dtype), backend)
    bias = asarray(np.linspace(-3, 3, d, dtype=dtype), backend)
    assert sigmoid_(x, out=out, bias=bias) is out
    np.testing.assert_allclose(to_numpy(out), to_numpy(sigmoid(x + bias)), rtol=0, atol=np.finfo(dtype).eps)
    assert sigmoid_(x, out=out) is out
    assert sigmoid_(x) is x
    for got in (x, out):
        np.testing.assert_allclose(to_numpy(got), want, rtol=0, atol=np.finfo(dtype).eps)


def test_sigmoid_in_place_covers_large_and_strided_arrays():
    x = np.linspace(-9, 9, 3 * numerics._BLOCK + 7, dtype="float32")
    want = sigmoid(x)
    np.testing.assert_allclose(sigmoid_(x.copy()), want, rtol=0, atol=1e-7)
    rows, bias = np.tile(x[:999], (300, 1)), np.linspace(-1, 1, 999, dtype="float32")
    assert rows.size > 4 * numerics._BLOCK
    np.testing.assert_array_equal(sigmoid_(rows.copy(), bias=bias), sigmoid_(np.add(rows, bias)))
    strided = np.zeros((x.size, 2), "float32")
    sigmoid_(x, out=strided[:, 0])
    np.testing.assert_allclose(strided[:, 0], want, rtol=0, atol=1e-7)
    assert (strided[:, 1] == 0).all()


@given(
    st.integers(0, 4),
    st.integers(0, 300),
    st.sampled_from([0.0, 0.3, 1.0, -2.0]),
    st.sampled_from([-1, 0, 1]),
    st.sampled_from(DTYPES),
    st.sampled_from([0.0, 1.0, 1e4]),
)
def test_softplus_sum_equals_its_twin(backend, n, d, scale, axis, dtype, size):
    x = (size * np.random.default_rng(n * d).normal(size=(n, d))).astype(dtype)
    x = x if axis else np.ascontiguousarray(x.T)
    got = softplus_sum(asarray(x, backend), scale, axis=axis)
    want = exact_softplus(scale * x.astype(long)).sum(axis=axis)
    assert got.dtype == "float64"
    assert got.shape == want.shape
    # A rounding of scale * x each, and of the logarithms near 0.
    bound = 8 * np.finfo(dtype).eps * (d + np.abs(scale * x.astype(long)).sum(axis=axis))
    assert (np.abs(to_numpy(got) - want) <= bound).all()


def test_softplus_sum_covers_many_rows_and_ranks():
    x = np.random.default_rng(0).normal(size=(3, 500, 130)).astype("float32")
    before = x.copy()
    np.testing.assert_allclose(softplus_sum(x, 2.0), softplus(2.0 * x.astype("float64")).sum(-1), rtol=1e-6)
    np.testing.assert_allclose(softplus_sum(x, axis=1), softplus(x.astype("float64")).sum(1), rtol=1e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("width", [64, 65, 511, 784])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softplus_sum_neither_overflows_nor_loses_small_terms(width, dtype):
    # At 0 every factor is 2, the most a product can grow; at -10 each term is 4.5e-5.
    x = np.stack([np.zeros(width), np.full(width, -10.0), np.full(width, 1e4)]).astype(dtype)
    want = width * np.array([math.log(2), math.log1p(math.exp(-10)), 1e4])
    np.testing.assert_allclose(softplus_sum(x), want, rtol=3e-3 if dtype == "float32" else 1e-10)


def test_softplus_sum_in_float32_stays_below_rounding_noise():
    # Published AIS runs add thousands of these: the error stays near that of one rounded sum.
    x = np.random.default_rng(1).normal(scale=4, size=(200, 500)).astype("float32")
    want = softplus(x.astype("float64")).sum(axis=1)
    assert np.abs(softplus_sum(x) - want).max() < 3e-5
