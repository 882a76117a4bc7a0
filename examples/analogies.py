"""Analogies: this is to that as another is to what.

A gated RBM sees pairs of random images, the second a shifted copy of the first, and nobody says by how much.
Its energy is a product of three layers, :math:`\\sum_{ijk} W_{ijk} x_i y_j h_k`: a hidden unit does not code
what is in an image but what turns one into the other. So the code of one pair can be applied to another
image. Nothing but random dots is seen in training; the letter is new. Below, a column of the tensor each: for
one hidden unit, which pixel of :math:`x` (the row) it expects at which pixel of :math:`y` (the column).
Diagonals are shifts.
"""

import numpy as np
from matplotlib.figure import Figure

from minidgm import GatedRBM
from minidgm.optim import Adam

side = 8
rng = np.random.default_rng(0)
shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def pairs(n):
    """Random dots [n, 64] and the same shifted, with wrap-around."""
    x = (rng.random((n, side, side)) < 0.15).astype("float32")
    y = [np.roll(image, shifts[i], axis=(0, 1)) for image, i in zip(x, rng.integers(9, size=n), strict=True)]
    return x.reshape(n, -1), np.stack(y).reshape(n, -1)


#: Contrastive divergence of y given x.
model = GatedRBM(side**2, side**2, n_hidden=20, seed=0)
model.fit(model.join(*pairs(10_000)), optimizer=Adam(0.01), epochs=25, batch_size=100)

#: One random pair for each of the nine shifts, and a letter that none of them has seen.
x = np.repeat(pairs(1)[0], 9, axis=0).reshape(9, side, side)
y = np.stack([np.roll(image, shift, axis=(0, 1)) for image, shift in zip(x, shifts, strict=True)])
letter = np.zeros((side, side))
letter[1:7, 2] = letter[1, 2:6] = letter[3, 2:5] = 1.0  # F
answer = model.transfer(x.reshape(9, -1), y.reshape(9, -1), np.tile(letter.reshape(1, -1), (9, 1)))
right = np.stack([np.roll(letter, shift, axis=(0, 1)) for shift in shifts]).reshape(9, -1)
print(f"{(np.round(answer) == right).all(axis=1).sum()} of 9 analogies are right to the pixel")

#: The picture.
figure = Figure(figsize=(9, 5.6), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=(4, 2.2))
rows = (("x", x), ("y", y), ("another x", [letter] * 9), ("its y", answer.reshape(9, side, side)))
for axes, (name, images) in zip(top.subplots(4, 9), rows, strict=True):
    for axis, image in zip(axes, images, strict=True):
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    axes[0].set_ylabel(name, fontsize=9)
strength = np.abs(model.tensor()).max(axis=(0, 1))
for axis, k in zip(bottom.subplots(1, 6), np.argsort(-strength)[:6], strict=True):
    limit = float(strength[k])
    axis.imshow(model.tensor()[:, :, k], cmap="RdBu_r", vmin=-limit, vmax=limit)
    axis.set(xticks=[], yticks=[])
    axis.set_title(f"W of hidden unit {k}", fontsize=8)
figure.savefig("analogies.png", dpi=150)
