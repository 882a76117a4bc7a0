"""A dictionary of digits: every image that an autoencoder with two letters of twelve can draw.

The code of an image is two letters, each one of twelve: 144 words in all, few enough to print the whole
dictionary. Rows are the second letter, columns the first. No gradient passes through the choice of a letter,
so the choice is made soft while it is learned (Gumbel-softmax, at a temperature that falls), or the decoder's
slope is taken at the letter as if it could move (straight-through), or letters are tried and weighed by how
well they explain the image (REINFORCE with the other tries as a baseline, reweighted wake-sleep). As all
words can be listed, the likelihood on the right is exact.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import objectives, optim
from minidgm.latent import nets

letters, length = 12, 2
digits = minidgm.datasets.digits(binarize="threshold")
teachers = {
    "Gumbel-softmax": objectives.GumbelSoftmax(1.0, lowest=0.5, decay=1e-3),
    "straight-through": objectives.StraightThrough(),
    "REINFORCE, leave-one-out": objectives.Reinforce("leave_one_out", 4),
    "reweighted wake-sleep": objectives.ReweightedWakeSleep(4, "wake"),
}

#: The same nets, the same start; a look at the validation images every five epochs.
curves, models = {}, {}
for name, objective in teachers.items():
    encoder, decoder = nets.dense(64, letters * length, [100], "tanh", codes=1)
    model = minidgm.DiscreteVAE(encoder, decoder, letters * length, f"softmax({letters})", seed=1)
    optimizer, values = optim.Adam(3e-3), []
    for piece in range(9):
        if piece:
            options = {"epochs": 5, "batch_size": 50, "seed": piece}
            model.fit(digits.train, objective=objective, optimizer=optimizer, **options)
        values.append(float(model.log_prob(digits.validation).mean()))
    curves[name], models[name] = values, model
    print(f"{name:26}{float(model.log_prob(digits.test).mean()):8.2f} nats")

#: Decode every word.
model = models["Gumbel-softmax"]
words = model.latent.states(letters * length).astype("float32")
images = model.visible_given_latent(words).mean.reshape(letters, letters, 8, 8)
images = np.pad(images, [(0, 0), (0, 0), (2, 2), (2, 2)])  # a margin
side = 12 * letters
page = images.transpose(1, 2, 0, 3).reshape(side, side)  # the first letter is the fastest

figure = Figure(figsize=(9, 4.2), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=(4, 5))
left.imshow(page, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
left.set_xticks([12 * i + 5.5 for i in range(letters)], "abcdefghijkl", fontsize=8)
left.set_yticks([12 * i + 5.5 for i in range(letters)], "abcdefghijkl", fontsize=8)
left.tick_params(length=0)
left.set_title("all 144 words", fontsize=9, loc="left")
for name, values in curves.items():
    right.plot([5 * piece for piece in range(len(values))], values, lw=1.6, label=name)
right.set_ylim(bottom=-26)
right.set_xlabel("epochs")
right.set_ylabel("validation log-likelihood, exact (nats)")
right.legend(fontsize=8, frameon=False)
figure.savefig("a_dictionary_of_digits.png", dpi=150)
