"""A training step of the RNN-RBM (CD-k, back-propagation through time, Adam) beside PyTorch, interleaved.

    OMP_NUM_THREADS=1 python benchmarks/rnn_rbm.py [--k 15] [--n-hidden 150] [--rounds 10]

PyTorch runs the same algorithm on the same padded batches: the recurrent net and the biases of all frames
with autograd on, k Gibbs sweeps without it, then the mean free-energy difference, its gradient by autograd,
and its own Adam. Both draw their own random numbers. Ratios below 1 mean that minidgm is the faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import interleaved, ratio, write

from minidgm import RNNRBM, Generator, datasets, objectives, optim
from minidgm.training.sequences import pad


class TorchRNNRBM:
    """The same model and learning rule, written with autograd."""

    def __init__(self, model: Any, k: int):
        self.p = {
            name: torch.tensor(np.array(value), requires_grad=True) for name, value in model.params.items()
        }
        self.k = k
        self.optimizer = torch.optim.Adam(self.p.values(), lr=1e-3)

    def free_energy(self, v: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return -(v * b).sum(-1) - torch.nn.functional.softplus(v @ self.p["W"] + c).sum(-1)

    def step(self, batch: torch.Tensor) -> None:
        p = self.p
        x, mask = batch[..., :-1].transpose(0, 1), batch[..., -1].T
        drive = x @ p["F"] + p["d"]
        u = p["u0"].expand(x.shape[1], -1)
        states = [u]
        for t in range(x.shape[0] - 1):
            u = torch.tanh(drive[t] + u @ p["R"])
            states.append(u)
        u = torch.stack(states)
        b, c = p["b"] + u @ p["A"], p["c"] + u @ p["B"]
        with torch.no_grad():
            v = x
            for _ in range(self.k):
                h = torch.bernoulli(torch.sigmoid(v @ p["W"] + c))
                v = torch.bernoulli(torch.sigmoid(h @ p["W"].T + b))
        gap = self.free_energy(x, b, c) - self.free_energy(v, b, c)
        self.optimizer.zero_grad()
        ((gap * mask).sum() / mask.sum()).backward()
        self.optimizer.step()


def our_steps(model: Any, batches: list[np.ndarray], k: int) -> Callable[[], None]:
    objective, optimizer = objectives.ConditionalContrastiveDivergence(k), optim.Adam(1e-3)
    rng = Generator(0)
    optimizer.init(model.params)

    def run() -> None:
        for batch in batches:
            optimizer.step(model.params, objective.gradient(model, batch, rng)[0])

    return run


def torch_steps(model: Any, batches: list[np.ndarray], k: int) -> Callable[[], None]:
    other, tensors = TorchRNNRBM(model, k), [torch.tensor(batch) for batch in batches]

    def run() -> None:
        for batch in tensors:
            other.step(batch)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n-hidden", type=int, default=150)
    parser.add_argument("--n-recurrent", type=int, default=100)
    parser.add_argument("--k", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    pieces = sorted(datasets.jsb_chorales().train, key=len)
    rows = []
    for size in (8, 64):
        batches = [pad(pieces[i : i + size]) for i in (40, 100, 160)]
        model = RNNRBM(88, args.n_hidden, args.n_recurrent, seed=0)
        jobs = {"torch": torch_steps(model, batches, args.k), "minidgm": our_steps(model, batches, args.k)}
        seconds = interleaved(jobs, args.rounds)
        rows.append({
            "sequences a step": size, "frames a step": int(np.mean([b[..., -1].sum() for b in batches])),
            "minidgm ms": 1e3 * float(np.median(seconds["minidgm"])) / len(batches),
            "torch ms": 1e3 * float(np.median(seconds["torch"])) / len(batches),
            "minidgm / torch": ratio(seconds, "minidgm", "torch"),
        })  # fmt: skip
    write("rnn-rbm-speed-cpu", rows, {**vars(args), "dtype": "float32", "threads": 1})


if __name__ == "__main__":
    main()
