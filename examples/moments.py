"""Learning without a likelihood: generators that match moments.

A generator net turns noise into rows and says nothing about densities. It can learn all the same, by
drawing, comparing what it drew with data, and sending the difference back through the net.

Compare means and covariances alone, and the net is content with any cloud of the right ellipse. A Gaussian
kernel compares moments of every order at once: the maximum mean discrepancy is zero only where the two
distributions are the same. Its gradient pulls samples towards data and pushes them away from each other.
Here the same net (two numbers of noise, two layers of rectifiers) learns two toys by it.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import datasets, evaluation, objectives, optim

N = 2000
toys = {"eight Gaussians": datasets.eight_gaussians(N), "two moons": datasets.two_moons(N)}
WIDTHS = [1.0 / 32.0, 1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0, 1.0]


def learn(X, objective, epochs):
    """A trained generator."""
    model = minidgm.GMMN(2, n_latent=2, hidden=(64, 64), seed=0)
    rate = optim.Adam(optim.Linear(5e-3))
    model.fit(X, objective=objective, optimizer=rate, epochs=epochs, batch_size=200)
    return model


#: The first two moments, all products of coordinates included: the covariance is right, the shape is not.
#: Then the kernel, of six widths up to the typical distance of two rows: narrow ones see the gaps.
figure = Figure(figsize=(8.4, 4.2), layout="constrained")
grid = figure.subplots(2, 3)
for line, (name, toy) in zip(grid, toys.items(), strict=True):
    X, kernel = toy.train, evaluation.GaussianKernel.around(toy.train)
    moments = learn(X, objectives.MomentMatching(2, cross=True), epochs=40)
    mmd = objectives.MaximumMeanDiscrepancy(("gaussian", {"bandwidths": WIDTHS}), root=True)
    everything = learn(X, mmd, epochs=250)
    pictures = {"data": X, "two moments": moments.sample(1000, rng=1), "MMD": everything.sample(1000, rng=1)}
    for axes, (title, x) in zip(line, pictures.items(), strict=True):
        axes.scatter(*x[:1000].T, s=2, alpha=0.5, color="black" if title == "data" else "tab:blue")
        axes.set_aspect("equal")
        axes.set_xlim(*(1.3 * X[:, 0].min(), 1.3 * X[:, 0].max()))
        axes.set_ylim(*(1.3 * X[:, 1].min(), 1.3 * X[:, 1].max()))
        axes.set_xticks([])
        axes.set_yticks([])
        if title == "data":
            axes.set_title(f"{name}, data", fontsize=8)
        else:
            value = evaluation.mmd2(x, X[-1000:], kernel)
            axes.set_title(f"{title}: MMD$^2$ {value.value:.4f}", fontsize=8)
            print(f"{name}, {title}: {value.value:.4f} +- {value.stderr:.4f}")
    covariances = [np.cov(x.T).round(2).tolist() for x in pictures.values()]
    print(f"  covariance of the data {covariances[0]}, of samples {covariances[1]} and {covariances[2]}")
figure.savefig("moments.png", dpi=160)
