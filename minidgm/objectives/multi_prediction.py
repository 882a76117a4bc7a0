r"""Multi-prediction training of deep Boltzmann machines (Goodfellow, Mirza, Courville and Bengio, NIPS 2013).

Instead of the likelihood, train what the machine will be asked: to infer any missing block from the rest.
Draw for every example a mask k (1: known), let mean field run for T sweeps from what is known, and score the
missing units with its last fields,

    J = 1/n sum_i sum_{j missing} -log Q(v_ij),      Q(v_j) = exp(v_j a_j + log_base(v_j) - cgf(a_j)),

where a_j is the field of v_j at the end. T sweeps of mean field are a recurrent net of 2 T + 1 layers with
tied weights W_l, W_l^T (Deep Learning, figure 20.5): no chains, no partition function.

Forward, for t = 1 ... T, from mu^0_l = sigmoid(b_l), v^0 = k v + (1 - k) E[v | b_0]:

    a_l^t = b_l + mu_{l-1} W_l + mu_{l+1} W_{l+1}^T,   mu_l^t = sigmoid(a_l^t)   for l odd, then for l even,
    v^t = k v + (1 - k) E[v | a_0^t].

Backward, the same sweeps in reverse. With d_l = dJ/dmu_l arriving at a layer, r_l = d_l mu'(a_l) (for l = 0:
(1 - k) d_0 mu'(a_0), at the last sweep (1 - k) (E[v | a_0] - v) / n, for d(-log Q)/da = E[v] - v), then

    dW_l += mu_{l-1}^T r_l,   dW_{l+1} += r_l^T mu_{l+1},   db_l += sum r_l,
    d_{l-1} += r_l W_l^T,     d_{l+1} += r_l W_{l+1},       d_l <- 0 (what mu_l was before has no other use).

A Gaussian's log-precision enters E[v | a] = a / lambda, hence -d_0 E[v | a] a sweep, and the score itself.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import get_xp
from minidgm.objectives.base import Objective

__all__ = ["MultiPrediction"]


class MultiPrediction(Objective):
    """Gradient of the multi-prediction criterion, for every machine in layers.

    Parameters
    ----------
    sweeps : int
        T, mean-field sweeps of the unrolled net.
    missing : float
        Probability in (0, 1] that a visible unit is asked for.
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Metric ``loss``: mean over the batch of -log Q of the missing units, nats an example. Nothing lives across
    steps. Masks come from the generator, one draw a unit.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DBM, Generator
    >>> dbm = DBM([4, 3, 2], seed=0)
    >>> grads, metrics = MultiPrediction().gradient(dbm, np.eye(4, dtype="float32"), Generator(0))
    >>> grads["W2"].shape, list(metrics)
    ((3, 2), ['loss'])
    """

    needs = ("layer_given_others", "infer")

    def __init__(
        self,
        sweeps: int = 5,
        missing: float = 0.5,
        *,
        weight_decay: float = 0.0,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.0,
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )
        self.sweeps, self.missing = count("sweeps", sweeps), real("missing", missing, positive=True)
        if self.missing > 1.0:
            raise ValueError(f"missing must be a probability in (0, 1], got {missing!r}")

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp = get_xp(batch)
        known = 1.0 - rng.bernoulli(xp.full(batch.shape, self.missing, dtype=batch.dtype))
        tape = unroll(model, batch, known, self.sweeps)
        self._backward(model, batch, known, tape, grads)
        self._data_means = xp.concatenate(tape[-1][1][1:], axis=1)
        return {"loss": score(model, batch, known, tape[-1][0][0])}

    def _backward(self, model: Any, v: Any, known: Any, tape: Any, grads: Any) -> None:
        xp, params, depth, n = get_xp(v), model.params, model.depth, v.shape[0]
        own = model._own("visible")
        grads.buffer[...] = 0.0
        down = [xp.zeros_like(x) for x in tape[-1][1]]  # d_l = dJ/dmu_l
        for t in range(self.sweeps, 0, -1):
            fields = tape[t][0]
            for layer in reversed(order(depth)):
                a, unit = fields[layer], model.unit(layer)
                slope = down[layer] * unit[0].variance(a, **unit[1])
                if layer == 0:
                    slope = (1.0 - known) * slope
                    if own:
                        mean = unit[0].mean(a, **own)
                        # dE[v | a]/dlog lambda = -a / lambda
                        grads["visible_log_precision"] -= ((1.0 - known) * down[0] * mean).sum(axis=0)
                    if t == self.sweeps:
                        slope = (1.0 - known) * (unit[0].mean(a, **own) - v) / n
                        if own:
                            lost = (1.0 - known) / n
                            mean, precision = unit[0].mean(a, **own), xp.exp(own["log_precision"])
                            grads["visible_log_precision"] += 0.5 * (
                                lost * (precision * (v * v - mean * mean) - 1.0)
                            ).sum(axis=0)
                down[layer] = 0.0 * down[layer]
                self._spread(model, layer, slope, tape, t, grads, down)
        # The start: mu_l = sigmoid(b_l), v = k v + (1 - k) E[v | b_0].
        for layer in order(depth):
            unit, mine = model.unit(layer)
            b = params[f"b{layer}"] + xp.zeros((1, 1), dtype=v.dtype)
            arriving = (1.0 - known) * down[0] if layer == 0 else down[layer]
            grads[f"b{layer}"] += (arriving * unit.variance(b, **mine)).sum(axis=0)
            if layer == 0 and own:
                grads["visible_log_precision"] -= (arriving * unit.mean(b, **mine)).sum(axis=0)

    @staticmethod
    def _spread(model: Any, layer: int, slope: Any, tape: Any, t: int, grads: Any, down: Any) -> None:
        """Send r_l to its parameters and neighbours; these were as in sweep t - 1 for l odd, t for l even."""
        params = model.params
        seen = tape[t - 1][1] if layer % 2 else tape[t][1]
        grads[f"b{layer}"] += slope.sum(axis=0)
        if layer > 0:
            grads[f"W{layer}"] += seen[layer - 1].T @ slope
            down[layer - 1] = down[layer - 1] + slope @ params[f"W{layer}"].T
        if layer < model.depth:
            grads[f"W{layer + 1}"] += slope.T @ seen[layer + 1]
            down[layer + 1] = down[layer + 1] + slope @ params[f"W{layer + 1}"]


def order(depth: int) -> list[int]:
    """Layers in the order of a sweep: odd, then even, the visible one among them."""
    return [*range(1, depth + 1, 2), *range(0, depth + 1, 2)]


def unroll(model: Any, v: Any, known: Any, sweeps: int) -> list[tuple[dict[int, Any], list[Any]]]:
    """The recurrent net: for t = 0 ... T the fields of the sweep, by layer, and the means after it."""
    xp = get_xp(v, model.params["b0"])
    means = []
    for layer in range(model.depth + 1):
        unit, own = model.unit(layer)
        field = model.params[f"b{layer}"] + xp.zeros((v.shape[0], 1), dtype=v.dtype)
        means.append(unit.mean(field, **own))
    means[0] = known * v + (1.0 - known) * means[0]
    tape: list[tuple[dict[int, Any], list[Any]]] = [({}, list(means))]
    for _ in range(sweeps):
        fields = {}
        for layer in order(model.depth):
            unit, own = model.unit(layer)
            fields[layer] = model.field(layer, means)
            means[layer] = unit.mean(fields[layer], **own)
            if layer == 0:
                means[0] = known * v + (1.0 - known) * means[0]
        tape.append((fields, list(means)))
    return tape


def score(model: Any, v: Any, known: Any, field: Any) -> Any:
    """J: mean over rows of the sum over missing units of -log Q(v) in the field ``field`` (traceable)."""
    own = model._own("visible")
    log_q = v * field + model.visible.log_base(v, **own) - model.visible.cgf(field, **own)
    return -((1.0 - known) * log_q).sum() / v.shape[0]
