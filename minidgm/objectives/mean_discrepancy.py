r"""Maximum mean discrepancy between generated rows and data (Gretton et al. 2012; Li, Swersky & Zemel 2015).

    loss  =  MMD^2(g(z), data)  or its square root,      z ~ p(z)

No density is needed and nothing is inferred: the model draws, and a kernel says how samples and data differ.

| configurations | weights |
|---|---|
| x_i = g(z_i), z_i ~ p(z), m of them | dL/dx_i: away from other samples, towards data (pathwise) |
| the batch | |

The weights are vectors here: each generated row is pulled along

    dL/dx_i = 2/m [ 1/m sum_j grad_1 k(x_i, x_j) - 1/n sum_j grad_1 k(x_i, y_j) ],

two products of matrices (`minidgm.evaluation.mmd`), and the model's `backward` sends it to the parameters.
The unbiased form leaves j = i out; for kernels of the distance the gradients differ by the factor m/(m - 1)
of the first sum alone, and the data's own term moves nothing. The square root (of the biased form, which is
never negative) weighs steps by 1 / (2 MMD): small discrepancies keep their pull.

Kernels are set in units of the data: rows are divided by the root mean square distance of two rows of the
first batch, unless ``scale`` says otherwise.
"""

from __future__ import annotations

from typing import Any

from minidgm.arguments import count, real
from minidgm.backend import get_xp
from minidgm.evaluation.linear_mmd import mmd2_linear_gradient
from minidgm.evaluation.mercer import as_kernel
from minidgm.evaluation.mmd import mmd2_gradient
from minidgm.objectives.base import Objective

__all__ = ["MaximumMeanDiscrepancy"]

TINY = 1e-12


class MaximumMeanDiscrepancy(Objective):
    """Moment matching in the features of a kernel, for models that generate: x = g(z).

    Parameters
    ----------
    kernel : Kernel, str or pair
        See `minidgm.evaluation.mercer.as_kernel`.
    n_samples : int, optional
        Generated rows a step; by default as many as the batch has.
    unbiased : bool
        The U-statistic, whose gradient is unbiased for MMD^2, or the V-statistic.
    root : bool
        Descend on MMD in place of MMD^2; goes with ``unbiased=False``.
    scale : float or "data"
        Length that is 1 to the kernel; by default the root mean square distance of rows of the first batch.
    linear : bool
        Independent quadruples of rows in place of all pairs: unbiased, in time linear in the rows, noisier.
    weight_decay
        See `Objective`.

    Raises
    ------
    ValueError
        For fewer than two samples of an unbiased estimate, and for a root of one.

    Notes
    -----
    Metrics: ``loss``, MMD^2 of the step's samples or its root.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DifferentiableGenerator, Generator
    >>> g = DifferentiableGenerator(2, 3, seed=0)
    >>> grads, metrics = MaximumMeanDiscrepancy().gradient(g, np.eye(2, dtype="float32"), Generator(0))
    >>> sorted(metrics), grads["generator/0/W"].shape
    (['loss'], (3, 64))
    """

    needs = ("draw_latent", "forward", "backward", "update")

    def __init__(
        self,
        kernel: Any = "gaussian",
        n_samples: int | None = None,
        unbiased: bool = False,
        root: bool = False,
        scale: float | str = "data",
        linear: bool = False,
        *,
        weight_decay: float = 0.0,
    ):
        super().__init__(weight_decay=weight_decay)
        self._kernel = as_kernel(kernel)
        self.linear, self.root = bool(linear), bool(root)
        self.unbiased = bool(unbiased) or self.linear
        self.n_samples = None if n_samples is None else count("n_samples", n_samples, 1 + self.unbiased)
        if self.root and self.unbiased:
            raise ValueError(
                "an unbiased MMD^2 can be negative and has no root: pass unbiased=False and linear=False"
            )
        self.scale = scale if scale == "data" else real("scale", scale, positive=True)

    @property
    def kernel(self) -> list[Any]:
        """The kernel, as `as_kernel` takes it."""
        return self._kernel.describe()

    def check_source(self, model: Any, source: Any) -> None:
        """Refuse batches of one row, which have no pairs of different rows."""
        sizes = {source.batch_size, (source.n_rows or 0) % (source.batch_size or 1) or None}
        if self.unbiased and 1 in sizes:
            raise ValueError(
                f"{source.n_rows} rows in batches of {source.batch_size} leave a batch of one row, and an "
                "unbiased estimate needs two: choose another batch_size, or unbiased=False"
            )

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        xp = get_xp(batch)
        z = model.draw_latent(self.n_samples or batch.shape[0], rng)
        x, cache = model.forward(z, training=True, rng=rng)
        unit = self._unit(batch)
        if self.linear:
            loss, dx = mmd2_linear_gradient(x * unit, batch * unit, self._kernel)
        else:
            loss, dx = mmd2_gradient(x * unit, batch * unit, self._kernel, self.unbiased, self._scratch)
        if self.root:
            loss = xp.sqrt(xp.maximum(loss, TINY))
            unit = unit * (0.5 / loss)
        model.backward(dx * unit, cache, grads)
        model.update(cache)
        return {"loss": loss}

    def _unit(self, batch: Any) -> Any:
        """One over the length that is 1 to the kernel; that of the data is on their device, as a state."""
        if self.scale != "data":
            return 1.0 / self.scale  # type: ignore[operator]
        if "unit" not in self._state:
            xp = get_xp(batch)
            spread = 2.0 * xp.sum(xp.var(batch, axis=0))
            self._state["unit"] = xp.reshape(1.0 / xp.sqrt(xp.where(spread > 0.0, spread, 1.0)), (1,))
        return self._state["unit"]
