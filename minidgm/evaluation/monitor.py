"""Figures to watch while an energy model trains: cheap, exact for what they are, and not its likelihood."""

from __future__ import annotations

from typing import Any

from minidgm.evaluation.estimate import Estimate
from minidgm.evaluation.likelihood import mean_free_energy, mean_over_rows


def pseudo_likelihood(model: Any, v: Any) -> Estimate:
    """Mean log pseudo-likelihood, sum_i log p(v_i | v_-i) (Besag 1975), of the rows of ``v``; exact, nats.

    It needs no partition function. It is not the log-likelihood, nor a bound on it.

    Raises
    ------
    TypeError
        For a model without ``pseudo_log_likelihood``.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm.boltzmann.rbm import RBM
    >>> rbm = RBM(2, 3)
    >>> rbm.params["W"][...] = 0.0
    >>> print(pseudo_likelihood(rbm, np.array([[0.0, 1.0]])))
    -1.3863 nats (exact; pseudo-likelihood, not likelihood)
    """
    if not hasattr(model, "pseudo_log_likelihood"):
        raise TypeError(f"{type(model).__name__} has no pseudo_log_likelihood(v)")
    total = mean_over_rows(model, v, model.pseudo_log_likelihood)
    return Estimate(total, "exact", how="pseudo-likelihood, not likelihood")


def free_energy_gap(model: Any, train: Any, validation: Any) -> Estimate:
    """Mean F(validation) - mean F(train), nats, exact: log Z cancels.

    It is mean log p(train) - mean log p(validation), and grows with overfitting (Hinton 2012, section 6).

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm.boltzmann.rbm import RBM
    >>> rbm = RBM(2, 3, seed=0)
    >>> rows = np.array([[0.0, 1.0]])
    >>> free_energy_gap(rbm, rows, rows).value
    0.0
    """
    gap = mean_free_energy(model, validation) - mean_free_energy(model, train)
    return Estimate(gap, "exact", how="free energy of validation minus train")


def reconstruction_error(model: Any, v: Any) -> Estimate:
    """Mean squared distance between the rows of ``v`` and their mean-field reconstructions, over all units.

    Easy to compute and easy to misread: it may fall while the likelihood falls (Hinton 2012, section 5).

    Raises
    ------
    TypeError
        For a model without ``reconstruct``.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm.boltzmann.rbm import RBM
    >>> rbm = RBM(2, 3)
    >>> rbm.params["W"][...] = 0.0
    >>> print(reconstruction_error(rbm, np.array([[0.0, 1.0]])))
    0.5000 squared error (exact; reconstruction)
    """
    if not hasattr(model, "reconstruct"):
        raise TypeError(f"{type(model).__name__} has no reconstruct(v)")

    def squared(rows: Any) -> Any:
        return ((rows - model.reconstruct(rows)) ** 2).sum(axis=-1)

    return Estimate(mean_over_rows(model, v, squared), "exact", unit="squared error", how="reconstruction")
