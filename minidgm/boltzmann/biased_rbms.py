"""RBMs that share their couplings and differ in their biases, one a row: what a model of sequences needs.

A conditional RBM and an RNN-RBM say how the past moves the biases of the present. Given these, row i is

    p(v_i | past) = exp(-F_i(v_i)) / Z_i,      E_i(v, h) = -b_i.v - c_i.h - v^T W h - log_base(v),

an RBM of its own, with its own partition function.

| symbol | shape | meaning |
|---|---|---|
| v, h | [n, n_visible], [n, n_hidden] | states, one of each RBM |
| W | [n_visible, n_hidden] | couplings, shared |
| b, c | [n, n_visible], [n, n_hidden] | biases of row i; [n_visible], [n_hidden] where all rows share them |

Since dE_i/db_i = -v_i and dE_i/dc_i = -h_i, an estimator weighs configurations as everywhere else, and hands
its gradient in the biases of every row to the model, which carries it back into the past (the chain rule).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from minidgm.backend import get_xp
from minidgm.boltzmann.rbm import MAX_STATES
from minidgm.boltzmann.units import Unit
from minidgm.errors import IntractableError
from minidgm.numerics import logsumexp

VALUES = 2**22  # largest intermediate array of an enumeration
MAX_ENUMERATED = 2**16


class RowGradient(NamedTuple):
    """Gradient in W, in the biases of every row, and in the visible units' own parameters."""

    W: Any
    b: Any
    c: Any
    own: dict[str, Any]


class BiasedRBMs:
    """``n`` RBMs with shared W.

    Parameters
    ----------
    W : array [n_visible, n_hidden]
    b, c : array [n, n_visible] or [n_visible], [n, n_hidden] or [n_hidden]
    visible, hidden : Unit
    own : mapping, optional
        The visible units' own parameters, such as ``log_precision``.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm.boltzmann.units import Bernoulli
    >>> rows = BiasedRBMs(np.zeros((2, 3)), np.zeros((4, 2)), np.zeros((4, 3)), Bernoulli(), Bernoulli())
    >>> (rows.log_partition() / np.log(2.0)).round(9).tolist()
    [5.0, 5.0, 5.0, 5.0]
    """

    def __init__(
        self, W: Any, b: Any, c: Any, visible: Unit, hidden: Unit, own: Mapping[str, Any] | None = None
    ):
        self.W, self.b, self.c = W, b, c
        self.visible, self.hidden, self.own = visible, hidden, dict(own or {})

    def take(self, rows: slice) -> BiasedRBMs:
        """The RBMs of some rows."""
        b, c = (x if x.ndim == 1 else x[rows] for x in (self.b, self.c))
        return BiasedRBMs(self.W, b, c, self.visible, self.hidden, self.own)

    def energy(self, v: Any, h: Any) -> Any:
        """E_i(v_i, h_i), [n]."""
        xp = get_xp(v, h, self.W)
        linear = xp.sum(v * self.b, axis=-1) + xp.sum(h * (v @ self.W + self.c), axis=-1)
        return -linear - xp.sum(self.visible.log_base(v, **self.own), axis=-1)

    def hidden_field(self, v: Any) -> Any:
        """v W + c, [n, n_hidden]."""
        return v @ self.W + self.c

    def visible_field(self, h: Any) -> Any:
        """h W^T + b, [n, n_visible]."""
        return h @ self.W.T + self.b

    def hidden_given_visible(self, v: Any) -> Any:
        """p(h_i | v_i): a factorial distribution."""
        return self.hidden.distribution(self.hidden_field(v))

    def visible_given_hidden(self, h: Any) -> Any:
        """p(v_i | h_i): a factorial distribution."""
        return self.visible.distribution(self.visible_field(h), **self.own)

    def free_energy(self, v: Any) -> Any:
        """F_i(v_i) = -b_i.v_i - log_base(v_i) - sum_j cgf((v_i W + c_i)_j), [n], nats."""
        xp = get_xp(v, self.W)
        cgf = xp.sum(self.hidden.cgf(self.hidden_field(v)), axis=-1)
        base = xp.sum(self.visible.log_base(v, **self.own), axis=-1)
        return -xp.sum(v * self.b, axis=-1) - base - cgf

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the sum (or integral) of exp(-E_i(v, h_i)) over v, [n], nats."""
        xp = get_xp(h, self.W)
        cgf = self.visible.cgf(self.visible_field(h), **self.own)
        return -xp.sum(h * self.c, axis=-1) - xp.sum(cgf, axis=-1)

    def log_partition(self) -> Any:
        """log Z_i, [n], exact, nats: the side with fewer states is enumerated for every row.

        Raises
        ------
        IntractableError
            When neither side has at most 2^25 states.
        """
        xp = get_xp(self.W, self.b, self.c)
        n_v, n_h = self.W.shape
        hidden_states, visible_states = self.hidden.n_states(n_h), self.visible.n_states(n_v)
        total = min(hidden_states, visible_states)
        if total > MAX_STATES:
            raise IntractableError(
                f"exact log Z sums {total:.3g} states for every row, more than 2^25; "
                "use minidgm.evaluation.frame_log_likelihood for an estimate"
            )
        by_hidden = hidden_states <= visible_states
        unit, n, m = (self.hidden, n_h, n_v) if by_hidden else (self.visible, n_v, n_h)
        own, other = (self.c, self.b) if by_hidden else (self.b, self.c)
        rows = max([x.shape[0] for x in (own, other) if x.ndim == 2], default=1)
        step = max(1, VALUES // (rows * m))
        blocks = []
        for start in range(0, int(total), step):
            stop = min(start + step, int(total))
            states = unit.states(n, start, stop, xp=None if xp.__name__ == "autograd.numpy" else xp)
            send = states @ (self.W.T if by_hidden else self.W)
            field = xp.expand_dims(other, -2) + send  # [n, states, m]
            cgf = self.visible.cgf(field, **self.own) if by_hidden else self.hidden.cgf(field)
            blocks.append(logsumexp(own @ states.T + xp.sum(cgf, axis=-1), axis=-1))
        return logsumexp(xp.stack(blocks), axis=0)

    def log_prob(self, v: Any) -> Any:
        """log p(v_i | past) = -F_i(v_i) - log Z_i, [n], exact, nats."""
        return -self.free_energy(v) - self.log_partition()

    def pseudo_log_likelihood(self, v: Any) -> Any:
        """sum_j log p(v_ij | the other units of row i, past), [n], exact, nats (Besag 1975)."""
        xp = get_xp(v, self.W)
        field = self.hidden_field(v)
        here = self.hidden.cgf(field).sum(axis=-1)
        b = self.b + xp.zeros_like(v)
        total = xp.zeros_like(here)
        for i in range(v.shape[1] // self.visible.k):
            columns = slice(i * self.visible.k, (i + 1) * self.visible.k)
            changes = [other[:, columns] - v[:, columns] for other in self.visible.alternatives(v, i)]
            gains = [
                (change * b[:, columns]).sum(axis=-1)
                + self.hidden.cgf(field + change @ self.W[columns]).sum(axis=-1)
                - here
                for change in changes
            ]
            total = total - logsumexp(xp.stack([xp.zeros_like(here), *gains]), axis=0)
        return total

    def gibbs(self, v: Any, rng: Any, k: int = 1) -> Any:
        """``k`` sweeps h ~ p(h | v), v ~ p(v | h) from v [n, n_visible], which stays; returns the last v."""
        xp = get_xp(v)
        h, v = xp.empty((v.shape[0], self.W.shape[1]), dtype=v.dtype), v.copy()
        for _ in range(k):
            xp.matmul(v, self.W, out=h)
            xp.add(h, self.c, out=h)
            self.hidden.sample(h, rng, out=h)
            xp.matmul(h, self.W.T, out=v)
            xp.add(v, self.b, out=v)
            self.visible.sample(v, rng, out=v, **self.own)
        return v

    def gradient(self, v: Any, h: Any, weights: Any) -> RowGradient:
        """sum_i w_i dE_i(v_i, h_i) in W, and w_i dE_i in b_i and c_i; h may be a conditional mean.

        dE/dW = -v h^T is summed over rows; dE_i/db_i = -v_i and dE_i/dc_i = -h_i stay rows.
        """
        minus = -weights[:, None]
        dc = minus * h
        own = self.visible.base_gradient(v, weights, **self.own)
        return RowGradient(v.T @ dc, minus * v, dc, own)

    def expected_gradient(self, weights: Any) -> RowGradient:
        """sum_i w_i <dE_i> under p(v, h) of RBM i, exact: the hidden states h are enumerated.

        With p_is = p(h_s) of RBM i and m_is = E[v | h_s], the averages are <h> = sum_s p_is h_s,
        <v> = sum_s p_is m_is and sum_i w_i <v h^T> = sum_s (sum_i w_i p_is m_is) h_s^T.
        """
        xp, n_h = get_xp(weights, self.W), self.W.shape[1]
        if self.hidden.n_states(n_h) > MAX_ENUMERATED:
            raise IntractableError(
                f"the exact gradient sums 2^{n_h} hidden states for every row, more than 2^16; "
                "use ConditionalContrastiveDivergence"
            )
        states = self.hidden.states(n_h, xp=xp, dtype=weights.dtype)  # [s, n_hidden]
        n, m = weights.shape[0], states.shape[0]
        field = xp.expand_dims(self.b, -2) + states @ self.W.T + xp.zeros((n, 1, 1), dtype=weights.dtype)
        log_p = self.c @ states.T + self.visible.cgf(field, **self.own).sum(axis=-1)
        p = xp.exp(log_p - logsumexp(log_p, axis=-1, keepdims=True)) * weights[:, None]  # [n, s]
        field = field.reshape(n * m, -1)
        v = p[:, :, None] * self.visible.mean(field, **self.own).reshape(n, m, -1)  # [n, s, n_visible]
        own = self.visible.mean_base_gradient(field, p.reshape(-1), **self.own)
        return RowGradient(-v.sum(axis=0).T @ states, -v.sum(axis=1), -(p @ states), own)
