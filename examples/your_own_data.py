"""Your own data, and a run that may be killed.

Rows in a ``.npy`` file are all that is needed. The file is mapped into memory and never copied, so it may
be larger than the memory. With ``checkpoint=`` the run can be interrupted at any moment; with
``resume=True`` it goes on and ends with the same bits as a run that was left alone.
"""

from pathlib import Path

import numpy as np

import minidgm
from minidgm import plotting

#: Stand-in for your file: pictures of circles, 12×12 pixels, black and white.
rng = np.random.default_rng(0)
x, y = np.meshgrid(np.arange(12), np.arange(12))
center, radius = rng.uniform(3, 8, (2000, 2, 1, 1)), rng.uniform(2, 4, (2000, 1, 1))
distance = np.hypot(x - center[:, 0], y - center[:, 1])
np.save("circles.npy", (np.abs(distance - radius) < 0.7).reshape(2000, 144).astype("float32"))

#: Half of the run, as if it had been interrupted ...
settings = {
    "objective": "PersistentContrastiveDivergence",
    "optimizer": minidgm.optim.Adam(0.005),
    "batch_size": 50,
    "checkpoint": "run",
}
rbm = minidgm.RBM(n_visible=144, n_hidden=64, seed=0)
rbm.fit("circles.npy", epochs=50, resume=True, **settings)

#: ... and the rest, by another process, which knows nothing but the folder.
rbm = minidgm.RBM(n_visible=144, n_hidden=64, seed=0)
history = rbm.fit("circles.npy", epochs=100, resume=True, **settings)
print(f"{len(history.records)} epochs; {history.stopped}")

#: A model file is numbers and JSON. It can be sent to anybody, and opened from anybody.
rbm.save("circles.safetensors")
rbm = minidgm.load("circles.safetensors")
samples = rbm.reconstruct(rbm.sample(40, 0, steps=1000))
plotting.image_grid(samples, (12, 12), title="samples").savefig("your_own_data.png", dpi=160)
print(f"the model takes {Path('circles.safetensors').stat().st_size:,} bytes")
