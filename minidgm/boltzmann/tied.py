"""Biases that many units share, one for each of them where a path or a temperature needs it.

Annealing starts from independent pixels with a bias each, and ends at a convolutional RBM, whose pixels share
one a channel. Between the two lie models of the same filters with a bias for every pixel: the untied twin,
which computes everything as its original does.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.boltzmann.convolution import Filters
from minidgm.boltzmann.energy_model import TwoSidedModel
from minidgm.boltzmann.image_model import ImageModel
from minidgm.boltzmann.rbm import RBM
from minidgm.boltzmann.units import Unit


class Tied(ImageModel, TwoSidedModel):
    """Part of `ConvolutionalRBM`: tied biases, tempering and annealing paths."""

    maps: Filters
    n_hidden: int
    hidden: Unit

    def visible_field(self, h: Any) -> Any:
        """Field of the pixels given detectors, [n, n_visible]."""
        raise NotImplementedError

    def visible_bias(self) -> Any:
        """b of every pixel, [n_visible]."""
        return self._per_pixel(self.params["b"])

    def hidden_bias(self) -> Any:
        """c of every detector, [n_hidden]."""
        c = self.params["c"]
        if c.shape[0] == self.n_hidden:
            return c
        xp, maps = get_xp(c), self.maps
        places = xp.zeros((maps.P * maps.Q, 1, maps.K), dtype=c.dtype)
        return xp.reshape(c[:, None] + places, (self.n_hidden,))

    def _per_pixel(self, x: Any) -> Any:
        if x.shape[0] == self.n_visible:
            return x
        xp, (channels, height, width) = get_xp(x), self.image_shape
        return xp.reshape(x[:, None] + xp.zeros((channels, height * width), dtype=x.dtype), (self.n_visible,))

    def _own(self, side: str) -> dict[str, Any]:
        """The parameters of one side's units, one a unit: {"log_precision": ...} or {}."""
        name = f"{side}_log_precision"
        return {"log_precision": self._per_pixel(self.params[name])} if name in self.params else {}

    def untied(self, **params: Any) -> Any:
        """The same model with a bias for every pixel and detector (or ``params``), as paths need it."""
        return self.with_params({**self.params, "b": self.visible_bias(), "c": self.hidden_bias(), **params})

    def tempered(self, beta: float, base: Any = None) -> Any:
        """The model at inverse temperature ``beta``: couplings and hidden biases times beta, visible biases
        moved to ``base`` [n_visible] (0) at beta = 0; precisions stay.
        """
        start = 0.0 if base is None else (1.0 - beta) * base
        W, b, c = self.params["W"], self.visible_bias(), self.hidden_bias()
        return self.untied(W=beta * W, b=start + beta * b, c=beta * c)

    def idle_field(self) -> Any:
        """The visible field with the detectors as they are in no field, [n_visible]: a base for annealing."""
        idle = self.hidden.mean(0.0 * self.hidden_bias()[None, :])
        return self.visible_field(idle)[0]

    def path_from_base(self, base: Any) -> tuple[Any, float]:
        """Path from independent pixels with biases ``base`` to this model, and the log Z of these."""
        from minidgm.evaluation.path import HarmoniumPath
        from minidgm.evaluation.schedule import base_biases

        untied = self.untied()
        b = self.idle_field() if base is None else base_biases(untied, base)
        own = {name: value.astype("float64") for name, value in self._own("visible").items()}
        log_z = self.visible.cgf(b.astype("float64")[None, :], **own).sum()
        options: dict[str, Any] = {"backend": self.backend, "dtype": self.dtype}
        start = RBM(self.n_visible, 1, visible=self.visible, **options)
        shared = {f"visible_{name}": value for name, value in self._own("visible").items()}
        empty = {"W": start.params["W"][:, :0], "b": b, "c": start.params["c"][:0], **shared}
        return HarmoniumPath(start.with_params(empty), untied), float(log_z)

    def path_to(self, other: Any) -> Any:
        """Path to another convolutional RBM of the same images: both layers of detectors, one fading in."""
        from minidgm.evaluation.path import HarmoniumPath

        kinds = [(m.backend, m.dtype, m.visible.name, m.n_visible) for m in (self, other)]
        if not isinstance(other, Tied) or kinds[0] != kinds[1]:
            raise TypeError(
                f"no path from {type(self).__name__}{kinds[0]} to {type(other).__name__}{kinds[1]}; both "
                "must be convolutional, of one backend, dtype, type of visible units and number of them"
            )
        return HarmoniumPath(self.untied(), other.untied())
