"""Bars and stripes: seven ways to learn the same model.

Fourteen images of 3×3 pixels, each made of bars or of stripes. No model can give them a higher mean
log-likelihood than :math:`-\\log 14 = -2.639` nats, and an RBM with 9 visible units is small enough that
its likelihood is known exactly while it learns. So the learning rules can be compared by what they are
meant to raise, and not by a proxy.

Exact maximum likelihood shows what the model can do. The others replace the model's expectation by
something cheaper, and the picture shows what that costs. Every rule has the same start, the same learning
rate and the same number of steps.

The step is a large one, and plain persistent chains cannot follow a model that changes so fast: they are
left behind on images that the model no longer believes in. The same chains at several temperatures, which
exchange their states, have no such trouble.
"""

import minidgm
from minidgm import objectives, optim, plotting, training

data = minidgm.datasets.bars_and_stripes(3)
best = data.best_log_likelihood

#: A rule chooses configurations and weights; the model is the same throughout.
rules = {
    "exact likelihood": objectives.ExactLikelihood(),
    "PCD-1": objectives.PersistentContrastiveDivergence(k=1, n_chains=100),
    "tempered PCD": objectives.TemperedPersistent(n_temperatures=10, k=1, n_chains=100),
    "CD-10": objectives.ContrastiveDivergence(k=10),
    "CD-1": objectives.ContrastiveDivergence(k=1),
    "pseudo-likelihood": objectives.PseudoLikelihood(),
    "ratio matching": objectives.RatioMatching(),
}

#: With 9 visible units :math:`\log Z` is a sum of 512 terms, so the exact likelihood can be recorded as we
#: go.
measure = training.Metrics(lambda model: {"mean_log_prob": model.log_prob(data.train).mean()}, every=50)

curves = {}
for name, objective in rules.items():
    rbm = minidgm.RBM(n_visible=9, n_hidden=12, seed=0)
    history = rbm.fit(
        data.train,
        objective=objective,
        optimizer=optim.SGD(optim.schedules.Linear(0.5, 0.0)),
        epochs=4000,
        batch_size=14,
        callbacks=[measure],
        seed=0,
    )
    curves[name] = history["mean_log_prob"]
    print(f"{name:18s} mean log-likelihood {curves[name][-1]:7.4f} nats, best possible {best:.4f}")

#: The horizontal axis counts updates: with one batch an epoch they are epochs.
epochs = range(50, 4001, 50)
figure = plotting.series(
    list(epochs), curves, "updates", "mean log-likelihood (nats, exact)", references={"best possible": best}
)
figure.axes[0].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
figure.savefig("bars_and_stripes.png", dpi=160)
