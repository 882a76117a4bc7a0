"""Three binarizations that must not be mixed: what each draws, and that a seed restores it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from minidgm.datasets import Resampled, binarized
from minidgm.datasets import binarization as module
from minidgm.errors import DataError

FALSE_ALARM = 1e-6

grey_levels = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9), elements=st.floats(0, 1, width=32)
)


@given(X=grey_levels, seed=st.integers(0, 2**32), how=st.sampled_from(["fixed", "threshold"]))
def test_bits_have_the_shape_and_type_of_the_levels_and_certain_levels_stay(X, seed, how):
    before = X.copy()
    bits = binarized(X, how, seed)
    assert bits.shape == X.shape
    assert bits.dtype == X.dtype
    assert set(np.unique(bits)) <= {0.0, 1.0}
    assert np.all(bits[X == 0] == 0)
    assert np.all(bits[X == 1] == 1)
    assert np.array_equal(X, before)
    assert np.array_equal(binarized(X.copy(), how, seed), bits)


def test_threshold_is_on_at_one_half_exactly():
    X = np.array([[np.nextafter(0.5, 0), 0.5, 127 / 255, 128 / 255]])
    assert binarized(X, "threshold").tolist() == [[0, 1, 0, 1]]


def test_none_returns_the_levels_themselves():
    X = np.full((2, 2), 0.3)
    assert binarized(X, None) is X


@pytest.mark.parametrize("how", ["fixed", "dynamic"])
def test_each_level_is_the_probability_of_its_bit(how):
    """Exact binomial test a level, Bonferroni over the levels; false alarm 1e-6 for each way."""
    levels = np.linspace(0, 1, 21)[1:-1].astype(np.float32)
    X = np.repeat(levels[None], 20_000, axis=0)
    bits = binarized(X, how, seed=3)[:]
    for j, level in enumerate(levels.tolist()):
        p = stats.binomtest(int(bits[:, j].sum()), len(bits), level).pvalue
        assert p > FALSE_ALARM / len(levels), f"level {level}: {bits[:, j].mean()}"


def test_presentations_are_independent_of_each_other_and_of_the_fixed_bits():
    """The correlation of 40,000 fair bits is normal of deviation 1/200; false alarm 1e-6 over 6 pairs."""
    X = np.full((200, 200), 0.5, np.float32)
    rows = Resampled(X, seed=0)
    draws = [rows[:], rows[:], rows[:], binarized(X, "fixed", seed=0)]
    bound = stats.norm.isf(FALSE_ALARM / 12) / 200
    for i in range(4):
        for j in range(i):
            assert abs(np.corrcoef(draws[i].ravel(), draws[j].ravel())[0, 1]) < bound


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 11])
def test_the_draw_does_not_depend_on_the_size_of_blocks(monkeypatch, size):
    X = np.full((size, 1), 0.5, np.float32)
    whole = binarized(X, "fixed", seed=5)
    monkeypatch.setattr(module, "_BLOCK", 2)
    assert np.array_equal(binarized(X, "fixed", seed=5), whole)


def test_fixed_bits_never_change():
    """The bits of seed 0 name a data set in which figures are stated; here from PCG64's words by hand."""
    words = np.random.PCG64(np.random.SeedSequence([0, 0])).random_raw(6)
    halves = [half for word in words for half in (int(word) & 0xFFFFFFFF, int(word) >> 32)]
    expected = [float((half >> 8) / 2**24 < 0.5) for half in halves]
    assert binarized(np.full((3, 4), 0.5), "fixed").ravel().tolist() == expected


@pytest.mark.parametrize("word", [0, 2**64 - 1])
def test_certain_levels_are_certain_at_the_extreme_words(word):
    class Words:
        def random_raw(self, count):
            return np.full(count, word, dtype=np.uint64)

    bits = module._draw(np.array([0.0, 1.0, 0.5], dtype=np.float32), Words())
    assert bits.tolist() == [0, 1, float(word == 0)]


def test_out_may_be_the_input():
    X = np.random.default_rng(0).random((30, 7)).astype(np.float32)
    expected = binarized(X, "fixed", 1)
    assert binarized(X, "fixed", 1, out=X) is not None
    assert np.array_equal(X, expected)


@given(
    seed=st.integers(0, 2**32),
    takes=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=1, max_size=5),
)
def test_state_restores_the_draws_that_followed(seed, takes):
    rows = Resampled(np.full((6, 8), 0.5, np.float32), seed)
    rows[:]
    state = rows.state()
    first = [rows[index] for index in takes]
    other = Resampled(rows.probabilities, seed=seed + 1)
    other.set_state(state)
    assert all(np.array_equal(a, other[index]) for a, index in zip(first, takes, strict=True))


def test_resampled_looks_like_an_array_but_is_never_taken_for_one():
    rows = Resampled(np.full((3, 4), 0.5, np.float32), seed=2)
    assert (rows.shape, rows.ndim, rows.dtype, len(rows)) == ((3, 4), 2, np.float32, 3)
    assert rows[1].shape == (4,)
    assert rows[np.array([2, 0])].shape == (2, 4)
    assert repr(rows) == "Resampled([3, 4] float32, seed=2, presentations=2)"
    with pytest.raises(TypeError, match=r"X\[:\] is one draw"):
        np.asarray(rows)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[0.0, 1.5]]), r"span \[0, 1.5\]"),
        (np.array([[-0.1, 1.0]]), r"span \[-0.1, 1\]"),
        (np.array([[np.nan, 1.0]]), "span"),
        (np.array([[0, 255]]), "came as int64"),
    ],
)
@pytest.mark.parametrize("how", ["fixed", "dynamic", "threshold"])
def test_what_is_not_a_grey_level_is_refused(X, message, how):
    with pytest.raises(DataError, match=message):
        binarized(X, how)


def test_an_unknown_way_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'dynamic'"):
        binarized(np.zeros((1, 1)), "dynamical")
