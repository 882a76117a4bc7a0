r"""REINFORCE, the score-function estimator (Williams 1992; Deep Learning, section 20.9.1), with baselines.

    d E_q[f(z)] = E_q[f d log q] = E_q[(f - b) d log q]     for any b that does not see z,

as E_q[d log q] = sum_z d q = 0. Here f = log w = log p(x, z) - log q(z | x), whose mean is the bound; its own
derivative in the parameters of q, -E_q[d log q], is that zero too. The baseline b is all the art:

| baseline | b for draw s of row i |
|---|---|
| None, or a number c | 0, or c |
| "mean" | running mean of the signal, as it was before this batch |
| "input" | c + C(x_i): running mean, and a small net that regresses the signal on centered rows (NVIL) |
| "leave_one_out" | mean of log w over the other k - 1 draws of the same row |

| configurations | weights |
|---|---|
| (x, z_s), z_s ~ q, for log p | 1/(n k) |
| (x, z_s) for log q | (log w_s - b)/(n k), divided by max(1, running deviation) if ``normalize`` |

NVIL (Mnih and Gregor 2014) is ``baseline="input"`` with ``normalize``: the division changes the length of q's
gradient, from batch to batch by a factor that does not see the draws, and nothing else. Running figures are
those before the batch. The first batch is drawn once more to start them: a signal of hundreds of nats with no
baseline, be it of a single step, stays for a thousand steps in the averages by which Adam divides.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import Generator, asarray, get_xp
from minidgm.errors import unknown
from minidgm.objectives.weighted_draws import WeightedDraws

__all__ = ["Reinforce"]

BASELINES = ("mean", "input", "leave_one_out")
RATE = 0.1  # of the running mean and variance


class Reinforce(WeightedDraws):
    """Score-function gradient of the bound, for any latent units.

    Parameters
    ----------
    baseline : {None, "mean", "input", "leave_one_out"} or float
        What is subtracted from the signal.
    k : int
        Draws a row; "leave_one_out" needs at least 2.
    normalize : bool, optional
        Divide q's gradient by max(1, running deviation of the signal). By default for "input" only.
    units : int
        Hidden units of the net of the "input" baseline.
    learning_rate : float
        Of that net.
    weight_decay
        See `Objective`.

    Notes
    -----
    Metrics, before the step: ``loss``, minus the mean of log w, an estimate of minus the bound, nats;
    ``signal``, root mean square of log w - b, nats.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import Generator, SigmoidBeliefNet
    >>> net = SigmoidBeliefNet([4, 2], seed=0)
    >>> objective = Reinforce("leave_one_out", k=2)
    >>> grads, metrics = objective.gradient(net, np.eye(4, dtype="float32"), Generator(0))
    >>> sorted(metrics)
    ['loss', 'signal']
    """

    def __init__(
        self,
        baseline: str | float | None = "input",
        k: int = 1,
        *,
        normalize: bool | None = None,
        units: int = 100,
        learning_rate: float = 0.1,
        weight_decay: float = 0.0,
    ):
        fixed = baseline is None or (isinstance(baseline, Real) and not isinstance(baseline, bool))
        if not fixed and baseline not in BASELINES:
            raise unknown("baseline", baseline, ("None", "a number", *BASELINES))
        super().__init__(k, low=2 if baseline == "leave_one_out" else 1, weight_decay=weight_decay)
        if fixed and baseline is not None:
            real("baseline", baseline, low=-math.inf, positive=True)
        self.baseline, self.units = baseline, count("units", units)
        self.normalize = baseline == "input" if normalize is None else bool(normalize)
        self.learning_rate = real("learning_rate", learning_rate)

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        if self._tracks and "count" not in self._state:
            self._track(model.draw(batch, self.k, rng, self._scratch).log_weights)
        return super().estimate(model, batch, rng, grads)

    def weigh(self, model: Any, batch: Any, log_w: Any) -> tuple[Any, Any, dict[str, Any]]:
        xp, state, dtype = get_xp(log_w), self._state, log_w.dtype
        signal, centered = log_w, None
        if isinstance(self.baseline, Real):
            signal = log_w - float(self.baseline)
        elif self.baseline == "leave_one_out":
            signal = (log_w - log_w.mean(axis=0)) * (self.k / (self.k - 1))
        elif self.baseline is not None:
            if self.baseline == "input":
                self._start_net(batch)
                centered = batch - state["net_x"]
                hidden = xp.tanh(centered @ state["net_U"] + state["net_a"])
                signal = signal - hidden @ state["net_v"]
            signal = signal - state["mean"].astype(dtype)
        scaled = signal
        if self.normalize:
            scaled = signal / xp.sqrt(xp.maximum(state["variance"], 1.0)).astype(dtype)
        if self._tracks:
            self._track(signal)
        if centered is not None:
            self._regress(centered, hidden, scaled)
        metrics = {"loss": -log_w.mean(), "signal": xp.sqrt((signal * signal).mean())}
        return xp.full_like(log_w, 1.0 / self.k), scaled / self.k, metrics

    def _start_net(self, batch: Any) -> None:
        """Make the net's parameters on the first call: C = 0 at the start, rows less their mean there."""
        state, width = self._state, batch.shape[1]
        if "net_U" not in state:
            backend, dtype = self._grads.backend, self._grads.dtype
            U = Generator(0).normal((width, self.units), "float64") / width**0.5
            state["net_x"] = batch.mean(axis=0)
            state["net_U"] = asarray(U, backend, dtype)
            state["net_a"] = get_xp(batch).zeros(self.units, dtype=dtype)
            state["net_v"] = get_xp(batch).zeros(self.units, dtype=dtype)

    @property
    def _tracks(self) -> bool:
        return self.normalize or self.baseline in ("mean", "input")

    def _track(self, signal: Any) -> None:
        """Move the running mean of log w (through what is left of it) and the running variance."""
        state = self._state
        seen = state["count"] = state.get("count", 0) + 1
        rate = max(RATE, 1.0 / seen)
        left = signal.mean()
        spread = ((signal - left) * (signal - left)).mean().astype(self._grads.dtype)
        left = left.astype(self._grads.dtype)
        if self.baseline in ("mean", "input"):
            state["mean"] = rate * left if seen == 1 else state["mean"] + rate * left
        state["variance"] = spread if seen == 1 else state["variance"] + rate * (spread - state["variance"])

    def _regress(self, x: Any, hidden: Any, scaled: Any) -> None:
        """One gradient step of the mean of signal^2 / (2 scale) in the net's parameters.

        C = v.tanh(x U + a) of centered x: dC/dv = t, dC/da = v (1 - t^2), dC/dU = x times that.
        """
        state, dtype = self._state, hidden.dtype
        step = (self.learning_rate / x.shape[0]) * scaled.mean(axis=0).astype(dtype)  # [n]
        back = (step[:, None] * state["net_v"]) * (1.0 - hidden * hidden)
        state["net_v"] = state["net_v"] + step @ hidden
        state["net_a"] = state["net_a"] + back.sum(axis=0)
        state["net_U"] = state["net_U"] + x.T @ back
