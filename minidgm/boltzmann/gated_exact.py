"""Exact normalizers of a `GatedRBM`: of the three layers one sums out in closed form, others are enumerated.

Given two layers the third is factorial, so that for bits

    sum_h exp(-E) = exp(a.x + b.y) prod_k (1 + exp(c_k + sum_ij W_ijk x_i y_j)),

and likewise for x and y. log Z sums over the states of the two smaller layers; log Z(x), which normalizes
p(y | x), over those of the smaller of y and h.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidgm.boltzmann.state_sums import BLOCK, MAX_STATES, log_sum_states
from minidgm.errors import IntractableError
from minidgm.numerics import logsumexp, softplus

MAX_CONDITIONAL_BITS = 20


def log_partition(model: Any) -> Any:
    """log Z over x, y and h in nats, exact, in float64: a 0-d array.

    Raises
    ------
    IntractableError
        When the two smaller layers have more than 2^25 states together.
    """
    n_x, n_y, n_h = sizes = model.n_input, model.n_output, model.n_hidden
    bits = sum(sizes) - max(sizes)
    if 2**bits > MAX_STATES:
        raise IntractableError(
            f"exact log Z sums 2^{bits} states, more than 2^25; use minidgm.evaluation.ais(model) for an "
            "estimate, or conditional_log_prob(x, y) for the conditional model"
        )
    model = model.double()
    a, b, c = (model.params[name] for name in "abc")

    def log_mass(states: Any) -> Any:
        if n_h == max(sizes):
            return -model.free_energy(states)
        if n_y == max(sizes):
            x, h = states[:, :n_x], states[:, n_x:]
            return x @ a + h @ c + softplus(model.output_field(x, h)).sum(axis=-1)
        y, h = states[:, :n_y], states[:, n_y:]
        return y @ b + h @ c + softplus(model.input_field(y, h)).sum(axis=-1)

    return log_sum_states(log_mass, model.output, bits, model.xp)


def conditional_log_partition(model: Any, x: Any) -> Any:
    """log Z(x) = log sum_{y,h} exp(-E(x, y, h)) - a.x, [n], exact, nats, in float64, of x [n, n_input].

    Raises
    ------
    IntractableError
        When y and h both have more than 20 bits.
    """
    bits = min(model.n_output, model.n_hidden)
    if bits > MAX_CONDITIONAL_BITS:
        raise IntractableError(
            f"exact p(y | x) sums 2^{bits} states a row, more than 2^{MAX_CONDITIONAL_BITS}; compare free "
            "energies of outputs for one x instead"
        )
    model, x = model.double(), x.astype("float64")
    step = max(1, BLOCK // 2**bits)
    blocks = [_block(model, x[i : i + step], bits) for i in range(0, max(1, x.shape[0]), step)]
    return model.xp.concatenate(blocks)


def _block(model: Any, x: Any, bits: int) -> Any:
    """log Z(x) of a few rows."""
    xp, n = model.xp, x.shape[0]
    totals = []
    for states in _states(model, bits):
        m = states.shape[0]
        inputs, s = xp.repeat(x, m, axis=0), xp.tile(states, (n, 1))
        if bits == model.n_hidden:
            mass = s @ model.params["c"] + softplus(model.output_field(inputs, s)).sum(axis=-1)
        else:
            field = model.hidden_field(xp.concatenate([inputs, s], axis=1))
            mass = s @ model.params["b"] + softplus(field).sum(axis=-1)
        totals.append(logsumexp(mass.reshape((n, m)), axis=1))
    return logsumexp(xp.stack(totals), axis=0)


def _states(model: Any, bits: int) -> Iterator[Any]:
    for start in range(0, 2**bits, BLOCK):
        yield model.output.states(bits, start, min(start + BLOCK, 2**bits), xp=model.xp)
