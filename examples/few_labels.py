"""Few labels: rows without a label teach a classifier too.

A discriminative RBM models digits and their labels together, and its :math:`p(y\\mid v)` is exact. So a row
without a label is no puzzle: its likelihood :math:`p(v) = \\sum_y p(v, y)` is part of the same objective.
Here 1,297 digits of 8×8 are there to learn from, and only the first few of them come with labels. Trained on
the labels alone, the machine is a classifier like others. Trained on all rows, it has learned what digits
look like, and the same few labels say more. On the right it draws digits of the class that it is asked for.
"""

import numpy as np
from matplotlib.figure import Figure

from minidgm import DiscriminativeRBM, datasets
from minidgm.objectives import DiscriminativeLikelihood, HybridLikelihood
from minidgm.optim import Adam

digits = datasets.digits(binarize="threshold")


def error(n_labels, objective, rows, seed):
    """Test error after training with the labels of ``n_labels`` rows; the others have none (-1)."""
    known = np.full(len(digits.train), -1)
    chosen = np.random.default_rng(seed).permutation(len(known))[:n_labels]
    known[chosen] = digits.train_labels[chosen]
    keep = slice(None) if rows == "all" else chosen
    model = DiscriminativeRBM(64, 60, n_classes=10, seed=seed)
    X, y = digits.train[keep], known[keep]
    batch_size = min(50, len(y))
    n_epochs = 1000 * batch_size // len(y)
    model.fit(X, y, objective=objective, optimizer=Adam(0.01), epochs=n_epochs, batch_size=batch_size)
    return 100.0 * (1.0 - model.accuracy(digits.test, digits.test_labels)), model


#: Three ways to train: labels as a target, as a part of the data, and beside rows that have none. There the
#: terms of the few labels are weighed up by their share of the rows. (Weights chosen on the validation rows.)
ways = {
    "p(y|v), labeled rows": (lambda share: DiscriminativeLikelihood(), "labeled"),
    "hybrid, labeled rows": (lambda share: HybridLikelihood(alpha=0.1), "labeled"),
    "hybrid, all rows": (lambda share: HybridLikelihood(0.1 / share, beta=1.0, gamma=1.0 / share), "all"),
}
numbers = (20, 50, 150)
errors = {}
for name, (objective, rows) in ways.items():
    runs = [[error(n, objective(n / len(digits.train)), rows, seed)[0] for seed in range(2)] for n in numbers]
    errors[name] = np.array(runs)
    means = zip(numbers, errors[name].mean(axis=1), strict=True)
    print(f"{name:22s} test error  " + "  ".join(f"{n} labels: {mean:4.1f} %" for n, mean in means))

#: Digits on demand: chains whose label units are clamped.
_, model = error(1297, HybridLikelihood(alpha=1.0), "all", 0)
labels = np.tile(np.arange(10), 5)
drawn = model.reconstruct(model.sample(50, 0, steps=300, y=labels))[:, :64]

#: The picture.
figure = Figure(figsize=(10, 3.4), layout="constrained")
curves, images = figure.subplots(1, 2, width_ratios=(5, 6))
for name, runs in errors.items():
    curves.errorbar(numbers, runs.mean(axis=1), runs.std(axis=1), marker="o", ms=4, lw=1.5, label=name)
curves.set(xscale="log", xlabel="labels", ylabel="test error, %", ylim=(0, None))
curves.set_xticks(numbers, numbers)
curves.minorticks_off()
curves.legend(fontsize=8, frameon=False)
tiles = np.pad(drawn.reshape(5, 10, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))
images.imshow(tiles.transpose(0, 2, 1, 3).reshape(50, 100), cmap="gray_r", vmin=0, vmax=1)
images.set_title("drawn for the labels 0 to 9", fontsize=9, loc="left")
images.set_axis_off()
figure.savefig("few_labels.png", dpi=150)
