"""Dreams: what a deep belief network sees with its eyes closed.

Two layers of features are learned from 8×8 digits, one after the other: the second machine's data are what
the first one makes of the images. Then the eyes close. The top machine goes on by itself, a Gibbs sweep at a
time, and each of its thoughts descends to the pixels: a row is one train of thought that starts at a test
image. It stays with a digit for a while, and then it is another one. On the right is what each layer has
learned to look for; a feature of the second layer is drawn as the sum of the features it calls for.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import evaluation, objectives, optim

digits = minidgm.datasets.digits(binarize="threshold")
dbn = minidgm.DBN([64, 100, 100], seed=0).initialize(digits.train)

#: Greedy: the first RBM learns the images, the second what q(h1 | v) makes of them.
dbn.fit(
    digits.train,
    objective=objectives.PersistentContrastiveDivergence(n_chains=200),
    optimizer=optim.SGD(optim.schedules.Linear(0.1, 0.001), momentum=0.5),
    epochs=400,
    batch_size=100,
)

#: How good is it? Z belongs to the top machine alone; the rest is a bound, and importance weighting.
log_z = evaluation.ais(dbn.top, n_temperatures=2000, rng=0)
print("log Z of the top ", log_z)
print("variational bound", evaluation.lower_bound(dbn, digits.test, log_z, rng=0))
print("log-likelihood   ", evaluation.importance_weighted(dbn, digits.test, log_z, rng=0))

#: Close the eyes: the top machine's chain, looked at now and then.
moments = [0, 1, 2, 5, 10, 20, 50, 100, 200, 400, 700, 1000]
rng = minidgm.Generator(3)
first = [int(np.flatnonzero(digits.test_labels == k)[0]) for k in (0, 1, 2, 3, 4, 6)]
v = digits.test[first]
thought = dbn.layers(dbn.infer(v, rng))[0]
frames = []
for step in range(moments[-1] + 1):
    if step in moments:
        frames.append(dbn.down(1, thought).mean)
    thought, _ = dbn.top.gibbs_step(thought, None, rng)

#: What a unit looks for: columns of W1, and of W1 W2.
layers = {"layer 1": dbn.params["W1"], "layer 2": dbn.params["W1"] @ dbn.params["W2"]}
figure = Figure(figsize=(10, 4.1), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(7, 4))
panels = left.subplots(len(v), len(moments) + 1)
for row, axes in enumerate(panels):
    for axis, image in zip(axes, [v[row], *(frame[row] for frame in frames)], strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axis.set_xticks([])
        axis.set_yticks([])
panels[0, 0].set_title("image", fontsize=8)
for axis, step in zip(panels[0, 1:], moments, strict=True):
    axis.set_title(str(step), fontsize=8)
left.suptitle("sweeps of the top machine, seen in the pixels", fontsize=9)
for part, (name, W) in zip(right.subfigures(2, 1), layers.items(), strict=True):
    strongest = np.argsort(-(W**2).sum(axis=0))[:24]
    for axis, column in zip(part.subplots(3, 8).ravel(), W[:, strongest].T, strict=True):
        limit = float(abs(column).max())
        axis.imshow(column.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axis.set_axis_off()
    part.suptitle(name, fontsize=9)
figure.savefig("dreams.png", dpi=160)
