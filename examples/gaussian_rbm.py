"""Gaussian units: a mixture of exponentially many Gaussians.

With Gaussian visible and Bernoulli hidden units, each hidden state gives a Gaussian, and the RBM is a
mixture of all :math:`2^{n_h}` of them, of one covariance, with means that are sums of rows of :math:`W`. The
precision is learned, one a unit, and stays positive because its logarithm is the parameter. The density is
exact: the hidden states are enumerated. Couplings are in units of each visible's deviation, so that the same
settings would train on the same points in inches.
"""

import numpy as np

import minidgm
from minidgm import objectives, optim, plotting

data = minidgm.datasets.eight_gaussians(n=2000, seed=0)
rbm = minidgm.GaussianRBM(n_visible=2, n_hidden=10, dtype="float64", seed=2)

#: Small enough for the exact gradient, 1,024 hidden states. It starts at the data's means and deviations.
rbm.fit(
    data.train,
    objective=objectives.ExactLikelihood(),
    optimizer=optim.Adam(optim.schedules.Cosine(0.03, 0.0)),
    epochs=200,
    batch_size=200,
)
model, truth = float(rbm.log_prob(data.test).mean()), float(data.log_density(data.test).mean())
print(f"mean log-density of test points: model {model:.3f} nats, the distribution itself {truth:.3f}")
print(f"learned standard deviations {rbm.deviation.round(3)}, of the data's Gaussians 0.2")
weights, means, _ = rbm.mixture()
print(f"{np.sum(weights > 0.001)} of {len(weights)} components have a weight above 0.001")

figure = plotting.density_2d(
    rbm.log_prob, (-4, 4, -4, 4), samples=data.test[:500], title="density of the model, test points"
)
figure.savefig("gaussian_rbm.png", dpi=160)
