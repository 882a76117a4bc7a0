"""Where an annealing run starts and by which inverse temperatures it goes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp, is_array, to_numpy


def linear_betas(n: int) -> list[float]:
    """``n`` inverse temperatures from 0 to 1, evenly spaced, both ends included.

    >>> linear_betas(5)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    count("n_temperatures", n, 2)
    return [k / (n - 1) for k in range(n)]


def published_betas(n: int = 14500) -> list[float]:
    """Three evenly spaced segments that grow denser towards 1 (Salakhutdinov and Murray 2008).

    Of 14,500 temperatures, 500 lie in [0, 0.5), 4,000 in [0.5, 0.9) and 10,000 in [0.9, 1]; another ``n`` is
    divided in the same proportions.

    >>> betas = published_betas()
    >>> len(betas), betas[500], betas[4500], betas[-1]
    (14500, 0.5, 0.9, 1.0)
    """
    count("n_temperatures", n, 29)
    first, second = round(n * 500 / 14500), round(n * 4000 / 14500)
    third = n - first - second - 1
    return (
        [0.5 * k / first for k in range(first)]
        + [0.5 + 0.4 * k / second for k in range(second)]
        + [0.9 + 0.1 * k / third for k in range(third)]
        + [1.0]
    )


def check_betas(betas: Any, n_temperatures: int) -> list[float]:
    """Return ``betas``, or ``n_temperatures`` evenly spaced ones, as Python floats from 0 up to 1.

    Raises
    ------
    ValueError
        Unless they start at 0, end at 1 and increase strictly.
    """
    if betas is None:
        return linear_betas(n_temperatures)
    values = to_numpy(betas) if is_array(betas) else betas
    try:
        listed = [float(beta) for beta in values]
    except (TypeError, ValueError):
        raise ValueError(f"betas={betas!r}; expected a sequence of numbers from 0 to 1") from None
    if len(listed) < 2 or listed[0] != 0.0 or listed[-1] != 1.0:
        ends = f"{listed[0]:g} to {listed[-1]:g}" if listed else "nothing"
        raise ValueError(f"betas hold {ends}; expected at least two, from exactly 0 to exactly 1")
    for k, (here, there) in enumerate(pairwise(listed)):
        if not here < there:
            raise ValueError(f"betas[{k}]={here:g} and betas[{k + 1}]={there:g} do not increase strictly")
    return listed


def base_rate(model: Any, v: Any) -> Any:
    """Visible biases whose product distribution has the means of the data ``v`` [n, n_visible].

    The base that Salakhutdinov and Murray (2008) recommend: ``ais(model, base=base_rate(model, train))``.
    Means are kept 0.001 away from the ends of a bounded unit's domain. Returns an array [n_visible]; a model
    with a method ``base_rate`` gives its own (a DBM: biases of the hidden layers too).
    """
    if hasattr(model, "base_rate"):
        return model.base_rate(v)
    v = model.check_data(v)
    own = model._own("visible") if hasattr(model, "_own") else {}
    return getattr(model, "row_unit", model.visible).logit(v.mean(axis=0), **own)


def idle_field(model: Any) -> Any:
    """The visible field with the hidden units as they are at the start of a path: b + W E[h in the field 0].

    The biases of the visible units alone say little: couplings and biases trade off against each other
    (centring moves one into the other), and hidden units are half on, not off, where annealing starts.
    """
    own = model._own("hidden") if hasattr(model, "_own") else {}
    idle = model.hidden.mean(0.0 * model.params["c"][None, :], **own)[0]
    return model.params["b"] + model.params["W"] @ idle


def base_biases(model: Any, base: Any) -> Any:
    """Turn the argument ``base`` of the annealing functions into biases [n_visible] on the model's device.

    Raises
    ------
    ValueError
        For another shape, a value that is not finite, or an unknown name.
    TypeError
        For an array of another backend.
    """
    b = model.params["b"]
    if base is None:
        return idle_field(model)
    if isinstance(base, str):
        named = {"biases": b, "uniform": model.xp.zeros_like(b)}
        if base not in named:
            raise ValueError(f"base={base!r}; expected 'biases', 'uniform', an array [n_visible], or None")
        return named[base]
    if is_array(base):
        get_xp(b=b, base=base)
    elif not isinstance(base, Sequence):
        raise TypeError(f"base is a {type(base).__name__}; expected 'uniform' or biases [{model.n_visible}]")
    base = model.xp.asarray(base, dtype=model.dtype)
    if base.shape != (model.n_visible,):
        raise ValueError(f"base has shape {tuple(base.shape)}; expected biases [{model.n_visible}]")
    if not bool(model.xp.isfinite(base).all()):
        raise ValueError("base holds NaN or infinity; base_rate(model, data) gives finite biases")
    return base
