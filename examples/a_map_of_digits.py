"""A map of digits: two numbers for each image, and what lies between the images.

A variational autoencoder is allowed two numbers for an image of 64 pixels. What it makes of the plane of
those two is on the left: every place decodes to an image, and neighbors look alike. On the right are test
images at the places the encoder gives them, one color a digit, which it was never told. Below is a walk from
one test image to another, through what lies between their codes; last, the plain average of the two.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import objectives, optim
from minidgm.latent import nets

digits = minidgm.datasets.digits(binarize="threshold")
encoder, decoder = nets.dense(64, 2, [128, 64], "relu")
vae = minidgm.VAE(encoder, decoder, n_latent=2, seed=0)
vae.fit(
    digits.train,
    objective=objectives.Reparameterization(warm_up=1000),
    optimizer=optim.Adam(optim.schedules.Linear(0.003, 1e-4)),
    epochs=300,
)

print("bound on log p(x), nats  ", vae.elbo(digits.test, rng=0, n_samples=20).mean().round(2))
print("importance-weighted, nats", vae.log_prob_estimate(digits.test, rng=0, n_samples=500).mean().round(2))

side = 12
tiles = np.pad(vae.manifold(side).reshape(side, side, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
images = tiles.transpose(0, 2, 1, 3).reshape(10 * side, 10 * side)
z = vae.transform(digits.test)
one, other = (int(np.flatnonzero(digits.test_labels == k)[0]) for k in (0, 1))
walk = vae.interpolate(digits.test[[one]], digits.test[[other]], 9)[:, 0]
average = 0.5 * (digits.test[one] + digits.test[other])

figure = Figure(figsize=(10, 6.4), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=(5.3, 1.1))
left, right = top.subplots(1, 2)
left.imshow(images, cmap="gray_r", vmin=0, vmax=1)
left.set_title("the plane of codes, decoded", fontsize=9)
left.set_axis_off()
shown = right.scatter(*z.T, c=digits.test_labels, cmap="tab10", s=14, vmin=-0.5, vmax=9.5)
right.set_title("test images at their codes", fontsize=9)
right.set_aspect("equal")
top.colorbar(shown, ax=right, ticks=range(10), label="digit")
row = [digits.test[one], *walk, digits.test[other], average]
names = ["image", *[""] * len(walk), "image", "average"]
for axis, image, name in zip(bottom.subplots(1, len(row)), row, names, strict=True):
    axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    axis.set_title(name, fontsize=8)
    axis.set_axis_off()
figure.savefig("a_map_of_digits.png", dpi=130)
