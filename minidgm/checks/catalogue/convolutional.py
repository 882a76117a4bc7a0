"""Identity 23: a convolutional RBM is a dense one with tied couplings and competing hidden units."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidgm.checks import oracle, strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, equal, gradients, host
from minidgm.checks.enumeration import log_sum_exp
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject
from minidgm.random import Generator

LEE = "Lee, Grosse, Ranganath and Ng (2009), Convolutional deep belief networks"
# image_shape, filters, filter_size, pool: more than one of everything, and no two sizes equal.
GEOMETRIES = [
    ((2, 3, 4), 3, (2, 1), (1, 2)),
    ((1, 4, 3), 2, (1, 2), (2, 1)),
    ((2, 4, 5), 2, (3, 2), (2, 2)),
]
UNPOOLED = [((2, 3, 4), 3, (2, 3), (1, 1)), ((1, 3, 2), 2, (3, 1), (1, 1)), ((2, 1, 3), 1, (1, 2), (1, 1))]


def _convolutional(subject: Subject) -> str:
    names = ("image_shape", "filters", "filter_size", "pool")
    missing = [name for name in names if not hasattr(subject.model, name)]
    return f"needs {', '.join(missing)}" if missing or not subject.of_library else ""


def _drawn(case: Case, geometries: list[Any]) -> Any:
    """A model of the class under test with a drawn geometry and drawn parameters, on the host in float64."""
    case.draw(st.sampled_from(geometries), "image_shape, filters, filter_size, pool")
    shape, filters, size, pool = case.example["image_shape, filters, filter_size, pool"]
    model = type(case.model)(
        filters, size, pool, visible=case.model.visible, image_shape=shape, dtype="float64"
    )
    for name, value in model.params.items():
        limit = 1.0 if "log" in name else 3.0
        value[...] = case.draw(strategies.arrays(tuple(value.shape), limit), f"{name} {tuple(value.shape)}")
    return model


def toeplitz(model: Any) -> np.ndarray:
    """The dense couplings [n_visible, n_hidden], entry by entry from the definition of a convolution.

    Columns are detectors in the order of the model: blocks row by row, in a block filters, of a filter its
    places row by row.
    """
    (channels, height, width), (p, q) = model.image_shape, model.pool
    rows, columns = model.filter_size
    W = host(model.params["W"])
    blocks = itertools.product(range((height - rows + 1) // p), range((width - columns + 1) // q))
    dense = []
    for (up, left), k, r, s in itertools.product(blocks, range(model.filters), range(p), range(q)):
        column = np.zeros((channels, height, width))
        for c, i, j in itertools.product(range(channels), range(rows), range(columns)):
            column[c, up * p + r + i, left * q + s + j] = W[k, c, i, j]
        dense.append(column.reshape(-1))
    return np.stack(dense, axis=1)


def _filter_of(model: Any) -> np.ndarray:
    """The filter of every detector, [n_hidden]."""
    K = model.pool[0] * model.pool[1]
    return np.tile(np.repeat(np.arange(model.filters), K), model.n_hidden // (K * model.filters))


def _pixels(model: Any, x: Any) -> np.ndarray:
    """One value a channel, spread over its pixels, [n_visible]."""
    return np.repeat(host(x), model.n_visible // model.image_shape[0])


@identity(
    name="Toeplitz weights",
    number="23",
    equation="without pooling p(v, h) is the RBM's with W_(x, ky) = W_(k, x-y), b and c tied",
    source=f"{LEE}, section 3.1; Deep Learning, 9.1 (convolution as a doubly block circulant matrix)",
    requires=("energy", "free_energy", "hidden_given_visible", "visible_given_hidden", "energy_gradient"),
    likely_cause="a flipped or transposed filter, a bias averaged over filters or counted once an image",
    applies=_convolutional,
    examples=12,
)
def toeplitz_weights(case: Case) -> Iterator[Comparison]:
    from minidgm import RBM

    model = _drawn(case, UNPOOLED)
    dense = RBM(model.n_visible, model.n_hidden, visible=model.visible, dtype="float64")
    owner = _filter_of(model)
    dense.params["W"], dense.params["c"] = toeplitz(model), host(model.params["c"])[owner]
    for name in dense.params:
        if name not in "Wc":
            dense.params[name] = _pixels(model, model.params[name])
    v = case.draw(strategies.arrays((3, model.n_visible), 3.0), "v")
    h = case.draw(strategies.arrays((3, model.n_hidden), 1.0), "h")
    w = case.weights(3)
    yield equal(model.energy(v, h), dense.energy(v, h), "energy")
    yield equal(model.free_energy(v), dense.free_energy(v), "free energy")
    yield equal(model.hidden_given_visible(v).mean, dense.hidden_given_visible(v).mean, "p(h|v)")
    yield equal(model.visible_given_hidden(h).mean, dense.visible_given_hidden(h).mean, "p(v|h)")
    if model.n_hidden <= 6:
        yield equal(float(model.log_partition()), float(dense.log_partition()), "log Z")
    yield from gradients(model.energy_gradient(v, h, w), _tied(model, dense.energy_gradient(v, h, w)))


def _tied(model: Any, dense: Any) -> dict[str, np.ndarray]:
    """Gradient in the tied parameters: sums of the dense gradient over the entries that share them."""
    out = {name: np.zeros(host(value).shape) for name, value in model.params.items()}
    flat = out["W"].reshape(-1)
    for entry in range(flat.size):
        one = np.zeros(flat.size)
        one[entry] = 1.0
        where = toeplitz(model.with_params({**model.params, "W": one.reshape(out["W"].shape)}))
        flat[entry] = (where * host(dense["W"])).sum()
    np.add.at(out["c"], _filter_of(model), host(dense["c"]))
    for name in out:
        if name not in "Wc":
            out[name] = host(dense[name]).reshape(model.image_shape[0], -1).sum(axis=1)
    return out


@identity(
    name="probabilistic max pooling",
    number="23",
    equation="in a block p(h_y = 1|v) + ... + p(none|v) = 1 over K + 1 states; pool = 1 iff a detector is on",
    source=f"{LEE}, section 3.3, equations 3-4",
    requires=("energy", "free_energy", "hidden_given_visible", "pooling_given_visible"),
    likely_cause="the idle state left out of the sum, blocks over the wrong axis, or filters that compete",
    applies=_convolutional,
    examples=12,
)
def probabilistic_max_pooling(case: Case) -> Iterator[Comparison]:
    model = _drawn(case, GEOMETRIES)
    v = case.draw(strategies.arrays((2, model.n_visible), 3.0), "v")
    K = model.pool[0] * model.pool[1]
    field = v @ toeplitz(model) + host(model.params["c"])[_filter_of(model)]
    # The states of a block, one by one: energies -x_1, ..., -x_K and 0.
    blocks = field.reshape(2, model.n_hidden // K, K)
    states = np.concatenate([blocks, np.zeros((*blocks.shape[:2], 1))], axis=-1)
    p = np.exp(states - log_sum_exp(states, axis=-1)[..., None])
    conditional = model.hidden_given_visible(v)
    yield equal(conditional.mean, p[..., :K].reshape(2, -1), "p(h|v)")
    pool = _by_filter(model, 1.0 - p[..., K])
    yield equal(model.pooling_given_visible(v).mean, pool, "p(pool|v)")
    linear = (v * _pixels(model, model.params["b"])).sum(axis=1)
    base = host(model.visible.log_base(v, **_own(model))).sum(axis=1)
    summed = log_sum_exp(states, axis=-1).sum(axis=1)
    yield equal(model.free_energy(v), -linear - base - summed, "free energy")

    draws = host(conditional.sample(Generator(case.seed())))
    on = draws.reshape(2, model.n_hidden // K, K).sum(axis=-1)
    yield equal(on, np.minimum(on, 1.0), "detectors on in a block")
    yield equal(draws * (draws - 1.0), 0.0 * draws, "draws are bits")
    yield equal(model.energy(v, draws), -linear - base - (draws * field).sum(axis=1), "energy of a draw")


def _own(model: Any) -> dict[str, np.ndarray]:
    found = {n: v for n, v in model.params.items() if n.startswith("visible_")}
    return {name[len("visible_") :]: _pixels(model, value) for name, value in found.items()}


def _by_filter(model: Any, x: np.ndarray) -> np.ndarray:
    """Values of blocks in the order of detectors, [n, blocks * filters], as maps [n, filters * blocks]."""
    return x.reshape(len(x), -1, model.filters).transpose(0, 2, 1).reshape(len(x), -1)


@identity(
    name="shared gradients",
    number="23",
    equation="energy_gradient and free_energy_gradient = autograd of the weighted sums, several channels",
    source=f"{LEE}, section 3.2; autograd of the energy and of -log sum_h exp(-E)",
    requires=("energy", "free_energy", "energy_gradient", "free_energy_gradient"),
    likely_cause="places left out at an edge, rows for columns, or a channel's gradient in another's place",
    applies=_convolutional,
    examples=6,
)
def shared_gradients(case: Case) -> Iterator[Comparison]:
    model = _drawn(case, GEOMETRIES)
    v = case.draw(strategies.arrays((2, model.n_visible), 3.0), "v")
    h = case.draw(strategies.arrays((2, model.n_hidden), 1.0), "h")
    w = case.weights(2)
    right = oracle.gradient(model, lambda m: (w * m.energy(v, h)).sum())
    yield from gradients(model.energy_gradient(v, h, w), right, "energy:")
    right = oracle.gradient(model, lambda m: (w * m.free_energy(v)).sum())
    yield from gradients(model.free_energy_gradient(v, w), right, "free energy:")


@identity(
    name="sparsity of filters",
    number="23",
    equation="sparsity_gradient = d/dc sum_k (mean of filter k's detectors over places and rows - target)^2",
    source=f"{LEE}, section 3.1 (sparsity regularization); Lee, Ekanadham and Ng (2007)",
    requires=("hidden_given_visible", "sparsity_gradient"),
    likely_cause="a variance where detectors of a block covary, or a sum over places for the mean",
    applies=_convolutional,
    examples=6,
)
def sparsity_of_filters(case: Case) -> Iterator[Comparison]:
    model = _drawn(case, GEOMETRIES)
    v = case.draw(strategies.arrays((3, model.n_visible), 3.0), "v")
    target = 0.1
    K = model.pool[0] * model.pool[1]

    def penalty(m: Any) -> Any:
        means = m.hidden_given_visible(v).mean.reshape((-1, model.filters, K))
        return ((means.mean(axis=(0, 2)) - target) ** 2).sum()

    right = {"c": oracle.gradient(model, penalty)["c"]}
    means = host(model.hidden_given_visible(v).mean)
    yield from gradients({"c": model.sparsity_gradient(means, target)}, right)
