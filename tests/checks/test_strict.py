"""The strict fake device refuses what CuPy refuses, computes what NumPy does, and counts what would wait."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.backend import to_numpy
from minidgm.checks import host_reads
from minidgm.checks.signatures import api
from minidgm.checks.strict import StrictArray, count_host_reads, special, xp


@pytest.fixture
def host():
    return np.arange(6.0).reshape(2, 3)


@pytest.fixture
def a(host):
    return xp.asarray(host)


REFUSED = {
    "numpy.asarray": lambda a, h: np.asarray(a),
    "numpy.array": lambda a, h: np.array(a),
    "device + host": lambda a, h: a + h,
    "host + device": lambda a, h: h + a,
    "device @ host": lambda a, h: a @ h.T,
    "0-d host array": lambda a, h: a + np.array(1.0),
    "comparison": lambda a, h: a < h,
    "host += device": lambda a, h: h.__iadd__(a),
    "device += host": lambda a, h: a.__iadd__(h),
    "ufunc into host": lambda a, h: xp.exp(a, out=h),
    "numpy ufunc": lambda a, h: np.exp(a, out=h),
    "list of both": lambda a, h: xp.concatenate([a, h]),
    "numpy function": lambda a, h: np.concatenate([a, h]),
    "function of host": lambda a, h: xp.sum(h),
    "where": lambda a, h: xp.where(a > 0, a, h),
    "assignment": lambda a, h: a.__setitem__(slice(None), h),
    "host index": lambda a, h: a[np.array([0, 1])],
    "host assignment": lambda a, h: h.__setitem__(slice(None), a),
    "method": lambda a, h: a.dot(h.T),
    "einsum": lambda a, h: xp.einsum("ij,ij->i", a, h),
}


@pytest.mark.parametrize("act", REFUSED.values(), ids=REFUSED)
def test_host_and_device_do_not_mix(a, host, act):
    with pytest.raises(TypeError, match=r"device arrays|implicit conversion"):
        act(a, host)
    np.testing.assert_array_equal(host, np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(to_numpy(a), host)


@pytest.mark.parametrize("name", ["vecdot", "matvec", "geomspace", "block", "insert", "nonsense"])
def test_names_that_cupy_lacks_are_refused(name):
    with pytest.raises(AttributeError, match=rf"CuPy {api()['version']} has no cupy.{name}"):
        getattr(xp, name)


def test_numpy_functions_and_ufuncs_that_cupy_lacks_are_refused(a):
    with pytest.raises(AttributeError, match=r"has no cupy\.insert"):
        np.insert(a, 0, 1.0)
    with pytest.raises(TypeError, match="has no ufunc vecdot"):
        np.vecdot(a, a)
    with pytest.raises(AttributeError, match=r"has no cupy\.linalg\.vector_norm"):
        xp.linalg.vector_norm(a)
    with pytest.raises(AttributeError, match="minidgm Generator"):
        _ = xp.random
    with pytest.raises(AttributeError, match=r"no twin of cupy\.RawKernel"):
        _ = xp.RawKernel


def test_keywords_that_cupy_lacks_are_refused(a):
    for call in (
        lambda: xp.sum(a, where=a > 0),
        lambda: a.sum(where=a > 0),
        lambda: xp.exp(a, where=a > 0),
        lambda: np.exp(a, where=a > 0),
        lambda: a.max(initial=0.0),
        lambda: xp.ravel(a, "C", 3, 4),
    ):
        with pytest.raises(TypeError, match=r"in CuPy"):
            call()


UNARY = ["exp", "tanh", "sqrt", "abs", "negative", "sign", "isfinite"]
REDUCTIONS = ["sum", "mean", "max", "min", "argmax", "prod", "any", "all", "var"]


@given(st.integers(0, 3), st.integers(1, 3), st.sampled_from(["float32", "float64"]))
def test_values_and_dtypes_are_those_of_numpy(rows, columns, dtype):
    h = np.linspace(0.1, 2.0, rows * columns, dtype=dtype).reshape(rows, columns)
    d = xp.asarray(h)
    pairs = [(getattr(xp, f)(d), getattr(np, f)(h)) for f in UNARY]
    pairs += [(getattr(xp, f)(d, axis=1), getattr(np, f)(h, axis=1)) for f in REDUCTIONS]
    pairs += [(d.sum(axis=0, keepdims=True), h.sum(axis=0, keepdims=True)), (d @ d.T, h @ h.T)]
    pairs += [(2 * d + 1, 2 * h + 1), (d[:, ::-1], h[:, ::-1]), (d.T, h.T), (d > 1, h > 1), (d**2, h**2)]
    pairs += [(np.float64(2) * d, np.float64(2) * h), (d.astype("int64"), h.astype("int64"))]
    pairs += [(np.concatenate([d, d]), np.concatenate([h, h]))]
    pairs += [(xp.where(d > 1, d, 0.0), np.where(h > 1, h, 0.0))]
    for ours, theirs in pairs:
        assert type(ours) is StrictArray
        for attribute in ("shape", "dtype", "ndim", "size", "nbytes"):
            assert getattr(ours, attribute) == getattr(theirs, attribute)
        np.testing.assert_array_equal(ours.get(), theirs)


def test_results_without_axes_stay_arrays(a):
    results = [a.sum(), xp.sum(a), np.sum(a), a[0, 0], xp.dot(a[0], a[0]), xp.linalg.norm(a)]
    results += [xp.count_nonzero(a), xp.allclose(a, a), xp.array_equal(a, a), a.argmax()]
    results += [abs(a[0, 0]), -a[0, 0], a.mean()]
    for result in results:
        assert type(result) is StrictArray
        assert result.shape == ()


def test_in_place_operations_and_views_share_memory(a):
    b, row = a, a[0]
    b += 1
    b *= xp.asarray(2.0)
    assert b is a
    row[...] = 7.0
    a[1, xp.asarray([0, 2])] = -1.0
    a[a == 10.0] = 0.0
    np.testing.assert_array_equal(to_numpy(a), [[7, 7, 7], [-1, 0, -1]])
    np.testing.assert_array_equal(to_numpy(a.reshape(-1).base), to_numpy(a))
    out = xp.empty((2, 2))
    assert xp.matmul(a, a.T, out=out) is out
    assert np.add(out, 1.0, out=out) is out
    assert a.sum(axis=0, out=out[0, :1].repeat(3)).shape == (3,)
    xp.add.at(out, (xp.asarray([0, 0]), xp.asarray([1, 1])), 1.0)
    assert xp.add.reduce(out, axis=0).shape == (2,)
    assert [row.shape for row in a] == [(3,), (3,)]
    assert len(a) == 2


def test_arrays_made_from_the_host_are_copies(host):
    d = xp.asarray(host)
    host[0, 0] = 9.0
    assert float(d[0, 0]) == 0.0
    back = d.get()
    back[0, 0] = 9.0
    assert float(d[0, 0]) == 0.0
    d.set(host)
    assert float(d[0, 0]) == 9.0
    np.testing.assert_array_equal(d.get(out=np.empty((2, 3))), host)
    with pytest.raises(ValueError, match=r"set\(\) got float64\(3,\), this array is float64\(2, 3\)"):
        d.set(np.zeros(3))


def test_pickle_copy_and_deepcopy(a):
    for twin in (pickle.loads(pickle.dumps(a)), copy.deepcopy(a), copy.copy(a)):
        assert type(twin) is StrictArray
        twin += 1
        np.testing.assert_array_equal(to_numpy(twin), to_numpy(a) + 1)
    for module in (xp, xp.linalg, special):
        assert copy.deepcopy(module) is module
        assert pickle.loads(pickle.dumps(module)) is module


READS = {
    "bool()": lambda a: bool(a[0, 0]),
    "if": lambda a: 1 if a.sum() > 0 else 0,
    "float()": lambda a: float(a.sum()),
    "int()": lambda a: int(a.sum()),
    "complex()": lambda a: complex(a.sum()),
    "index()": lambda a: range(a.sum().astype("int64")),
    "slice": lambda a: a[: xp.asarray(1)],
    "item()": lambda a: a.sum().item(),
    "get()": lambda a: a.get(),
    "asnumpy": lambda a: xp.asnumpy(a),
    "to_numpy": lambda a: to_numpy(a),
    "tolist()": lambda a: a.tolist(),
    "tobytes()": lambda a: a.tobytes(),
    "repr()": lambda a: repr(a),
    "str()": lambda a: str(a),
    "format()": lambda a: f"{a.sum():.3f}",
    "mask": lambda a: a[a > 1],
    "nonzero()": lambda a: xp.nonzero(a),
    "method nonzero()": lambda a: a.nonzero(),
    "unique()": lambda a: xp.unique(a),
    "where()": lambda a: xp.where(a > 1),
    "arange()": lambda a: xp.arange(a.sum()),
    "in": lambda a: 3.0 in a[0, 2:],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_host_read_is_counted_once(a, read):
    with count_host_reads() as reads:
        read(a)
    assert reads.count == 1, reads


QUIET = {
    "arithmetic": lambda a: -(a * 2 + 1) @ a.T,
    "reduction": lambda a: a.sum() / a.size,
    "shape": lambda a: (a.shape, len(a), a.dtype, a.ndim),
    "where": lambda a: xp.where(a > 1, a, 0.0),
    "masked assignment": lambda a: a.__setitem__(a > 1, 0.0),
    "index array": lambda a: a[xp.asarray([0, 1])],
    "iteration": lambda a: [row * 2 for row in a],
    "copies": lambda a: (a.copy(), copy.deepcopy(a), xp.asarray(a)),
    "upload": lambda a: a.set(np.zeros((2, 3))),
    "full": lambda a: xp.full((2,), a.sum()),
}


@pytest.mark.parametrize("act", QUIET.values(), ids=QUIET)
def test_what_stays_on_the_device_is_not_counted(a, act):
    with count_host_reads() as reads:
        act(a)
    assert reads.count == 0, reads


def test_counters_nest_and_end(a):
    with count_host_reads() as outer:
        float(a.sum())
        with count_host_reads() as inner:
            float(a.sum())
    float(a.sum())
    assert (outer.count, inner.count) == (2, 1)
    assert repr(inner) == "HostReads(['float()'])"
    with pytest.raises(RuntimeError, match="boom"), count_host_reads():
        raise RuntimeError("boom")
    assert host_reads._counters == []


def test_no_protocol_leaks_the_memory(a):
    for name in ("array_interface", "array_struct", "cuda_array_interface", "dlpack"):
        assert not hasattr(a, f"__{name}__")
    assert not hasattr(a, "data")
    assert not hasattr(a, "ctypes")
    with pytest.raises(TypeError):
        memoryview(a)
    with pytest.raises(AttributeError, match=r"has no cupy\.ndarray\.nonsense"):
        _ = a.nonsense
    with pytest.raises(AttributeError):
        a.new_attribute = 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


def test_the_device_is_silent_where_cuda_is():
    a = xp.asarray([-1.0, 0.0, 1e9])
    np.testing.assert_array_equal(to_numpy(xp.exp(a)), [np.exp(-1.0), 1.0, np.inf])
    assert xp.isnan(xp.log(a))[0]
    assert xp.isinf(1.0 / a)[1]


def test_special_functions_are_those_of_scipy():
    a = xp.asarray([-1.0, 2.0], dtype=xp.float32)
    result = special.log_ndtr(a)
    assert type(result) is StrictArray
    assert result.dtype == "float32"
    with pytest.raises(AttributeError, match=r"has no cupyx\.scipy\.special\.struve"):
        _ = special.struve


def test_constants_and_types_pass_through():
    assert xp.pi == np.pi
    assert xp.newaxis is None
    assert xp.float32 is np.float32
    assert xp.ndarray is StrictArray
    assert xp.dtype("float32") == np.float32
    assert "strict fake device" in repr(xp)
    assert "cupy.add" in repr(xp.add)
    assert xp.__name__ == "minidgm.checks.strict.xp"
    sign, logdet = xp.linalg.slogdet(xp.eye(2))
    assert (float(sign), float(logdet)) == (1.0, 0.0)
