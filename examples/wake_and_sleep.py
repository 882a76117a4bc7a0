"""Wake and sleep: four ways to teach a net of coins to draw digits.

A sigmoid belief net is all coins: thirty hidden ones are tossed, and each of 64 pixels is a coin whose bias
they set. No gradient passes through a coin. So how does the net that guesses the hidden coins of an image,
the recognition net, learn? In its sleep, from dreams whose coins are known (wake-sleep); by trial and error
against a baseline (NVIL), or with its other guesses for a baseline (VIMCO); or by weighing its guesses with
how well they explain the image (reweighted wake-sleep). All start from the same weights and see the same
images. On the right, below images they learned from, is what the last of them dreams.
"""

from matplotlib.figure import Figure

import minidgm
from minidgm import evaluation, objectives, optim

digits = minidgm.datasets.digits(binarize="threshold")
teachers = {
    "wake-sleep": objectives.WakeSleep(5),
    "NVIL": objectives.Reinforce("input", k=5),
    "VIMCO": objectives.Vimco(5),
    "reweighted wake-sleep": objectives.ReweightedWakeSleep(5),
}

#: Train each a piece at a time, and look at the log-likelihood of the validation images in between.
epochs, curves, nets = 10, {}, {}
for name, objective in teachers.items():
    net = minidgm.SigmoidBeliefNet([64, 30], seed=0).initialize(digits.train)
    optimizer, values = optim.Adam(3e-3), []
    for piece in range(15):
        if piece:
            options = {"epochs": epochs, "batch_size": 50, "seed": piece}
            net.fit(digits.train, objective=objective, optimizer=optimizer, **options)
        found = evaluation.importance_weighted(net, digits.validation, rng=0, n_samples=100)
        values.append(found.value)
    curves[name], nets[name] = values, net
    print(f"{name:22}", evaluation.importance_weighted(net, digits.test, rng=0, n_samples=1000))

figure = Figure(figsize=(9, 3.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(5, 4))
axes = left.subplots()
for name, values in curves.items():
    axes.plot([epochs * piece for piece in range(len(values))], values, lw=1.6, label=name)
axes.set_xlabel("epochs")
axes.set_ylabel("validation log-likelihood, lower bound (nats)")
axes.legend(fontsize=8, frameon=False)

#: Ancestral sampling: toss the hidden coins, then show the bias of every pixel.
net = nets["reweighted wake-sleep"]
_, coins = net.dream(24, 1)
panels = right.subplots(4, 8)
images = [*digits.train[:8], *net.visible_given_latent(coins).mean]
for axis, image in zip(panels.flat, images, strict=True):
    axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
panels[0, 0].set_title("images", fontsize=8, loc="left")
panels[1, 0].set_title("dreams", fontsize=8, loc="left")
figure.savefig("wake_and_sleep.png", dpi=150)
