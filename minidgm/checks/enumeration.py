"""Exact answers on small models: sums over states, integrals over one or two reals, transition matrices.

Everything here reads the ``energy`` or the conditionals of a model and nothing else, in float64 on the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minidgm.backend import asarray
from minidgm.checks.comparison import host, mean_of
from minidgm.checks.exhaustive import Exhaustive, NotEnumerable
from minidgm.checks.subject import Domain, Subject, enumerate_states

__all__ = [
    "conditional_table",
    "enumerate_states",
    "index_of",
    "log_integral",
    "log_sum_exp",
    "transition_matrix",
]

REACH = 40.0
_REALS = np.arange(-REACH, REACH + 0.5)
_LINES = {
    "real": _REALS,
    "positive": np.arange(-140.0, 7.0),  # its logarithm
    "nonnegative": np.arange(0.0, REACH + 0.25, 0.5),
    "bernoulli": np.asarray([0.0, 1.0]),
}
DEPTH = 45.0
MAX_ROWS = 2**18


def log_sum_exp(a: Any, axis: int | None = None) -> Any:
    """log sum exp on the host; -inf for a sum without terms."""
    a = host(a)
    top = a.max(axis=axis, keepdims=True, initial=-math.inf)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(a - safe).sum(axis=axis, keepdims=True)) + safe
    return total.reshape(()) if axis is None else np.squeeze(total, axis=axis)


def log_integral(
    log_density: Callable[[np.ndarray], np.ndarray], domain: Domain, accuracy: float = 1e-12
) -> float:
    """Logarithm of the integral of exp(log_density) over one or two real (or non-negative) variables.

    A coarse grid within 40 of the origin finds where the density lives (within e^-45 of its maximum); there
    the trapezoid rule (reals: it converges geometrically on densities with Gaussian tails) or composite
    Gauss-Legendre (half-lines) is refined until two levels agree. Positive reals, whose density may be
    singular at 0, are integrated over their logarithm. Columns of bits among them are summed over.

    Parameters
    ----------
    log_density : callable
        From nodes [m, d] to [m].
    domain : Domain
        A continuous side with d columns, one or two of them real.
    accuracy : float
        Change between levels at which to stop.

    Returns
    -------
    float
        Infinite where the density does not fall off within 40 of the origin.

    Raises
    ------
    ValueError
        For more than two dimensions.
    """
    if domain.n_reals > 2:
        raise ValueError(f"quadrature is for one or two dimensions, not {domain.n_reals}")
    low, high = _support(log_density, domain)
    bounded = [kind == "positive" for kind in domain.kinds]
    if np.where(bounded, 0.0, np.maximum(np.abs(low), high)).max() > REACH:
        return math.inf
    previous = math.inf
    for level in range(5):
        value = _quadrature(log_density, domain, low, high, level)
        if abs(value - previous) <= accuracy * max(1.0, abs(value)):
            return value
        previous = value
    return previous


def quadrature_nodes(
    log_density: Callable[[np.ndarray], np.ndarray], domain: Domain, level: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes [m, d] and weights [m] that integrate smooth functions against a density of this shape."""
    low, high = _support(log_density, domain)
    return _grid([_rule(kind, a, b, level) for kind, a, b in zip(domain.kinds, low, high, strict=True)])


def _quadrature(log_density: Any, domain: Domain, low: np.ndarray, high: np.ndarray, level: int) -> float:
    rules = [_rule(kind, a, b, level) for kind, a, b in zip(domain.kinds, low, high, strict=True)]
    nodes, weights = _grid(rules)
    return float(log_sum_exp(host(log_density(nodes)) + np.log(weights)))


def _support(log_density: Any, domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    lines = [_LINES[kind] for kind in domain.kinds]
    nodes, _ = _grid([(line, np.ones_like(line)) for line in lines])
    positive = np.asarray([kind == "positive" for kind in domain.kinds])
    values = host(log_density(np.where(positive, np.exp(np.where(positive, nodes, 0.0)), nodes)))
    values = values + np.where(positive, nodes, 0.0).sum(axis=1)
    inside = nodes[values > values.max() - DEPTH]
    step = np.asarray([line[1] - line[0] for line in lines])
    low, high = inside.min(axis=0) - step, inside.max(axis=0) + step
    return np.where([kind == "nonnegative" for kind in domain.kinds], np.maximum(low, 0.0), low), high


def _rule(kind: str, low: float, high: float, level: int) -> tuple[np.ndarray, np.ndarray]:
    if kind == "bernoulli":
        return np.asarray([0.0, 1.0]), np.ones(2)
    if kind == "positive":  # the trapezoid rule for its logarithm u, of which the weight is exp(u) du
        u, w = _rule("real", low, high, level)
        return np.exp(u), np.exp(u) * w
    if kind == "real":
        count = math.ceil((high - low) * 2.0 * 2**level) + 1
        line = np.linspace(low, high, count)
        return line, np.full(count, line[1] - line[0])
    panels = math.ceil((high - low) / 1.5 * 2**level)
    x, w = _gauss_legendre(12)
    edges = np.linspace(low, high, panels + 1)
    half = 0.5 * (edges[1] - edges[0])
    return (edges[:-1, None] + half * (1.0 + x)).reshape(-1), np.tile(half * w, panels)


@cache
def _gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(n)


def _grid(rules: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    nodes = np.stack([x.reshape(-1) for x in np.meshgrid(*(r[0] for r in rules), indexing="ij")], axis=-1)
    weights = rules[0][1]
    for _, w in rules[1:]:
        weights = np.multiply.outer(weights, w).reshape(-1)
    return nodes, weights


def index_of(rows: Any, states: np.ndarray) -> np.ndarray:
    """Index of each row [n, d] in a list of states [m, d].

    Raises
    ------
    ValueError
        When a row is no state.
    """
    rows = host(rows)
    code = np.sqrt(np.arange(2.0, states.shape[1] + 2.0))
    keys = np.round(states @ code, 9)
    order = np.argsort(keys)
    place = np.searchsorted(keys[order], np.round(rows @ code, 9) - 1e-8)
    found = order[np.minimum(place, len(states) - 1)]
    wrong = np.abs(states[found] - rows).max(axis=1, initial=0.0) > 1e-6
    if wrong.any():
        raise ValueError(
            f"{rows[wrong][0]} is not among the {len(states)} states, whose first is {states[0]}"
        )
    return found


def conditional_table(conditional: Any, states: np.ndarray, kind: str, rows: int) -> np.ndarray:
    """Log-probabilities [rows, m] of all states under a conditional: a distribution, or an array of its
    means.

    ``conditional`` is what ``hidden_given_visible(v)`` returned for ``rows`` rows; an array is read as the
    probabilities of a 1 (bits) or the means (spins, one-hot).
    """
    if callable(getattr(conditional, "log_prob", None)):
        raise TypeError("ask the distribution itself")
    mean = host(mean_of(conditional)).reshape(rows, -1)
    with np.errstate(divide="ignore"):
        if kind.startswith("softmax"):
            logs = np.log(mean)
            return np.where(states[None] > 0, logs[:, None, :], 0.0).sum(axis=-1)
        p = 0.5 * (1.0 + mean) if kind == "spin" else mean
        return np.where(states[None] > 0, np.log(p)[:, None, :], np.log1p(-p)[:, None, :]).sum(axis=-1)


def transition_matrix(model: Any, sweep: Callable[[Any, Any, Any], Any] | None = None) -> np.ndarray:
    """Exact transition matrix of ``model.gibbs_step`` over joint states.

    The real sampling code runs over every outcome of its draws
    (:class:`minidgm.checks.exhaustive.Exhaustive`). For a sampler that draws otherwise (uniforms, ``numpy``
    names) the matrix is built from the two conditionals, T(v, h -> v', h') = p(h' | v) p(v' | h').

    Parameters
    ----------
    model : object
        With ``gibbs_step(v, h, rng) -> (v, h)`` or both conditionals; listable states on both sides.
    sweep : callable, optional
        Another ``(v, h, rng) -> (v, h)`` to take in place of ``gibbs_step``.

    Returns
    -------
    array [m, m], float64
        Rows sum to 1; state (v_i, h_j) has index ``i * m_h + j``.

    Raises
    ------
    ValueError
        When a side is continuous.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import RBM
    >>> T = transition_matrix(RBM(2, 1, dtype="float64", seed=0))
    >>> T.shape, bool(np.allclose(T.sum(axis=1), 1.0))
    ((8, 8), True)
    """
    subject = model if isinstance(model, Subject) else Subject(model)
    if not subject.discrete:
        raise ValueError(f"{subject.name} has continuous units: its transition kernel is no matrix")
    if sweep is None and subject.has("gibbs_step"):
        sweep = subject.model.gibbs_step
    if sweep is not None:
        try:
            return _exhaustive_matrix(subject, sweep)
        except (NotEnumerable, AttributeError):
            if not (subject.has("hidden_given_visible") and subject.has("visible_given_hidden")):
                raise
    return conditional_matrix(subject)


def conditional_matrix(subject: Subject) -> np.ndarray:
    """T(v, h -> v', h') = p(h' | v) p(v' | h') from the model's conditionals, [m, m]."""
    from minidgm.checks.case import conditional_log_table

    up = np.exp(conditional_log_table(subject, "hidden_given_visible"))
    down = np.exp(conditional_log_table(subject, "visible_given_hidden"))
    m_v, m_h = up.shape
    one_row = np.einsum("ij,jk->ikj", up, down).reshape(m_v, m_v * m_h)
    return np.repeat(one_row, m_h, axis=0)


def _exhaustive_matrix(subject: Subject, sweep: Any) -> np.ndarray:
    V, H = subject.visible.states, subject.hidden.states
    m_v, m_h = len(V), len(H)
    size = m_v * m_h

    def run(start: np.ndarray, path: np.ndarray) -> tuple[np.ndarray, Exhaustive]:
        rng = Exhaustive(path, subject.backend)
        v, h = (asarray(x, subject.backend, subject.dtype) for x in (V[start // m_h], H[start % m_h]))
        v_new, h_new = sweep(v, h, rng)
        return index_of(v_new, V) * m_h + index_of(h_new, H), rng

    n_paths = run(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))[1].n_paths
    if n_paths > MAX_ROWS:
        raise NotEnumerable(f"one sweep has {n_paths} outcomes, more than {MAX_ROWS}")
    T = np.zeros((size, size))
    per_block = max(1, MAX_ROWS // n_paths)
    for first in range(0, size, per_block):
        start = np.repeat(np.arange(first, min(first + per_block, size)), n_paths)
        end, rng = run(start, np.tile(np.arange(n_paths), len(start) // n_paths))
        np.add.at(T, (start, end), np.exp(rng.log_probability))
    return T
