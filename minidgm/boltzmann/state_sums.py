"""Exact sums over every state of a layer, a block of states at a time: partition functions by enumeration."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.units import Unit
from minidgm.errors import IntractableError
from minidgm.numerics import logsumexp

MAX_STATES = 2**25
BLOCK = 2**14  # states at a time


def log_sum_states(
    log_mass: Callable[[Any], Any], unit: Unit, n: int, xp: Any = None, block: int = BLOCK
) -> Any:
    """log of the sum of exp(``log_mass``(x)) over the states x of ``n`` columns, a 0-d array.

    Parameters
    ----------
    log_mass : callable
        Of states [m, n], in float64, to [m] numbers, or [m, k], of which all are summed.
    unit : Unit
        Whose states they are.
    n : int
    xp : module, optional
    block : int
        States at a time.

    Examples
    --------
    >>> from minidgm.boltzmann.units import Bernoulli
    >>> round(float(log_sum_states(lambda x: x.sum(axis=1), Bernoulli(), 3)), 6)  # 3 softplus(1)
    3.939785
    """
    total = int(unit.n_states(n))
    blocks = [
        logsumexp(log_mass(unit.states(n, start, min(start + block, total), xp=xp)))
        for start in range(0, total, block)
    ]
    return logsumexp(get_xp(*blocks).stack(blocks))


def too_many(total: float, what: str = "states", limit: int = MAX_STATES) -> IntractableError:
    """The error for an exact log Z that would sum ``total`` terms, more than ``limit``, a power of 2."""
    number = f"{total:.3g}" if total < 2**1000 else f"2^{math.log2(total):.0f}"
    return IntractableError(
        f"exact log Z sums {number} {what}, more than 2^{limit.bit_length() - 1}; use "
        "minidgm.evaluation.ais(model) for an estimate"
    )
