"""What the commands do for models of sequences: which data fit, what is measured, what a sample is."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidgm.cli.measure import PARTS, Evaluation, Figure
from minidgm.errors import DataError
from minidgm.evaluation import Estimate, frame_log_likelihood

FRAMES = 1000  # measured of each part, about
CHAINS, TEMPERATURES = 5, 200


def as_sequences(data: Any, from_file: bool) -> Any:
    """Turn the parts of a data set into lists of frames [T, d], or say why they are none.

    A file of an array [n, T, d] holds n sequences; the images of a named data set are none.
    """
    for part in PARTS:
        rows = getattr(data, part)
        if from_file and isinstance(rows, np.ndarray) and len(data.shape or ()) == 2:
            setattr(data, part, list(rows.reshape(len(rows), *data.shape)))
        elif isinstance(rows, np.ndarray) and not len(rows):
            setattr(data, part, [])
    data.shape = data.shape[1:] if from_file and data.shape else data.shape
    first = data.train[0] if isinstance(data.train, list) and data.train else data.train
    if not isinstance(data.train, list) or getattr(first, "ndim", 0) != 2:
        what = "single tokens" if getattr(first, "ndim", 2) == 1 else "rows without an order"
        raise DataError(
            f"{data.name} is made of {what}; a model of sequences needs frames, such as jsb_chorales or a "
            "file of an array [n, T, d]"
        )
    return data


def evaluate_sequences(
    model: Any, data: Any, n_chains: int | None, n_temperatures: int | None, seed: int, step: Any
) -> Evaluation:
    """Measure log-likelihoods, pseudo-likelihoods and reconstructions a frame, on about 1000 of each part."""
    parts = {part: spread(getattr(data, part)) for part in PARTS if len(getattr(data, part))}
    lengths = {part: sum(len(x) for x in sequences) for part, sequences in parts.items()}
    step("log-likelihood")
    found = {
        part: frame_log_likelihood(
            model,
            sequences,
            CHAINS if n_chains is None else n_chains,
            TEMPERATURES if n_temperatures is None else n_temperatures,
            rng=model.generator(seed),
        )
        for part, sequences in parts.items()
    }
    by = "enumeration" if found["train"].kind == "exact" else "AIS"
    figures = [Figure("log-likelihood a frame", by, found)]
    step("baselines")
    figures += baselines(model, data.train, parts)
    for quantity, method, unit in (
        ("log pseudo-likelihood a frame", "pseudo_log_likelihood_of", "nats"),
        ("reconstruction error a frame", "reconstruction_error_of", "squared error"),
    ):
        step(quantity)
        try:
            values = {part: getattr(model, method)(sequences) for part, sequences in parts.items()}
        except TypeError:  # real-valued units have no list of alternatives
            continue
        estimates = {part: Estimate(value, "exact", unit=unit) for part, value in values.items()}
        figures.append(Figure(quantity, "given the past", estimates))
    return Evaluation({}, figures, lengths, f"{type(model).__name__}, {model.n_hidden} hidden")


def baselines(model: Any, train: list[Any], parts: dict[str, list[Any]]) -> list[Figure]:
    """Independent bits with the training frequencies: what a model of sequences has to beat, exact."""
    if model.visible.name != "bernoulli":
        return []
    frames = np.concatenate(train).astype(np.float64)
    p = (frames.sum(axis=0) + 0.5) / (len(frames) + 1.0)
    values = {}
    for part, sequences in parts.items():
        v = np.concatenate(sequences).astype(np.float64)
        mean = float((v * np.log(p) + (1.0 - v) * np.log1p(-p)).sum(axis=1).mean())
        values[part] = Estimate(mean, "exact", how="independent bits, frequencies of the training frames")
    return [Figure("baseline log-likelihood", "independent bits", values)]


def spread(sequences: list[Any]) -> list[Any]:
    """Evenly spread sequences of about a thousand frames together."""
    total = sum(len(x) for x in sequences)
    return sequences[:: max(1, -(-total // FRAMES))]
