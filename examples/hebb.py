"""Hebb and his opposite: a Boltzmann machine learns by waking and dreaming.

A connection is strengthened when both its ends are on together in the data, and weakened when they are on
together in the model's own samples. On eight bits both halves of the rule can be computed exactly. The
data are the words of a ring: two neighbors are on, the rest is off. After learning, the couplings show
the ring: neighbors excite each other, everyone else inhibits, and those two steps apart inhibit most,
because a common neighbor would bring them along.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import objectives, optim

#: Eight words; unit :math:`i` and its neighbor are on.
data = np.eye(8, dtype="float32") + np.roll(np.eye(8, dtype="float32"), 1, axis=1)
machine = minidgm.BoltzmannMachine(n_visible=8, seed=0)


def correlations():
    """<v_i v_j> of the model, exactly: all 256 states."""
    states = machine.visible.states(8)
    return states.T @ (np.exp(machine.log_prob(states))[:, None] * states)


before = correlations()
for _ in range(3):
    machine.fit(
        data,
        objective=objectives.ExactLikelihood(),
        optimizer=optim.Adam(0.02),
        epochs=200,
        batch_size=8,
    )
    print(f"mean log-likelihood {float(machine.log_prob(data).mean()):.4f}, best possible {-np.log(8):.4f}")

#: At the maximum the two halves of the rule cancel: dreams are like waking.
panels = {
    "data  ⟨v v⟩": data.T @ data / 8,
    "model before": before,
    "model after": correlations(),
    "couplings R + R'": machine.params["R"] + machine.params["R"].T,
}
figure = Figure(figsize=(9, 2.6), layout="constrained")
for axes, (title, matrix) in zip(figure.subplots(1, 4), panels.items(), strict=True):
    matrix = matrix * (1 - np.eye(8))
    limit = abs(matrix).max()
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    figure.colorbar(image, ax=axes, shrink=0.75).ax.tick_params(labelsize=7)
figure.savefig("hebb.png", dpi=160)
