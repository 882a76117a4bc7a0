"""Hypothesis strategies for parameters, states, batches, weights and seeds.

They shrink towards what a person would try first: zero parameters, one row, seed 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidgm.checks.subject import Domain, Subject, enumerate_states

LARGEST_LOG = 1.0


def seeds() -> st.SearchStrategy[int]:
    """Seeds of a generator."""
    return st.integers(0, 2**32 - 1)


def arrays(shape: tuple[int, ...], largest: float = 30.0) -> st.SearchStrategy[np.ndarray]:
    """Float64 arrays of one shape: a magnitude (about 1, small, zero or ``largest``), then entries of at most
    two digits.

    All entries are multiples of a hundredth of a power of ten, so that a failing example reads well.
    """
    size = int(np.prod(shape))
    magnitudes = [m for m in (1.0, 1.0, 3.0, largest / 3.0, 0.1, 0.0) if 3.0 * m <= max(largest, 3.0)]

    @st.composite
    def draw_array(draw: Any) -> np.ndarray:
        magnitude = draw(st.sampled_from(magnitudes))
        entries = draw(st.lists(st.integers(-300, 300), min_size=size, max_size=size))
        return np.round(np.asarray(entries, dtype=np.float64) * (magnitude / 100.0), 4).reshape(shape)

    return draw_array()


def parameters(model: Any, largest: float = 30.0) -> st.SearchStrategy[dict[str, np.ndarray]]:
    """Values for every parameter of a model (or :class:`Subject`), float64.

    Parameters whose name contains ``log`` stay within one unit of 0 (they are exponentiated); a model may set
    ``parameter_bounds = {name: (low, high)}`` for the others.
    """
    subject = model if isinstance(model, Subject) else Subject(model)
    bounds = getattr(subject.model, "parameter_bounds", {})

    @st.composite
    def draw_parameters(draw: Any) -> dict[str, np.ndarray]:
        values = {}
        for name, array in subject.parameters.items():
            shape = tuple(array.shape)
            if name in bounds:
                low, high = bounds[name]
                values[name] = 0.5 * (low + high) + 0.5 * (high - low) * draw(arrays(shape, 3.0)) / 3.0
            else:
                limit = min(largest, LARGEST_LOG) if "log" in name else largest
                values[name] = np.clip(draw(arrays(shape, limit)), -limit, limit)
        return values

    return draw_parameters()


def states(domain: Domain | int, largest: float = 3.0) -> st.SearchStrategy[np.ndarray]:
    """One configuration [n] of a side; an integer means that many bits."""
    domain = Domain(domain, "bernoulli", enumerate_states(domain)) if isinstance(domain, int) else domain
    if domain.discrete:
        return st.integers(0, len(domain.states) - 1).map(lambda i: domain.states[i])
    low = {"bernoulli": 0, "nonnegative": 0, "positive": 1}
    entries = [
        st.integers(0, 1).map(lambda bit: 100 * bit)
        if kind == "bernoulli"
        else st.integers(low.get(kind, -round(100 * largest)), round(100 * largest))
        for kind in domain.kinds
    ]
    return st.tuples(*entries).map(lambda row: np.asarray(row, np.float64) / 100.0)


def batches(domain: Domain | int, min_size: int = 0, max_size: int = 5) -> st.SearchStrategy[np.ndarray]:
    """Batches [n, d] of configurations: ragged sizes, empty (unless ``min_size``), single, with duplicate
    rows.
    """
    n = domain if isinstance(domain, int) else domain.n

    @st.composite
    def draw_batch(draw: Any) -> np.ndarray:
        rows = draw(st.lists(states(domain), min_size=min_size, max_size=max_size))
        if rows and len(rows) < max_size and draw(st.booleans()):
            rows = [*rows, rows[0]]
        return np.asarray(rows, dtype=np.float64).reshape(len(rows), n)

    return draw_batch()


def weights(n: int) -> st.SearchStrategy[np.ndarray]:
    """Signed weights [n], zero among them."""
    return st.lists(st.integers(-8, 8), min_size=n, max_size=n).map(
        lambda row: np.asarray(row, np.float64) / 4.0
    )


def named_arrays(
    shapes: Mapping[str, tuple[int, ...]], largest: float = 3.0
) -> st.SearchStrategy[dict[str, np.ndarray]]:
    """Arrays by name, for the tests of anything that takes a mapping of parameters."""
    return st.fixed_dictionaries({name: arrays(tuple(shape), largest) for name, shape in shapes.items()})
