"""Two-way machines: a net that dreams and a net that recognizes, and two ways to make them agree.

A Helmholtz machine learns downward from what it recognizes and upward from what it dreams, one at a time: in
between the two may disagree. A bidirectional machine takes the geometric mean of both directions as its model
of the data, so that agreement itself is what is learned. Below are ten test images, each as both machines
rebuild it from the mean states of its hidden units, and what each makes up by itself.
"""

from matplotlib.figure import Figure

import minidgm
from minidgm import evaluation, objectives, optim

digits = minidgm.datasets.digits(binarize="threshold")
sizes = [64, 40]
machines = {
    "Helmholtz": (minidgm.HelmholtzMachine(sizes, seed=0), objectives.WakeSleep(5)),
    "bidirectional": (minidgm.BidirectionalHelmholtz(sizes, seed=0), objectives.BidirectionalImportance(5)),
}

figure = Figure(figsize=(9, 4.4), layout="constrained")
panels = figure.subplots(5, 10)
lines = [("image", digits.test[:10])]
for name, (machine, objective) in machines.items():
    machine.initialize(digits.train)
    options = {"epochs": 80, "batch_size": 50, "seed": 0}
    machine.fit(digits.train, objective=objective, optimizer=optim.Adam(3e-3), **options)
    print(f"{name:14}", evaluation.importance_weighted(machine, digits.test, rng=0, n_samples=500))
    lines.append((f"{name},\nrebuilt", machine.reconstruct(digits.test[:10])))
    lines.append((f"{name},\nmade up", machine.sample(10, 1)))
for line, (title, images) in zip(panels, lines, strict=True):
    line[0].set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center")
    for axis, image in zip(line, images, strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.set_xticks([])
        axis.set_yticks([])
figure.savefig("two_way_machines.png", dpi=130)
