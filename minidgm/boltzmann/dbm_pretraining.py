"""Greedy pretraining of a deep Boltzmann machine (Salakhutdinov and Hinton 2009, 2012; Deep Learning, 20.4).

Layer by layer, each machine learns the hidden means of the one below. As a hidden layer of the DBM will have
input from two sides, the machines are trained with twice the input and stacked with half of it:

| machine | copies of (v, h) | DBM takes |
|---|---|---|
| first | (2, 1) | W_1 = W, b_0 = b |
| between | (1, 1) | W_l = W / 2 |
| last | (1, 2) | W_L = W, b_L = c |

and b_l is the mean of what the two machines that share layer l have for it. Then the logits of the DBM's
p(h_l | h_(l-1), h_(l+1)) are the mean of those of the two machines, given equal copies,

    1/2 [(2 h_(l-1) W_l + c_l) + (2 h_(l+1) W_(l+1)^T + b_(l+1))],

and with two hidden layers the DBM's marginal is p(h_1) ~ sqrt(p_first(h_1) p_last(h_1)) exactly: each
machine's squared sum over its doubled side contributes one factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidgm.boltzmann.doubled_rbm import DoubledRBM
from minidgm.boltzmann.gaussian_start import take_scale

ROWS = 4096


def machines_of(dbm: Any, seed: int | None = None) -> list[DoubledRBM]:
    """The machines that `pretrain` trains for a DBM, one a layer, with small random weights."""
    machines = []
    for layer in range(1, dbm.depth + 1):
        double = (1 + (layer == 1 < dbm.depth), 1 + (layer == dbm.depth > 1))
        machines.append(
            DoubledRBM(
                dbm.sizes[layer - 1],
                dbm.sizes[layer],
                double,
                dbm.visible if layer == 1 else "bernoulli",
                backend=dbm.backend,
                dtype=dbm.dtype,
                seed=None if seed is None else seed + layer,
            )
        )
    return machines


def compose(dbm: Any, machines: Sequence[DoubledRBM]) -> Any:
    """Copy trained machines into a DBM, weights halved and biases averaged as the table says; returns it.

    Raises
    ------
    ValueError
        For machines whose sizes do not chain or are not the DBM's: says which.
    """
    found = [(machine.n_units, machine.n_features) for machine in machines]
    expected = list(zip(dbm.sizes, dbm.sizes[1:], strict=False))
    if found != expected:
        pairs = list(zip(found, expected, strict=False))
        wrong = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        raise ValueError(
            f"machines have sizes {found}, a DBM {list(dbm.sizes)} needs {expected}: machine {wrong + 1} "
            "does not fit; the hidden units of each are the visible units of the next"
        )
    params, depth = dbm.params, dbm.depth
    for layer, machine in enumerate(machines, start=1):
        half = 0.5 if 1 < layer < depth else 1.0
        params[f"W{layer}"][...] = half * machine.params["W"]
        above = machines[layer].params["b"] if layer < depth else machine.params["c"]
        params[f"b{layer}"][...] = 0.5 * (machine.params["c"] + above)
    params["b0"][...] = machines[0].params["b"]
    for name, value in machines[0].params.items():
        if name.startswith("visible_"):
            params[name][...] = value
    return dbm


def pretrain(
    dbm: Any,
    X: Any,
    objective: Any = "ContrastiveDivergence",
    optimizer: Any = None,
    epochs: int = 10,
    batch_size: int | None = None,
    seed: int | None = 0,
    **options: Any,
) -> list[Any]:
    """Train the doubled machines one after the other on ``X`` [n, n_visible] and stack them into ``dbm``.

    Parameters
    ----------
    dbm : DBM
        Written to.
    X : array [n, n_visible]
    objective : str or class
        Of the RBMs; a fresh one for every layer.
    optimizer : str or callable, optional
        Of the RBMs; a callable that makes one (Adam by default).
    epochs, batch_size, seed, options
        As for `minidgm.training.fit`, of every layer.

    Returns
    -------
    list of History
        One a layer.
    """
    from minidgm import training

    X = dbm.check_data(X, "X")
    histories, machines = [], machines_of(dbm, seed)
    for machine in machines:
        machine.initialize(machine.unfold(X, machine.copies[0]))
        if machine.visible.name == "gaussian":
            own = {"log_precision": machine.params["visible_log_precision"], "copies": machine.copies[0]}
            take_scale(X, *(machine.params[name] for name in "Wbc"), **own)
        made = optimizer() if callable(optimizer) else optimizer
        histories.append(
            training.fit(
                machine,
                machine.unfold(X, machine.copies[0]),
                objective,
                made,
                epochs=epochs,
                batch_size=batch_size,
                seed=seed,
                **options,
            )
        )
        X = _upward(machine, X)
    compose(dbm, machines)
    return histories


def _upward(machine: DoubledRBM, X: Any) -> Any:
    """Hidden means of one copy given equal copies of the rows, [n, n_features], in blocks of rows."""
    parts = []
    for start in range(0, X.shape[0], ROWS):
        rows = machine.unfold(X[start : start + ROWS], machine.copies[0])
        parts.append(machine.hidden.mean(machine.hidden_field(rows))[:, : machine.n_features])
    return machine.xp.concatenate(parts)
