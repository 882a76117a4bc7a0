"""Identity 24: models of sequences are RBMs whose biases follow the past, and so do their gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidgm.checks import oracle
from minidgm.checks.case import Case, traced_log_sum_exp
from minidgm.checks.comparison import Comparison, equal, gradients, host
from minidgm.checks.enumeration import index_of
from minidgm.checks.exhaustive import expectation
from minidgm.checks.registry import identity

CONDITIONAL = "Taylor, Hinton and Roweis (2006), section 3"
RECURRENT = "Boulanger-Lewandowski, Bengio and Vincent (2012), eq. 10-16"
MOST = 64


# The densities again, one frame at a time, without a line of the library: what the oracle differentiates.


def unrolled(model: Any, sequence: np.ndarray, truncation: int | None = None) -> Iterator[tuple[Any, ...]]:
    """(v_t, b_t, c_t) of every frame; with ``truncation`` the states of its multiples carry no gradient."""
    import autograd.numpy as anp

    p = model.params
    if hasattr(model, "n_context"):
        m = model.n_context
        for t in range(m, len(sequence)):
            y = sequence[t - m : t].reshape(-1)
            yield sequence[t], p["b"] + anp.dot(y, p["A"]), p["c"] + anp.dot(y, p["B"])
        return
    u = p["u0"]
    for t, v in enumerate(sequence):
        if truncation is not None and t and t % truncation == 0:
            u = _value(u)
        yield v, p["b"] + anp.dot(u, p["A"]), p["c"] + anp.dot(u, p["B"])
        u = anp.tanh(p["d"] + anp.dot(v, p["F"]) + anp.dot(u, p["R"]))


def _value(x: Any) -> np.ndarray:
    """The number behind a traced array: a constant from here on."""
    while hasattr(x, "_value"):
        x = x._value
    return np.asarray(x)


def frame_free_energy(case: Case, model: Any, v: Any, b: Any, c: Any) -> Any:
    """-log sum_h exp(b.v + c.h + v W h + log_base(v)) over the listed hidden states."""
    import autograd.numpy as anp

    own = {name[8:]: value for name, value in model.params.items() if name.startswith("visible_")}
    base = anp.sum(case.model.visible.log_base(v, **own))
    fields = anp.dot(case.H, c + anp.dot(v, model.params["W"]))
    return -(anp.dot(v, b) + base + traced_log_sum_exp(fields))


def frame_log_prob(case: Case, model: Any, v: Any, b: Any, c: Any) -> Any:
    """log p(v) of one frame's RBM by enumeration of both sides."""
    import autograd.numpy as anp

    every = anp.stack([frame_free_energy(case, model, state, b, c) for state in case.V])
    return -frame_free_energy(case, model, v, b, c) - traced_log_sum_exp(-every)


def draw_sequences(case: Case, longest: int = 4, most: int = 3) -> list[np.ndarray]:
    """Sequences of unequal lengths, each with at least one frame that has a density."""
    past = getattr(case.model, "n_context", 0)
    n = case.draw(st.integers(1, most), "sequences")
    return [case.visible(past + 1, past + longest, f"sequence {i}") for i in range(n)]


def batch_of(case: Case, sequences: list[np.ndarray]) -> np.ndarray:
    """The batch that training would see: rows of windows, or padded sequences with their mask."""
    past = getattr(case.model, "n_context", 0)
    if past:
        return np.stack([s[t - past : t + 1].reshape(-1) for s in sequences for t in range(past, len(s))])
    longest, d = max(map(len, sequences)), sequences[0].shape[1]
    batch = np.zeros((len(sequences), longest, d + 1))
    for i, s in enumerate(sequences):
        batch[i, : len(s)] = np.concatenate([s, np.ones((len(s), 1))], axis=1)
    return batch


def place(case: Case, sequences: list[np.ndarray]) -> list[int]:
    """Where ``frames(batch)`` puts every frame of the sequences: padded batches go by time."""
    if hasattr(case.model, "n_context"):
        return list(range(sum(len(s) - case.model.n_context for s in sequences)))
    return [t * len(sequences) + i for i, s in enumerate(sequences) for t in range(len(s))]


def draw_truncation(case: Case) -> int | None:
    """No truncation, or after one to three frames; a context has none."""
    if hasattr(case.model, "n_context"):
        return None
    return case.draw(st.sampled_from([None, 1, 2, 3]), "truncation")


@identity(
    name="fixed history",
    number="24",
    equation="E(v, h | y) = E_RBM(v, h) with the biases b + y A and c + y B, for every y",
    source=CONDITIONAL,
    requires=("energy", "given", "rbms", "split"),
    likely_cause="frames of the context in another order, or a bias that the context does not move",
    examples=15,
)
def fixed_history(case: Case) -> Iterator[Comparison]:
    from minidgm import RBM

    model, p = case.model, case.reference.params
    past = case.visible(model.n_context, model.n_context, "context")
    y = past.reshape(-1)[: p["A"].shape[0]]
    v = case.visible()
    h = case.hidden(len(v))
    rbm = RBM(model.n_visible, model.n_hidden, model.visible, dtype="float64")
    for name in rbm.params:
        rbm.params[name][...] = p[name]
    rbm.params["b"][...] += y @ p["A"]
    rbm.params["c"][...] += y @ p["B"]
    x = np.concatenate([np.tile(y, (len(v), 1)), v], axis=1)
    yield equal(case.call("energy", x, h), rbm.energy(v, h), "energy")
    yield equal(case.call("free_energy", x), rbm.free_energy(v), "free energy")
    up, down = rbm.hidden_given_visible(v).mean, rbm.visible_given_hidden(h).mean
    yield equal(case.conditional_mean("hidden_given_visible", x), up, "E[h | v, y]")
    ys = np.tile(y, (len(v), 1))
    found = model.visible_given_hidden(case.device(h), case.device(ys)).mean
    yield equal(host(found), down, "E[v | h, y]")
    yield equal(case.call("log_prob", x), rbm.log_prob(v), "log p(v | y)")
    for name, value in model.given(case.device(y)).params.items():
        yield equal(host(value), rbm.params[name], f"given(y).{name}")
    weights = case.weights(len(v))
    right = oracle.gradient(model, lambda m: (weights * m.energy(x, h)).sum())
    left = model.energy_gradient(*map(case.device, (x, h, weights)))
    yield from gradients(left, right, "rows:")


@identity(
    name="product over frames",
    number="24",
    equation="log p(v_1 ... v_T) = sum_t log p(v_t | u_{t-1}); summed over all sequences of T frames, p is 1",
    source=RECURRENT,
    requires=("frames", "states"),
    likely_cause="a state that has seen its own frame, a first state of 0, or Z of another frame",
    examples=10,
    applies=lambda s: s.cannot_list(MOST),
)
def product_over_frames(case: Case) -> Iterator[Comparison]:
    sequences = draw_sequences(case)
    reference = case.reference
    exact = [sum(frame_log_prob(case, reference, *f) for f in unrolled(reference, s)) for s in sequences]
    on_device = [case.device(s) for s in sequences]
    yield equal(host(case.model.log_prob(on_device)), np.asarray(exact), "log p of sequences")
    frames = case.model.frames(case.device(batch_of(case, sequences)))
    b, c, where = host(frames.rbms.b), host(frames.rbms.c), place(case, sequences)
    wanted = [f for s in sequences for f in unrolled(reference, s)]
    yield equal(b[where], np.stack([f[1] for f in wanted]), "b_t of a padded batch")
    yield equal(c[where], np.stack([f[2] for f in wanted]), "c_t of a padded batch")
    yield equal(host(frames.weights).sum(), float(len(where)), "weights of a padded batch")
    if len(case.V) ** 2 <= MOST:
        pairs = [case.device(np.stack([first, second])) for first in case.V for second in case.V]
        yield equal(np.exp(host(case.model.log_prob(pairs))).sum(), 1.0, "sum over all pairs of frames")


@identity(
    name="gradient through the past",
    number="24",
    equation="pull_back of sum_i w_i dF_i(v'_i) = d/dtheta sum_i w_i F(v'_i | past_i), ragged and truncated",
    source=f"{RECURRENT}; Rumelhart, Hinton and Williams (1986); autograd of the unrolled free energies",
    requires=("frames", "pull_back"),
    likely_cause="a state off by one frame, a slope of tanh left out, or padding that sends a gradient",
    largest=3.0,
    examples=20,
    applies=lambda s: "" if s.hidden.discrete else "needs hidden units that can be listed",
)
def gradient_through_the_past(case: Case) -> Iterator[Comparison]:
    sequences, truncation = draw_sequences(case), draw_truncation(case)
    where = place(case, sequences)
    frames = case.model.frames(case.device(batch_of(case, sequences)))
    chains = case.visible(len(where), len(where), "chain")[: len(where)]
    w = case.weights(len(where))
    n = len(host(frames.weights))
    full_v, full_w = np.zeros((n, chains.shape[1])), np.zeros(n)
    full_v[where], full_w[where] = chains, w
    v, weights = case.device(full_v), case.device(full_w)
    row = frames.rbms.gradient(v, frames.rbms.hidden_given_visible(v).mean, weights)
    left = case.model.pull_back(frames, row, truncation=truncation)

    def surrogate(model: Any) -> Any:
        biases = [f[1:] for s in sequences for f in unrolled(model, s, truncation)]
        return sum(
            wi * frame_free_energy(case, model, vi, *bc) for wi, vi, bc in zip(w, chains, biases, strict=True)
        )

    # A central difference would see through the cut of a truncation: it guards the whole gradient only.
    right = oracle.gradient(case.model, surrogate, guard=truncation is None)
    yield from gradients(left, right, f"truncation {truncation}:")


@identity(
    name="likelihood of sequences",
    number="24",
    equation="ConditionalLikelihood().gradient = d/dtheta mean over frames of -log p(v_t | past)",
    source=f"{CONDITIONAL}; {RECURRENT}; autograd of the enumerated likelihood",
    requires=("frames", "pull_back"),
    likely_cause="a mean over padded frames too, or the partition function of a single past",
    largest=3.0,
    examples=10,
    applies=lambda s: s.cannot_train("ConditionalLikelihood") or s.cannot_list(MOST),
)
def likelihood_of_sequences(case: Case) -> Iterator[Comparison]:
    sequences, truncation = draw_sequences(case, 3, 2), draw_truncation(case)
    objective = case.subject.objective("ConditionalLikelihood")(truncation=truncation)
    batch = case.device(batch_of(case, sequences))
    left, metrics = objective.gradient(case.model, batch, None)

    def loss(model: Any) -> Any:
        terms = [
            frame_log_prob(case, model, *f) for s in sequences for f in unrolled(model, s, truncation)
        ]
        return -sum(terms) / len(terms)

    right = oracle.gradient(case.model, loss, guard=truncation is None)
    yield from gradients(left, right, f"truncation {truncation}:")
    yield equal(host(metrics["log_likelihood"]), -host(loss(case.reference)), "log_likelihood")


@identity(
    name="contrastive divergence of sequences",
    number="24",
    equation="E[CD-k gradient] = mean_t d(F_t(v_t) - sum_v' T_t^k(v_t -> v') F_t(v')), T_t by the past of t",
    source=f"Hinton (2002); {RECURRENT}, section 4.1",
    requires=("frames", "pull_back"),
    likely_cause="a chain under the biases of another frame, a sweep too many, or padding that counts",
    largest=3.0,
    examples=3,
    applies=lambda s: s.cannot_train("ConditionalContrastiveDivergence") or s.cannot_list(32),
)
def contrastive_divergence_of_sequences(case: Case) -> Iterator[Comparison]:
    past = getattr(case.model, "n_context", 0)
    n_frames = 1 if past else 2
    sequence = case.visible(past + n_frames, past + n_frames, "sequence")[: past + n_frames]
    k = 1 if case.subject.n_joint**n_frames > 40 else 2
    objective = case.subject.objective("ConditionalContrastiveDivergence")(k=k)
    batch = case.device(batch_of(case, [sequence]))

    def run(rng: Any) -> dict[str, np.ndarray]:
        return {n: host(g).copy() for n, g in objective.gradient(case.model, batch, rng)[0].items()}

    left = expectation(run, case.subject.backend, limit=2**12)
    chains = [_chain(case, v, b, c, k) for v, b, c in unrolled(case.reference, sequence)]

    def surrogate(model: Any) -> Any:
        total = 0.0
        for (v, b, c), chain in zip(unrolled(model, sequence), chains, strict=True):
            total = total + frame_free_energy(case, model, v, b, c)
            for p, state in zip(chain, case.V, strict=True):
                total = total - p * frame_free_energy(case, model, state, b, c)
        return total / len(chains)

    yield from gradients(left, oracle.gradient(case.model, surrogate), f"k = {k}:")


def _chain(case: Case, v: np.ndarray, b: np.ndarray, c: np.ndarray, k: int) -> np.ndarray:
    """Distribution over ``case.V`` after k sweeps v -> h -> v under fixed biases, from the joint table."""
    W = host(case.reference.params["W"])
    log_joint = (case.V @ b)[:, None] + case.H @ c + case.V @ W @ case.H.T
    joint = np.exp(log_joint - log_joint.max())
    up, down = joint / joint.sum(axis=1, keepdims=True), joint / joint.sum(axis=0, keepdims=True)
    p = np.zeros(len(case.V))
    p[index_of(v[None], case.V)] = 1.0
    for _ in range(k):
        p = down @ (p @ up)
    return p
