"""A canon: what a machine must remember to sing the second voice.

One voice wanders on a scale of five notes, a step a beat, up or down as a coin falls. The second voice sings
the same melody three beats later. The first voice costs one coin a beat, and the second nothing at all, for
who remembers: the best possible log-likelihood is known.

A conditional RBM sees a fixed number of past beats. With one beat it knows the scale and cannot follow the
second voice; with three it has all it needs. An RNN-RBM is never told how long the delay is. Its recurrent
state has to learn to carry the melody for three beats, by back-propagation through time.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import evaluation, optim

NOTES, DELAY, BEATS = 5, 3, 48


def canon(rng):
    """A piece [BEATS, 2 NOTES]: the echo in the lower notes, the first voice in the upper ones."""
    melody = [int(rng.integers(NOTES))]
    while len(melody) < BEATS + DELAY:
        step = 2 * int(rng.integers(2)) - 1
        here = melody[-1]
        melody.append(here + step if 0 <= here + step < NOTES else here - step)
    eye = np.eye(NOTES, dtype="float32")
    return np.concatenate([eye[melody[:BEATS]], eye[melody[DELAY:]]], axis=1)


rng = np.random.default_rng(0)
train, test = [canon(rng) for _ in range(200)], [canon(rng) for _ in range(20)]

#: At the two ends of the scale there is no choice: a coin falls at the other beats only.
first = np.concatenate([piece[:-1, NOTES:] for piece in test])
inner = 1.0 - first[:, [0, -1]].sum(axis=1).mean()
print(f"best possible: {-inner * np.log(2):.3f} nats a beat")

models = {
    "conditional RBM, one beat": minidgm.ConditionalRBM(2 * NOTES, 10, n_context=1, seed=0),
    "conditional RBM, three beats": minidgm.ConditionalRBM(2 * NOTES, 10, n_context=3, seed=0),
    "RNN-RBM": minidgm.RNNRBM(2 * NOTES, 10, n_recurrent=40, seed=0),
}
rolls = {"a piece": test[1]}
for name, model in models.items():
    recurrent = isinstance(model, minidgm.RNNRBM)
    model.initialize(train).fit(
        train,
        objective=minidgm.objectives.ConditionalContrastiveDivergence(k=10),
        optimizer=optim.Adam(optim.schedules.Cosine(0.02, 0.0), clip=1.0),
        epochs=200 if recurrent else 30,
        batch_size=20 if recurrent else 100,
    )
    print(f"{name}: {evaluation.frame_log_likelihood(model, test)}")
    #: Continued from the first twelve beats of a piece that the model has not heard. Up and down are two
    #: sharp modes, and a chain needs many sweeps to forget which of them it started near.
    more = model.generate(test[1][:12], BEATS - 12, rng=1, sweeps=300)
    rolls[f"continued by the {name}"] = np.concatenate([test[1][:12], more])

figure = Figure(figsize=(8, 6), layout="constrained")
for axes, (title, roll) in zip(figure.subplots(len(rolls), 1, sharex=True), rolls.items(), strict=True):
    axes.imshow(1.0 - roll.T, cmap="gray", aspect="auto", origin="lower", vmin=0, vmax=1)
    axes.axhline(NOTES - 0.5, color="0.6", linewidth=0.8)
    if title != "a piece":
        axes.axvline(11.5, color="tab:red", linewidth=1.0)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_yticks([2, 7], ["second", "first"])
axes.set_xlabel("beats")
figure.savefig("canon.png", dpi=160)
