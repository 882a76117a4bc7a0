r"""Discriminative likelihood of label units: the exact gradient of -log p(y|v) (Larochelle & Bengio 2008).

    g  =  1/n sum_i [ dF(v_i, y_i)/dtheta  -  sum_k p(k|v_i) dF(v_i, k)/dtheta ]

Derivation: -log p(y|v) = F(v, y) + log sum_k exp(-F(v, k)), and the derivative of the second term is the
softmax-weighted mean of -dF(v, k)/dtheta. log Z does not appear.

| configurations | weights |
|---|---|
| (v, k), the batch with every label k | (1[k = y] - p(k given v))/n |
| a row without label | 0 |

Nothing is drawn: the estimate is the gradient itself.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.objectives.base import Objective

__all__ = ["DiscriminativeLikelihood", "label_metrics"]


class DiscriminativeLikelihood(Objective):
    """-log p(y|v), for every model with label units (``label_log_prob``, ``label_gradient``).

    Parameters
    ----------
    weight_decay, sparsity_target, sparsity_cost
        See `Objective`.

    Notes
    -----
    Rows without label have weight 0. Metrics over the batch's labelled rows, before the step (0 where there
    are none): ``loss``, the mean of -log p(y|v) in nats, exact; ``error``, the share of wrong predictions.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DiscriminativeRBM
    >>> model = DiscriminativeRBM(3, 2, n_classes=2, seed=0)
    >>> rows = model.join(np.eye(3), [0, 1, 1])
    >>> grads, metrics = DiscriminativeLikelihood().gradient(model, rows, None)
    >>> bool(abs(grads["b"]).max() < 1e-7), round(float(metrics["loss"]), 2)
    (True, 0.69)
    """

    needs: tuple[str, ...] = ("label_log_prob", "label_gradient", "input_field", "split")
    takes_unlabelled = True
    learns_unlabelled = False  # whether rows without label move anything

    def __init__(
        self, *, weight_decay: float = 0.0, sparsity_target: float | None = None, sparsity_cost: float = 0.0
    ):
        super().__init__(
            weight_decay=weight_decay, sparsity_target=sparsity_target, sparsity_cost=sparsity_cost
        )

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        v, y = model.split(batch)
        field = model.input_field(v)
        log_p = model.label_log_prob(v, field)
        weights = (y - known(y) * get_xp(v).exp(log_p)) / batch.shape[0]
        model.label_gradient(v, weights, grads, field)
        return label_metrics(log_p, y)


def known(y: Any) -> Any:
    """1 for rows with a label and 0 for those without, [n, 1]."""
    return y.sum(axis=1, keepdims=True)


def label_metrics(log_p: Any, y: Any) -> dict[str, Any]:
    """Mean of -log p(y|v) and share of wrong predictions over the rows with labels, 0-d arrays."""
    xp = get_xp(log_p, y)
    labelled = known(y)[:, 0]
    n = xp.maximum(labelled.sum(), 1.0)
    wrong = (log_p.argmax(axis=1) != y.argmax(axis=1)).astype(y.dtype)
    return {"loss": -(y * log_p).sum() / n, "error": (labelled * wrong).sum() / n}
