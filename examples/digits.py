"""Digits: train a machine, look at it, and prove it.

An RBM with 16 hidden units learns 8×8 digits. It is small enough for exact numbers, :math:`2^{16}` hidden
states, and large enough for its samples to look like digits. The picture opens the README: data, samples,
filters (a column of :math:`W` each), and some of the identities that were checked on this very class.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import objectives, optim
from minidgm.checks import check_model

digits = minidgm.datasets.digits(binarize="threshold")
rbm = minidgm.RBM(n_visible=64, n_hidden=16, centered=True, seed=0).initialize(digits.train)

#: Persistent contrastive divergence: the chains go on from update to update. Centering makes the gradient
#: indifferent to whether ink is 0 or 1.
history = rbm.fit(
    digits.train,
    objective=objectives.PersistentContrastiveDivergence(k=1, n_chains=200),
    optimizer=optim.SGD(optim.schedules.Linear(0.1, 0.0)),
    epochs=150,
    batch_size=100,
)

#: Exact numbers: the 65,536 hidden states are summed.
for part in ("train", "test"):
    value = float(rbm.log_prob(getattr(digits, part)).mean())
    print(f"{part:5s} mean log-likelihood {value:7.2f} nats (exact)")

#: Samples: every pixel's probability at the end of chains that start at the biases.
samples = rbm.reconstruct(rbm.sample(25, 0, steps=2000))

#: The identities that the class's methods make checkable, on drawn parameters.
report = check_model(minidgm.RBM, max_examples=10)
print(f"{sum(result.ok for result in report.results)} of {len(report.results)} identities hold")


def tile(axes, images, columns, title, **style):
    """Show rows of 64 numbers as one picture of 8×8 tiles."""
    images = np.pad(np.asarray(images).reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    rows = images.reshape(-1, columns, 10, 10).transpose(0, 2, 1, 3).reshape(-1, 10 * columns)
    axes.imshow(np.ma.masked_invalid(rows), interpolation="nearest", **style)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_axis_off()


#: The picture.
figure = Figure(figsize=(10, 2.5), layout="constrained")
grid = figure.add_gridspec(1, 4, width_ratios=(5, 5, 5, 9))
data, dreams, filters, table = (figure.add_subplot(cell) for cell in grid)
tile(data, digits.train[:25], 5, "data", cmap="gray_r", vmin=0, vmax=1)
tile(dreams, samples, 5, "samples of the model", cmap="gray_r", vmin=0, vmax=1)
limit = float(abs(rbm.params["W"]).max())
tile(filters, rbm.params["W"].T, 4, "filters: columns of W", cmap="RdBu_r", vmin=-limit, vmax=limit)
table.set_axis_off()
table.set_title(f"{len(report.results)} identities checked: worst error, equation", fontsize=9, loc="left")
exact = [result for result in report.results if result.tolerance < 1e-6 and len(result.equation) < 60]
for i, result in enumerate(exact[:9]):
    line = f"{result.worst_error:6.1g}  {result.equation}"
    table.text(0, 0.95 - 0.107 * i, line, va="top", fontsize=6.6, family="monospace")
figure.savefig("digits.png", dpi=150)
