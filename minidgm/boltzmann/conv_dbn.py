"""Convolutional deep belief network: convolutional RBMs stacked on their pooling layers (Lee et al. 2009).

    p(v, p_1, ..., p_(L-1)) = p_L(p_(L-1)) prod_{l=1}^{L-1} p_l(p_(l-1) | p_l),      p_0 = v

Layer l is a `ConvolutionalRBM` p_l(v, h). Its pooling units, one a block and filter, on if any detector of
the block is, are the pixels of layer l + 1, filters becoming channels; the image shrinks from layer to layer.

| symbol | shape | meaning |
|---|---|---|
| v | [n, n_visible] | images as rows |
| p_l | [n, filters_l * P_l * Q_l] | pooling units of layer l: images of ``shapes[l]`` as rows |
| W_l | [filters_l, filters_(l-1), rows_l, columns_l] | filters of layer l; ``W1`` ... in ``params`` |
| b_l, c_l | [filters_(l-1)], [filters_l] | visible and hidden biases of layer l |

**Upward**, features are probabilities given probabilities, q(p_l | p_(l-1)), one pass. **Downward**, the top
RBM is a Markov chain and each layer below draws p_l(p_(l-1) | p_l) from its own joint distribution with the
pooling units held: detectors of a block that is on compete for it, those of others are off. That
conditional has no closed form, so `sample` runs a short Gibbs chain in each layer too: its draws are
approximate while both numbers of sweeps are finite, and exact in the limit. On tiny networks `log_prob` sums

    p(v) = sum_h p_1(v | h) p_1(h | pool(h)) p(p_1 = pool(h))      over the detectors h of layer 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.conv_rbm import ConvolutionalRBM
from minidgm.boltzmann.convolution import image
from minidgm.boltzmann.energy_model import same_rows
from minidgm.boltzmann.image_model import FILTERS, ImageModel, fitting_size
from minidgm.boltzmann.layerwise import train_layers
from minidgm.boltzmann.units import Unit
from minidgm.errors import IntractableError
from minidgm.numerics import logsumexp
from minidgm.parameters import Parameters

MAX_STATES = 2**16
ROWS = 1024
ARGUMENTS = ("filters", "filter_size", "pool")


class ConvolutionalDBN(ImageModel):
    """Stack of convolutional RBMs.

    Parameters
    ----------
    layers : sequence of mappings
        Of each layer ``filters``, ``filter_size`` and ``pool``, as for `ConvolutionalRBM`.
    visible : {"bernoulli", "spin", "gaussian"}
    image_shape : (height, width) or (channels, height, width)
    backend, dtype, seed
        See `minidgm.model.Model`.

    Raises
    ------
    ValueError
        When a layer does not fit on the pooling layer below; says which and what fits.

    Examples
    --------
    >>> layers = [{"filters": 24, "filter_size": 9, "pool": 2}, {"filters": 40, "filter_size": 5, "pool": 2}]
    >>> network = ConvolutionalDBN(layers, image_shape=(28, 28), seed=0)
    >>> network.shapes
    [(1, 28, 28), (24, 10, 10), (40, 3, 3)]
    """

    equations: Mapping[str, str] = {
        "joint": "p(v, p_1, ..., p_(L-1)) = p_L(p_(L-1)) prod_l p_l(p_(l-1) | p_l)",
        "features": "q(p_l = 1 | p_(l-1)) = 1 - 1 / (1 + sum_block exp(x)), x = p_(l-1) * W_l + c_l",
    }
    reference = "Lee, Grosse, Ranganath and Ng (2009); Goodfellow, Bengio and Courville (2016), 20.6"

    def __init__(
        self,
        layers: Sequence[Mapping[str, Any]],
        visible: str | Unit = "bernoulli",
        image_shape: tuple[int, ...] = (28, 28),
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int | None = None,
    ):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.image_shape = image(image_shape)
        self.shapes: list[tuple[int, int, int]] = [self.image_shape]
        self._shells: list[ConvolutionalRBM] = []
        noise = Generator(seed).integers(0, 2**31 - 1, (max(1, len(layers)),))
        for number, layer in enumerate(layers, start=1):
            if not isinstance(layer, Mapping) or not set(ARGUMENTS[:2]) <= set(layer) <= set(ARGUMENTS):
                raise ValueError(f"layer {number} is {layer!r}; expected a mapping of {', '.join(ARGUMENTS)}")
            options: dict[str, Any] = {"image_shape": self.shapes[-1], "backend": backend, "dtype": dtype}
            options |= {"visible": visible if number == 1 else "bernoulli", "seed": int(noise[number - 1])}
            try:
                rbm = ConvolutionalRBM(**layer, **options)
            except ValueError as error:
                raise ValueError(f"layer {number}, on images of {self.shapes[-1]}: {error}") from None
            self._shells.append(rbm)
            self.shapes.append(rbm.pooled_shape)
        if not self._shells:
            raise ValueError("layers is empty; expected at least one layer")
        self.n_visible, self.visible = self._shells[0].n_visible, self._shells[0].visible
        shapes: dict[str, tuple[int, ...]] = {}
        for number, rbm in enumerate(self._shells, start=1):
            shapes |= {f"{name}{number}": tuple(value.shape) for name, value in rbm.params.items()}
        self.params = Parameters(shapes, backend=self.backend, dtype=self.dtype)
        for number, rbm in enumerate(self._shells, start=1):
            self.place(number, rbm)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self._shells)

    def config(self) -> dict[str, Any]:
        layers = [{name: rbm.config()[name] for name in ARGUMENTS} for rbm in self._shells]
        return {"layers": layers, "visible": self.visible.name, "image_shape": list(self.image_shape)}

    def rbm(self, layer: int) -> ConvolutionalRBM:
        """The RBM of layer 1 ... depth; it shares the arrays of this model."""
        shell = self._shells[count("layer", layer) - 1]
        twin: ConvolutionalRBM = shell.with_params({n: self.params[f"{n}{layer}"] for n in shell.params})
        return twin

    def place(self, layer: int, rbm: ConvolutionalRBM) -> None:
        """Copy the parameters of an RBM in as those of a layer."""
        for name, value in rbm.params.items():
            self.params[f"{name}{layer}"] = value

    # Upward

    def features(self, v: Any) -> list[Any]:
        """Probabilities of the pooling units of each layer, [n, d_l]: images of ``shapes[l]`` as rows."""
        v = self.check_data(v)
        layers = []
        for layer in range(1, self.depth + 1):
            v = self._ascend(layer, v)
            layers.append(v)
        return layers

    def transform(self, v: Any) -> Any:
        """Features of all layers side by side, [n, d_1 + ... + d_L] (as in Lee et al. 2009, section 4.2)."""
        features = self.features(v)
        return get_xp(*features).concatenate(features, axis=1)

    def _ascend(self, layer: int, v: Any, rng: Generator | None = None) -> Any:
        """Pooling probabilities of a layer for rows of its pixels, or draws with ``rng``; in blocks."""
        rbm, xp = self.rbm(layer), get_xp(v)
        parts = [rbm.pooling_given_visible(v[i : i + ROWS]) for i in range(0, max(v.shape[0], 1), ROWS)]
        return xp.concatenate([part.mean if rng is None else part.sample(rng) for part in parts])

    # Density and downward

    def log_prob(self, v: Any) -> Any:
        """log p(v), [n], exact, nats, where every layer below the top has at most 2^16 states of detectors.

        Raises
        ------
        IntractableError
            Elsewhere: the probability of a pooling layer sums over all its detectors.
        """
        return self._log_prob(1, self.check_data(v))

    def _log_prob(self, layer: int, v: Any) -> Any:
        rbm, xp = self.rbm(layer), get_xp(v)
        if layer == self.depth:
            return rbm.log_prob(v)
        n_states = rbm.hidden.n_states(rbm.n_hidden)
        if n_states > MAX_STATES:
            raise IntractableError(
                f"layer {layer} has {n_states:.3g} states of detectors, more than 2^16: log p(v) is for tiny "
                "networks only; the features need no likelihood"
            )
        h = rbm.hidden.states(rbm.n_hidden, xp=xp, dtype=self.dtype)
        log_h = -rbm.hidden_free_energy(h)
        pool = rbm.pooled(h)
        code = pool @ (2.0 ** xp.arange(pool.shape[1])).astype(self.dtype)
        same = xp.where(code[:, None] == code[None, :], 0.0, -math.inf)  # states with one pooling layer
        log_h = log_h - logsumexp(log_h[None, :] + same, axis=1) + self._log_prob(layer + 1, pool)
        down = rbm.visible_given_hidden(xp.repeat(h, v.shape[0], axis=0))
        table = down.log_prob(xp.tile(v, (h.shape[0], 1))).reshape(h.shape[0], v.shape[0])
        return logsumexp(table + log_h[:, None], axis=0)

    def sample(
        self,
        n: int,
        rng: Generator | int | None = None,
        steps: int = 1000,
        init: Any = None,
        sweeps_down: int = 50,
    ) -> Any:
        """Draw images [n, n_visible] from the top down; approximate, exact as both numbers of sweeps grow.

        Parameters
        ----------
        n : int
        rng : Generator or int, optional
        steps : int
            Gibbs sweeps of the top RBM.
        init : array [n, n_visible], optional
            Images whose features start the top chain; else it starts at its visible biases.
        sweeps_down : int
            Gibbs sweeps in each layer below, its pooling units held.
        """
        rng = self.generator(rng)
        if init is not None:
            init = self.check_data(init, "init")
            same_rows(init, n)
            for layer in range(1, self.depth):
                init = self._ascend(layer, init, rng)
        v = self.rbm(self.depth).sample(n, rng, steps=steps, init=init)
        for layer in range(self.depth - 1, 0, -1):
            v = self.rbm(layer).sample_given_pooled(v, rng, sweeps_down)
        return v

    def reconstruct(self, v: Any) -> Any:
        """Up and down again with probabilities in place of draws, [n, n_visible].

        A pooling probability is shared out among the detectors of its block as on the way up, softmax(x).
        """
        v = self.check_data(v)
        below = [v, *self.features(v)]
        image = self.rbm(self.depth).reconstruct(below[-2])
        for layer in range(self.depth - 1, 0, -1):
            image = self.rbm(layer).reconstruct_given_pooled(below[layer - 1], image)
        return image

    # Training

    def fit(
        self,
        X: Any,
        objective: Any = None,
        optimizer: Any = None,
        epochs: int | Sequence[int] = 10,
        *,
        inputs: str = "means",
        validation: Any = None,
        callbacks: Sequence[Any] = (),
        seed: int | None = 0,
        checkpoint: Any = None,
        resume: bool = False,
        **options: Any,
    ) -> Any:
        """Train the layers one after the other, each on the pooling layer below, in place.

        Parameters
        ----------
        X : array [n, n_visible] or stack of images
        objective, optimizer
            Of every layer, as for `minidgm.training.fit`.
        epochs : int or sequence of int
            Epochs of each layer.
        inputs : {"means", "samples"}
            What the next layer learns: probabilities of the pooling units, or one draw of them.
        validation, callbacks, seed, checkpoint, resume, **options
            As for `minidgm.training.fit`; every layer has a folder of its own in ``checkpoint``.

        Returns
        -------
        History
            All epochs of all layers; ``layer`` says whose.
        """
        def start(layer: int, X: Any) -> Any:
            rbm = self.rbm(layer).to()
            return rbm if layer == 1 else rbm.initialize(X)

        def ascend(layer: int, X: Any, held_out: Any, rng: Any) -> tuple[Any, Any]:
            X = self._ascend(layer, X, rng)
            return X, None if held_out is None else self._ascend(layer, held_out, rng)

        return train_layers(
            self,
            self.check_data(X, "X"),
            None if validation is None else self.check_data(validation, "validation"),
            start,
            ascend,
            objective=objective,
            optimizer=optimizer,
            epochs=epochs,
            inputs=inputs,
            callbacks=callbacks,
            seed=seed,
            checkpoint=checkpoint,
            resume=resume,
            **options,
        )

    def initialize(self, X: Any) -> ConvolutionalDBN:
        """Set the visible biases of layer 1 to the mean of each channel of ``X``."""
        self.place(1, self.rbm(1).to().initialize(self.check_data(X, "X")))
        return self

    @classmethod
    def small(cls, like: Any = None, **options: Any) -> ConvolutionalDBN:
        """Two layers over four pixels."""
        layers: list[dict[str, Any]] = [
            {"filters": 1, "filter_size": 1, "pool": (1, 2)},
            {"filters": 2, "filter_size": (1, 2), "pool": 1},
        ]
        visible = "bernoulli" if like is None else like.visible.name
        if visible == "gaussian":
            layers = [{"filters": 2, "filter_size": 1, "pool": pool} for pool in ((1, 2), 1)]
        shape = (1, 2) if visible == "gaussian" else (1, 4)
        return cls(layers, visible=visible, image_shape=shape, **options)

    @classmethod
    def arguments_for(cls, data: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        """Image shape from the data; two layers with pools of 2, where they fit."""
        shape = cls._image_shape_of(data, given)
        layers = []
        for filters in (FILTERS, 2 * FILTERS):
            size = fitting_size(shape, 2)
            places = [n - s + 1 for n, s in zip(shape[1:], size, strict=True)]
            pool = 2 if all(n > 1 and n % 2 == 0 for n in places) else 1
            layers.append({"filters": filters, "filter_size": size, "pool": pool})
            shape = (filters, places[0] // pool, places[1] // pool)
        return {"layers": layers, **given, "image_shape": list(cls._image_shape_of(data, given))}
