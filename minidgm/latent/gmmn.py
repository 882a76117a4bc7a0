r"""Generative moment matching network (Li, Swersky & Zemel 2015): uniform noise, a rectifier net, MMD.

    z ~ Uniform[-1, 1]^n_latent,    x = g(z) = out(relu(... relu(z W_0 + b_0) ...) W_L + b_L)
    loss  =  MMD(x, data)  =  |1/m sum_i phi(g(z_i)) - 1/n sum_j phi(y_j)|,    k = <phi, phi>

| symbol | shape | meaning |
|---|---|---|
| z | [n, n_latent] | noise |
| x | [n, n_visible] | rows; in [0, 1] where out is the sigmoid |
| generator/2l/W, /b | [n_l, n_(l+1)], [n_(l+1)] | layer l of the net |

One loss, no critic and no recognition net: whatever moments the kernel sees are matched, each step on fresh
noise and a batch of data. A batch must be large (1000 in the paper): pairs of samples are all there is.

In the space of an autoencoder's codes the task is easier, for codes have fewer dimensions and are spread more
evenly: the network learns to draw codes, and the decoder makes rows of them (`CodeGMMN`; section 4 of the
paper).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.errors import DataError, unknown
from minidgm.latent.generator import DifferentiableGenerator

__all__ = ["GMMN", "CodeGMMN"]

OUTPUTS = ("linear", "sigmoid")
ROWS = 1000


class GMMN(DifferentiableGenerator):
    """Generative moment matching network.

    Parameters
    ----------
    n_visible, n_latent : int
    hidden : sequence of int
        Rectified units of each layer; the paper has (64, 256, 256, 1024) for MNIST.
    output : {"linear", "sigmoid"}
        ``"sigmoid"`` for rows in [0, 1].
    prior : {"uniform", "normal"}
    backend, dtype, seed
        See `minidgm.model.Model`.

    Examples
    --------
    >>> gmmn = GMMN(4, n_latent=2, hidden=(8,), output="sigmoid", seed=0)
    >>> print(gmmn.net)
    layer                         shape  parameters
                                  [2]
    0  Dense(n_out=8, init='he')  [8]            24
    1  Relu()                     [8]             0
    2  Dense(n_out=4)             [4]            36
    3  Sigmoid()                  [4]             0
                                                 60
    >>> x = gmmn.sample(5, rng=0)
    >>> x.shape, bool((x > 0).all() and (x < 1).all())
    ((5, 4), True)
    """

    equations: Mapping[str, str] = {
        "sample": "z ~ Uniform[-1, 1], x = g(z)",
        "loss": "MMD^2 = E k(x, x') - 2 E k(x, y) + E k(y, y')",
        "gradient": "dL/dtheta = sum_i (dg(z_i)/dtheta)^T dL/dx_i",
    }
    reference = "Li, Swersky and Zemel (2015), Generative moment matching networks"

    def __init__(
        self,
        n_visible: int,
        n_latent: int = 10,
        hidden: Sequence[int] = (64, 64),
        output: str = "linear",
        prior: str = "uniform",
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        if output not in OUTPUTS:
            raise unknown("output", output, OUTPUTS)
        self.widths, self.output = [count("hidden", n) for n in hidden], output
        layers: list[Any] = []
        for n in self.widths:
            layers += [("dense", n, True, "he"), "relu"]
        layers += [("dense", count("n_visible", n_visible))] + (["sigmoid"] if output == "sigmoid" else [])
        super().__init__(n_visible, n_latent, layers, prior, backend=backend, dtype=dtype, seed=seed)

    def config(self) -> dict[str, Any]:
        return {
            "n_visible": self.n_visible,
            "n_latent": self.n_latent,
            "hidden": self.widths,
            "output": self.output,
            "prior": self.prior,
        }

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> GMMN:
        """Two columns, three hidden units."""
        return cls(2, 2, (3,), **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """A sigmoid output where all training rows lie in [0, 1]."""
        found = super().arguments_for(data, given)
        inside = float(data.train.min()) >= 0.0 and float(data.train.max()) <= 1.0
        return {**({"output": "sigmoid"} if inside else {}), **found}

    def default_objective(self) -> Any:
        from minidgm.objectives import MaximumMeanDiscrepancy

        return MaximumMeanDiscrepancy(root=True)


class CodeGMMN:
    """A generator of codes, between an encoder that makes them and a decoder that reads them.

    The pieces stay what they are: save ``generator`` and the autoencoder each by itself.

    Parameters
    ----------
    generator : DifferentiableGenerator
        Of rows as wide as the codes; its output must be able to reach them.
    encode, decode : callable
        ``encode(x)`` [n, d] -> codes [n, n_code], ``decode(codes)`` back, on the generator's backend.

    Raises
    ------
    TypeError
        For what is not a generator, or cannot be called.

    Examples
    --------
    >>> import numpy as np
    >>> codes = CodeGMMN(GMMN(1, 1, (4,), seed=0), lambda x: x[:, :1], lambda z: np.repeat(z, 3, axis=1))
    >>> codes.sample(2, rng=0).shape
    (2, 3)
    """

    def __init__(
        self,
        generator: DifferentiableGenerator,
        encode: Callable[[Any], Any],
        decode: Callable[[Any], Any],
    ):
        if not isinstance(generator, DifferentiableGenerator):
            raise TypeError(f"generator={generator!r}; expected a DifferentiableGenerator such as GMMN")
        for name, function in (("encode", encode), ("decode", decode)):
            if not callable(function):
                raise TypeError(f"{name}={function!r}; expected a function of rows")
        self.generator, self.encode, self.decode = generator, encode, decode

    def codes(self, X: Any) -> Any:
        """encode(X), a thousand rows at a time; raises `DataError` where the codes do not fit."""
        if not X.shape[0]:
            raise DataError(f"X has no rows: its shape is {tuple(X.shape)}")
        parts = [self.encode(X[i : i + ROWS]) for i in range(0, X.shape[0], ROWS)]
        return self.generator.check_data(get_xp(*parts).concatenate(parts), "encode(X)")

    def fit(self, X: Any, **options: Any) -> Any:
        """Train the generator on the codes of ``X``; arguments and result are those of `training.fit`."""
        return self.generator.fit(self.codes(X), **options)

    def sample(self, n: int, rng: Generator | int | None = None) -> Any:
        """Draw codes and decode them, [n, d]."""
        return self.decode(self.generator.sample(n, rng))
