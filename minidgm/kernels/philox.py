"""Philox4x32-10, a counter-based random function: 128 random bits from a 128-bit counter and a 64-bit key.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. One block of four
32-bit words is a function of (counter, key) alone, so any thread of a GPU can compute any block, and array
math on NumPy gives the same bits. Written with ``xp`` functions: this is the reference that the CUDA
kernels are tested against.
"""

from __future__ import annotations

from typing import Any

__all__ = ["BLOCK", "philox4x32", "words"]

BLOCK = 4  # 32-bit words a counter value gives
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF


def philox4x32(counter: tuple[Any, ...], key: tuple[int, int], rounds: int = ROUNDS) -> tuple[Any, ...]:
    """Encrypt counters into random words.

    Parameters
    ----------
    counter : four arrays of uint64 [n]
        The 32-bit words of each counter, least significant first, held in 64 bits.
    key : two ints below 2**32
        The key.
    rounds : int
        10 for Philox4x32-10.

    Returns
    -------
    four arrays of uint64 [n]
        Random words below 2**32.

    Examples
    --------
    The first known-answer vector of Random123:

    >>> import numpy as np
    >>> zero = np.zeros(1, dtype=np.uint64)
    >>> [f"{int(w[0]):08x}" for w in philox4x32((zero, zero, zero, zero), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        product0 = c0 * MULTIPLIERS[0]
        product1 = c2 * MULTIPLIERS[1]
        c0, c1 = (product1 >> 32) ^ c1 ^ k0, product1 & _MASK
        c2, c3 = (product0 >> 32) ^ c3 ^ k1, product0 & _MASK
        k0, k1 = (k0 + WEYL[0]) & _MASK, (k1 + WEYL[1]) & _MASK
    return c0, c1, c2, c3


def words(xp: Any, key: tuple[int, int], counter: int, n: int) -> Any:
    """Return ``n`` random 32-bit words: blocks ``counter``, ``counter + 1``, ... one after the other.

    Parameters
    ----------
    xp : namespace
        Where the array lives.
    key : two ints below 2**32
    counter : int below 2**64
        Index of the first block.
    n : int
        Number of words; the rest of the last block is left out.

    Returns
    -------
    array of uint32 [n]

    Examples
    --------
    >>> import numpy as np
    >>> words(np, (0, 0), 0, 5)[:2] == [0x6627E8D5, 0xE169C58D]
    array([ True,  True])
    """
    n_blocks = -(-n // BLOCK)
    index = xp.arange(n_blocks, dtype=xp.uint64) + (counter & (2**64 - 1))
    zero = xp.zeros(n_blocks, dtype=xp.uint64)
    block = philox4x32((index & _MASK, index >> 32, zero, zero), key)
    return xp.stack(block, axis=1).astype(xp.uint32).reshape(-1)[:n]
