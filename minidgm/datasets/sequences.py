"""Text and music: sequences of tokens, and of sets of notes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from minidgm.datasets.dataset import Dataset, split
from minidgm.datasets.fetch import contents
from minidgm.errors import DataError

LOWEST_NOTE, HIGHEST_NOTE = 21, 108


def shakespeare(*, validation: float = 111_540, test: float = 0) -> Dataset:
    """Tiny Shakespeare: 1,115,394 characters of plays as one sequence of tokens.

    Parameters
    ----------
    validation, test : float or int
        Number (or fraction) of the characters, cut from the end, validation before test. The default is the
        usual split: the first 90 percent to train on, the last 111,540 characters for validation.

    Returns
    -------
    Dataset
        ``train`` [1003854], ``validation`` [111540] int64 tokens, ``vocabulary`` of 65 characters in order of
        code point, ``encode`` and ``decode``.

    Raises
    ------
    DataError
        If the file is neither in MINIDGM_DATA/shakespeare nor to be downloaded, or is damaged.

    Notes
    -----
    A. Karpathy, char-rnn (2015); the text is in the public domain.
    """
    text = contents("shakespeare/input.txt").decode()
    symbols = tuple(sorted(set(text)))
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    tokens = np.searchsorted([ord(symbol) for symbol in symbols], codes).astype(np.int64)
    data = split(tokens, validation=validation, test=test, seed=None, name="shakespeare")
    data.vocabulary = symbols
    data.description = "one sequence of characters; rows are single tokens"
    data.source = "Karpathy, char-rnn: tinyshakespeare"
    data.license = "public domain"
    return data


def names(*, validation: float = 0.1, test: float = 0.1, seed: int = 0) -> Dataset:
    """32,033 first names, each a sequence of tokens that starts and ends with the boundary token 0 (".").

    Parameters
    ----------
    validation, test : float or int
        Fraction (or number) of the names.
    seed : int
        Seed of the permutation before the cut.

    Returns
    -------
    Dataset
        Parts are lists of int64 arrays [length + 2]; ``vocabulary`` is "." and the letters a to z.

    Raises
    ------
    DataError
        If the file is neither in MINIDGM_DATA/names nor to be downloaded, or is damaged.

    Notes
    -----
    A. Karpathy, makemore (2022), MIT license; the names are those of ssa.gov, 2018.
    """
    words = contents("names/names.txt").decode().split()
    vocabulary = tuple(".abcdefghijklmnopqrstuvwxyz")
    tokens = [np.frombuffer(f".{word}.".encode(), np.uint8).astype(np.int64) - 96 for word in words]
    data = split(
        [np.maximum(t, 0) for t in tokens], validation=validation, test=test, seed=seed, name="names"
    )
    data.vocabulary = vocabulary
    data.description = "first names, letter by letter"
    data.source = "Karpathy, makemore: names.txt"
    data.license = "MIT"
    return data


def jsb_chorales() -> Dataset:
    """382 chorales by J. S. Bach, one binary frame a quarter note.

    Returns
    -------
    Dataset
        Parts are lists (229, 76 and 77) of float32 arrays [T, 88]: column i is on while MIDI note 21 + i
        sounds.

    Raises
    ------
    DataError
        If the file is neither in MINIDGM_DATA/jsb nor to be downloaded, or is damaged.

    Notes
    -----
    N. Boulanger-Lewandowski, Y. Bengio, P. Vincent, "Modeling temporal dependencies in high-dimensional
    sequences", ICML 2012; the quarter-note quantization of C.-Z. A. Huang. The music is in the public domain.
    """
    name = "jsb/jsb-chorales-quarter.json"
    parts = json.loads(contents(name))
    return Dataset(
        "jsb_chorales",
        train=[frames(piece, name) for piece in parts["train"]],
        validation=[frames(piece, name) for piece in parts["valid"]],
        test=[frames(piece, name) for piece in parts["test"]],
        shape=(HIGHEST_NOTE - LOWEST_NOTE + 1,),
        description="chorales by J. S. Bach; frames of 88 notes, one a quarter note",
        source="Boulanger-Lewandowski et al. (2012); czhuang/JSB-Chorales-dataset",
        license="public domain",
    )


def frames(piece: Any, what: str = "piece") -> np.ndarray:
    """Turn lists of sounding MIDI notes, one a time step, into binary frames [T, 88] float32.

    Raises
    ------
    DataError
        If a note is not an integer from 21 to 108.

    Examples
    --------
    >>> frames([[60, 64], []])[:, 39:44].tolist()
    [[1.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    X = np.zeros((len(piece), HIGHEST_NOTE - LOWEST_NOTE + 1), np.float32)
    for t, chord in enumerate(piece):
        for note in chord:
            if not isinstance(note, int) or not LOWEST_NOTE <= note <= HIGHEST_NOTE:
                raise DataError(f"{what}: note {note!r} in frame {t}; expected an integer from 21 to 108")
            X[t, note - LOWEST_NOTE] = 1
    return X
