"""The CUDA kernels, run on the host, against their array twins; their source, through nvcc where present."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.backend import Generator, to_numpy
from minidgm.checks.strict import xp as strict
from minidgm.kernels import cuda, philox
from minidgm.kernels.device import DeviceEngine
from minidgm.numerics import sigmoid
from minidgm.optim import SGD, Adam, AdamW
from tests.kernels.host_cuda import HostModule, compile_kernels

KEYS = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
DTYPES = ("float32", "float64")


@pytest.fixture(scope="module", autouse=True)
def kernels(tmp_path_factory):
    libraries = compile_kernels(tmp_path_factory.mktemp("kernels"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "_module", lambda dtype: HostModule(libraries[dtype]))
        yield


def engines(seed):
    """The engine of CUDA, computing on the host, and the strict device's."""
    seeds = np.random.SeedSequence(seed)
    fused = DeviceEngine(seeds, "strict", np)
    fused._cuda = cuda
    return fused, DeviceEngine(seeds, "strict", strict)


@given(KEYS, st.integers(0, 2**63), st.integers(0, 70))
def test_words_are_those_of_the_array_twin(key, counter, n):
    fused = cuda.random_words(np, key, counter, n)
    np.testing.assert_array_equal(fused, philox.words(np, key, counter, n))


@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from(DTYPES))
def test_bernoulli_draws_are_those_of_the_array_twin(seed, n, dtype):
    fused, twin = engines(seed)
    p = np.random.default_rng(seed).random((3, n)).astype(dtype)
    p[0, 0], p[-1, -1] = 0.0, 1.0
    for _ in range(2):
        drawn = fused.bernoulli(p, np.empty_like(p))
        expected = twin.bernoulli(strict.asarray(p), strict.empty(p.shape, dtype))
        np.testing.assert_array_equal(drawn, to_numpy(expected))
    assert fused.state() == twin.state()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_mean", [False, True])
def test_bernoulli_from_logits_equals_the_array_twin(dtype, with_bias, with_mean):
    # The two may round tanh differently; a draw then differs only where its random number is next to p.
    fused, twin = engines(3)
    x = (5 * np.random.default_rng(0).normal(size=(101, 37))).astype(dtype)
    x[0, 0], x[-1, -1] = -1e4, 1e4
    bias = np.linspace(-1, 1, 37).astype(dtype) if with_bias else None
    mean, mean_twin = np.empty_like(x), strict.empty(x.shape, dtype)
    drawn = fused.bernoulli_from_logits(x, bias, np.empty_like(x), mean if with_mean else None)
    bias_twin = None if bias is None else strict.asarray(bias)
    out = strict.empty(x.shape, dtype)
    expected = twin.bernoulli_from_logits(strict.asarray(x), bias_twin, out, mean_twin)
    p = to_numpy(mean_twin)
    if with_mean:
        np.testing.assert_allclose(mean, p, rtol=0, atol=4 * np.finfo(dtype).eps)
    u = philox.words(np, fused.key, 0, x.size).reshape(x.shape) * 2.0**-32
    near = np.abs(u - p) < 2.0**-29 + 8 * np.finfo(dtype).eps
    np.testing.assert_array_equal(drawn[~near], to_numpy(expected)[~near])
    assert near.mean() < 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
def test_bernoulli_from_logits_works_in_place_and_into_views(dtype):
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(dtype)
    reference = engines(1)[0].bernoulli_from_logits(x, None, np.empty_like(x), None)
    inplace = x.copy()
    engines(1)[0].bernoulli_from_logits(inplace, None, inplace, None)
    np.testing.assert_array_equal(inplace, reference)
    wide = np.full((6, 10), 7, dtype)
    view = wide[:, ::2]
    assert engines(1)[0].bernoulli_from_logits(x, None, view, None) is view
    np.testing.assert_array_equal(view, reference)
    assert (wide[:, 1::2] == 7).all()


def test_nothing_is_launched_for_empty_arrays():
    x = np.empty((0, 5), dtype="float32")
    assert engines(1)[0].bernoulli_from_logits(x, None, x.copy(), None).shape == (0, 5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("with_bias", [False, True])
def test_sigmoid_equals_its_twin(dtype, with_bias):
    x = np.linspace(-20, 20, 30).astype(dtype).reshape(6, 5)
    x[0, 0], x[-1, -1] = -1e4, 1e4
    bias = np.linspace(-1, 1, 5).astype(dtype) if with_bias else None
    out = np.empty((6, 10), dtype)[:, ::2]
    assert cuda.sigmoid(np, x, bias, out) is out
    expected = sigmoid(x + bias if with_bias else x)
    np.testing.assert_allclose(out, expected, rtol=0, atol=2 * np.finfo(dtype).eps)


OPTIMIZERS = [
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, nesterov=True),
    Adam(0.01, betas=(0.8, 0.95)),
    AdamW(0.01, eps=1e-3),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("scale", [1.0, 0.25, "device"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_optimizer_updates_equal_the_plain_formulas(optimizer, scale, decay, dtype):
    rng = np.random.default_rng(0)
    plain = [rng.normal(size=11).astype(dtype) for _ in range(1 + len(optimizer.slots))]
    fused = [a.copy() for a in plain]
    update = optimizer._device_update("cupy")
    factor = np.array(0.5, dtype=dtype) if scale == "device" else scale
    for optimizer.n_steps in (1, 2, 3):
        g = rng.normal(size=11).astype(dtype)
        if optimizer.n_steps == 1:
            for moment in (plain[2:], fused[2:]):
                for second in moment:
                    np.abs(second, out=second)
        optimizer._plain_update(plain[0], g, *plain[1:], 0.1, decay, float(factor))
        update(fused[0], g, *fused[1:], 0.1, decay, factor)
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=64 * np.finfo(dtype).eps, atol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize("real", ["float", "double"])
def test_source_compiles_for_cuda(real, tmp_path):
    if shutil.which("nvcc") is None:
        pytest.skip("needs nvcc to compile the CUDA source")
    unit = tmp_path / "fused.cu"
    unit.write_text(cuda.source(), encoding="utf-8")
    out = tmp_path / "fused.ptx"
    command = ["nvcc", "-ptx", f"-DREAL={real}", "-Werror", "all-warnings", str(unit), "-o", str(out)]
    subprocess.run(command, check=True)
    ptx = out.read_text()
    for name in ("random_words", "bernoulli", "bernoulli_from_logits", "sigmoid", "sgd", "adam"):
        assert f".entry {name}(" in ptx


def test_softplus_sum_expression_is_softplus():
    # The map expression of the reduction, evaluated by the same names in NumPy.
    captured = {}

    class Cupy:
        class ReductionKernel:
            def __init__(self, **kwargs):
                captured.update(kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", Cupy)
        cuda._softplus_sum.__wrapped__()
    x = np.array([-1e4, -1.0, 0.0, 2.0, 1e4])
    expression = captured["map_expr"].replace("(double)", "").replace("(T)", "")
    names = {"max": np.maximum, "log1p": np.log1p, "exp": np.exp, "abs": np.abs, "x": x, "scale": 0.5}
    np.testing.assert_allclose(eval(expression, names), np.logaddexp(0, 0.5 * x), rtol=1e-15)


def test_generator_on_cupy_uses_the_kernels():
    rng = Generator(0, "strict")
    assert rng._engine._cuda is None
    assert DeviceEngine(np.random.SeedSequence(0), "cupy", np)._cuda is cuda
