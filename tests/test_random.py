"""Generator: distributions, states, streams and errors on every backend.

Statistical tests have fixed seeds and a false-alarm rate of at most 1e-6 each: |z| < 5 for a normal statistic
(rate 6e-7), p-values above 1e-6 elsewhere.
"""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from minidgm.backend import Generator, asarray, get_backend, to_numpy
from minidgm.checks.strict import count_host_reads

DTYPES = ("float32", "float64")
RATE = 1e-6
N = 40000

CONTINUOUS = {
    "uniform": (lambda rng, dtype: rng.uniform(N, dtype), scipy.stats.uniform()),
    "normal": (lambda rng, dtype: rng.normal((N,), dtype), scipy.stats.norm()),
    "exponential": (lambda rng, dtype: rng.exponential(N, dtype), scipy.stats.expon()),
    "gumbel": (lambda rng, dtype: rng.gumbel(N, dtype), scipy.stats.gumbel_r()),
    **{
        f"gamma({a})": (lambda rng, dtype, a=a: rng.gamma(a, N, dtype), scipy.stats.gamma(a))
        for a in (0.2, 0.7, 1.0, 2.5, 40.0)
    },
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("draw", "distribution"), CONTINUOUS.values(), ids=CONTINUOUS)
def test_draws_follow_their_distribution(rng, backend, draw, distribution, dtype):
    drawn = draw(rng, dtype)
    assert get_backend(drawn) == backend
    assert drawn.dtype == dtype
    drawn = to_numpy(drawn).astype("float64")
    assert scipy.stats.kstest(drawn, distribution.cdf).pvalue > RATE
    # Successive draws are independent: the correlation of their ranks is normal with deviation N^-1/2.
    u = distribution.cdf(drawn)
    for lag in (1, 2, 3, 4, N // 2):
        assert abs(12 * np.mean((u[lag:] - 0.5) * (u[:-lag] - 0.5))) * np.sqrt(N - lag) < 5


def test_gamma_broadcasts_its_parameter(rng, xp):
    a = xp.asarray([0.5, 1.0, 8.0], dtype=xp.float32)
    drawn = to_numpy(rng.gamma(a, (N, 3)))
    z = (drawn.mean(axis=0) - [0.5, 1.0, 8.0]) / np.sqrt(np.array([0.5, 1.0, 8.0]) / N)
    assert np.abs(z).max() < 5
    assert rng.gamma(a).shape == (3,)


@pytest.mark.parametrize("low_bits", [24, 53])
def test_uniforms_use_all_their_bits(rng, low_bits):
    dtype = "float32" if low_bits == 24 else "float64"
    drawn = to_numpy(rng.uniform(N, dtype)).astype("float64")
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    last_bit = (drawn * 2.0**low_bits) % 2
    assert set(last_bit) == {0.0, 1.0}
    assert abs(last_bit.mean() - 0.5) * 2 * np.sqrt(N) < 5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [1e-4, 1e-3, 0.3, 0.5, 0.999, 1 - 1e-4])
def test_bernoulli_frequencies(backend, p, dtype):
    n = 1_000_000
    drawn = to_numpy(Generator(1, backend).bernoulli(asarray(np.full((1000, 1000), p, dtype), backend)))
    assert drawn.dtype == dtype
    assert set(np.unique(drawn)) == {0.0, 1.0}
    # At n p = 100 the binomial's upper tail is wider than the normal's: 5.9 keeps the rate below 1e-6.
    assert abs(drawn.sum() - n * p) / np.sqrt(n * p * (1 - p)) < 5.9


@pytest.mark.parametrize("dtype", DTYPES)
def test_bernoulli_frequencies_within_an_array(backend, dtype):
    # Chi-square over columns with probabilities of their own, drawn in one call.
    p = np.linspace(0.02, 0.98, 97).astype(dtype)
    drawn = to_numpy(Generator(2, backend).bernoulli(asarray(np.tile(p, (20000, 1)), backend))).astype(float)
    z = (drawn.mean(axis=0) - p) / np.sqrt(p * (1 - p) / 20000)
    assert scipy.stats.chi2.sf((z**2).sum(), 97) > RATE
    neighbours = (drawn - p)[:, 1:] * (drawn - p)[:, :-1]
    scale = np.sqrt((p * (1 - p))[1:] * (p * (1 - p))[:-1] / 20000)
    assert scipy.stats.chi2.sf(((neighbours.mean(axis=0) / scale) ** 2).sum(), 96) > RATE


@pytest.mark.parametrize("dtype", DTYPES)
def test_bernoulli_is_certain_at_zero_and_one(backend, dtype):
    p = asarray(np.tile(np.array([0.0, 1.0], dtype), 100_000), backend)
    np.testing.assert_array_equal(to_numpy(Generator(3, backend).bernoulli(p)), to_numpy(p))
    x = (2 * p - 1) * 1e4
    np.testing.assert_array_equal(to_numpy(Generator(3, backend).bernoulli_from_logits(x)), to_numpy(p))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bernoulli_from_logits_frequencies(backend, dtype):
    x = np.linspace(-4, 4, 50).astype(dtype)
    bias = np.linspace(1, -2, 50).astype(dtype)
    logits, mean = asarray(np.tile(x, (20000, 1)), backend), asarray(np.empty((20000, 50), dtype), backend)
    drawn = Generator(4, backend).bernoulli_from_logits(logits, bias=asarray(bias, backend), mean=mean)
    p = 1 / (1 + np.exp(-(x + bias).astype("float64")))
    np.testing.assert_allclose(to_numpy(mean)[7], p, rtol=0, atol=1e-6)
    z = (to_numpy(drawn).mean(axis=0, dtype="float64") - p) / np.sqrt(p * (1 - p) / 20000)
    assert scipy.stats.chi2.sf((z**2).sum(), 50) > RATE


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_categorical_frequencies(rng, backend, axis):
    weights = np.array([0.05, 0.15, 0.0, 0.8])
    with np.errstate(divide="ignore"):
        logits = np.log(weights) + 3.0
    shape = [N, N]
    shape[axis] = 4
    logits = np.broadcast_to(logits[:, None] if axis == 0 else logits, (4, N) if axis == 0 else (N, 4))
    drawn = rng.categorical(asarray(np.ascontiguousarray(logits, "float32"), backend), axis=axis)
    assert drawn.dtype == "float32"
    drawn = to_numpy(drawn)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_array_equal(drawn.sum(axis=axis), 1.0)
    counts = drawn.sum(axis=1 if axis == 0 else 0, dtype="float64")
    assert counts[2] == 0
    assert scipy.stats.chisquare(counts[[0, 1, 3]], N * weights[[0, 1, 3]]).pvalue > RATE


def test_integer_frequencies(rng):
    drawn = to_numpy(rng.integers(-3, 4, (N, 2)))
    assert drawn.dtype == np.int64
    counts = np.bincount(drawn.ravel() + 3, minlength=7)
    assert counts.size == 7
    assert scipy.stats.chisquare(counts).pvalue > RATE


@given(st.integers(0, 300), st.integers(0, 2**32))
def test_permutation_is_one(backend, n, seed):
    drawn = to_numpy(Generator(seed, backend).permutation(n))
    assert drawn.dtype == np.int64
    np.testing.assert_array_equal(np.sort(drawn), np.arange(n))


def test_permutations_are_equally_likely(backend):
    rng = Generator(6, backend)
    places = [to_numpy(rng.permutation(4)) for _ in range(1500)]
    codes = np.array(places) @ [64, 16, 4, 1]
    counts = np.unique(codes, return_counts=True)[1]
    assert counts.size == 24
    assert scipy.stats.chisquare(counts).pvalue > RATE


OPERATIONS = {
    "uniform": lambda rng: rng.uniform(3),
    "uniform64": lambda rng: rng.uniform((2, 2), "float64"),
    "normal": lambda rng: rng.normal(3),
    "gamma": lambda rng: rng.gamma(0.5, (3,)),
    "integers": lambda rng: rng.integers(0, 10, 3),
    "permutation": lambda rng: rng.permutation(5),
    "bernoulli": lambda rng: rng.bernoulli(rng.uniform(3)),
    "logits": lambda rng: rng.bernoulli_from_logits(rng.normal((3, 2))),
    "categorical": lambda rng: rng.categorical(rng.normal((3, 2))),
    "spawn": lambda rng: rng.spawn(1)[0].uniform(3),
}
HISTORIES = st.lists(st.sampled_from(sorted(OPERATIONS)), max_size=6)


def run(rng, history):
    return [to_numpy(OPERATIONS[name](rng)) for name in history]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


@given(st.integers(0, 2**128), HISTORIES, HISTORIES)
def test_the_state_restores_every_bit(backend, seed, before, after):
    rng = Generator(seed, backend)
    run(rng, before)
    state = json.loads(json.dumps(rng.state()))
    expected = run(rng, after)
    assert_same(run(Generator.from_state(state), after), expected)
    rng.set_state(state)
    twins = [copy.deepcopy(rng), pickle.loads(pickle.dumps(rng))]
    assert_same(run(rng, after), expected)
    for twin in twins:
        assert_same(run(twin, after), expected)


def test_a_restored_child_spawns_the_same_grandchildren(backend):
    child = Generator(0, backend).spawn(2)[1]
    restored = Generator.from_state(json.loads(json.dumps(child.state())))
    assert_same(run(restored, ["spawn", "spawn"]), run(child, ["spawn", "spawn"]))


def test_the_state_is_a_snapshot(rng):
    state = rng.state()
    frozen = json.dumps(state)
    rng.normal(3)
    rng.spawn(1)
    assert json.dumps(state) == frozen


@given(st.integers(0, 2**64), HISTORIES)
def test_a_seed_is_a_stream(backend, seed, history):
    assert_same(run(Generator(seed, backend), history), run(Generator(seed, backend), history))


def test_streams_differ_between_seeds_spawns_and_calls(backend):
    rng = Generator(0, backend)
    generators = [rng, Generator(1, backend), *rng.spawn(3), *rng.spawn(2), rng.spawn(1)[0].spawn(1)[0]]
    draws = [tuple(to_numpy(g.uniform(4)).tolist()) for g in generators]
    draws += [tuple(to_numpy(rng.uniform(4)).tolist()) for _ in range(3)]
    assert len(set(draws)) == len(draws)
    assert len({Generator().uniform(4).tobytes() for _ in range(5)}) == 5


def test_spawned_streams_are_uncorrelated(backend):
    draws = np.stack([to_numpy(g.normal(N)) for g in Generator(0, backend).spawn(8)]).astype("float64")
    correlations = np.corrcoef(draws)[np.triu_indices(8, 1)] * np.sqrt(N)
    assert scipy.stats.chi2.sf((correlations**2).sum(), 28) > RATE


def test_sequences_and_seed_sequences_are_seeds(backend):
    a = Generator(np.random.SeedSequence(5), backend).uniform(3)
    np.testing.assert_array_equal(to_numpy(a), to_numpy(Generator(5, backend).uniform(3)))
    rng = Generator([1, 2], backend)
    restored = Generator.from_state(json.loads(json.dumps(rng.state())))
    assert_same(run(restored, ["spawn", "uniform"]), run(rng, ["spawn", "uniform"]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_out_receives_the_draw(backend, xp, dtype):
    for name in ("uniform", "normal"):
        out = xp.empty((3, 4), dtype=dtype)
        assert getattr(Generator(0, backend), name)((3, 4), dtype, out=out) is out
        expected = getattr(Generator(0, backend), name)((3, 4), dtype)
        np.testing.assert_array_equal(to_numpy(out), to_numpy(expected))
    p = Generator(0, backend).uniform((3, 4), dtype)
    expected = to_numpy(Generator(1, backend).bernoulli(p))
    assert Generator(1, backend).bernoulli(p, out=p) is p
    np.testing.assert_array_equal(to_numpy(p), expected)


def test_no_draw_reads_the_device():
    rng = Generator(0, "strict")
    with count_host_reads() as reads:
        for operation in OPERATIONS.values():
            operation(rng)
    assert reads.count == 0


@pytest.mark.parametrize("shape", [0, (0,), (0, 3), (3, 0), ()])
def test_empty_and_scalar_shapes(rng, xp, shape):
    full = (shape,) if isinstance(shape, int) else shape
    for draw in (rng.uniform, rng.normal, rng.exponential, rng.gumbel):
        assert draw(shape).shape == full
    assert rng.gamma(2.0, shape).shape == full
    assert rng.integers(0, 2, shape).shape == full
    assert rng.bernoulli(xp.zeros(full, dtype=xp.float32)).shape == full
    assert rng.bernoulli_from_logits(xp.zeros(full, dtype=xp.float32)).shape == full


def test_errors_say_what_came(rng, xp, backend):
    p = xp.zeros((2, 3), dtype=xp.float32)
    with pytest.raises(TypeError, match="float32 or float64, got dtype int64"):
        rng.uniform(3, "int64")
    with pytest.raises(ValueError, match=r"out is float64\(2, 3\), the draw is float32\(2, 3\)"):
        rng.bernoulli(p, out=xp.zeros((2, 3), dtype=xp.float64))
    with pytest.raises(ValueError, match=r"mean is float32\(2,\)"):
        rng.bernoulli_from_logits(p, mean=p[:, 0])
    with pytest.raises(ValueError, match=r"bias has shape \(2,\), rows of x need \(3,\)"):
        rng.bernoulli_from_logits(p, bias=p[:, 0])
    with pytest.raises(TypeError, match="p has dtype int64"):
        rng.bernoulli(xp.zeros(3, dtype=xp.int64))
    with pytest.raises(TypeError, match="p is list"):
        rng.bernoulli([0.5])
    other = "strict" if backend == "numpy" else "numpy"
    with pytest.raises(TypeError, match=f"logits is a {other} array, this generator draws on '{backend}'"):
        rng.categorical(asarray(np.zeros(3, "float32"), other))
    with pytest.raises(ValueError, match=r"low < high, got \[2, 2\)"):
        rng.integers(2, 2, 3)
    with pytest.raises(ValueError, match="n >= 0, got -1"):
        rng.permutation(-1)
    with pytest.raises(ValueError, match=r"no negative sizes, got \(2, -1\)"):
        rng.uniform((2, -1))
    with pytest.raises(ValueError, match="non-negative int or a sequence of them, got -1"):
        Generator(-1, backend)
    with pytest.raises(TypeError, match="got 'seed'"):
        Generator("seed", backend)
    with pytest.raises(ValueError, match="not the state of a Generator"):
        rng.set_state({"engine": "sfc64"})
    with pytest.raises(ValueError, match="this generator runs"):
        rng.set_state(Generator(0, other).state())
    with pytest.raises(ValueError, match="unknown backend 'nump'; did you mean 'numpy'"):
        Generator(0, "nump")
    assert backend in repr(rng)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("p", "shown"), [(-1.0, "-1"), (1.5, "1.5"), (np.inf, "inf"), (-0.001, "-0.001")])
def test_bernoulli_refuses_what_is_no_probability(p, shown, dtype):
    values = np.array([0.0, 1.0, p, 0.5], dtype)
    with pytest.raises(ValueError, match=rf"p holds {shown}; probabilities lie in \[0, 1\] .*logits"):
        Generator(0).bernoulli(values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bernoulli_forgives_rounding(dtype, backend):
    p = np.repeat(np.array([-1e-6, 1.0 + 1e-6], dtype), 5000)
    drawn = to_numpy(Generator(0, backend).bernoulli(asarray(p, backend)))
    assert (drawn == np.repeat([0.0, 1.0], 5000)).all()
    assert Generator(0, backend).bernoulli(asarray(p[:0], backend)).shape == (0,)
