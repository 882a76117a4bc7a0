"""What every objective shares: the call, the state of a checkpoint, penalties and centring.

An objective is a gradient estimator: ``gradient(model, batch, rng) -> (grads, metrics)`` where ``grads`` has
the parameters' names and shapes and points uphill of a loss (an optimizer subtracts it). Most pages of this
folder choose *configurations* and *weights* for the model's one weighted gradient,

    energy_gradient(v, h, weights) = sum_i weights_i dE(v_i, h_i)/dtheta.

Three additions are written here once:

* weight decay: ``weight_decay/2 * sum W^2`` over every parameter of two or more axes;
* a sparsity penalty (Lee, Ekanadham & Ng, NIPS 2007): ``cost * sum_j (target - q_j)^2`` where ``q_j`` is the
  mean over the batch of E[h_j|v]; as there, its gradient moves the hidden biases only,
  ``2 cost sum_k (q_k - target) mean_i Cov[h_k, h_j|v_i]``, where only k = j counts if units are independent
  (for Bernoulli units the variance is E[h_j|v_i] (1 - E[h_j|v_i])). A model whose units share biases means
  something else by a unit's mean: its own ``sparsity_gradient(means, target)`` says what;
* centring (Montavon & Müller 2012; Melchior, Fischer & Wiskott 2016): for a model with ``centered=True`` the
  gradient is transformed by ``model.center_gradient(grads, mu, lam)``. The offsets are running means of the
  data and of the hidden means: the plain average of the first 100 batches, exponential with rate 0.01 after.
"""

from __future__ import annotations

import inspect
from typing import Any

from minidgm.arguments import real
from minidgm.backend import asarray, get_backend, is_array
from minidgm.workspace import Workspace

__all__ = ["Objective", "Workspace"]

OFFSET_RATE = 0.01


class Objective:
    """Base of the gradient estimators.

    Parameters
    ----------
    weight_decay : float
        Strength of the quadratic penalty on couplings, at least 0.
    sparsity_target : float, optional
        Wanted mean of each hidden unit.
    sparsity_cost : float
        Strength of the sparsity penalty, at least 0.

    Notes
    -----
    A subclass writes its estimate into ``grads`` in :meth:`estimate`, keeps what lives across steps in the
    dictionary ``self._state``, and names the model's methods it calls in ``needs``.
    """

    needs: tuple[str, ...] = ()
    of_conditionals = False  # whether it knows models whose biases follow a past

    def __init__(
        self, *, weight_decay: float = 0.0, sparsity_target: float | None = None, sparsity_cost: float = 0.0
    ):
        self.weight_decay = real("weight_decay", weight_decay)
        self.sparsity_target = sparsity_target
        self.sparsity_cost = real("sparsity_cost", sparsity_cost)
        if self.sparsity_cost > 0 and sparsity_target is None:
            raise ValueError(f"sparsity_cost={sparsity_cost} needs a sparsity_target, e.g. 0.1")
        self._state: dict[str, Any] = {}
        self._grads: Any = None
        self._accepted: Any = None
        self._scratch = Workspace()
        self._data_means: Any = None

    def gradient(self, model: Any, batch: Any, rng: Any) -> tuple[Any, dict[str, Any]]:
        """Estimate the gradient of the loss on a batch.

        Parameters
        ----------
        model : Model
        batch : array [n, n_visible]
            On the model's backend, n >= 1. Not written to.
        rng : Generator
            On the model's backend; the only source of randomness.

        Returns
        -------
        grads : Parameters
            A buffer of this objective, valid until the next call.
        metrics : dict of str to 0-d array
            On the model's device: nothing here waits for it.

        Raises
        ------
        TypeError
            If the model lacks a method that this estimator needs (the message names the objectives that fit),
            or the batch lives on another backend.
        ValueError
            If the batch is empty or has another width than the model.
        """
        batch = self._prepare(model, batch)
        self._data_means = None
        metrics = self.estimate(model, batch, rng, self._grads)
        if getattr(model, "centered", False):
            self._center(model, batch)
        if self.sparsity_cost:
            self._add_sparsity(model, batch)
        if self.weight_decay:
            for name, value in model.params.items():
                if value.ndim >= 2:
                    self._grads[name] += self.weight_decay * value
        return self._grads, metrics

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        """Write the estimator's own gradient into ``grads`` and return its metrics."""
        raise NotImplementedError

    def check_source(self, model: Any, source: Any) -> None:
        """Refuse training data that this estimator cannot mean; `fit` calls it before the first step."""

    def review(self, means: dict[str, float]) -> None:
        """Look at the means of an epoch's metrics, on the host; an estimator may warn."""

    def hidden_mean(self, model: Any, batch: Any) -> Any:
        """Return E[h|v] of the batch, [n, n_hidden]: the estimate's own, if it left it in ``_data_means``."""
        if self._data_means is not None:
            return self._data_means
        if not getattr(model, "exact_posterior", True):
            return model.mean_field(batch, tolerance=None, max_iterations=10).mean
        return model.hidden_given_visible(batch).mean

    @classmethod
    def obstacle(cls, model: Any) -> str | None:
        """Say why this objective cannot train a model, or None if it can."""
        missing = [name for name in cls.needs if not hasattr(model, name)]
        if not missing and getattr(model, "takes_sequences", False) and not cls.of_conditionals:
            return "its partition function depends on the past of each frame"
        return f"it has no {', '.join(missing)}" if missing else None

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, JSON-able."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @property
    def state(self) -> dict[str, Any]:
        """Everything that lives across steps, as copies: arrays and integers, by name."""
        return {name: value.copy() if is_array(value) else value for name, value in self._state.items()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :attr:`state` returned; training continues to the same bits."""
        self._state = {name: value.copy() if is_array(value) else value for name, value in state.items()}
        self._accepted = None

    def reset(self) -> None:
        """Forget chains, offsets and counters: the next call starts afresh."""
        self.set_state({})

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.config().items())
        return f"{type(self).__name__}({arguments})"

    def _prepare(self, model: Any, batch: Any) -> Any:
        params = model.params
        if self._accepted is not model:
            reason = self.obstacle(model)
            if reason:
                raise TypeError(self._refusal(model, reason))
            if self._grads is None or (self._grads.shapes, self._grads.backend, self._grads.dtype) != (
                params.shapes,
                params.backend,
                params.dtype,
            ):
                self._grads = params.like()
                self._scratch = Workspace()
            for name, value in self._state.items():
                if is_array(value):
                    self._state[name] = asarray(value, params.backend, params.dtype)
            self._accepted = model
        if get_backend(batch) != params.backend:
            raise TypeError(
                f"batch is a {get_backend(batch) or type(batch).__name__} array and the model lives on "
                f"{params.backend}: pass model.check_data(batch)"
            )
        self._check_shape(model, batch)
        return batch if batch.dtype == params.dtype else batch.astype(params.dtype)

    def _check_shape(self, model: Any, batch: Any) -> None:
        width = getattr(model, "n_columns", model.n_visible)
        if batch.ndim != 2 or batch.shape[1] != width or not batch.shape[0]:
            raise ValueError(f"batch has shape {tuple(batch.shape)}, expected (n, {width}) with n at least 1")

    def _refusal(self, model: Any, reason: str) -> str:
        from minidgm.objectives import fitting

        names = ", ".join(fitting(model)) or "none of minidgm.objectives"
        return (
            f"{type(self).__name__} cannot train this {type(model).__name__}: {reason}. "
            f"Objectives that fit: {names}."
        )

    def _center(self, model: Any, batch: Any) -> None:
        state = self._state
        count = state.get("offset_count", 0) + 1
        rate = max(OFFSET_RATE, 1.0 / count)
        for name, value in (("visible_offset", batch), ("hidden_offset", self.hidden_mean(model, batch))):
            new = value.mean(axis=0)
            state[name] = new if count == 1 else state[name] + rate * (new - state[name])
        state["offset_count"] = count
        model.center_gradient(self._grads, state["visible_offset"], state["hidden_offset"])

    def _add_sparsity(self, model: Any, batch: Any) -> None:
        if hasattr(model, "sparsity_gradient"):
            means = self.hidden_mean(model, batch)
            found = model.sparsity_gradient(means, self.sparsity_target)
            for name, value in (found if isinstance(found, dict) else {"c": found}).items():
                self._grads[name] += self.sparsity_cost * value
            return
        hidden = model.hidden_given_visible(batch)
        mean = hidden.mean
        if mean.shape[1:] != self._grads["c"].shape:
            raise ValueError(
                f"sparsity needs a bias for each hidden unit: {type(model).__name__} has "
                f"{mean.shape[1]} units and c has shape {self._grads['c'].shape}; use sparsity_cost=0"
            )
        excess = mean.mean(axis=0) - self.sparsity_target + 0.0 * mean  # [n, n_hidden], equal rows
        self._grads["c"] += 2.0 * self.sparsity_cost * hidden.mean_jvp(excess).mean(axis=0)
