"""One hand, ten digits: what is left to say about an image once its digit is known.

A variational autoencoder that is told the digit need not spend its code on it. What remains is the hand: how
bold, how wide, how slanted. Each line of the picture is one code decoded with every label, so that one hand
writes all ten digits; the first image of a line is the test image whose code it is. On the right the same two
numbers are walked through for a single digit.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import objectives, optim

digits = minidgm.datasets.digits(binarize="threshold")
labels = np.eye(10, dtype="float32")


def beside(images, y):
    """Images, and their labels one-hot beside them."""
    return np.concatenate([images, labels[y]], axis=1)


#: The label joins the input of both nets; all else is a VAE with rows [x | y] in the place of x.
encoder = [("dense", 128), "relu", ("dense", 4)]
decoder = [("dense", 64), "relu", ("dense", 128), "relu", ("dense", 64)]
vae = minidgm.ConditionalVAE(encoder, decoder, n_latent=2, n_labels=10, seed=0)
vae.fit(
    beside(digits.train, digits.train_labels),
    objective=objectives.Reparameterization(warm_up=1000),
    optimizer=optim.Adam(optim.Linear(0.003, 1e-4)),
    epochs=200,
)
test = beside(digits.test, digits.test_labels)
print("bound on log p(x | digit), nats ", vae.elbo(test, rng=0, n_samples=20).mean().round(2))
print("importance-weighted, nats       ", vae.log_prob_estimate(test, rng=0, n_samples=500).mean().round(2))

hands = [int(np.flatnonzero(digits.test_labels == k)[1]) for k in (0, 2, 3, 6, 7)]
codes = vae.transform(test[hands])
figure = Figure(figsize=(10, 3.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(11, 7))
panels = left.subplots(len(hands), 11)
for line, index, z in zip(panels, hands, codes, strict=True):
    written = vae.visible_given_latent(np.repeat(z[None], 10, axis=0), y=np.arange(10)).mean
    for axis, image in zip(line, [digits.test[index], *written], strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.set_axis_off()
panels[0, 0].set_title("image", fontsize=8)
for k in range(10):
    panels[0, k + 1].set_title(str(k), fontsize=8)

side, span = 7, np.linspace(-1.8, 1.8, 7)
plane = np.stack(np.meshgrid(span, span), axis=-1).reshape(-1, 2).astype("float32")
walk = vae.visible_given_latent(plane, y=np.full(side * side, 4)).mean
tiles = np.pad(walk.reshape(side, side, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
axis = right.subplots()
axis.imshow(tiles.transpose(0, 2, 1, 3).reshape(10 * side, 10 * side), cmap="gray_r", vmin=0, vmax=1)
axis.set_title("the plane of hands, writing 4", fontsize=9)
axis.set_axis_off()
figure.savefig("one_hand.png", dpi=130)
