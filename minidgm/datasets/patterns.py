"""Small sets of binary patterns whose best log-likelihood is known exactly."""

from __future__ import annotations

import numpy as np

from minidgm.datasets.dataset import Dataset


def bars_and_stripes(n: int = 3, *, twice: bool = False) -> Dataset:
    """All n x n images whose rows, or whose columns, are each of one color.

    Every pattern comes once: 2 * 2^n - 2 of them (6, 14, 30 for n = 2, 3, 4), because all-off and all-on
    are both. With ``twice`` these two count twice, as in drawing an orientation and then n fair coins.

    Parameters
    ----------
    n : int
        Side in pixels, 1 to 12.
    twice : bool
        Count all-off and all-on twice: 2 * 2^n rows.

    Returns
    -------
    Dataset
        ``train`` [m, n * n] float32 of 0. and 1.; validation and test are empty.
        ``best_log_likelihood`` is the exact maximum: -2.6391 nats for n = 3 (-2.5993 with ``twice``).

    References
    ----------
    D. J. C. MacKay, Information Theory, Inference, and Learning Algorithms (2003), section 43.

    Examples
    --------
    >>> bars_and_stripes(2).train.astype(int).tolist()
    [[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1], [1, 0, 1, 0]]
    """
    _check_size("n", n, 1, 12)
    lines = _all_bits(n)  # [2^n, n]
    bars = np.repeat(lines, n, axis=1)  # rows of one color  [2^n, n * n]
    stripes = np.tile(lines, (1, n))  # columns of one color
    X = np.concatenate([bars, stripes if twice else stripes[1:-1]])
    return Dataset(
        "bars_and_stripes",
        train=X,
        validation=X[:0],
        test=X[:0],
        shape=(n, n),
        description=f"{n} x {n} images of horizontal bars or vertical stripes, "
        + ("all-off and all-on twice" if twice else "each pattern once"),
        source="generated; MacKay (2003)",
        license="public domain",
    )


def shifter(n_bits: int = 8, *, labelled: bool = True) -> Dataset:
    """Every binary word beside itself rotated left, kept, or rotated right.

    Parameters
    ----------
    n_bits : int
        Length of the word, 2 to 14.
    labelled : bool
        Append three units that say which of the shifts it is (one-hot).

    Returns
    -------
    Dataset
        ``train`` [3 * 2^n_bits, 2 * n_bits + 3] float32 (without the last 3 columns when not labelled),
        ``train_labels`` 0 (left), 1 (kept), 2 (right). With labels all rows differ when n_bits > 2,
        so that the best log-likelihood is -log(768) = -6.6438 nats for 8 bits.

    References
    ----------
    G. E. Hinton and T. J. Sejnowski, "Learning and relearning in Boltzmann machines", in Parallel
    Distributed Processing, volume 1 (1986).

    Examples
    --------
    >>> data = shifter(3)
    >>> data.train[10].astype(int).tolist(), int(data.train_labels[10])
    ([0, 1, 0, 0, 1, 0, 0, 1, 0], 1)
    """
    _check_size("n_bits", n_bits, 2, 14)
    words = _all_bits(n_bits)  # [2^n, n]
    shifts = (-1, 0, 1)
    X = np.concatenate([np.concatenate([words, np.roll(words, shift, axis=1)], axis=1) for shift in shifts])
    labels = np.repeat(np.arange(3), len(words))
    if labelled:
        X = np.concatenate([X, np.eye(3, dtype=X.dtype)[labels]], axis=1)
    return Dataset(
        "shifter",
        train=X,
        validation=X[:0],
        test=X[:0],
        train_labels=labels,
        validation_labels=labels[:0],
        test_labels=labels[:0],
        description=f"all {n_bits}-bit words beside themselves rotated by -1, 0 or 1 place"
        + (", with the shift as three units" if labelled else ""),
        source="generated; Hinton and Sejnowski (1986)",
        license="public domain",
    )


def _all_bits(n: int) -> np.ndarray:
    """All binary words [2^n, n] as float32, counting up, the last bit fastest."""
    return (np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1).astype(np.float32)


def _check_size(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise ValueError(f"{name}={value!r}; expected an integer from {low} to {high}")
