"""Convolutional RBM with probabilistic max pooling (Lee, Grosse, Ranganath and Ng 2009; Deep Learning, 20.6).

    p(v, h) = exp(-E(v, h)) / Z over the h with at most one detector on in each block,

    E(v, h) = -sum_k sum_y h_ky ((v * W)_ky + c_k) - sum_c b_c sum_x v_cx - log_base(v).

| symbol | shape | meaning |
|---|---|---|
| v | [n, n_visible] | images as rows; n_visible = channels * height * width |
| h | [n, n_hidden] | detectors: filter k at place y, p x q neighboring places a block |
| W | [filters, channels, rows, columns] | the filters, the same at every place |
| b | [channels] | visible bias, one a channel |
| c | [filters] | hidden bias, one a filter |
| visible_log_precision | [channels] | only with Gaussian visibles |

(v * W)_ky sees the window of v at y (`minidgm.boltzmann.convolution`). Within a filter, the K = p q detectors
of a block compete: one of them is on, or none, and the *pooling unit* of the block says whether any is. So a
block is a unit with K + 1 states, given v independent of all others:

    p(h_ky = 1 | v) = exp(x_ky) / (1 + sum_y' exp(x_ky')),      x = v * W + c,      y' in the block of y,
    p(pooling unit on | v) = 1 - 1 / (1 + sum_y' exp(x_ky')),
    p(v_cx | h) from the field b_c + (h * W^T)_cx,
    F(v) = -b.v - log_base(v) - sum over blocks of log(1 + sum_y' exp(x_ky')).

It is an RBM whose couplings are tied and whose hidden units are `Pooled`: everything else is the RBM's. With
pool=1 the detectors are Bernoulli units. The derivation, beside this code: docs/models/conv_rbm.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidgm import distributions
from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.convolution import Filters, image, pair
from minidgm.boltzmann.image_model import FILTERS, fitting_size
from minidgm.boltzmann.pooled import Pooled
from minidgm.boltzmann.pooling_layer import PoolingLayer
from minidgm.boltzmann.rbm import RBM
from minidgm.boltzmann.tied import Tied
from minidgm.boltzmann.units import Bernoulli, Unit, from_name
from minidgm.numerics import logsumexp
from minidgm.parameters import Parameters

VISIBLE = ("bernoulli", "spin", "gaussian")
RARE = -4.0  # hidden biases to start from: there are many more detectors than pixels (Hinton 2012, section 8)


class ConvolutionalRBM(PoolingLayer, Tied):
    """Convolutional restricted Boltzmann machine.

    Parameters
    ----------
    filters : int
    filter_size : int or (rows, columns)
    pool : int or (rows, columns)
        Size of the blocks of competing detectors; they must tile the detectors, height - rows + 1 by
        width - columns + 1. With 1 all detectors are independent given v.
    visible : {"bernoulli", "spin", "gaussian"} or Unit
    image_shape : (height, width) or (channels, height, width)
        Rows of data are images flattened in this order; [n, height, width] and [n, channels, height, width]
        are taken as well.
    backend, dtype, seed
        See `minidgm.model.Model`. Filters start at random, hidden biases at -4, so that detectors are rare.

    Raises
    ------
    ValueError
        For blocks that do not tile the detectors; names the filter sizes and image sizes that fit.

    Examples
    --------
    >>> crbm = ConvolutionalRBM(filters=24, filter_size=9, pool=2, image_shape=(28, 28), seed=0)
    >>> crbm.params["W"].shape, crbm.n_visible, crbm.n_hidden, crbm.pooled_shape
    ((24, 1, 9, 9), 784, 9600, (24, 10, 10))
    """

    equations: Mapping[str, str] = {
        "energy": "E(v, h) = -sum_k h_k.(v * W_k) - sum_k c_k sum_y h_ky - sum_c b_c sum_x v_cx",
        "hidden_given_visible": "p(h_ky = 1 | v) = exp(x_ky) / (1 + sum_block exp(x_ky')), x = v * W + c",
        "pooling_given_visible": "p(pool = 1 | v) = 1 - 1 / (1 + sum_block exp(x_ky'))",
        "visible_given_hidden": "p(v_cx = 1 | h) = sigmoid(b_c + (h * W^T)_cx)",
        "free_energy": "F(v) = -b.v - sum_blocks log(1 + sum_block exp(x_ky'))",
        "gradient": "d(-log p(v))/dW = -<v h>_{p(h|v)} + <v h>_{p(v,h)}, summed over places",
    }
    reference = "Lee, Grosse, Ranganath and Ng (2009); Goodfellow, Bengio and Courville (2016), 20.6"

    def __init__(
        self,
        filters: int,
        filter_size: int | tuple[int, int],
        pool: int | tuple[int, int] = 2,
        visible: str | Unit = "bernoulli",
        image_shape: tuple[int, ...] = (28, 28),
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.filters, self.image_shape = count("filters", filters), image(image_shape)
        self.filter_size, self.pool = pair("filter_size", filter_size), pair("pool", pool)
        self.maps = Filters(self.image_shape, self.filters, self.filter_size, self.pool)
        self.n_visible, self.n_hidden, K = self.maps.n_visible, self.maps.n_hidden, self.maps.K
        self.visible, self.hidden = from_name(visible), Bernoulli() if K == 1 else Pooled(K)
        if self.visible.name not in VISIBLE:
            raise ValueError(f"visible={self.visible.name!r}; expected {', '.join(VISIBLE)}")
        channels = self.image_shape[0]
        shapes = {"W": (filters, channels, *self.filter_size), "b": (channels,), "c": (filters,)}
        if self.visible.name == "gaussian":
            shapes["visible_log_precision"] = (channels,)
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        noise = Generator(seed, self.backend).normal(shapes["W"], dtype=self.dtype)
        self.params["W"][...] = 0.01 * noise
        self.params["c"][...] = RARE

    def config(self) -> dict[str, Any]:
        sizes = {"filters": self.filters, "filter_size": list(self.filter_size), "pool": list(self.pool)}
        return {**sizes, "visible": self.visible.name, "image_shape": list(self.image_shape)}

    @property
    def pooled_shape(self) -> tuple[int, int, int]:
        """Shape of the pooling layer as an image: (filters, block rows, block columns)."""
        return self.filters, self.maps.P, self.maps.Q

    # Energy and densities

    def energy(self, v: Any, h: Any) -> Any:
        """E(v, h), [n], from v [n, n_visible] and h [n, n_hidden] (Lee et al. 2009, section 3.1)."""
        xp = get_xp(v, h, self.params["W"])
        base = xp.sum(self.visible.log_base(v, **self._own("visible")), axis=-1)
        return -(v @ self.visible_bias()) - xp.sum(self.hidden_field(v) * h, axis=-1) - base

    def hidden_field(self, v: Any) -> Any:
        """v * W + c, [n, n_hidden]."""
        xp = get_xp(v, self.params["W"], self.params["c"])
        if xp.__name__ == "autograd.numpy":
            return self.maps.detectors(v, self.params["W"]) + self.hidden_bias()
        out = xp.empty((v.shape[0], self.n_hidden), dtype=self.params["W"].dtype)
        out = self.maps.fill_detectors(v, self.params["W"], out)
        return xp.add(out, self.hidden_bias(), out=out)

    def visible_field(self, h: Any) -> Any:
        """h * W^T + b, [n, n_visible]."""
        xp = get_xp(h, self.params["W"], self.params["b"])
        if xp.__name__ == "autograd.numpy":
            return self.maps.images(h, self.params["W"]) + self.visible_bias()
        out = xp.empty((h.shape[0], self.n_visible), dtype=self.params["W"].dtype)
        out = self.maps.fill_images(h, self.params["W"], out)
        return xp.add(out, self.visible_bias(), out=out)

    def hidden_given_visible(self, v: Any) -> Any:
        """p(h | v): in each block one detector of a filter or none; ``.mean``, ``.sample``, ``.log_prob``."""
        return self.hidden.distribution(self.hidden_field(v))

    def visible_given_hidden(self, h: Any) -> Any:
        """p(v | h): a factorial distribution over pixels."""
        return self.visible.distribution(self.visible_field(h), **self._own("visible"))

    def pooling_given_visible(self, v: Any) -> Any:
        """Whether any detector of a block is on: bits [n, filters * P * Q], channel-first images as rows."""
        xp, n, maps = get_xp(v), v.shape[0], self.maps
        blocks = xp.reshape(self.hidden_field(v), (n, maps.P * maps.Q, self.filters, maps.K))
        logits = xp.transpose(logsumexp(blocks, axis=-1), (0, 2, 1))
        return distributions.Bernoulli(xp.reshape(logits, (n, self.filters * maps.P * maps.Q)))

    def free_energy(self, v: Any) -> Any:
        """F(v), [n], nats: each block sums its K + 1 states out."""
        xp = get_xp(v, self.params["W"])
        base = self.visible.log_base(v, **self._own("visible"))
        cgf = self.hidden.cgf(self.hidden_field(v))
        return -(v @ self.visible_bias()) - xp.sum(base, axis=-1) - xp.sum(cgf, axis=-1)

    def hidden_free_energy(self, h: Any) -> Any:
        """-log of the integral of exp(-E(v, h)) over v, [n], nats."""
        xp = get_xp(h, self.params["W"])
        cgf = self.visible.cgf(self.visible_field(h), **self._own("visible"))
        return -(h @ self.hidden_bias()) - xp.sum(cgf, axis=-1)

    def log_partition(self) -> Any:
        """log Z in nats, exact, as for the `RBM`; raises `IntractableError` beyond 2^25 states a side."""
        machine: Any = self
        return RBM.log_partition(machine)

    # Sampling

    def gibbs_step(self, v: Any, h: Any, rng: Generator) -> tuple[Any, Any]:
        """One block Gibbs sweep, h ~ p(h | v), then v ~ p(v | h); leaves p(v, h) invariant, ignores ``h``."""
        h = self.hidden_given_visible(v).sample(rng)
        return self.visible_given_hidden(h).sample(rng), h

    def fill_hidden(self, v: Any, rng: Any = None, draw: Any = None, mean: Any = None) -> None:
        """Write a draw from p(h | v), its mean, or both, into arrays [n, n_hidden]: the hot twin."""
        out = self.maps.fill_detectors(v, self.params["W"], draw if mean is None else mean)
        self.hidden.fill(out, self.hidden_bias(), rng, draw, mean)

    def fill_visible(self, h: Any, rng: Any = None, draw: Any = None, mean: Any = None) -> None:
        """Write a draw from p(v | h), its mean, or both, into arrays [n, n_visible]: the hot twin."""
        out = self.maps.fill_images(h, self.params["W"], draw if mean is None else mean)
        self.visible.fill(out, self.visible_bias(), rng, draw, mean, **self._own("visible"))

    def start(self, n: int, rng: Generator) -> Any:
        """Images [n, n_visible] drawn from the visible biases alone."""
        field = self.xp.zeros((n, 1), dtype=self.dtype) + self.visible_bias()
        return self.visible.sample(field, rng, **self._own("visible"))

    def transform(self, v: Any) -> Any:
        """Probabilities of the pooling units, [n, filters * P * Q]: images of `pooled_shape` as rows."""
        return self.pooling_given_visible(self.check_data(v)).mean

    # Gradients

    def energy_gradient(
        self, v: Any, h: Any, weights: Any = None, out: Any = None, scratch: Any = None
    ) -> Any:
        """sum_i w_i dE(v_i, h_i)/dtheta for any signed weights [n]; into ``out`` (a `Parameters`) if given.

        A parameter that is shared by many places gathers the derivatives of all of them,

            dE/dW_kci = -sum_y h_ky v_c(y+i),      dE/dc_k = -sum_y h_ky,      dE/db_c = -sum_x v_cx.

        h may be a conditional mean: it enters linearly. ``scratch`` [n, n_hidden] is written over.
        """
        xp, maps = get_xp(v, h, weights), self.maps
        out = self.zero_gradient() if out is None else out
        minus_w = -xp.ones(v.shape[0], dtype=v.dtype) if weights is None else -weights
        maps.gradient(v, xp.multiply(minus_w[:, None], h, out=scratch), out["W"])
        channels = (self.image_shape[0], -1)
        out["b"][...] = (minus_w @ v).reshape(channels).sum(axis=1)
        out["c"][...] = (minus_w @ h).reshape(maps.P * maps.Q, self.filters, maps.K).sum(axis=(0, 2))
        for name, value in self.visible.base_gradient(v, -minus_w, **self._own("visible")).items():
            out[f"visible_{name}"][...] = value.reshape(channels).sum(axis=1)
        return out

    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i dF(v_i)/dtheta = sum_i w_i <dE(v_i, h)/dtheta> under p(h | v_i), exact."""
        means = get_xp(v).empty((v.shape[0], self.n_hidden), dtype=v.dtype)
        self.fill_hidden(v, mean=means)
        return self.energy_gradient(v, means, weights, out)

    def hidden_free_energy_gradient(self, h: Any, weights: Any = None, out: Any = None) -> Any:
        """The same for `hidden_free_energy`: sum_i w_i <dE(v, h_i)/dtheta> under p(v | h_i), exact.

        The base measure of Gaussian visibles is quadratic in v: its expectation adds the variance.
        """
        xp, field, own = get_xp(h, weights), self.visible_field(h), self._own("visible")
        weights = xp.ones(h.shape[0], dtype=h.dtype) if weights is None else weights
        out = self.energy_gradient(self.visible.mean(field, **own), h, weights, out)
        for name, value in self.visible.mean_base_gradient(field, weights, **own).items():
            out[f"visible_{name}"][...] = value.reshape(self.image_shape[0], -1).sum(axis=1)
        return out

    def sparsity_gradient(self, means: Any, target: float) -> Any:
        """d/dc of sum_k (q_k - target)^2, [filters], from the hidden means [n, n_hidden] of a batch.

        q_k is the mean of filter k's detectors over places and rows: P / K on average, P the probability of a
        pooling unit. In a block P = S / (1 + S) with S = sum exp(x), so that dP/dc_k = P (1 - P), and

            d/dc_k = 2 (q_k - target) <P (1 - P)> / K.       (Lee et al. 2009 leave the last factor out.)
        """
        maps = self.maps
        P = means.reshape(-1, self.filters, maps.K).sum(axis=2)
        q = P.mean(axis=0) / maps.K
        return 2.0 * (q - target) * (P * (1.0 - P)).mean(axis=0) / maps.K

    # Data

    def initialize(self, X: Any) -> ConvolutionalRBM:
        """Set the visible biases so that W = 0 would give the mean of each channel of ``X``."""
        mean = self.check_data(X, "X").reshape(-1, self.image_shape[0], self.maps.height * self.maps.width)
        own = {name: self.params[f"visible_{name}"] for name in self._own("visible")}
        self.params["b"][...] = self.visible.logit(mean.mean(axis=(0, 2)), **own)
        return self

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> ConvolutionalRBM:
        """A model of a few pixels, pooled, tied and of several channels as ``like`` is."""
        visible = "bernoulli" if like is None else like.visible.name
        pooled = like is None or like.maps.K > 1
        shape: dict[str, Any] = {"image_shape": (1, 3), "filters": 1, "filter_size": (1, 2)}
        if visible == "gaussian":
            shape = {"image_shape": (1, 2), "filters": 2, "filter_size": 1}
        elif like is not None and like.image_shape[0] > 1:
            shape = {"image_shape": (2, 1, 2), "filters": 1, "filter_size": 1}
        return cls(**shape, pool=(1, 2) if pooled else 1, visible=visible, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Image shape from the data, 24 filters of about a third of the image that leave whole blocks."""
        shape = cls._image_shape_of(data, given)
        size = fitting_size(shape, given.get("pool", 2))
        return {"filters": FILTERS, "filter_size": size, **given, "image_shape": list(shape)}
