"""Greedy stacking of a deep belief network, everything exact: the bound rises with each layer.

    python benchmarks/published/dbn_stacking.py [--quick]

Layer 1 is an RBM with few hidden units, trained by its exact likelihood. Each further layer starts as the
mirror image of the one below (W_(l+1) = W_l^T, biases exchanged), which must leave every p(v) as it is. It is
then trained by the exact gradient of E_q[log p(h_l)], on the exact distribution of h_l under the recognition
net. Bound and log p(v) are sums over all hidden states; no figure here is an estimate.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from typing import Any

import numpy as np
from common import write

from minidgm import DBN, RBM, datasets, objectives, optim
from minidgm.boltzmann.greedy import start_layer

# Sizes, learning rate, steps of layer 1 and of each further layer.
RUNS = {
    "bars-and-stripes 3x3": ((9, 4, 9, 4), 0.2, 20_000, 20_000),
    "digits, threshold": ((64, 12, 64), 0.1, 4_000, 4_000),
}
MOMENTUM = 0.9


def ascend(rbm: RBM, states: Any, weights: Any, rate: float, steps: int) -> None:
    """Climb sum_i weights_i log p(states_i) by its exact gradient; the rate falls in a straight line."""
    optimizer = optim.SGD(optim.Linear(rate, rate / 100.0), momentum=MOMENTUM)
    optimizer.init(rbm.params, steps)
    for _ in range(steps):
        p = np.exp(rbm.log_prob(states))
        optimizer.step(rbm.params, rbm.free_energy_gradient(states, weights - p))


def inferred(dbn: DBN, layer: int, v: Any) -> Any:
    """Distribution of the states of a layer under q, averaged over the rows of ``v``."""
    rows = [v, *(dbn.hidden.states(n) for n in dbn.sizes[1 : layer + 1])]
    q = np.exp(dbn.pair_tables(1, v, rows[1])[1]).mean(axis=0)
    for k in range(2, layer + 1):
        q = q @ np.exp(dbn.pair_tables(k, rows[k - 1], rows[k])[1])
    return q


def run(name: str, seed: int, quick: bool) -> list[dict[str, object]]:
    """One network; a line after each layer, before and after it is trained."""
    sizes, rate, first, further = RUNS[name]
    data = datasets.bars_and_stripes(3) if name.startswith("bars") else datasets.digits(binarize="threshold")
    v = data.train.astype("float64")
    scale = 10 if quick else 1
    start = time.perf_counter()
    rbm = RBM(sizes[0], sizes[1], dtype="float64", seed=seed).initialize(v)
    rbm.params["W"][...] *= 10.0
    optimizer = optim.SGD(optim.Linear(rate, rate / 100.0), momentum=MOMENTUM)
    objective = objectives.ExactLikelihood()
    rbm.fit(v, objective=objective, optimizer=optimizer, epochs=first // scale, batch_size=len(v), seed=seed)
    rows: list[dict[str, object]] = []

    def line(dbn: DBN, state: str, change: float | None = None) -> None:
        rows.append(
            {
                "data": name,
                "sizes": "-".join(map(str, dbn.sizes)),
                "top layer": state,
                "bound (exact, nats)": float(dbn.elbo(v).mean()),
                "log p (exact, nats)": float(dbn.log_prob(v).mean()),
                "largest change of log p(v)": change,
                "seed": seed,
                "seconds": round(time.perf_counter() - start, 1),
            }
        )

    stack = [rbm]
    line(DBN.from_rbms(stack), "trained")
    for layer in range(2, len(sizes)):
        before = DBN.from_rbms(stack).log_prob(v)
        dbn = DBN(sizes[: layer + 1], dtype="float64", seed=seed)
        for k, below in enumerate(stack, start=1):
            dbn.place(k, below)
        top = start_layer(dbn, layer, v, "transpose")
        dbn.place(layer, top)
        line(dbn, "mirror image", float(abs(dbn.log_prob(v) - before).max()))
        ascend(top, dbn.hidden.states(sizes[layer - 1]), inferred(dbn, layer - 1, v), rate, further // scale)
        stack.append(top)
        line(DBN.from_rbms(stack), "trained")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps")
    args = parser.parse_args()
    rows = [row for name in RUNS for row in run(name, 0, args.quick)]
    for before, after in pairwise(rows):
        if after["top layer"] == "trained" and before["data"] == after["data"]:
            assert after["bound (exact, nats)"] > before["bound (exact, nats)"], after
        elif after["top layer"] == "mirror image":
            assert after["largest change of log p(v)"] < 1e-12, after
    write("dbn-stacking", rows, {"runs": RUNS, "momentum": MOMENTUM, "quick": args.quick})


if __name__ == "__main__":
    main()
