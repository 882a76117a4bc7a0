"""Identities 4, 5, 14 and 15 for models of sequences, whose rows are frames with a past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.backend import asarray
from minidgm.checks.case import Case
from minidgm.checks.catalogue.common import _enlarged, _moved, _places, _unchanged
from minidgm.checks.catalogue.sequences import batch_of, draw_sequences, frame_log_prob, unrolled
from minidgm.checks.comparison import Comparison, equal, host
from minidgm.checks.enumeration import index_of
from minidgm.checks.exhaustive import expectation
from minidgm.checks.registry import identity
from minidgm.evaluation.frames import anneal_frames

MOST = 32


def values_of(model: Any, sequences: list[np.ndarray], backend: str, dtype: str) -> dict[str, np.ndarray]:
    """What a model says about every frame of sequences, joined in their order."""
    found: dict[str, list[Any]] = {}
    for v, rbms in model.frame_blocks([asarray(s, backend, dtype) for s in sequences]):
        values = {
            "b": rbms.b,
            "c": rbms.c,
            "free energy": rbms.free_energy(v),
            "E[h | v, past]": rbms.hidden_given_visible(v).mean,
        }
        if model.visible.bounded:
            values["log p(v | past)"] = rbms.log_prob(v)
            values["pseudo-likelihood"] = rbms.pseudo_log_likelihood(v)
        for name, value in values.items():
            found.setdefault(name, []).append(host(value))
    return {name: np.concatenate(parts) for name, parts in found.items()}


@identity(
    name="sequences are independent",
    number="4",
    equation="p(v_t | past) of sequences together = of each sequence alone, and no frame sees a later one",
    source="a density of one sequence does not depend on the others, nor the present on the future",
    requires=("frame_blocks",),
    likely_cause="a window or a state that runs over the end of a sequence, or blocks in another order",
    examples=10,
)
def sequences_are_independent(case: Case) -> Iterator[Comparison]:
    sequences = draw_sequences(case)
    where = (case.subject.backend, case.subject.dtype)
    together = values_of(case.model, sequences, *where)
    alone = [values_of(case.model, [s], *where) for s in sequences]
    for name, value in together.items():
        yield equal(value, np.concatenate([part[name] for part in alone]), name)
    cut = sequences[0][:-1]
    if len(cut) >= case.model.shortest:
        for name, value in values_of(case.model, [cut], *where).items():
            yield equal(value, alone[0][name][:-1], f"{name} without the last frame")


@identity(
    name="methods of sequences are pure",
    number="4",
    equation="parameters, sequences and batches are the same to the bit after every call",
    source="the contract of a model: methods read, they never write",
    requires=("frames", "frame_blocks", "pull_back"),
    likely_cause="an in-place operation (+=, out=, an assignment to a slice) on an argument or a parameter",
    examples=5,
)
def methods_of_sequences_are_pure(case: Case) -> Iterator[Comparison]:
    sequences = draw_sequences(case)
    inputs = {f"sequence {i}": case.device(s) for i, s in enumerate(sequences)}
    inputs["batch"] = case.device(batch_of(case, sequences))
    before = {n: host(x).copy() for n, x in {**case.subject.parameters, **inputs}.items()}
    frames = case.model.frames(inputs["batch"])
    inputs |= {"frames": frames.v, "weights": frames.weights, "b_t": frames.rbms.b, "c_t": frames.rbms.c}
    row = frames.rbms.gradient(frames.v, frames.rbms.hidden_given_visible(frames.v).mean, frames.weights)
    inputs |= {"dW": row.W, "db": row.b, "dc": row.c}
    before |= {n: host(inputs[n]).copy() for n in inputs if n not in before}
    case.model.pull_back(frames, row)
    yield from _unchanged(before, {**case.subject.parameters, **inputs}, "pull_back")
    frames.rbms.gibbs(frames.v, case.rng(0), 2)
    yield from _unchanged(before, {**case.subject.parameters, **inputs}, "gibbs")
    blocks = case.model.frame_blocks([x for n, x in inputs.items() if n.startswith("sequence")])
    for v, rbms in blocks:
        rbms.free_energy(v)
        rbms.hidden_given_visible(v)
    case.model.generate(inputs["sequence 0"], 2, case.rng(0), 1)
    yield from _unchanged(before, {**case.subject.parameters, **inputs}, "frame_blocks and generate")


@identity(
    name="sequences in other precisions",
    number="5",
    equation="p(v_t | past) in float32, and on the strict device, = p(v_t | past) in float64 on the host",
    source="the same line of code is the density everywhere; 5e-4 of the largest energy in the example",
    requires=("frame_blocks",),
    likely_cause="overflow of an exponential, a difference of large numbers, or a constant of float64",
    tolerance=5e-4,
    largest=30.0,
    examples=8,
    applies=lambda s: "" if s.of_library else "needs minidgm.model.Model",
)
def sequences_in_other_precisions(case: Case) -> Iterator[Comparison]:
    # A recurrent net with large weights is chaotic, in any precision: three frames do not show it.
    sequences = draw_sequences(case, 3, 2)
    exact = values_of(case.reference, sequences, "numpy", "float64")
    far = values_of(_enlarged(case.reference), sequences, "numpy", "float64")
    for name, value in far.items():
        yield equal(np.isfinite(value), np.ones(value.shape), f"{name} is finite, parameters times 1000")
    scale = max([1.0, *(float(np.abs(x).max()) for n, x in exact.items() if n not in ("b", "c"))])
    for backend, dtype in _places(case.subject):
        for name, value in values_of(_moved(case, backend, dtype), sequences, backend, dtype).items():
            yield equal(value / scale, exact[name] / scale, f"{name} in {dtype} on {backend}")


@identity(
    name="chains of frames stay",
    number="14",
    equation="sum_v p(v | past) T_past(v -> v') = p(v' | past), T_past one sweep under the biases of past",
    source="Deep Learning (2016), 17.3; stationarity for every past",
    requires=("frames", "frame_blocks"),
    likely_cause="biases of another frame, a mean for a draw, or v and h drawn from the same state",
    largest=3.0,
    examples=5,
    applies=lambda s: s.cannot_list(MOST),
)
def chains_of_frames_stay(case: Case) -> Iterator[Comparison]:
    past = getattr(case.model, "n_context", 1)
    sequence = case.visible(past + 1, past + 1, "sequence")[: past + 1]
    *_, (_, b, c) = unrolled(case.reference, sequence)
    p = np.exp([float(frame_log_prob(case, case.reference, v, b, c)) for v in case.V])
    end = np.zeros(len(case.V))
    for weight, v in zip(p, case.V, strict=True):

        def sweep(rng: Any, v: np.ndarray = v) -> dict[str, Any]:
            *_, (_, rbms) = case.model.frame_blocks([case.device(sequence)])
            last = rbms.take(slice(-1, None))
            place = index_of(host(last.gibbs(case.device(v[None]), rng, 1)), case.V)
            return {"end": np.eye(len(case.V))[place].reshape(-1)}

        end += weight * expectation(sweep, case.subject.backend, limit=2**10)["end"]
    yield equal(end, p)


@identity(
    name="annealed frames",
    number="15",
    equation="E[w] = Z(past) / Z of the start, over every path of a chain under the biases of its past",
    source="Neal (2001), Annealed importance sampling, eq. 3-6",
    requires=("frames", "frame_blocks"),
    likely_cause="a weight under the biases of another frame, a temperature off by one, or Z of the start",
    largest=3.0,
    examples=2,
    applies=lambda s: s.cannot_list(MOST),
)
def annealed_frames(case: Case) -> Iterator[Comparison]:
    past = getattr(case.model, "n_context", 1)
    sequence = case.visible(past + 1, past + 1, "sequence")[: past + 1]
    *_, (_, rbms) = case.model.frame_blocks([case.device(sequence)])
    last = rbms.take(slice(-1, None))
    exact = host(last.log_partition())

    def anneal(rng: Any) -> dict[str, Any]:
        log_z, _, _ = anneal_frames(last, 1, 1, [0.0, 0.4, 1.0], rng)
        return {"ratio": np.exp(host(log_z) - exact)}

    yield equal(expectation(anneal, case.subject.backend)["ratio"], [1.0], "E[w] Z_start / Z")
