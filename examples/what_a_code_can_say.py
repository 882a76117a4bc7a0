"""What a code can say: the posterior that an encoder may state, over the one that Bayes' rule asks for.

An autoencoder with two codes answers an image with a distribution over the plane of codes. Blue is the right
answer, p(z | x), worked out on a grid for the decoder as trained; the lines are what the encoder says, in a
family of its own. Independent normals cannot lean, normals of full covariance can, logistic tails are wider,
and gamma codes are positive, so that their prior puts every image into one corner of the plane. All learn
through their draws: the gamma by implicit differentiation, for it has no formula to differentiate.
"""

import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import evaluation, optim
from minidgm.latent import nets

digits = minidgm.datasets.digits(binarize="threshold")
families = {"diagonal": 4, "full": 5, "logistic": 4, "gamma(2)": 4}
models = {}
for family, outputs in families.items():
    encoder, decoder = nets.dense(64, 2, [60], "tanh")
    encoder[-1] = ("dense", outputs)
    model = minidgm.FamilyVAE(encoder, decoder, 2, family, seed=0)
    model.fit(digits.train, optimizer=optim.Adam(3e-3), epochs=150, batch_size=50, seed=0)
    models[family] = model
    print(f"{family:10}", evaluation.importance_weighted(model, digits.test, rng=0, n_samples=200))

#: For three test images: p(z | x) on a grid about the encoder's answer, and the answer.
chosen = digits.test[[2, 5, 11]]
figure = Figure(figsize=(9, 7), layout="constrained")
panels = figure.subplots(len(chosen), 1 + len(families))
for row, x in zip(panels, chosen, strict=True):
    row[0].imshow(x.reshape(8, 8), cmap="gray_r", interpolation="nearest")
    for axis, (family, model) in zip(row[1:], models.items(), strict=True):
        q = model.recognition(x[None])
        center, width = q.mean[0], 4.0 * q.variance[0] ** 0.5
        lines = [np.linspace(c - w, c + w, 120) for c, w in zip(center, width, strict=True)]
        if family.startswith("gamma"):
            lines = [np.maximum(line, 1e-3) for line in lines]
        z = np.stack(np.meshgrid(*lines), axis=-1).reshape(-1, 2).astype("float32")
        wide = np.repeat(x[None], len(z), axis=0)
        tables = []
        for log_density in (model.log_joint(wide, z), model.log_recognition(wide, z)):
            density = np.exp(log_density - log_density.max()).reshape(120, 120)
            tables.append(density)
        axis.contourf(*lines, tables[0], levels=[0.05, 0.2, 0.4, 0.6, 0.8, 1.01], cmap="Blues")
        axis.contour(*lines, tables[1], levels=[0.05, 0.2, 0.6], colors="#d95f02", linewidths=1.2)
for axis, title in zip(panels[0], ["image", *families], strict=True):
    axis.set_title(title, fontsize=9)
for axis in panels.flat:
    axis.set_xticks([])
    axis.set_yticks([])
figure.savefig("what_a_code_can_say.png", dpi=150)
