"""Gated RBM: hidden units that code the relation of two images (Memisevic and Hinton 2007, 2010).

    p(x, y, h) = exp(-E) / Z,    E(x, y, h) = -sum_ijk W_ijk x_i y_j h_k - a.x - b.y - c.h

| symbol | shape | meaning |
|---|---|---|
| x, y | [n, n_input], [n, n_output] | two images, such as neighboring frames, in {0, 1} |
| v = [x, y] | [n, n_visible] | a row: both |
| h | [n, n_hidden] | mapping units in {0, 1}: what turns x into y |
| W | [n_input, n_output, n_hidden] | third-order couplings |
| Wx, Wy, Wh | [n_input, F], [n_output, F], [n_hidden, F] | in place of W: W_ijk = sum_f Wx_if Wy_jf Wh_kf |
| a, b, c | [n_input], [n_output], [n_hidden] | biases of x, y, h |

The energy is linear in each of x, y and h: any one layer is factorial given the two others, in the field that
they multiply together, and the hidden units sum out,

    F(x, y) = -a.x - b.y - sum_k softplus(c_k + sum_ij W_ijk x_i y_j).

Two uses. *Conditional*: x is given, and the machine is an RBM of (y, h) whose weights sum_i x_i W_ijk the
input selects, p(y | x) = exp(-F(x, y)) / sum_y' exp(-F(x, y')). *Joint*: a model of pairs p(x, y), sampled by
three-way Gibbs. h of one pair, applied to another x, makes an analogy (`GatedRBM.transfer`). The derivation,
beside this code: docs/models/gated_rbm.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann import gated_exact
from minidgm.boltzmann.energy_model import EnergyModel, same_rows
from minidgm.boltzmann.three_way import Factors, Tensor
from minidgm.boltzmann.units import Bernoulli
from minidgm.errors import DataError
from minidgm.model import N_HIDDEN
from minidgm.numerics import softplus
from minidgm.parameters import Parameters


class GatedRBM(EnergyModel):
    """Third-order Boltzmann machine of pairs of images and mapping units, all bits.

    Parameters
    ----------
    n_input, n_output, n_hidden : int
        Columns of x and of y, mapping units.
    n_factors : int, optional
        Factors F of the couplings; None keeps the whole tensor W.
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> import numpy as np
    >>> model = GatedRBM(2, 2, 2, n_factors=3, dtype="float64", seed=0)
    >>> x, y = np.repeat([[0.0, 1.0]], 4, axis=0), model.output.states(2)
    >>> bool(np.isclose(np.exp(model.conditional_log_prob(x, y)).sum(), 1.0))
    True
    """

    equations: Mapping[str, str] = {
        "energy": "E(x, y, h) = -sum_ijk W_ijk x_i y_j h_k - a.x - b.y - c.h",
        "factored": "W_ijk = sum_f Wx_if Wy_jf Wh_kf",
        "hidden_given_visible": "p(h_k = 1 | x, y) = sigmoid(c_k + sum_ij W_ijk x_i y_j)",
        "output_given": "p(y_j = 1 | x, h) = sigmoid(b_j + sum_ik W_ijk x_i h_k)",
        "input_given": "p(x_i = 1 | y, h) = sigmoid(a_i + sum_jk W_ijk y_j h_k)",
        "conditional_log_prob": "log p(y | x) = -F(x, y) - log sum_y' exp(-F(x, y'))",
    }
    reference = "Memisevic and Hinton (2007, 2010); Deep Learning (2016), 20.8"

    def __init__(
        self,
        n_input: int,
        n_output: int,
        n_hidden: int,
        n_factors: int | None = None,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_input, self.n_output = count("n_input", n_input), count("n_output", n_output)
        self.n_hidden = count("n_hidden", n_hidden)
        self.n_factors = None if n_factors is None else count("n_factors", n_factors)
        self.n_visible = self.n_input + self.n_output
        self.visible = self.output = self.hidden = Bernoulli()
        sizes = self.n_input, self.n_output, self.n_hidden
        self.coupling: Any = Tensor(*sizes) if self.n_factors is None else Factors(*sizes, self.n_factors)
        shapes = {**self.coupling.shapes, "a": (n_input,), "b": (n_output,), "c": (n_hidden,)}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        rng = Generator(seed, self.backend)
        scale = 0.01 if self.n_factors is None else 0.1  # a product of three factors is small
        for name, shape in self.coupling.shapes.items():
            self.params[name][...] = scale * rng.normal(shape, dtype=self.dtype)

    def config(self) -> dict[str, Any]:
        sizes = {"n_input": self.n_input, "n_output": self.n_output, "n_hidden": self.n_hidden}
        return {**sizes, "n_factors": self.n_factors}

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> GatedRBM:
        """An instance of 64 joint states, factored if ``like`` is."""
        factored = like is not None and like.n_factors is not None
        return cls(2, 2, 2, n_factors=3 if factored else None, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Sizes from rows [x | y]; without ``n_input``, both images have half of the columns."""
        width = int(data.train.shape[1])
        n_input = given.get("n_input", width // 2)
        n_output = given.get("n_output", width - n_input)
        if n_input + n_output != width or not 0 < n_input < width:
            raise DataError(
                f"n_input={n_input} and n_output={n_output} do not make up the {width} columns of {data.name}"
            )
        if width % 2 and "n_input" not in given and "n_output" not in given:
            raise DataError(f"rows of {data.name} have {width} columns, which are no two halves; set n_input")
        return {"n_hidden": N_HIDDEN, **given, "n_input": n_input, "n_output": n_output}

    # Energy and densities

    def split(self, v: Any) -> tuple[Any, Any]:
        """x [n, n_input] and y [n, n_output] of rows v = [x | y]."""
        return v[:, : self.n_input], v[:, self.n_input :]

    def join(self, x: Any, y: Any) -> Any:
        """Rows [x | y] of checked pairs, [n, n_visible]."""
        x, y = self.check_matrix(x, self.n_input, "x"), self.check_matrix(y, self.n_output, "y")
        if x.shape[0] != y.shape[0]:
            raise DataError(f"x has {x.shape[0]} rows and y {y.shape[0]}; expected pairs")
        return self.check_data(self.xp.concatenate([x, y], axis=1), "[x | y]")

    def energy(self, v: Any, h: Any) -> Any:
        """E(x, y, h), [n], from rows [x | y] [n, n_visible] and h [n, n_hidden]."""
        x, y = self.split(v)
        xp = get_xp(v, h, self.params["c"])
        return -(x @ self.params["a"]) - y @ self.params["b"] - xp.sum(self.hidden_field(v) * h, axis=-1)

    def hidden_field(self, v: Any) -> Any:
        """c_k + sum_ij W_ijk x_i y_j, [n, n_hidden]."""
        return self.coupling.toward_h(self.params, *self.split(v)) + self.params["c"]

    def output_field(self, x: Any, h: Any) -> Any:
        """b_j + sum_ik W_ijk x_i h_k, [n, n_output]."""
        return self.coupling.toward_y(self.params, x, h) + self.params["b"]

    def input_field(self, y: Any, h: Any) -> Any:
        """a_i + sum_jk W_ijk y_j h_k, [n, n_input]."""
        return self.coupling.toward_x(self.params, y, h) + self.params["a"]

    def hidden_given_visible(self, v: Any) -> Any:
        """p(h | x, y) of rows [x | y]: a factorial distribution."""
        return self.hidden.distribution(self.hidden_field(v))

    def output_given(self, x: Any, h: Any) -> Any:
        """p(y | x, h): a factorial distribution."""
        return self.output.distribution(self.output_field(x, h))

    def input_given(self, y: Any, h: Any) -> Any:
        """p(x | y, h): a factorial distribution."""
        return self.output.distribution(self.input_field(y, h))

    def free_energy(self, v: Any) -> Any:
        """F(x, y) = -a.x - b.y - sum_k softplus of the hidden field, [n], nats, of rows [x | y]."""
        x, y = self.split(v)
        xp = get_xp(v, self.params["c"])
        linear = x @ self.params["a"] + y @ self.params["b"]
        return -linear - xp.sum(softplus(self.hidden_field(v)), axis=-1)

    @property
    def n_terms(self) -> float:
        """Terms of the sum that is `log_partition`: states of the two smaller layers."""
        sizes = self.n_input, self.n_output, self.n_hidden
        return 2.0 ** (sum(sizes) - max(sizes))

    def log_partition(self) -> Any:
        """log Z of the joint model in nats, exact; see `minidgm.boltzmann.gated_exact.log_partition`."""
        return gated_exact.log_partition(self)

    def log_prob(self, v: Any, log_partition: Any = None) -> Any:
        """log p(x, y) of rows [x | y], [n], exact, nats; ``log_partition`` saves the enumeration."""
        v = self.check_data(v)
        return -self.free_energy(v) - (self.log_partition() if log_partition is None else log_partition)

    def conditional_log_prob(self, x: Any, y: Any) -> Any:
        """log p(y | x), [n], exact, nats, by enumeration of the smaller of y and h (at most 2^20 states).

        Raises
        ------
        IntractableError
            Beyond that; free energies of outputs for one x can still be compared.
        """
        v = self.join(x, y)
        x, _ = self.split(v)
        return -self.free_energy(v) - x @ self.params["a"] - gated_exact.conditional_log_partition(self, x)

    # Use

    def transform(self, x: Any, y: Any = None) -> Any:
        """E[h | x, y], [n, n_hidden]: the code of what turns x into y; from rows [x | y] or from pairs."""
        return self.hidden_given_visible(self.check_data(x) if y is None else self.join(x, y)).mean

    def transfer(self, x: Any, y: Any, x_new: Any) -> Any:
        """Apply what turns x into y to other inputs: E[y | x_new, E[h | x, y]], [n, n_output], in [0, 1]."""
        h = self.transform(x, y)
        x_new = self.check_matrix(x_new, self.n_input, "x_new")
        self.output.check(x_new, "x_new")
        same_rows(x_new, h.shape[0])
        return self.output_given(x_new, h).mean

    def reconstruct(self, v: Any, rng: Generator | None = None) -> Any:
        """Rows [x | E[y | x, E[h | x, y]]], or at a draw of h if ``rng`` is given: y through its code."""
        v = self.check_data(v)
        x, hidden = self.split(v)[0], self.hidden_given_visible(v)
        y = self.output_given(x, hidden.mean if rng is None else hidden.sample(rng)).mean
        return self.xp.concatenate([x, y], axis=1)

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """Three-way sweep: h ~ p(h | x, y), x ~ p(x | y, h), y ~ p(y | x, h); leaves p(x, y, h) invariant."""
        h = self.hidden_given_visible(v).sample(rng)
        x = self.input_given(self.split(v)[1], h).sample(rng)
        y = self.output_given(x, h).sample(rng)
        return get_xp(x).concatenate([x, y], axis=1), h

    def conditional_gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """h ~ p(h | x, y), y ~ p(y | x, h): leaves p(y, h | x) invariant at every x; ignores ``h``."""
        h = self.hidden_given_visible(v).sample(rng)
        x = self.split(v)[0]
        return get_xp(x).concatenate([x, self.output_given(x, h).sample(rng)], axis=1), h

    def sample(
        self, n: int, rng: Generator | int | None = None, steps: int = 1000, init: Any = None, x: Any = None
    ) -> Any:
        """Draw rows [x | y], [n, n_visible]; with ``x`` [n, n_input] held fixed, from p(y | x)."""
        rng, xp = self.generator(rng), self.xp
        bias = xp.concatenate([self.params["a"], self.params["b"]])
        field = xp.zeros((count("n", n), 1), dtype=self.dtype) + bias
        v = self.visible.sample(field, rng) if init is None else self.check_data(init, "init")
        same_rows(v, n)
        step, h = self.gibbs_step, None
        if x is not None:
            v = self.join(x, self.split(v)[1])
            same_rows(v, n)
            step = self.conditional_gibbs_step
        for _ in range(count("steps", steps, 0)):
            v, h = step(v, h, rng)
        return v

    def path_from_base(self, base: Any) -> Any:
        """Annealing from independent bits with biases ``base`` [n_visible], hidden units summed out."""
        from minidgm.evaluation.summed import summed_path

        columns = {"a": slice(0, self.n_input), "b": slice(self.n_input, self.n_visible)}
        return summed_path(self, base, self.visible, columns)

    def path_to(self, other: Any) -> Any:
        """Annealing from this machine to another of its structure, hidden units summed out."""
        from minidgm.evaluation.summed import path_between

        return path_between(self, other)

    def default_objective(self) -> Any:
        """Contrastive divergence of y given x: the conditional model."""
        from minidgm.objectives import OutputContrastiveDivergence

        return OutputContrastiveDivergence()

    # Gradients

    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dE(x_i, y_i, h_i)/dtheta for any signed weights [n]; h may be a conditional mean.

        E is linear in W, a, b, c: dE/dW_ijk = -x_i y_j h_k. With factors, E = -sum_f (x Wx)_f (y Wy)_f (h
        Wh)_f and dE/dWx_if = -x_i (y Wy)_f (h Wh)_f, likewise for Wy and Wh.
        """
        x, y = self.split(v)
        xp = get_xp(v, h, weights)
        out = self.zero_gradient() if out is None else out
        minus_w = -xp.ones(v.shape[0], dtype=v.dtype) if weights is None else -weights
        self.coupling.add_gradient(self.params, x, y, h, minus_w, out)
        out["a"][...], out["b"][...], out["c"][...] = minus_w @ x, minus_w @ y, minus_w @ h
        return out

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(x_i, y_i)/dtheta: the energy's gradient at the hidden means (they enter linearly)."""
        return self.energy_gradient(v, self.hidden_given_visible(v).mean, weights, out)

    def tensor(self) -> Any:
        """W_ijk, [n_input, n_output, n_hidden]: the parameter, or what the factors compose."""
        return self.coupling.tensor(self.params)

    def unfactored(self) -> GatedRBM:
        """The same distribution with the tensor written out."""
        sizes = self.n_input, self.n_output, self.n_hidden
        twin = GatedRBM(*sizes, backend=self.backend, dtype=self.dtype, seed=self.seed)
        return twin.with_params({"W": self.tensor(), **{name: self.params[name] for name in "abc"}})
