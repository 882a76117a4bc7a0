"""Speed of convolutions and transposed convolutions beside their matrix products and PyTorch, in one run.

    python benchmarks/conv.py [--batch 64] [--rounds 7] [--channels-last]

The layers of a small DCGAN on images 3 x 32 x 32: filters of 4 x 4 with stride 2 and padding 1, which halve
or double the image, 64, 128 and 256 channels, float32. ``forward`` keeps what the backward pass needs;
``backward`` makes the gradients of the input, the filters and the biases. ``products`` is the floor: the same
sums as one matrix product each, without the windows. ``net`` runs the three layers of the discriminator or
the generator in a row. Ratios are medians over interleaved rounds; ``x torch`` is our time over PyTorch's.

Set OMP_NUM_THREADS and OPENBLAS_NUM_THREADS alike. PyTorch's convolutions use the widest vectors that the
processor has; so does NumPy's OpenBLAS unless OPENBLAS_CORETYPE names an older processor, which the settings
of a result tell.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")

import numpy as np
from common import ratio, write

from minidgm import nn

Shape = tuple[int, int, int]
SIZE, STRIDE, PADDING = 4, 2, 1
# (transposed, channels and size of x, channels of y)
LAYERS: tuple[tuple[bool, Shape, int], ...] = (
    (False, (3, 32, 32), 64),
    (False, (64, 16, 16), 128),
    (False, (128, 8, 8), 256),
    (True, (256, 4, 4), 128),
    (True, (128, 8, 8), 64),
    (True, (64, 16, 16), 3),
)
Jobs = dict[str, Callable[[], Any]]


def products(transposed: bool, shape: Shape, n_out: int, batch: int) -> Jobs:
    """Windows times filters, on still windows: [places, area] [area, filters] and its kin."""
    c, h, w = shape
    small, large = (c, n_out) if transposed else (n_out, c)
    places = batch * (h * w if transposed else (h // STRIDE) * (w // STRIDE))
    area = large * SIZE * SIZE
    u, y, W = (np.ones(s, dtype=np.float32) for s in ((places, area), (places, small), (area, small)))
    du, dy, dW = (np.ones_like(a) for a in (u, y, W))
    there = lambda: np.matmul(u, W, out=dy)  # noqa: E731
    back = lambda: np.matmul(y, W.T, out=du)  # noqa: E731
    first, second = (back, there) if transposed else (there, back)
    return {"forward": first, "backward": lambda: (second(), np.matmul(u.T, y, out=dW))}


def ours(layers: Sequence[Any], shape: Shape, batch: int, last: bool) -> Jobs:
    net = nn.Network(layers, shape)
    rng = np.random.default_rng(0)
    params = {k: 0.05 * rng.normal(size=s).astype(np.float32) for k, s in net.shapes.items()}
    grads = {k: np.empty_like(p) for k, p in params.items()}
    x, dy = (rng.normal(size=(batch, *s)).astype(np.float32) for s in (shape, net.shape))
    if last:
        x, dy = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, dy))
    cache = net.forward(params, x)[1]
    return {"forward": lambda: net.forward(params, x), "backward": lambda: net.backward(dy, cache, grads)}


def torch_jobs(chain: Sequence[tuple[bool, Shape, int]], shape: Shape, batch: int, last: bool) -> Jobs:
    import torch

    made = [
        (torch.nn.ConvTranspose2d if up else torch.nn.Conv2d)(c[0], n_out, SIZE, STRIDE, PADDING)
        for up, c, n_out in chain
    ]
    net, x = torch.nn.Sequential(*made), torch.randn(batch, *shape)
    if last:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    x.requires_grad_()
    y = net(x)
    dy, wanted = torch.randn_like(y), [x, *net.parameters()]
    return {
        "forward": lambda: net(x),
        "backward": lambda: torch.autograd.grad(y, wanted, dy, retain_graph=True),
    }


def interleaved_warm(jobs: Jobs, rounds: int) -> dict[str, list[float]]:
    """Seconds of each job in turn, each right after an untimed run of its own that wakes its threads."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            job()
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--channels-last", action="store_true", help="channels side by side in memory")
    parser.add_argument("--dry", action="store_true", help="print and write nothing")
    args = parser.parse_args()
    import torch

    batch, last, threads = args.batch, args.channels_last, torch.get_num_threads()
    rows: list[dict[str, Any]] = []
    sums: dict[str, np.ndarray] = {}

    def add(layer: str, direction: str, seconds: dict[str, list[float]]) -> None:
        milliseconds = {f"{name} ms": 1e3 * float(np.median(s)) for name, s in seconds.items()}
        ratios = {"x products": ratio(seconds, "minidgm", "products")}
        ratios["x torch"] = ratio(seconds, "minidgm", "torch")
        rows.append({"layer": layer, "pass": direction, **milliseconds, **ratios})
        print(rows[-1], flush=True)

    def measure(layer: str, parts: dict[str, Jobs], count: bool) -> None:
        for direction in ("forward", "backward"):
            seconds = interleaved_warm({name: jobs[direction] for name, jobs in parts.items()}, args.rounds)
            add(layer, direction, seconds)
            if count:
                for name, found in seconds.items():
                    sums[name] = sums.get(name, np.zeros(args.rounds)) + np.array(found)

    for up, shape, n_out in LAYERS:
        layer = (nn.ConvTranspose2d if up else nn.Conv2d)(n_out, SIZE, STRIDE, PADDING)
        parts = {
            "products": products(up, shape, n_out, batch),
            "minidgm": ours([layer], shape, batch, last),
            "torch": torch_jobs([(up, shape, n_out)], shape, batch, last),
        }
        name = f"{'transposed ' if up else ''}{shape[0]} to {n_out}, from {shape[1]} x {shape[2]}"
        measure(name, parts, True)
    add("sum of the layers", "both", {name: found.tolist() for name, found in sums.items()})
    for name, chain in (("discriminator", LAYERS[:3]), ("generator", LAYERS[3:])):
        layers = [(nn.ConvTranspose2d if up else nn.Conv2d)(n, SIZE, STRIDE, PADDING) for up, _, n in chain]
        each = [products(*layer, batch) for layer in chain]
        floor = {
            direction: lambda direction=direction, each=each: [jobs[direction]() for jobs in each]
            for direction in ("forward", "backward")
        }
        parts = {"products": floor, "minidgm": ours(layers, chain[0][1], batch, last)}
        parts["torch"] = torch_jobs(chain, chain[0][1], batch, last)
        measure(f"net: {name}", parts, False)
    settings: dict[str, Any] = {
        "batch": batch,
        "filters": [SIZE, STRIDE, PADDING],
        "memory": "channels last" if last else "channels first",
        "dtype": "float32",
        "rounds": args.rounds,
        "threads": threads,
        "OPENBLAS_THREAD_TIMEOUT": os.environ["OPENBLAS_THREAD_TIMEOUT"],
        "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE"),
    }
    if not args.dry:
        write(f"conv-speed-cpu-{threads}" + ("-channels-last" if last else ""), rows, settings)


if __name__ == "__main__":
    main()
