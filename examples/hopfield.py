"""A memory that falls into place: the Hopfield network.

Four digits are stored by Hebb's rule, one product of matrices and no training. Some pixels of each are
then flipped, and the network updates pixel after pixel. Each change lowers the energy, so that it must
end, and it ends in the memory that was corrupted. The network is a Boltzmann machine without hidden units at
temperature zero; warmer ones wander.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm

#: Four digits of 64 pixels that differ in many pixels: Hebb's rule wants patterns that are not alike.
digits = minidgm.datasets.digits(binarize="threshold")
chosen = [198]
while len(chosen) < 4:
    spins = 2.0 * digits.train - 1.0
    overlap = np.abs(spins @ spins[chosen].T).max(axis=1)
    chosen.append(int(overlap.argmin()))
patterns = digits.train[chosen]
network = minidgm.Hopfield(64).store(patterns)

#: Flip a sixth of the pixels, then descend in a random order.
flips = np.random.default_rng(0).random(patterns.shape) < 0.16
corrupted = np.where(flips, 1.0 - patterns, patterns).astype("float32")
descent = network.descend(corrupted, rng=0)
start, end = descent.energies[0].round(1), descent.energies[-1].round(1)
print(f"{descent.sweeps} sweeps; energies fall from {start} to {end}")
print(f"pixels wrong before: {flips.sum(axis=1)}, after: {(descent.v != patterns).sum(axis=1)}")

#: The same network at a temperature: Gibbs sweeps from the memories stay near them, and tremble.
warm = network.at_temperature(0.5)
v = patterns
rng = minidgm.Generator(0)
for _ in range(20):
    v, _ = warm.gibbs_step(v, v[:, :0], rng)

rows = {"stored": patterns, "corrupted": corrupted, "recalled": descent.v, "at T = 0.5": v}
figure = Figure(figsize=(8.4, 3.4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.2, 1.0])
grid = left.subplots(4, 4)
for line, (title, images) in zip(grid, rows.items(), strict=True):
    for axes, image in zip(line, images, strict=True):
        axes.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes.set_xticks([])
        axes.set_yticks([])
    line[0].set_ylabel(title, fontsize=7)
axes = right.subplots()
axes.plot(descent.energies, marker="o", markersize=3)
axes.set_xlabel("sweep")
axes.set_ylabel("energy E(v)")
axes.set_title("the descent of each", fontsize=9)
figure.savefig("hopfield.png", dpi=160)
