"""Covariance filters: hidden units that say what does not vary.

A covariance unit of the mcRBM is on while the image hardly varies along its filter, and is switched off by an
edge that crosses it. What the units that are left on allow is a Gaussian with a covariance of its own for
each image. Chains are moved by Hamiltonian Monte Carlo, since drawing from that Gaussian would take a matrix
factor for each of them. The filters come out local and oriented.
"""

import numpy as np

import minidgm
from minidgm import evaluation, optim, plotting

#: A world of disks that hide each other: natural enough to have edges, and needs no file.
rng = np.random.default_rng(0)
rows, columns = np.mgrid[:64, :64]
images = np.zeros((40, 64, 64))
for image in images:
    for _ in range(250):
        center, radius = rng.uniform(-8, 72, 2), min(3.0 / np.sqrt(rng.uniform(0.01, 1.0)), 25.0)
        image[(rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2] = rng.normal()
images += 0.05 * rng.normal(size=images.shape)

#: Whitened patches, brought to one contrast, which would otherwise be what most filters learn.
data = minidgm.datasets.patches(images, size=8, n=15_000, whiten="zca", epsilon=0.01)
train, test = (X / np.sqrt((X * X).mean(axis=1, keepdims=True) + 0.1) for X in (data.train, data.test))


def log_likelihood(model):
    log_z = evaluation.ais(model, n_temperatures=300, rng=0)
    value = -float(model.free_energy(test).mean()) - log_z.value
    return f"{value:.1f} nats (AIS, standard error of log Z {log_z.stderr:.2f})"


#: With as many parameters, a Gaussian RBM and an mcRBM with 10 mean and 70 covariance units.
gaussian = minidgm.GaussianRBM(64, 80, seed=0)
gaussian.fit(train, epochs=10)
print(f"Gaussian RBM, {gaussian.params.size} parameters: test patches {log_likelihood(gaussian)}")

model = minidgm.MeanCovarianceRBM(64, n_mean=10, n_covariance=70, seed=0).initialize(train)
history = model.fit(train, optimizer=optim.Adam(optim.schedules.Cosine(0.005, 0.0)), epochs=15)
print(f"mcRBM, {model.params.size} parameters: test patches {log_likelihood(model)}")
last = history.records[-1]
print(f"HMC accepts {100 * last['acceptance']:.0f} % at step size {last['step_size']:.3f}")

filters = model.params["R"] / np.abs(model.params["R"]).max(axis=0)
figure = plotting.filters(filters, shape=(8, 8), ncols=14, title="covariance filters of the mcRBM")
figure.savefig("covariance_filters.png", dpi=160)
