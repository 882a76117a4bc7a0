"""Three clouds over the same points: what a density model can say depends on its shape.

An affine generator stretches and turns one round cloud: the best it can do is the ellipse of the data's
mean and covariance. A linear-Gaussian autoencoder with one code is a ridge along the first principal
component, with equal noise around it; in the plane that noise has one direction left to itself, so that its
best is the same ellipse, and the two figures are equal. A Parzen window puts a small cloud at every
training point, as wide as held-out points like best. All three densities are exact, so their figures may be
compared.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import datasets

moons = datasets.two_moons(2000)
affine = minidgm.AffineGenerator(2).match(moons.train)
ridge = minidgm.LinearGaussianVAE(2, 1).maximize_likelihood(moons.train)
window = minidgm.KDE.from_samples(moons.train)
window.choose_bandwidth(moons.validation)
models = {"affine generator": affine, "linear-Gaussian, one code": ridge, "Parzen window": window}

side = 120
low, high = moons.train.min(axis=0) - 0.5, moons.train.max(axis=0) + 0.5
axes_of_grid = [np.linspace(a, b, side, dtype="float32") for a, b in zip(low, high, strict=True)]
grid = np.stack(np.meshgrid(*axes_of_grid), axis=-1).reshape(-1, 2)

figure = Figure(figsize=(9.6, 2.4), layout="constrained")
for axis, (name, model) in zip(figure.subplots(1, 3), models.items(), strict=True):
    value = float(model.log_prob(moons.test).mean())
    print(f"{name:26} {value:.3f} nats")
    density = np.exp(model.log_prob(grid)).reshape(side, side)
    axis.contourf(*axes_of_grid, density, levels=12, cmap="Blues")
    axis.scatter(*moons.test[:150].T, s=3, color="black", linewidths=0)
    axis.set_aspect("equal")
    axis.set_title(f"{name}: {value:.2f} nats", fontsize=9)
    axis.set_xticks([])
    axis.set_yticks([])
figure.savefig("three_clouds.png", dpi=150)
