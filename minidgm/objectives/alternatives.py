r"""Each visible unit against the values it did not take: what pseudo-likelihood and ratio matching share.

Let a run over the alternatives of unit i, copies of v with unit i at each of its other values, and let

    gap_a = F(v) - F(a) = log p(a)/p(v),                no partition function.

An objective sum_i loss(gaps of unit i) has, with w_a = dloss/dgap_a, the gradient

    sum_i sum_a w_a [dF(v)/dtheta - dF(a)/dtheta]:

| configurations | weights |
|---|---|
| (v, E[h given v]) | sum of all w_a |
| (a, E[h given a]) for every unit and alternative | -w_a |

For an RBM with binary visible units the alternative moves v by delta_i e_i and so the hidden field x = v W
+ c by delta_i W_i: a unit costs n * n_hidden instead of n * n_visible * n_hidden. With m_i the hidden means
there, S = sum_i w_i and A = sum_i w_i m_i, the sum above becomes

    W:  v^T (A - S m) + sum_i e_i (w_i delta_i)^T m_i,      b_i:  sum w_i delta_i,      c:  sum (A - S m).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.errors import DataError
from minidgm.objectives.base import Objective
from minidgm.random import Generator
from minidgm.samplers import gibbs

__all__ = ["AlternativesObjective"]

# Bytes of one block of alternatives: the host's cache; enough work for a launch elsewhere.
HOST_BLOCK, DEVICE_BLOCK = 2**20, 2**26

Rule = Callable[[Any], tuple[Any, Any]]


class AlternativesObjective(Objective):
    """Base of the objectives that are sums over units of a function of the gaps.

    Rows are states of the units: a gray level p between 0 and 1, which other objectives take for a
    probability, would be compared with 1 - p as if it were a state. `fit` refuses such data.

    Parameters
    ----------
    n_units : int, optional
        Visible units looked at in a step; all if not given. Subsets follow random orders of the units, each
        unit once a pass, and their sums are scaled to all units: unbiased for the full sum.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.
    """

    needs = ("free_energy", "free_energy_gradient", "visible")

    def __init__(
        self,
        n_units: int | None = None,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.n_units = None if n_units is None else count("n_units", n_units)

    @classmethod
    def obstacle(cls, model: Any) -> str | None:
        reason = super().obstacle(model)
        if reason is None and hasattr(model, "row_unit"):
            return "its rows hold units of several types"
        if reason is None and model.visible.n_states(model.n_visible) == math.inf:
            return f"its {model.visible.name} visible units take infinitely many values"
        return reason

    def check_source(self, model: Any, source: Any) -> None:
        low, high = getattr(model.visible, "values", (0.0, 1.0))
        for rows, what in source.blocks():
            between = (rows != low) & (rows != high)
            if bool(between.any()):
                first = int(between.reshape(-1).argmax())
                raise DataError(
                    f"{what} holds {float(rows.reshape(-1)[first]):g} (row {first // rows.shape[1]}, column "
                    f"{first % rows.shape[1]}); {type(self).__name__} compares states of "
                    f"{model.visible.name} units, {low:g} or {high:g}: binarize the data first "
                    "(minidgm.datasets.binarized)"
                )

    def rule(self, gaps: Any) -> tuple[Any, Any]:
        """Loss [n] of one unit and its derivatives w [a, n], from the gaps [a, n] of its alternatives."""
        raise NotImplementedError

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        total = model.n_visible // model.visible.k
        units = range(total) if self.n_units is None else self._subset(self.n_units, total, rng)
        scale = total / (len(units) * batch.shape[0])
        written_out = gibbs.has_blocks(model) and not model._own("hidden")
        gradient = rank_one if written_out and model.visible.name in ("bernoulli", "spin") else plain
        return {"loss": gradient(model, batch, units, self.rule, scale, grads)}

    def _subset(self, size: int, total: int, rng: Any) -> Sequence[int]:
        """The next units of the current random order; drawn on the host, so no device waits for an index."""
        if size > total:
            raise ValueError(f"n_units={size}; this model has {total} visible units")
        if "order_seed" not in self._state:
            stream = rng.spawn(1)[0].state()
            entropy = stream["entropy"] if isinstance(stream["entropy"], list) else [stream["entropy"]]
            host = Generator([*entropy, *stream["spawn_key"]])
            self._state["order_seed"] = int(host.integers(0, 2**62, 1)[0])
            self._state["order_step"] = 0
        step = self._state["order_step"]
        self._state["order_step"] = step + 1
        a_pass, position = divmod(step, -(-total // size))
        order = Generator([self._state["order_seed"], a_pass]).permutation(total).tolist()
        return sorted(order[position * size : (position + 1) * size])


def plain(model: Any, v: Any, units: Sequence[int], rule: Rule, scale: float, grads: Any) -> Any:
    """Write the gradient of scale * sum of losses into ``grads``, through free energies; return the loss.

    Any model whose visible units are enumerable; n_alternatives * n rows a unit.
    """
    xp = get_xp(v)
    here = model.free_energy(v)
    total, loss = xp.zeros_like(here), xp.zeros_like(here)
    part = model.params.like()
    grads.buffer[...] = 0.0
    for i in units:
        others = model.visible.alternatives(v, i)
        gaps = xp.stack([here - model.free_energy(a) for a in others])  # [a, n]
        cost, w = rule(gaps)
        loss, total = loss + cost, total + w.sum(axis=0)
        model.free_energy_gradient(xp.concatenate(others), -scale * w.reshape(-1), part)
        grads.buffer += part.buffer
    grads.buffer += model.free_energy_gradient(v, scale * total, part).buffer
    return scale * loss.sum()


def rank_one(model: Any, v: Any, units: Sequence[int], rule: Rule, scale: float, grads: Any) -> Any:
    """The same for an RBM with binary visible and no parameters of hidden units: blocks of rank-one moves."""
    xp, n = get_xp(v), v.shape[0]
    W, b, hidden = model.params["W"], model.params["b"], model.hidden
    field = model.hidden_field(v)  # [n, n_h]
    here = hidden.cgf(field).sum(axis=-1)
    total, loss = xp.zeros_like(here), 0.0
    aggregate = xp.zeros_like(field)
    grads.buffer[...] = 0.0
    size = HOST_BLOCK if model.backend == "numpy" else DEVICE_BLOCK
    block = max(1, size // (n * model.n_hidden * field.dtype.itemsize))
    for start in range(0, len(units), block):
        chosen = units[start : start + block]
        i = slice(chosen[0], chosen[-1] + 1) if len(chosen) == chosen[-1] + 1 - chosen[0] else list(chosen)
        delta = model.visible.values[0] + model.visible.values[1] - 2.0 * v[:, i].T  # [B, n]
        moved = field + delta[:, :, None] * W[i][:, None, :]  # [B, n, n_h]
        gaps = delta * b[i][:, None] + hidden.cgf(moved).sum(axis=-1) - here
        cost, w = rule(gaps[None])
        w = w[0]
        loss, total = loss + cost.sum(), total + w.sum(axis=0)
        means = hidden.mean(moved)
        means *= w[:, :, None]
        aggregate += means.sum(axis=0)
        grads["W"][i] = xp.matmul(delta[:, None, :], means)[:, 0, :]
        grads["b"][i] = (w * delta).sum(axis=1)
    aggregate -= total[:, None] * hidden.mean(field)
    grads["W"] += v.T @ aggregate
    grads["c"][...] = aggregate.sum(axis=0)
    grads.buffer *= scale
    return scale * loss
