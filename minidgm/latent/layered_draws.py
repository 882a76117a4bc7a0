r"""Draws from the recognition net of layers of bits: `minidgm.latent.directed.Draws`, nothing computed twice.

Of k draws for each of n rows, the first layer's field x R_1 + r_1 and the data's part of every product are
the same k times, and each sum over pixels needs no table of pixels but the fields':

    log p(x | h) = h.(x W_1) + x.b_0 - sum softplus(h W_1^T + b_0)
    sum_si w_si (x_i - p_si) h_si^T = sum_i x_i (sum_s w_si h_si)^T - sum_si p_si (w_si h_si)^T

so that a step of k draws takes two products of [k n, n_1] with W_1's size, and three passes over the fields.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import Generator, get_xp
from minidgm.numerics import sigmoid, sigmoid_, softplus_sum
from minidgm.workspace import Workspace


class LayeredDraws:
    """k draws h ~ q(h | x) for every row of x: attributes and methods as in `minidgm.latent.directed.Draws`.

    Row s n + i of every layer's states is draw s of example i. Densities are sums in float64.
    """

    def __init__(self, model: Any, x: Any, k: int, rng: Generator, scratch: Workspace | None = None):
        self.model, self.x, self.k, self.n = model, x, k, x.shape[0]
        self._scratch = scratch or Workspace()
        self._fields: list[Any] = []  # of p(h_(l-1) | h_l), until a gradient turns them into means
        self._of_means = False
        self._climb(rng)
        self._descend()

    def _climb(self, rng: Generator) -> None:
        """Draw layer by layer, and log q."""
        x, p, xp = self.x, self.model.params, get_xp(self.x)
        field = x @ p["R1"] + p["r1"]  # [n, n_1], the same for every draw
        self._q = [sigmoid(field)]
        state = rng.bernoulli(xp.tile(self._q[0], (self.k, 1)))
        log_q = (state.reshape(self.k, *field.shape) * field).sum(axis=2) - softplus_sum(field)
        self.states = [x, state]
        for layer in range(2, self.model.depth + 1):
            field = state @ p[f"R{layer}"] + p[f"r{layer}"]
            mean = xp.empty_like(field)
            state = rng.bernoulli_from_logits(field, mean=mean)
            log_q = log_q + ((state * field).sum(axis=1) - softplus_sum(field)).reshape(log_q.shape)
            self._q.append(mean)
            self.states.append(state)
        self.log_recognition = log_q

    def _descend(self) -> None:
        """log p, whose fields stay."""
        p, xp, states = self.model.params, get_xp(self.x), self.states
        depth = self.model.depth
        bias = p[f"b{depth}"]
        log_p = states[depth] @ bias - softplus_sum(bias[None, :])
        for layer in range(1, depth + 1):
            W, b, h = p[f"W{layer}"], p[f"b{layer - 1}"], states[layer]
            field = self._scratch.array(f"field{layer}", (h.shape[0], W.shape[0]), h)
            xp.matmul(h, W.T, out=field)
            xp.add(field, b, out=field)
            if layer == 1:
                sent = (self._by_draw(h) * (self.x @ W)).sum(axis=2) + self.x @ b
                log_p = log_p + sent.reshape(-1) - softplus_sum(field)
            else:
                log_p = log_p + (states[layer - 1] * field).sum(axis=1) - softplus_sum(field)
            self._fields.append(field)
        self.log_joint = log_p.reshape(self.k, self.n)

    @property
    def z(self) -> Any:
        """The draws, layers side by side, [k, n, n_latent]."""
        return self._by_draw(get_xp(self.x).concatenate(self.states[1:], axis=1))

    def _by_draw(self, h: Any) -> Any:
        return h.reshape(self.k, self.n, h.shape[1])

    @property
    def log_weights(self) -> Any:
        """log w = log p(x, z) - log q(z | x), [k, n]."""
        return self.log_joint - self.log_recognition

    def log_joint_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si weights_si d log p(x_i, z_si)/dtheta for signed weights [k, n]."""
        xp, x, states, depth = get_xp(self.x), self.x, self.states, self.model.depth
        out = self.model.zero_gradient() if out is None else out
        if not self._of_means:
            self._fields = [sigmoid_(field) for field in self._fields]
            self._of_means = True
        for name in out:
            if name.startswith(("R", "r")):
                out[name][...] = 0.0
        w = weights.reshape(-1)
        mean, h = self._fields[0], w[:, None] * states[1]
        by_row = self._by_draw(h).sum(axis=0)
        xp.matmul(mean.T, h, out=out["W1"])
        xp.subtract(x.T @ by_row, out["W1"], out=out["W1"])
        xp.subtract(weights.sum(axis=0) @ x, w @ mean, out=out["b0"])
        for layer in range(2, depth + 1):
            surprise = w[:, None] * (states[layer - 1] - self._fields[layer - 1])
            xp.matmul(surprise.T, states[layer], out=out[f"W{layer}"])
            xp.sum(surprise, axis=0, out=out[f"b{layer - 1}"])
        prior = sigmoid(self.model.params[f"b{depth}"])
        xp.matmul(w, states[depth] - prior, out=out[f"b{depth}"])
        return out

    def log_recognition_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si weights_si d log q(z_si | x_i)/dtheta for signed weights [k, n]."""
        xp, states = get_xp(self.x), self.states
        out = self.model.zero_gradient() if out is None else out
        for name in out:
            if not name.startswith(("R", "r")):
                out[name][...] = 0.0
        w = weights.reshape(-1)[:, None]
        drawn = self._by_draw(w * states[1]).sum(axis=0)
        surprise = drawn - weights.sum(axis=0)[:, None] * self._q[0]
        xp.matmul(self.x.T, surprise, out=out["R1"])
        xp.sum(surprise, axis=0, out=out["r1"])
        for layer in range(2, self.model.depth + 1):
            surprise = w * (states[layer] - self._q[layer - 1])
            xp.matmul(states[layer - 1].T, surprise, out=out[f"R{layer}"])
            xp.sum(surprise, axis=0, out=out[f"r{layer}"])
        return out
