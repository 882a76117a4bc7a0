"""A stack of machines trained one after the other, each on the states of the one below: the loop alone.

What differs between networks is where a layer starts from, and how rows are sent up through a trained one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minidgm.backend import Generator
from minidgm.boltzmann.relay import Relay, layer_folder
from minidgm.errors import unknown
from minidgm.training.history import History

INPUTS = ("samples", "means")


def train_layers(
    network: Any,
    X: Any,
    held_out: Any,
    start: Callable[[int, Any], Any],
    ascend: Callable[[int, Any, Any, Any], tuple[Any, Any]],
    *,
    epochs: int | Sequence[int],
    inputs: str,
    callbacks: Sequence[Any],
    seed: int | None,
    checkpoint: Any,
    **options: Any,
) -> History:
    """Train layers 1 ... ``network.depth`` in turn, in place; returns the epochs of all of them.

    Parameters
    ----------
    network : Model
        Takes a trained layer in with ``place(layer, machine)``.
    X, held_out : array [n, d], [m, d] or None
        Inputs of layer 1.
    start : callable
        ``start(layer, X)``: the machine of a layer as its training on X begins.
    ascend : callable
        ``ascend(layer, X, held_out, rng)``: both sent up through a layer, drawn if there is an ``rng``.
    epochs, inputs, callbacks, seed, checkpoint, **options
        As for `minidgm.boltzmann.greedy.fit_greedily`.
    """
    if inputs not in INPUTS:
        raise unknown("inputs", inputs, INPUTS)
    depth = network.depth
    each = [epochs] * depth if isinstance(epochs, int) else list(epochs)
    if len(each) != depth:
        raise ValueError(f"epochs={epochs!r}; expected one number, or one for each of {depth} layers")
    seeds = Generator(seed).integers(0, 2**31 - 1, (2 * depth,))
    records: list[dict[str, Any]] = []
    stopped = ""
    for layer, n_epochs in enumerate(each, start=1):
        machine = start(layer, X)
        history = machine.fit(
            X,
            epochs=n_epochs,
            validation=held_out,
            callbacks=[Relay(network, layer, callbacks, records, sum(each))],
            seed=int(seeds[2 * layer - 2]),
            checkpoint=layer_folder(checkpoint, layer),
            **options,
        )
        records += history.records
        stopped = f"layer {layer}: {history.stopped}"
        if layer < depth:
            noise = Generator(int(seeds[2 * layer - 1]), network.backend) if inputs == "samples" else None
            X, held_out = ascend(layer, X, held_out, noise)
    return History(records, stopped)
