"""Exact sums of a machine in layers: the units of every second layer are independent given the others.

With x_0 = v, x_1 = h_1, ... and couplings between neighbours only, fixing the layers of one parity leaves
those of the other independent, each unit in its field a_l = b_l + x_{l-1} W_l + x_{l+1} W_{l+1}^T. They sum
out in closed form,

    log sum over the free layers of exp(-E) = sum_kept (x_l.b_l + log_base(x_l)) + sum_free sum cgf(a_l),

so that F(v) enumerates only the odd or only the even hidden layers, and log Z only the layers of one parity
(Salakhutdinov and Hinton 2009; Deep Learning, section 20.4). Tables cost 2^k for k enumerated units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.energy_model import EnergyModel
from minidgm.boltzmann.state_sums import log_sum_states
from minidgm.boltzmann.units import Bernoulli
from minidgm.distributions import Enumerated
from minidgm.errors import IntractableError
from minidgm.numerics import logsumexp

MAX_TABLE_BITS = 12
MAX_SUMMED_BITS = 16
MAX_BITS = 25
ENTRIES = 2**22


class AlternateLayers(EnergyModel):
    """Base of the deep Boltzmann machine: what enumeration gives exactly on small nets."""

    sizes: tuple[int, ...]
    depth: int
    n_hidden: int
    hidden: Bernoulli

    def layers(self, h: Any) -> list[Any]:
        """Views h_1 [n, n_1] ... h_L [n, n_L] of h [n, n_hidden]."""
        return self._split(h, range(1, self.depth + 1))

    def _split(self, x: Any, which: Any) -> list[Any]:
        parts, start = [], 0
        for layer in which:
            parts.append(x[:, start : start + self.sizes[layer]])
            start += self.sizes[layer]
        return parts

    def _own(self, side: str) -> dict[str, Any]:
        """The parameters that belong to the visible units: {"log_precision": ...} or {}."""
        prefix = f"{side}_"
        return {name[len(prefix) :]: value for name, value in self.params.items() if name.startswith(prefix)}

    def unit(self, layer: int) -> tuple[Any, dict[str, Any]]:
        """Unit type of layer ``layer`` and its own parameters."""
        return (self.visible, self._own("visible")) if layer == 0 else (self.hidden, {})

    def field(self, layer: int, states: Any) -> Any:
        """b_l + x_{l-1} W_l + x_{l+1} W_{l+1}^T, [n, n_l], from the layers ``states`` by number."""
        total = self.params[f"b{layer}"]
        if layer > 0:
            total = total + states[layer - 1] @ self.params[f"W{layer}"]
        if layer < self.depth:
            total = total + states[layer + 1] @ self.params[f"W{layer + 1}"].T
        return total

    def alternate_log_mass(self, kept: Mapping[int, Any]) -> Any:
        """log of the sum of exp(-E) over the layers that ``kept`` lacks, [n]; its layers have one parity."""
        total: Any = 0.0
        for layer in range(self.depth + 1):
            unit, own = self.unit(layer)
            if layer in kept:
                x = kept[layer]
                total = total + x @ self.params[f"b{layer}"] + unit.log_base(x, **own).sum(axis=-1)
            else:
                total = total + unit.cgf(self.field(layer, kept), **own).sum(axis=-1)
        return total

    # The posterior

    @property
    def exact_posterior(self) -> bool:
        """Whether p(h | v) is a table over all hidden states (at most 12 hidden units)."""
        return self.n_hidden <= MAX_TABLE_BITS

    @property
    def exact_free_energy(self) -> bool:
        """Whether F(v) is summed exactly (at most 16 units in the odd or in the even hidden layers)."""
        return min(self._hidden_bits(1), self._hidden_bits(0)) <= MAX_SUMMED_BITS

    def _hidden_bits(self, parity: int) -> int:
        return sum(self.sizes[2 - parity :: 2])

    def _hidden_table(self) -> tuple[Any, Any]:
        """Every hidden state [2^n_hidden, n_hidden], and -E without the terms in v [2^n_hidden]."""
        if not self.exact_posterior:
            raise IntractableError(
                f"p(h | v) is a table over 2^{self.n_hidden} hidden states, at most 2^{MAX_TABLE_BITS} are "
                "listed; use mean_field(v) or gibbs_step"
            )
        H = self.hidden.states(self.n_hidden, xp=get_xp(self.params["b1"]), dtype=self.params["b1"].dtype)
        parts = self.layers(H)
        total: Any = 0.0
        for layer, x in enumerate(parts, start=1):
            total = total + x @ self.params[f"b{layer}"]
            if layer > 1:
                total = total + ((parts[layer - 2] @ self.params[f"W{layer}"]) * x).sum(axis=-1)
        return H, total

    def hidden_given_visible(self, v: Any) -> Enumerated:
        """p(h | v), exact: the layers are coupled, so it is a table over all 2^n_hidden states."""
        H, constant = self._hidden_table()
        return Enumerated(H, (v @ self.params["W1"]) @ self.layers(H)[0].T + constant[None, :])

    # Densities

    def free_energy(self, v: Any) -> Any:
        """F(v) = -log sum_h exp(-E(v, h)), [n], nats, exact; enumerates the odd or the even hidden layers.

        Raises
        ------
        IntractableError
            When both have more than 16 units; `elbo` and `variational_free_energy` bound it.
        """
        if not self.exact_free_energy:
            raise IntractableError(
                f"F(v) sums 2^{min(self._hidden_bits(1), self._hidden_bits(0))} states, at most "
                f"2^{MAX_SUMMED_BITS}; variational_free_energy(v) is an upper bound"
            )
        parity = 1 if self._hidden_bits(1) <= self._hidden_bits(0) else 0
        bits, which = self._hidden_bits(parity), range(2 - parity, self.depth + 1, 2)
        per_state = v.shape[0] * (1 if parity else self.sizes[1]) + sum(self.sizes)
        block = max(1, ENTRIES // max(per_state, 1))
        xp = get_xp(v, self.params["b0"])
        parts = []
        for start in range(0, 2**bits, block):
            H = self.hidden.states(bits, start, min(start + block, 2**bits), xp=xp, dtype=v.dtype)
            kept = dict(zip(which, self._split(H, which), strict=True))
            parts.append(logsumexp(self._log_mass_given(v, kept, H.shape[0]), axis=1))
        own = self._own("visible")
        base = v @ self.params["b0"] + self.visible.log_base(v, **own).sum(axis=-1)
        return -base - logsumexp(xp.stack(parts), axis=0)

    def _log_mass_given(self, v: Any, kept: Mapping[int, Any], m: int) -> Any:
        """log sum over the hidden layers that ``kept`` ([m, n_l]) lacks, without v's own terms, [n, m]."""
        constant = self.xp.zeros((1, m), dtype=v.dtype)
        drive = v @ self.params["W1"]
        for layer in range(1, self.depth + 1):
            if layer in kept:
                constant = constant + (kept[layer] @ self.params[f"b{layer}"])[None, :]
            elif layer > 1:
                constant = constant + self.hidden.cgf(self.field(layer, kept)).sum(axis=-1)[None, :]
        if 1 in kept:
            return drive @ kept[1].T + constant
        upper = self.params["b1"] + self.xp.zeros((m, 1), dtype=v.dtype)
        if self.depth > 1:
            upper = upper + kept[2] @ self.params["W2"].T
        return constant + self.hidden.cgf(drive[:, None, :] + upper[None, :, :]).sum(axis=-1)

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the integral of exp(-E(v, h)) over v, [n], nats: the visible units are free given h_1."""
        layers = self.layers(h)
        total = self.visible.cgf(self.field(0, [None, layers[0]]), **self._own("visible")).sum(axis=-1)
        for layer, x in enumerate(layers, start=1):
            total = total + x @ self.params[f"b{layer}"]
            if layer > 1:
                total = total + ((layers[layer - 2] @ self.params[f"W{layer}"]) * x).sum(axis=-1)
        return -total

    @property
    def n_terms(self) -> float:
        """Terms of the sum that is `log_partition`."""
        return 2.0 ** sum(self.sizes[layer] for layer in self._summed())

    def _summed(self) -> range:
        """The parity that `log_partition` enumerates: the one with fewer units, reals excluded."""
        sides = [range(1, self.depth + 1, 2)]
        if isinstance(self.visible, Bernoulli):
            sides.append(range(0, self.depth + 1, 2))
        return min(sides, key=lambda side: sum(self.sizes[layer] for layer in side))

    def log_partition(self) -> Any:
        """log Z in nats, exact, in float64: sums the states of the odd layers, or of the even ones.

        Raises
        ------
        IntractableError
            When both have more than 2^25 states; `minidgm.evaluation.ais` estimates.
        """
        which = self._summed()
        bits = sum(self.sizes[layer] for layer in which)
        if bits > MAX_BITS:
            raise IntractableError(
                f"exact log Z sums 2^{bits} states, more than 2^{MAX_BITS}; "
                "use minidgm.evaluation.ais(model) for an estimate"
            )
        double = self.double()

        def log_mass(X: Any) -> Any:
            return double.alternate_log_mass(dict(zip(which, self._split(X, which), strict=True)))

        return log_sum_states(log_mass, self.hidden, bits, self.xp)

    def log_prob(self, v: Any, log_partition: Any = None) -> Any:
        """log p(v) = -F(v) - log Z, [n], exact, nats; ``log_partition`` saves the enumeration."""
        v = self.check_data(v)
        return -self.free_energy(v) - (self.log_partition() if log_partition is None else log_partition)

    # Gradients

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(v_i)/dtheta = sum_i w_i <dE(v_i, h)/dtheta> under the exact p(h | v_i).

        Couplings within the hidden layers need E[x_{l-1} x_l^T | v], which the table of p(h | v) gives.
        """
        xp = get_xp(v, weights)
        weights = xp.ones(v.shape[0], dtype=v.dtype) if weights is None else weights
        posterior = self.hidden_given_visible(v)
        out = self.energy_gradient(v, posterior.mean, weights, out)
        total = weights @ posterior.probabilities  # [m]
        H = self.layers(posterior.states)
        for layer in range(2, self.depth + 1):
            out[f"W{layer}"][...] = -H[layer - 2].T @ (total[:, None] * H[layer - 1])
        return out

    def hidden_free_energy_gradient(self, h: Any, weights: Any = None, out: Any = None) -> Any:
        """The same for `hidden_free_energy`: sum_i w_i <dE(v, h_i)/dtheta> under p(v | h_i), exact."""
        xp = get_xp(h, weights)
        weights = xp.ones(h.shape[0], dtype=h.dtype) if weights is None else weights
        field, own = self.field(0, [None, self.layers(h)[0]]), self._own("visible")
        out = self.energy_gradient(self.visible.mean(field, **own), h, weights, out)
        for name, value in self.visible.mean_base_gradient(field, weights, **own).items():
            out[f"visible_{name}"][...] = value
        return out

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(v_i, h_i)/dtheta."""
        raise NotImplementedError
