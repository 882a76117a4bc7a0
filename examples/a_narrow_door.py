"""A narrow door: how few numbers an image can pass through.

An autoencoder squeezes images of 64 pixels through a code of 1 to 32 numbers and asks for them back. What is
lost depends on how the code may be used. For linear nets the best that training can reach on its images is
known: the projection on their first principal components, which loses the other eigenvalues of the covariance
(Baldi and Hornik 1989). Trained linear nets come down to that line and stop. A hidden layer of rectifiers on
both sides may bend the surface of reconstructions, and gets as much of an unseen image through two numbers as
a flat one through four. At 32 numbers the two nearly meet: what is left is noise of single pixels, which
bending cannot foretell.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import optim
from minidgm.latent import nets

digits = minidgm.datasets.digits()
sizes = [1, 2, 4, 8, 16, 32]


def error(model):
    """Mean squared distance of test images from their reconstructions."""
    return float(((model.reconstruct(digits.test) - digits.test) ** 2).sum(axis=1).mean())


def trained(model, rate, epochs):
    adam = optim.Adam(optim.schedules.Linear(rate))
    model.fit(digits.train, optimizer=adam, epochs=epochs, batch_size=100, seed=0)
    return model


#: Linear: one dense layer each way, placed on the principal components, and trained from random weights.
best = [minidgm.Autoencoder([("dense", k)], [("dense", 64)], k, seed=0) for k in sizes]
for model in best:
    model.principal_components(digits.train)
linear = [trained(minidgm.Autoencoder([("dense", k)], [("dense", 64)], k, seed=0), 0.02, 60) for k in sizes]

#: Bent: 128 rectifiers before and after the code.
bent = [
    trained(minidgm.Autoencoder(*nets.dense(64, k, [128], "relu", codes=1), k, seed=0), 0.003, 100)
    for k in sizes
]

errors = {
    "principal components": [error(model) for model in best],
    "linear, trained": [error(model) for model in linear],
    "with rectifiers": [error(model) for model in bent],
}
print("numbers in the code  ", *(f"{k:6d}" for k in sizes))
for name, values in errors.items():
    print(f"{name:21s}", *(f"{value:6.3f}" for value in values))

figure = Figure(figsize=(10, 4.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(4.3, 5.7))
axis = left.subplots()
styles = {"principal components": "k-", "linear, trained": "C0o", "with rectifiers": "C1o-"}
for name, values in errors.items():
    axis.loglog(sizes, values, styles[name], label=name, markersize=6)
axis.set_xlabel("numbers in the code")
axis.set_ylabel("squared error of a test image")
axis.set_xticks(sizes, [str(k) for k in sizes])
axis.minorticks_off()
axis.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
axis.legend(frameon=False)
axis.grid(alpha=0.3)

shown = digits.test[[int(np.flatnonzero(digits.test_labels == k)[0]) for k in range(10)]]
rows = {"image": shown}
for k in (2, 8):
    rows[f"{k}, linear"] = best[sizes.index(k)].reconstruct(shown)
    rows[f"{k}, bent"] = bent[sizes.index(k)].reconstruct(shown)
axes = right.subplots(len(rows), 10)
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for axis, image in zip(line, images, strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_frame_on(False)
    line[0].set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
figure.savefig("a_narrow_door.png", dpi=130)
