"""What was under the hand: filling in missing pixels.

A deep Boltzmann machine has no input and no output. Any pixels may be given and any be asked for: clamp what
is known, and let mean field settle on all the rest, hidden layers and missing pixels alike. Here it learns
just that. `MultiPrediction` hides a random half of every digit and follows the error of the guesses back
through the sweeps of mean field, which are a recurrent net. Then we hide blocks that it has never practised:
the right half, the lower half, a hand across the middle, and noise.
"""

import numpy as np

import minidgm
from minidgm import objectives, optim, plotting

digits = minidgm.datasets.digits(binarize="threshold")
dbm = minidgm.DBM([64, 128, 64], seed=0).initialize(digits.train)
dbm.fit(
    digits.train,
    objective=objectives.MultiPrediction(sweeps=5, missing=0.5),
    optimizer=optim.Adam(optim.Linear(1e-2)),
    epochs=100,
)

#: Four ways of hiding, for the same eight test digits.
rng = np.random.default_rng(0)
masks = np.ones((4, 8, 8), dtype="float32")
masks[0, :, 4:] = 0  # right half
masks[1, 4:] = 0  # lower half
masks[2, 2:6] = 0  # across the middle
masks[3] = rng.random((8, 8)) < 0.4  # six pixels of ten
v = digits.test[:8]
frequencies = digits.train.mean(axis=0)
rows = [v]
for name, mask in zip(("right", "lower", "middle", "noise"), masks.reshape(4, 64), strict=True):
    found = dbm.infer(v, mask)
    everyone = dbm.infer(digits.test, mask)
    wrong = np.abs(np.round(everyone.visible) - digits.test)[:, mask == 0].mean()
    blind = np.abs(np.round(frequencies) - digits.test)[:, mask == 0].mean()
    print(f"{name:6s} missing: {wrong:.1%} of the pixels wrong, {blind:.1%} by their frequencies alone")
    rows += [np.where(mask > 0, v, 0.5), found.visible]

#: First the digits, then below each other what was shown (gray: hidden) and what was made of it.
figure = plotting.image_grid(np.concatenate(rows), (8, 8), ncols=8, limits=(0.0, 1.0))
figure.savefig("missing_pixels.png", dpi=160)
