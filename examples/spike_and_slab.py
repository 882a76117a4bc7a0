"""Spikes and slabs: hidden units that add variance.

A hidden unit of a Gaussian RBM moves the mean of an image. A spike-and-slab unit changes its covariance: its
spike says whether a direction :math:`W_{:,i}` is in the image, its slab, a real number, how much of it and
with which sign. On whitened patches no pair of pixels is correlated any more and a Gaussian RBM finds next to
nothing. The ssRBM finds edges and corners: which of them are there is what is left to say about an image.
"""

import numpy as np

import minidgm
from minidgm import evaluation, objectives, optim, plotting

#: A world of disks that hide each other: natural enough to have edges, and needs no file.
rng = np.random.default_rng(0)
rows, columns = np.mgrid[:64, :64]
images = np.zeros((40, 64, 64))
for image in images:
    for _ in range(250):
        center, radius = rng.uniform(-8, 72, 2), min(3.0 / np.sqrt(rng.uniform(0.01, 1.0)), 25.0)
        image[(rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2] = rng.normal()
images += 0.05 * rng.normal(size=images.shape)

#: Patches without their mean brightness, in the 40 principal directions, whitened, at one contrast.
data = minidgm.datasets.patches(images, size=8, n=15_000, whiten="pca", center="patch", epsilon=0.01)


def one_contrast(X):
    X = X[:, :40]
    return X / np.sqrt((X * X).mean(axis=1, keepdims=True) + 0.1)


train, test = one_contrast(data.train), one_contrast(data.test)


def learn(model):
    model.fit(
        train,
        objective=objectives.PersistentContrastiveDivergence(),
        optimizer=optim.Adam(optim.schedules.Cosine(0.003, 0.0)),
        epochs=20,
    )
    log_z = evaluation.ais(model, n_temperatures=300, rng=0)
    score = -float(model.free_energy(test).mean()) - log_z.value
    print(
        f"{type(model).__name__}: {model.params.size} parameters, log-likelihood of test patches {score:.2f} "
        f"(AIS, standard error of log Z {log_z.stderr:.2f})"
    )
    return model


#: With as many parameters. Spikes begin rare, and with longer filters than by default.
learn(minidgm.GaussianRBM(40, 50, seed=0))
spiky = minidgm.SpikeAndSlabRBM(40, 49, Phi=0.0, seed=0).initialize(train)
spiky.params["b"][...] = -3.0
spiky.params["W"][...] *= 2.0
learn(spiky)

#: The filters in pixels: what the unit looks for.
pixels = data.whitening.forward[:, :40] @ spiky.params["W"]
order = np.argsort(-np.linalg.norm(spiky.params["W"], axis=0))
figure = plotting.filters(
    (pixels / np.abs(pixels).max(axis=0))[:, order], (8, 8), title="filters of the spikes, longest first"
)
figure.savefig("spike_and_slab.png", dpi=160)
