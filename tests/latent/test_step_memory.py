"""A step leaves nothing behind: memory after a thousand of them is that after the first few."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np

from minidgm import VAE, Generator
from minidgm.objectives import Reparameterization
from minidgm.optim import Adam


def test_a_thousand_steps_keep_no_memory():
    vae, objective, optimizer, rng = VAE.small(seed=0), Reparameterization(), Adam(1e-3), Generator(0)
    x = np.eye(3, dtype="float32")
    optimizer.init(vae.params)

    def steps(n):
        for _ in range(n):
            grads, _ = objective.gradient(vae, x, rng)
            optimizer.step(vae.params, grads)
        gc.collect()

    steps(5)
    tracemalloc.start()
    try:
        steps(5)
        before = tracemalloc.get_traced_memory()[0]
        steps(1000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 60_000  # half of the smallest array's header a step; the interpreter's caches fill up
