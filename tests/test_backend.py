"""The backend switch: which namespace, which error, what moves; CUDA parts against a fake cupy."""

from __future__ import annotations

import builtins
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm import backend as module
from minidgm.backend import (
    BACKENDS,
    asarray,
    get_backend,
    get_xp,
    is_array,
    namespace,
    prefetch,
    special,
    synchronize,
    to_numpy,
)
from minidgm.checks import strict
from minidgm.errors import BackendError
from minidgm.kernels.staging import STAGING_BUFFERS
from tests.fake_cupy import FakeCupy


def traced():
    """An autograd box around an array."""
    import autograd

    boxes = []
    autograd.grad(lambda x: (boxes.append(x), (x**2).sum())[1])(np.ones(3))
    return boxes[0]


def test_arrays_know_their_backend():
    assert get_backend(np.zeros(3)) == "numpy"
    assert get_backend(np.float32(3)) == "numpy"
    assert get_backend(strict.xp.zeros(3)) == "strict"
    assert get_backend(traced()) == "autograd"
    fake = type("ndarray", (), {"__module__": "cupy"})()
    assert get_backend(fake) == "cupy"
    for other in (3.0, None, [1.0], "cupy", object()):
        assert get_backend(other) is None
        assert not is_array(other)
    assert is_array(traced())


def test_get_xp_finds_the_namespace():
    import autograd.numpy

    d = strict.xp.zeros(3)
    assert get_xp() is np
    assert get_xp(1.0, None) is np
    assert get_xp(np.zeros(3), 2) is np
    assert get_xp(d, 1.0, d) is strict.xp
    assert get_xp(None, v=d) is strict.xp
    assert get_xp(traced()) is autograd.numpy
    assert get_xp(np.zeros(3), traced()) is get_xp(traced(), np.zeros(3)) is autograd.numpy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"v": "d", "w": "h"}, r"w is a numpy array, but v is on 'strict'; .*asarray\(w, 'strict'\)"),
        ({"v": "h", "w": "d"}, r"v is a numpy array, but w is on 'strict'; .*asarray\(v, 'strict'\)"),
        ({"v": "h", "w": "h", "h": "d"}, r"v is a numpy array, but h is on 'strict'"),
        (["d", "h"], r"argument 2 is a numpy array, but argument 1 is on 'strict'; .*\(x, .strict"),
    ],
)
def test_get_xp_names_the_argument_on_the_host(arguments, message):
    arrays = {"h": np.zeros(3), "d": strict.xp.zeros(3)}
    with pytest.raises(TypeError, match=message):
        if isinstance(arguments, dict):
            get_xp(**{name: arrays[kind] for name, kind in arguments.items()})
        else:
            get_xp(*(arrays[kind] for kind in arguments))


def test_traced_and_device_arrays_do_not_mix():
    with pytest.raises(TypeError, match="x is a strict array, but box is on 'autograd'"):
        get_xp(box=traced(), x=strict.xp.zeros(3))


def test_unknown_backends_get_the_nearest_name():
    for call in (lambda: namespace("cuppy"), lambda: asarray([1.0], "cuppy"), lambda: synchronize("cuppy")):
        with pytest.raises(ValueError, match=r"unknown backend 'cuppy'; did you mean 'cupy'\?"):
            call()


@given(st.sampled_from(["int64", "float32", "bool"]), st.sampled_from([None, "float32", "float64"]))
def test_asarray_and_back(backend, source, dtype):
    host = np.arange(6).reshape(2, 3).astype(source)
    x = asarray(host, backend, dtype)
    assert get_backend(x) == backend
    assert x.dtype == (dtype or source)
    np.testing.assert_array_equal(to_numpy(x), host.astype(dtype or source))
    assert get_backend(asarray(x, "numpy")) == "numpy"


def test_asarray_copies_only_where_asked(backend):
    x = asarray([1.0, 2.0], backend)
    same, copied = asarray(x, backend), asarray(x, backend, copy=True)
    x[0] = 5.0
    assert float(same[0]) == 5.0
    assert float(copied[0]) == 1.0
    host = np.zeros(2)
    moved = asarray(host, "strict")
    host[0] = 1.0
    assert float(moved[0]) == 0.0


def test_traced_values_pass_asarray_and_not_to_numpy():
    box = traced()
    assert asarray(box, "numpy") is box
    with pytest.raises(TypeError, match="autograd traces"):
        to_numpy(box)


def test_special_functions_of_each_backend(backend, xp):
    x = xp.asarray([0.5, 3.0])
    np.testing.assert_allclose(to_numpy(special(xp).gammaln(x)), [0.5723649429247001, 0.6931471805599453])


def test_special_functions_of_the_other_modules():
    import autograd.numpy
    import autograd.scipy.special

    assert special(autograd.numpy) is autograd.scipy.special
    if "cupyx" not in sys.modules:
        names = ("cupyx", "cupyx.scipy", "cupyx.scipy.special")
        fakes = [types.ModuleType(name) for name in names]
        fakes[0].scipy, fakes[1].special = fakes[1], fakes[2]
        with pytest.MonkeyPatch.context() as patch:
            for name, fake in zip(names, fakes, strict=True):
                patch.setitem(sys.modules, name, fake)
            assert special(types.SimpleNamespace(__name__="cupy")) is fakes[2]


@pytest.fixture
def fake(monkeypatch):
    """Install a fake cupy; the test may change what its runtime answers."""
    cupy = FakeCupy("cupy")
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(module, "_usable", None)
    return cupy


def test_cupy_missing(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    real_import = builtins.__import__

    def no_cupy(name, *args, **kwargs):
        if name == "cupy":
            raise ModuleNotFoundError("No module named 'cupy'", name="cupy")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_cupy)
    with pytest.raises(BackendError, match=r'not installed: pip install "minidgm\[cuda13\]".*\[cuda12\]"'):
        namespace("cupy")


def test_cupy_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(builtins, "__import__", _importing(ImportError("libcudart.so.13: cannot open")))
    with pytest.raises(BackendError, match=r"installed but cannot be imported: libcudart.so.13"):
        namespace("cupy")
    broken = ModuleNotFoundError("No module named 'fastrlock'", name="fastrlock")
    monkeypatch.setattr(builtins, "__import__", _importing(broken))
    with pytest.raises(BackendError, match="installed but cannot be imported: No module named 'fastrlock'"):
        namespace("cupy")


def _importing(error):
    real_import = builtins.__import__

    def imported(name, *args, **kwargs):
        if name == "cupy":
            raise error
        return real_import(name, *args, **kwargs)

    return imported


def test_no_driver(fake):
    fake.cuda.runtime.error = fake.cuda.runtime.CUDARuntimeError(35, "driver version is insufficient")
    fake.cuda.runtime.driver = 0
    with pytest.raises(BackendError) as caught:
        namespace("cupy")
    message = str(caught.value)
    assert "no usable CUDA driver" in message
    assert "driver version is insufficient" in message
    assert "CuPy 14.2.0" in message
    assert "built for CUDA 13.0, the driver supports none" in message
    assert "use backend='numpy'" in message


@pytest.mark.parametrize("how", ["count", "error"])
@pytest.mark.parametrize("visible", [None, "", "-1"])
def test_no_device(fake, monkeypatch, how, visible):
    if how == "error":
        fake.cuda.runtime.error = fake.cuda.runtime.CUDARuntimeError(100, "no CUDA-capable device")
    fake.cuda.runtime.devices = 0
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    shown = "not set" if visible is None else repr(visible)
    with pytest.raises(BackendError, match=f"shows no device; CUDA_VISIBLE_DEVICES is {shown}"):
        namespace("cupy")


def test_versions_that_cannot_be_asked_are_unknown(fake):
    fake.cuda.runtime.error = fake.cuda.runtime.CUDARuntimeError(35, "insufficient")
    fake.cuda.runtime.driver = None
    with pytest.raises(BackendError, match="the driver supports unknown"):
        namespace("cupy")


def test_a_usable_device_is_asked_once(fake):
    assert namespace("cupy") is fake
    fake.cuda.runtime.error = RuntimeError("asked again")
    assert namespace("cupy") is fake
    assert fake.cuda.runtime.asked == 1


@given(st.lists(st.integers(0, 3), max_size=3 * STAGING_BUFFERS), st.sampled_from([None, "float32"]))
def test_prefetch_yields_every_batch(backend, sizes, dtype):
    batches = [np.full((n, 2), i, dtype="float64") for i, n in enumerate(sizes)]
    got = list(prefetch(iter(batches), backend, dtype))
    assert len(got) == len(batches)
    for x, batch in zip(got, batches, strict=True):
        assert get_backend(x) == backend
        assert x.dtype == (dtype or "float64")
        np.testing.assert_array_equal(to_numpy(x), batch)


@pytest.mark.parametrize("when", ["at once", "at the end"])
@pytest.mark.parametrize("n_batches", [0, 1, 2, STAGING_BUFFERS, 3 * STAGING_BUFFERS + 1])
def test_prefetch_on_cuda_orders_copies_and_computing(fake, n_batches, when):
    # The fake streams work as late as the events allow, and memory is recycled as soon as a batch is used: a
    # missing wait, or a staging buffer that is written again too early, shows as wrong values.
    batches = [np.full((3, 2), i, dtype="float64") for i in range(n_batches)]
    computed, current = [], fake.cuda.current
    for x in prefetch(iter(batches), "cupy", "float32"):
        assert x.dtype == "float32"
        current.queue.append(lambda x=x: computed.append(np.array(x)))
        if when == "at once":
            current.run()
        fake.freed.append(x)
    current.run()
    np.testing.assert_array_equal(np.array(computed).reshape(-1, 3, 2), np.array(batches).reshape(-1, 3, 2))
    assert fake.cuda.pinned == min(n_batches, STAGING_BUFFERS)


def test_prefetch_on_cuda_takes_larger_staging_buffers_where_needed(fake):
    batches = [np.full((n, 2), n, dtype="float32") for n in [*range(1, 10), 3, 2]]
    got = list(prefetch(batches, "cupy"))
    fake.cuda.current.run()
    for x, batch in zip(got, batches, strict=True):
        np.testing.assert_array_equal(np.array(x), batch)


def test_prefetch_on_cuda_is_one_batch_ahead_and_does_not_block(fake):
    taken = []

    def source():
        for i in range(STAGING_BUFFERS):
            taken.append(i)
            yield np.full((2, 2), i, dtype="float32")

    stream = prefetch(source(), "cupy")
    next(stream)
    assert taken == [0, 1]
    list(stream)
    assert fake.cuda.host_waits == 0


def test_prefetch_on_cuda_passes_device_arrays_through(fake):
    x = fake.empty((2, 2), np.float32)
    (got,) = prefetch([x], "cupy")
    assert got is x


def test_synchronize(fake, backend):
    synchronize(backend)
    synchronize("cupy")
    assert fake.cuda.current.synchronized == 1


def test_backends_are_listed():
    assert BACKENDS == ("numpy", "cupy", "strict")


def test_importing_the_backend_is_light():
    code = (
        "import sys, minidgm.backend, minidgm.numerics, minidgm.random\n"
        "heavy = {'cupy', 'autograd', 'scipy', 'hypothesis', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)
