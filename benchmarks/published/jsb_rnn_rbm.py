"""JSB chorales, RNN-RBM by CD-15 and back-propagation through time: log-likelihood a frame by AIS.

    python benchmarks/published/jsb_rnn_rbm.py [--minutes 6] [--folder runs/jsb_rnn_rbm] [--full]

Published (Boulanger-Lewandowski, Bengio and Vincent 2012, table 1): -6.27 nats a frame for the RNN-RBM. Two
baselines are computed from the data first: independent notes with the training frequencies (-11.06), and
notes that each depend on themselves one frame before (-10.49, over the frames that have one before).

Two trainings: on the 229 pieces as they are, and on the same pieces in twelve keys, from five semitones down
to six up; test and validation pieces are never transposed. A run stops after ``--minutes`` of training and
continues when it is called again; figures are written after each training.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import write

from minidgm import RBM, RNNRBM, Generator, datasets, evaluation, objectives, optim, training

QUICK = {"n_hidden": 150, "n_recurrent": 100, "k": 15, "epochs": 60, "epochs_transposed": 30}
FULL = {"n_hidden": 200, "n_recurrent": 200, "k": 25, "epochs": 100, "epochs_transposed": 60}
SHIFTS = range(-5, 7)


def baselines(train: list[np.ndarray], test: list[np.ndarray]) -> dict[str, float]:
    """Mean log-likelihood a frame of two models of single notes, with one half added to every count."""
    frames = np.concatenate(train).astype(np.float64)
    p = (frames.sum(axis=0) + 0.5) / (len(frames) + 1.0)
    before = np.concatenate([x[:-1] for x in train]).astype(np.float64)
    after = np.concatenate([x[1:] for x in train]).astype(np.float64)
    on = ((before * after).sum(axis=0) + 0.5) / (before.sum(axis=0) + 1.0)
    off = (((1 - before) * after).sum(axis=0) + 0.5) / ((1 - before).sum(axis=0) + 1.0)
    independent = markov = 0.0
    for piece in test:
        v = piece.astype(np.float64)
        independent += _bernoulli(v, p).sum()
        markov += _bernoulli(v[1:], np.where(v[:-1] == 1, on, off)).sum()
    n = sum(len(piece) for piece in test)
    return {"independent notes": independent / n, "note after itself": markov / (n - len(test))}


def _bernoulli(v: np.ndarray, p: np.ndarray) -> np.ndarray:
    return v * np.log(p) + (1.0 - v) * np.log1p(-p)


def in_all_keys(pieces: list[np.ndarray]) -> list[np.ndarray]:
    """Every piece in every key of `SHIFTS` that keeps it on the keyboard."""
    found = []
    for piece in pieces:
        notes = np.flatnonzero(piece.any(axis=0))
        fits = [s for s in SHIFTS if notes[0] + s >= 0 and notes[-1] + s < piece.shape[1]]
        found += [np.roll(piece, s, axis=1) for s in fits]
    return found


def pretrained(frames: np.ndarray, n_hidden: int, seed: int) -> RBM:
    """An RBM of single frames: the start of W, b and c."""
    rbm = RBM(frames.shape[1], n_hidden, seed=seed).initialize(frames)
    objective = objectives.PersistentContrastiveDivergence(1, n_chains=100)
    training.fit(rbm, frames, objective, optim.SGD(0.05), epochs=30, batch_size=100, seed=seed)
    return rbm


class Late(Exception):
    """The time of this call is over."""


def train(
    pieces: list[np.ndarray], first: np.ndarray, epochs: int, size: dict[str, int], args: Any, deadline: float
) -> tuple[RNNRBM, float]:
    """Train, or continue; the model and the seconds that it took.

    Raises
    ------
    Late
        After the deadline, with all but the last epoch in a checkpoint.
    """
    folder = args.folder / f"{len(pieces)} pieces"
    model = RNNRBM(88, size["n_hidden"], size["n_recurrent"], seed=args.seed)
    if not any(folder.glob("*")):
        model.start_from(pretrained(first, size["n_hidden"], args.seed))
        for name in "ABFR":  # a past that says little at first overfits later
            model.params[name][...] *= 0.1

    def watch(run: training.Training) -> None:
        if time.monotonic() > deadline and run.epoch < run.epochs:
            raise Late

    history = training.fit(
        model, pieces, objectives.ConditionalContrastiveDivergence(size["k"]),
        optim.Adam(optim.schedules.Cosine(args.learning_rate, 0.0), clip=1.0), epochs=epochs,
        batch_size=args.batch_size, callbacks=[watch], seed=args.seed, checkpoint=folder, resume=True,
    )  # fmt: skip
    return model, history.seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the paper's size")
    for name in QUICK:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--n-chains", type=int, default=10)
    parser.add_argument("--n-temperatures", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop training after so long")
    parser.add_argument("--folder", type=Path, default=Path("runs/jsb_rnn_rbm"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    size = {key: getattr(args, key) or value for key, value in (FULL if args.full else QUICK).items()}
    deadline = time.monotonic() + 60.0 * args.minutes

    data = datasets.jsb_chorales()
    rows: list[dict[str, object]] = [
        {"model": name, "test LL": round(value, 3), "kind": "exact"}
        for name, value in baselines(data.train, data.test).items()
    ]
    print(*rows, sep="\n", flush=True)
    annealing = {"n_chains": args.n_chains, "n_temperatures": args.n_temperatures}
    settings = {
        "data": "JSB chorales, quarter notes, 229 / 76 / 77 pieces; nats a frame; train: every third piece",
        **size, "batch_size": args.batch_size, "AIS": annealing, "seed": args.seed,
        "optimizer": f"Adam {args.learning_rate} falling to 0 as a cosine, gradient norm at most 1",
        "start": "W, b, c of an RBM of single frames, PCD-1, 30 epochs; A, B, F, R a tenth of the usual",
    }  # fmt: skip
    for name, pieces, epochs in (
        ("RNN-RBM", data.train, size["epochs"]),
        ("RNN-RBM, trained in twelve keys", in_all_keys(data.train), size["epochs_transposed"]),
    ):
        try:
            model, seconds = train(pieces, np.concatenate(data.train), epochs, size, args, deadline)
        except Late:
            print(f"{name} is not done: the same command continues")
            return
        found = {
            part: evaluation.frame_log_likelihood(model, sequences, **annealing, rng=Generator(args.seed))
            for part, sequences in (
                ("test", data.test), ("validation", data.validation), ("train", data.train[::3])
            )
        }  # fmt: skip
        rows.append({
            "model": name, **{f"{part} LL": round(value.value, 3) for part, value in found.items()},
            "kind": found["test"].kind, "stderr of log Z": round(found["test"].stderr or 0.0, 4),
            "effective chains": round(found["test"].ess or 0.0, 2), "train seconds": round(seconds),
        })  # fmt: skip
        write("jsb-rnn-rbm", rows, settings)


if __name__ == "__main__":
    main()
