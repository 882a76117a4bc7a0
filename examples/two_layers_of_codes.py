"""Two layers of codes: the lower one keeps the image, the upper one what kind of shape it is.

A variational autoencoder with 16 codes above the pixels, and two codes above those. Nobody says what each
layer is for, but two numbers are too few to keep an image. On the left is the plane of the upper codes,
decoded through the lower ones. On the right are test images, what comes back from the lower codes, and what
comes back from the upper codes alone: the rough shape, where the lower ones keep the strokes. Below, each row
is one draw of the upper codes and ten draws of the lower ones given those: a family.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import objectives, optim
from minidgm.latent import nets

digits = minidgm.datasets.digits(binarize="threshold")
n_codes = (16, 2)
encoders, decoders = nets.layered(64, n_codes, [(128,), (64,)])
vae = minidgm.HierarchicalVAE(encoders, decoders, n_codes, seed=0)
vae.fit(
    digits.train,
    objective=objectives.Reparameterization(warm_up=1500),
    optimizer=optim.Adam(optim.schedules.Linear(0.003, 1e-4)),
    epochs=300,
)

print("bound on log p(x), nats  ", vae.elbo(digits.test, rng=0, n_samples=20).mean().round(2))
print("importance-weighted, nats", vae.log_prob_estimate(digits.test, rng=0, n_samples=500).mean().round(2))
for layer in (1, 2):
    error = ((vae.reconstruct(digits.test, layer) - digits.test) ** 2).sum(axis=1).mean()
    print(f"squared error of an image from layer {layer}", error.round(2))

rng = minidgm.Generator(1)
upper = np.repeat(vae.prior(5).sample(rng), 10, axis=0)
lower = vae.down(2, upper)[0].sample(rng)
families = vae.visible_given_layer(1, lower).mean.reshape(5, 10, 64)
rows = [int(np.flatnonzero(digits.test_labels == k)[1]) for k in range(10)]
images = digits.test[rows]
table = np.stack([images, vae.reconstruct(images), vae.reconstruct(images, layer=2)])


def tiled(images):
    """Images [rows, columns, 64] as one, with margins."""
    tiles = np.pad(images.reshape(*images.shape[:2], 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
    return tiles.transpose(0, 2, 1, 3).reshape(10 * images.shape[0], 10 * images.shape[1])


figure = Figure(figsize=(10, 5.2), layout="constrained")
axes = figure.subplot_mosaic([["plane", "table"], ["plane", "families"]], height_ratios=(3, 5))
titles = {
    "plane": (vae.manifold(12), "the plane of the upper codes"),
    "table": (table, "images, from the lower codes, from the upper codes"),
    "families": (families, "each row: one draw of the upper codes, ten of the lower ones"),
}
for name, (shown, title) in titles.items():
    axes[name].imshow(tiled(shown), cmap="gray_r", vmin=0, vmax=1)
    axes[name].set_title(title, fontsize=9)
    axes[name].set_axis_off()
figure.savefig("two_layers_of_codes.png", dpi=130)
