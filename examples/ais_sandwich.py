"""Between two estimates: log Z from below and from above.

Annealed importance sampling estimates :math:`Z` without bias, and therefore :math:`\\log Z` too low on
average. Run backwards from samples of the model, it comes out too high. The true value lies between, and
the gap says how far to trust either. With 16 hidden units the true value is known, so that we can watch
the sandwich close.
"""

import numpy as np

import minidgm
from minidgm import evaluation, objectives, optim, plotting

digits = minidgm.datasets.digits(binarize="threshold")
rbm = minidgm.RBM(n_visible=64, n_hidden=16, centered=True, seed=0).initialize(digits.train)
rbm.fit(
    digits.train,
    objective=objectives.PersistentContrastiveDivergence(k=1, n_chains=200),
    optimizer=optim.SGD(optim.schedules.Linear(0.2, 0.0)),
    epochs=300,
    batch_size=100,
)
exact = evaluation.log_partition_exact(rbm)
print(exact)

#: More temperatures make smaller steps, and smaller steps make better weights. Each estimate averages only
#: ten chains, so that the bias is visible; ten such estimates give the line and the band (their mean and
#: standard deviation).
temperatures = [3, 10, 30, 100, 300, 1000, 3000]
curves, bands = {}, {}
for name, estimator in (("AIS", evaluation.ais), ("reverse AIS", evaluation.reverse_ais)):
    runs = [
        [estimator(rbm, n_chains=10, n_temperatures=n, rng=seed).value for seed in range(10)]
        for n in temperatures
    ]
    curves[name], spread = np.mean(runs, axis=1), np.std(runs, axis=1)
    bands[name] = (curves[name] - spread, curves[name] + spread)
for n, below, above in zip(temperatures, *curves.values(), strict=True):
    print(f"{n:5d} temperatures: {below:8.3f} and {above:8.3f}")

figure = plotting.series(
    temperatures,
    curves,
    "temperatures",
    "log Z (nats)",
    bands=bands,
    references={"exact": float(exact)},
    log_x=True,
)
figure.savefig("ais_sandwich.png", dpi=160)
