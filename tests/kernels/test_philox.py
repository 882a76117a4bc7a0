"""Philox4x32-10 against the published known answers, and the layout of its words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.backend import to_numpy
from minidgm.kernels import philox

# Random123 1.14, tests/kat_vectors: counter, key, result.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_known_answers(xp, counter, key, answer):
    words = philox.philox4x32(tuple(xp.asarray([c], dtype=xp.uint64) for c in counter), key)
    assert tuple(int(w[0]) for w in words) == answer


@given(st.integers(0, 2**64 - 40), st.integers(0, 20), st.integers(1, 20))
def test_words_are_blocks_in_order(counter, skip, n):
    # A stream read in pieces of whole blocks is the stream read at once, across the carry into the high word.
    key = (1, 2)
    whole = philox.words(np, key, counter, 4 * skip + n)
    np.testing.assert_array_equal(whole[4 * skip :], philox.words(np, key, counter + skip, n))


@given(st.integers(0, 2**64 - 1))
def test_a_block_is_the_function_of_its_index(counter):
    low, high = (np.array([c], dtype=np.uint64) for c in (counter % 2**32, counter // 2**32))
    zero = np.zeros(1, dtype=np.uint64)
    block = philox.philox4x32((low, high, zero, zero), (7, 8))
    assert philox.words(np, (7, 8), counter, 4).tolist() == [int(w[0]) for w in block]


def test_words_are_the_same_on_every_backend(xp):
    words = philox.words(xp, (3, 4), 2**32 - 1, 11)
    assert words.dtype == np.uint32
    np.testing.assert_array_equal(to_numpy(words), philox.words(np, (3, 4), 2**32 - 1, 11))
    assert philox.words(xp, (3, 4), 0, 0).shape == (0,)
