r"""Variational stochastic maximum likelihood for deep Boltzmann machines (Deep Learning, algorithm 20.1).

The gradient of log p(v) has two expectations that both resist. Under the posterior p(h | v) it is replaced by
a factorial q at a mean-field fixed point, under the model by persistent chains with even/odd block Gibbs:

    mu_i   fixed point of 20.33 - 20.34 for v_i, by sweeps over odd, then even layers
    chains x' <- k sweeps: odd layers given even ones, then even layers given odd ones
    g    =  1/n sum_i dE(v_i, mu_i)/dtheta  -  1/m sum_j dE(x'_j)/dtheta

| configurations | weights |
|---|---|
| (v, mu), the batch | 1/n |
| (v', h'), the chains | -1/m |

At fixed mu, 1/n sum_i dE(v_i, mu_i) is minus the gradient of the bound H(q) - E(v, mu) (E is linear in every
single unit), so that with chains at the model g is the exact gradient of the mean negative bound.

Given the odd layers, the even ones enter the energy linearly: their means replace their draws in g (Rao and
Blackwell), which keeps the expectation and removes the noise of the top layer's coin flips, which else drowns
what W_L has to learn (``rao_blackwell=False`` takes draws throughout, as the text does). Momentum and its
decaying rate are the optimizer's: ``Momentum(Linear(0.01, 0.0))``.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count
from minidgm.backend import get_xp
from minidgm.numerics import sigmoid_
from minidgm.objectives.two_phase import TwoPhase, mean_gap, signed_weights
from minidgm.samplers import gibbs

__all__ = ["VariationalSML"]

MAPS = ("field", "layer_given_others", "layer_gradient", "mean_field", "upward", "unit", "_ascend")


class VariationalSML(TwoPhase):
    """Algorithm 20.1 on every machine in layers (`minidgm.boltzmann.dbm.DBM`).

    Parameters
    ----------
    k : int
        Even/odd Gibbs sweeps of the chains a step.
    n_chains : int
    mean_field_sweeps : int
        Sweeps of the mean field a step, from means sent upward: a fixed number, so that no step waits for the
        device. `DBM.mean_field` tells how many reach a tolerance.
    rao_blackwell : bool
        Whether the chains' even layers enter with their means given the odd ones.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    ``state`` holds the chains as ``v`` [n_chains, n_visible] and ``h`` [n_chains, n_hidden]. Metric
    ``mean_gap``: mean absolute difference between the visible means of data and chains.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DBM, Generator
    >>> dbm, objective = DBM([4, 3, 2], seed=0), VariationalSML(n_chains=7)
    >>> grads, metrics = objective.gradient(dbm, np.eye(4, dtype="float32"), Generator(0))
    >>> objective.state["h"].shape, grads["W2"].shape
    ((7, 5), (3, 2))
    """

    needs = ("layer_given_others", "layer_gradient", "mean_field", "sample")

    def __init__(
        self,
        k: int = 1,
        n_chains: int = 100,
        mean_field_sweeps: int = 10,
        rao_blackwell: bool = True,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.k, self.n_chains = count("k", k), count("n_chains", n_chains)
        self.mean_field_sweeps = count("mean_field_sweeps", mean_field_sweeps)
        self.rao_blackwell = bool(rao_blackwell)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        if not self._started(model, (self.n_chains,)):
            chains = gibbs.init(model, model.sample(self.n_chains, rng, steps=0), rng)
            self._state["v"], self._state["h"] = chains.v, chains.h
        (self._in_place if written_out(model) else self._plain)(model, batch, rng, grads)
        return {"mean_gap": mean_gap(grads)}

    def _plain(self, model: Any, batch: Any, rng: Any, grads: Any) -> None:
        xp, layers = get_xp(batch), model.depth + 1
        mean = model.mean_field(batch, tolerance=None, max_iterations=self.mean_field_sweeps).mean
        x = [self._state["v"], *model.layers(self._state["h"])]
        for _ in range(self.k):
            for parity in (1, 0):
                given = {i: model.layer_given_others(i, x) for i in range(parity, layers, 2)}
                for i, conditional in given.items():
                    x[i] = conditional.sample(rng)
        self._state["v"], self._state["h"] = x[0], xp.concatenate(x[1:], axis=1)
        if self.rao_blackwell:
            x = [given[i].mean if i in given else x[i] for i in range(layers)]
        both = [xp.concatenate(pair) for pair in zip(x, [batch, *model.layers(mean)], strict=True)]
        weights = signed_weights(batch.shape[0], self.n_chains, batch)
        self._add_variance(model, model.layer_gradient(both, weights, grads))
        self._data_means = mean

    def _add_variance(self, model: Any, grads: Any) -> None:
        """What the mean of a real visible unit leaves out: E[lambda v^2] / 2 = lambda E[v]^2 / 2 + 1/2."""
        if self.rao_blackwell and model.visible.name == "gaussian":
            grads["visible_log_precision"] -= 0.5  # the weights of the chains sum to -1

    def _in_place(self, model: Any, batch: Any, rng: Any, grads: Any) -> None:
        """The same in arrays that live from step to step: chains in the first rows, then the data."""
        xp, m, n, depth = get_xp(batch), self.n_chains, batch.shape[0], model.depth
        array, params = self._scratch.array, model.params
        x, spare = (
            [array(f"{name}{i}", (m + n, size), batch) for i, size in enumerate(model.sizes)]
            for name in ("x", "spare")
        )
        v, drive = array("v", (m + n, model.n_visible), batch), array("drive", (m + n, model.sizes[1]), batch)
        weights = array("weights", (m + n,), batch)
        weights[:m], weights[m:] = -1.0 / m, 1.0 / n
        v[:m], v[m:], x[0][m:] = self._state["v"], batch, batch
        chains = [v[:m], *model.layers(self._state["h"])]  # the draws; x gets means
        for sweep in range(self.k):
            # The share of layer 1 that comes from below is one product for chains and data.
            rows = slice(0, m if sweep else m + n)
            xp.matmul(v[rows], params["W1"], out=drive[rows])
            xp.add(drive[rows], params["b1"], out=drive[rows])
            for layer in [*range(1, depth + 1, 2), *range(0, depth + 1, 2)]:
                out, draw = x[layer][:m], spare[layer][:m]
                if layer == 0:
                    xp.matmul(chains[1], params["W1"].T, out=out)
                    model.visible.fill(out, params["b0"], rng, draw, out, **model._own("visible"))
                elif layer % 2:
                    self._field(model, layer, chains, drive[:m], out, draw)
                    rng.bernoulli_from_logits(out, out=draw)
                    out[...] = draw
                else:
                    self._field(model, layer, chains, drive[:m], out, draw)
                    rng.bernoulli_from_logits(out, out=draw, mean=out)
                chains[layer][...] = draw
        if not self.rao_blackwell:
            for layer in range(0, depth + 1, 2):
                x[layer][:m] = chains[layer]
        self._mean_field(model, [part[m:] for part in x], drive[m:], [part[m:] for part in spare])
        self._add_variance(model, model.layer_gradient(x, weights, grads, spare[1:]))
        self._state["v"] = chains[0]
        if model.centered or self.sparsity_cost:
            self._data_means = array("means", (n, model.n_hidden), batch)
            for view, part in zip(model.layers(self._data_means), x[1:], strict=True):
                view[...] = part[m:]

    def _mean_field(self, model: Any, x: Any, drive: Any, spare: Any) -> None:
        """`DBM.mean_field` of the data in x[0], with b_1 + v W_1 in ``drive``, over the arrays x[1:]."""
        xp, params, depth = get_xp(drive), model.params, model.depth
        xp.multiply(drive, 1.0 if depth == 1 else 2.0, out=x[1])
        if depth > 1:
            xp.subtract(x[1], params["b1"], out=x[1])
        sigmoid_(x[1])
        for layer in range(2, depth + 1):
            xp.matmul(x[layer - 1], params[f"W{layer}"], out=x[layer])
            if layer < depth:
                xp.multiply(x[layer], 2.0, out=x[layer])
            sigmoid_(x[layer], bias=params[f"b{layer}"])
        for _ in range(self.mean_field_sweeps if depth > 1 else 0):
            for layer in [*range(1, depth + 1, 2), *range(2, depth + 1, 2)]:
                self._field(model, layer, x, drive, x[layer], spare[layer])
                sigmoid_(x[layer])

    @staticmethod
    def _field(model: Any, layer: int, x: Any, drive: Any, out: Any, other: Any) -> None:
        """Write the field of layer l given its neighbours into ``out``; ``other`` is written over."""
        xp, params = get_xp(out), model.params
        above = layer < model.depth
        if layer == 1:
            if above:
                xp.matmul(x[2], params["W2"].T, out=out)
                xp.add(out, drive, out=out)
            else:
                out[...] = drive
            return
        xp.matmul(x[layer - 1], params[f"W{layer}"], out=out)
        if above:
            xp.matmul(x[layer + 1], params[f"W{layer + 1}"].T, out=other)
            xp.add(out, other, out=out)
        xp.add(out, params[f"b{layer}"], out=out)


def written_out(model: Any) -> bool:
    """Whether the in-place path speaks for this model: a DBM that overrides none of its maps."""
    from minidgm.boltzmann.dbm import DBM

    return isinstance(model, DBM) and all(getattr(type(model), name) is getattr(DBM, name) for name in MAPS)
