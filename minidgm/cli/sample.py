"""``minidgm sample``: draw from the model of a run."""

from __future__ import annotations

import argparse
import inspect
import io
import math
from pathlib import Path
from typing import Any

from minidgm.cli import runs, text
from minidgm.cli.command import UsageError

HELP = "Draw from a trained model; a picture for image data, an array otherwise."
EXAMPLES = """\
examples:
  minidgm sample runs/demo
  minidgm sample runs/demo --n 100 --steps 5000 --out samples.npy
  minidgm sample runs/rbm --mean --out faces.png --shape 20 20

Chains start at the visible biases alone and run --steps sweeps; --mean shows p(v = 1 | h) of the last sweep
in place of a draw from it. A directed model is sampled from the top down, without sweeps. A model of
sequences continues silence by --n frames.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("--n", metavar="N", type=int, default=60, help="how many (60)")
    parser.add_argument(
        "--steps", metavar="N", type=int, help="Gibbs sweeps (1000; 25 for each frame of a sequence)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0)
    parser.add_argument(
        "--mean", action="store_true", help="visible means of the last sweep in place of draws"
    )
    parser.add_argument(
        "--out", metavar="FILE", help=".npy, .csv or .png; RUN/samples.png or .npy by default"
    )
    parser.add_argument("--shape", metavar=("H", "W"), type=int, nargs=2, help="shape of an image")
    parser.add_argument("--backend", metavar="NAME", help="numpy or cupy; that of the run by default")
    parser.add_argument("--overwrite", action="store_true", help="replace --out where it exists")
    parser.add_argument("--json", action="store_true", help="print where the samples are, as JSON")


def run(args: argparse.Namespace) -> int:
    """Draw and write."""
    from minidgm.backend import Generator, to_numpy

    folder = runs.Run.open(args.run)
    model = folder.model(args.backend)
    of_sequences = getattr(model, "takes_sequences", False)
    if not (of_sequences or hasattr(model, "sample")):
        raise UsageError(f"{type(model).__name__} is no distribution: there is nothing to draw from")
    steps = (25 if of_sequences else 1000) if args.steps is None else args.steps
    shape = tuple(args.shape) if args.shape else image_shape(folder)
    name = Path(args.out) if args.out else folder / ("samples.png" if shape else "samples.npy")
    if name.suffix not in (".npy", ".png", ".csv"):
        raise UsageError(f"--out {name}: expected a name that ends in .npy, .csv or .png")
    if args.out and name.exists() and not args.overwrite:
        raise UsageError(f"--out {name} exists: choose another name, or replace it with --overwrite")
    if name.suffix == ".png" and of_sequences:
        shape = None
    elif name.suffix == ".png":
        shape = shape or square(model.n_visible)
        if math.prod(shape) != model.n_visible:
            raise UsageError(
                f"--shape {shape[0]} {shape[1]} has {math.prod(shape)} pixels, a sample {model.n_visible}"
            )
    rng = Generator(args.seed, model.backend)
    if hasattr(model, "dream") and "steps" not in inspect.signature(model.sample).parameters:
        text.note(f"drawing {args.n} rows from the top down")
        v, z = model.dream(args.n, rng)
        v = model.visible_given_latent(z).mean if args.mean else v
    elif hasattr(model, "draw_latent") or getattr(model, "fits_at_once", False):
        text.note(f"drawing {args.n} rows{' from noise' if hasattr(model, 'draw_latent') else ''}")
        v = model.sample(args.n, rng)
    else:
        text.note(f"drawing {args.n} {'frames' if of_sequences else 'chains'} of {steps} sweeps")
        drawn = model.generate(None, args.n, rng, steps) if of_sequences else None
        v = model.sample(args.n, rng, steps=steps) if drawn is None else drawn
        if args.mean and not of_sequences:
            draws = "rng" in inspect.signature(model.reconstruct).parameters
            v = model.reconstruct(v, rng) if draws else model.reconstruct(v)
    roll = (model.n_visible, args.n) if of_sequences and name.suffix == ".png" else None
    pictured = v[:, : model.n_visible] if name.suffix == ".png" else v  # labels are no pixels
    # A sequence is one picture: time runs to the right, the first unit is at the bottom.
    write(name, to_numpy(pictured.T[::-1].reshape(1, -1) if roll else pictured), roll or shape)
    if args.json:
        text.print_json(
            {"file": str(name), "n": args.n, "steps": steps, "seed": args.seed, "shape": list(v.shape)}
        )
    else:
        print(f"{args.n} samples written to {name}")
    return 0


def write(name: Path, v: Any, shape: Any) -> None:
    """Write samples [n, n_visible] as an array, a table or a picture, by the ending of the name."""
    import numpy as np

    from minidgm.serialization import write_atomically

    content = io.BytesIO()
    if name.suffix == ".npy":
        np.save(content, v, allow_pickle=False)
    elif name.suffix == ".csv":
        np.savetxt(content, v, fmt="%.9g", delimiter=",")
    else:
        from minidgm import plotting

        content.write(plotting.to_png_bytes(plotting.image_grid(v, shape=shape)))
    write_atomically(name, content.getvalue())


def image_shape(folder: runs.Run) -> tuple[int, int] | None:
    """Shape of the images that the run was trained on, if they were images."""
    shape = (folder.read_json(runs.SUMMARY) or {}).get("data", {}).get("shape")
    return tuple(shape) if shape and len(shape) == 2 else None


def square(n: int) -> tuple[int, int]:
    """Side by side of a square of n pixels."""
    side = math.isqrt(n)
    if side * side != n:
        raise UsageError(f"{n} values are no square picture: give --shape H W, or --out samples.npy")
    return side, side
