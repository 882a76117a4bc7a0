"""Greedy layer-wise training of a deep belief network (Hinton, Osindero and Teh 2006; Deep Learning, 20.3).

Layer 1 is an RBM trained on the data. Its hidden states, drawn from q(h_1 | v) or their means, are the data
of the RBM of layers 1 and 2, and so on upward: for l = 1 ... L

    1. train RBM l on h_(l-1), by any objective of RBMs; on reals it is a `GaussianRBM`, whose parameters are
       free of their scale, unless the objective asks for what that lacks;
    2. W_l, b_(l-1) stay as the directed layer p(h_(l-1) | h_l); R_l = W_l, r_l = c stay as q(h_l | h_(l-1)).

**Why the bound rises.** With q and p(v | h_1) fixed, the bound of the network depends on the layers above
only through E_q[log p(h_1)], the mean log-likelihood of the next RBM on its own training data. Where
n_(l+1) = n_(l-1), an RBM with W_(l+1) = W_l^T, b = c_l and c = b_(l-1) has exactly RBM l's distribution of
h_l: put on top it leaves p(v) as it was, the bound tight, and every gain in E_q[log p(h_1)] from there on is
a gain of the bound (``init="transpose"``). For other sizes nothing is promised, and little is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minidgm.backend import Generator
from minidgm.boltzmann.gaussian_rbm import GaussianRBM
from minidgm.boltzmann.layerwise import train_layers
from minidgm.boltzmann.rbm import RBM
from minidgm.errors import DataError, unknown
from minidgm.training.history import History

if TYPE_CHECKING:
    from minidgm.boltzmann.dbn import DBN

INITS = ("random", "transpose")
ROWS = 4096


def fit_greedily(
    dbn: DBN,
    X: Any,
    objective: Any = None,
    optimizer: Any = None,
    epochs: int | Sequence[int] = 10,
    *,
    inputs: str = "samples",
    init: str = "random",
    validation: Any = None,
    callbacks: Sequence[Any] = (),
    seed: int | None = 0,
    checkpoint: Any = None,
    resume: bool = False,
    **options: Any,
) -> History:
    """Train the layers of a DBN one after the other, in place.

    Parameters
    ----------
    dbn : DBN
        Each layer starts from the parameters it has.
    X : array [n, n_visible]
        All rows at once: every layer needs them. The states of one layer at a time are kept, [n, n_l].
    objective, optimizer
        Of every layer's RBM, as for `minidgm.training.fit`; by default `PersistentContrastiveDivergence`
        and Adam(1e-3).
    epochs : int or sequence of int
        Epochs of each layer.
    inputs : {"samples", "means"}
        What the next layer learns: states drawn once from the recognition net, or their probabilities.
    init : {"random", "transpose"}
        Where layer l > 1 starts: from the weights it has, with visible biases from the means of its inputs;
        or from the mirror image of the layer below, which leaves p(v) unchanged.
    validation : array [m, n_visible], optional
        Sent upward with X; each RBM is measured on its own validation inputs.
    callbacks : sequence
        They see the whole network as ``training.model``, after each epoch of each layer, and start and stop
        once a layer: patience counts within a layer.
    seed : int or None
    checkpoint : path-like or Checkpoint, optional
        A folder that gets one folder a layer.
    resume : bool
        Continue: finished layers are read, the one that was interrupted goes on, to the same bits.
    **options
        ``batch_size`` and ``progress`` of `minidgm.training.fit`.

    Returns
    -------
    History
        All epochs of all layers; ``layer`` says whose. Figures are those of the RBM that was trained.

    Raises
    ------
    ValueError
        For unknown ``inputs`` or ``init``, sizes that "transpose" does not fit, and as for
        `minidgm.training.fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from minidgm import DBN
    >>> history = DBN([4, 3, 2], seed=0).fit(np.eye(4, dtype="float32"), epochs=2)
    >>> history["layer"], history["epoch"]
    ([1, 1, 2, 2], [1, 2, 3, 4])
    """
    if init not in INITS:
        raise unknown("init", init, INITS)
    if init == "transpose":
        check_mirror(dbn)
    X = _matrix(dbn, X, "X")
    held_out = None if validation is None else _matrix(dbn, validation, "validation")

    def start(layer: int, X: Any) -> Any:
        rbm = start_layer(dbn, layer, X, init)
        if layer > 1 or dbn.visible.name != "gaussian":
            return rbm
        twin = GaussianRBM.from_natural(rbm)
        return twin if objective is None or trains(twin, objective) else rbm

    def ascend_both(layer: int, X: Any, held_out: Any, rng: Any) -> tuple[Any, Any]:
        noise = (None, None) if rng is None else rng.spawn(2)
        X = ascend(dbn, layer, X, noise[0])
        return X, None if held_out is None else ascend(dbn, layer, held_out, noise[1])

    return train_layers(
        dbn,
        X,
        held_out,
        start,
        ascend_both,
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


def trains(model: Any, objective: Any) -> bool:
    """Whether an objective (a name, a class or an object) trains a model: of a DBN, as a whole."""
    from minidgm import registry

    if isinstance(objective, str):
        objective = registry.objectives()[objective]
    obstacle = getattr(objective, "obstacle", None)
    return obstacle is not None and obstacle(model) is None


def start_layer(dbn: DBN, layer: int, X: Any, init: str) -> RBM:
    """The RBM of layer ``layer`` as its training begins; ``X`` [n, n_(l-1)] are its inputs."""
    below, width = dbn.sizes[layer - 1], dbn.sizes[layer]
    visible = dbn.visible if layer == 1 else "bernoulli"
    rbm = RBM(below, width, visible=visible, backend=dbn.backend, dtype=dbn.dtype, seed=0)
    for name, value in dbn.rbm(layer).params.items():
        rbm.params[name] = value
    if layer > 1 and init == "transpose":
        lower = dbn.rbm(layer - 1).params
        rbm.params["W"] = lower["W"].T
        rbm.params["b"], rbm.params["c"] = lower["c"], lower["b"]
    elif layer > 1:
        rbm.initialize(X)
    return rbm


def ascend(dbn: DBN, layer: int, X: Any, rng: Generator | None = None) -> Any:
    """States of layer ``layer`` for rows of layer l - 1, [n, n_l]: draws with ``rng``, means without."""
    out = dbn.xp.empty((X.shape[0], dbn.sizes[layer]), dtype=dbn.dtype)
    for start in range(0, X.shape[0], ROWS):
        q = dbn.up(layer, dbn.xp.asarray(X[start : start + ROWS], dtype=dbn.dtype))
        out[start : start + ROWS] = q.mean if rng is None else q.sample(rng)
    return out


def check_mirror(dbn: DBN) -> None:
    """Refuse ``init="transpose"`` where a layer is no mirror image of the one below."""
    for layer in range(2, dbn.depth + 1):
        if dbn.sizes[layer] != dbn.sizes[layer - 2]:
            raise ValueError(
                f"init='transpose' needs n_{layer} = n_{layer - 2}, but sizes={list(dbn.sizes)} have "
                f"{dbn.sizes[layer]} and {dbn.sizes[layer - 2]}; use init='random'"
            )
    if dbn.depth > 1 and dbn.visible.name != "bernoulli":
        raise ValueError(
            f"init='transpose' mirrors the visible units in layer 2, whose units are bits; they are "
            f"{dbn.visible.name}: use init='random'"
        )


def check_chain(rbms: Sequence[Any]) -> None:
    """Refuse a stack of RBMs whose hidden units are not the visible units of the next; says which."""
    if not rbms:
        raise ValueError("a stack needs at least one RBM, got none")
    for layer, rbm in enumerate(rbms, start=1):
        if not isinstance(rbm, RBM):
            raise TypeError(f"entry {layer} of the stack is a {type(rbm).__name__}, expected an RBM")
        if rbm.hidden.name != "bernoulli":
            raise ValueError(f"RBM {layer} has {rbm.hidden.name} hidden units; those of a DBN are bits")
        if layer == 1:
            continue
        below = rbms[layer - 2]
        if below.n_hidden != rbm.n_visible or rbm.visible.name != "bernoulli":
            raise ValueError(
                f"RBM {layer - 1} has {below.n_hidden} hidden bits, RBM {layer} has {rbm.n_visible} "
                f"{rbm.visible.name} visible units: the stack does not chain"
            )
        if (below.backend, below.dtype) != (rbm.backend, rbm.dtype):
            raise TypeError(
                f"RBM {layer - 1} is {below.dtype} on {below.backend}, RBM {layer} {rbm.dtype} on "
                f"{rbm.backend}; move one with rbm.to(backend, dtype)"
            )


def _matrix(dbn: DBN, X: Any, what: str) -> Any:
    if isinstance(X, str) or not hasattr(X, "shape") or len(X.shape) != 2:
        raise DataError(
            f"{what} is a {type(X).__name__}; layer-wise training goes through all rows once a layer: pass "
            f"an array [n, {dbn.n_visible}]"
        )
    return dbn.check_data(X, what)
