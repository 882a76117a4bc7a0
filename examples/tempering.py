"""Tempering: how a chain gets from one mountain to the next.

A model that has learned few, sharp modes is hard to sample: a Gibbs chain that sits on one mode needs a
very long time to find another. Here the model is an RBM fitted exactly to bars and stripes: fourteen
images have nearly all of its probability, and to get from one to the next several pixels must change at
once. The model is small enough for its distribution to be known, so that we can tell how far 1,000 chains
are from it, all of which start at the same empty image.

Parallel tempering runs chains at several temperatures. The hot ones move freely, and neighbors exchange
their states with a probability that leaves every temperature's distribution intact.
"""

import numpy as np

import minidgm
from minidgm import objectives, optim, plotting, samplers

data = minidgm.datasets.bars_and_stripes(3)
rbm = minidgm.RBM(n_visible=9, n_hidden=12, seed=0)
rbm.fit(
    data.train,
    objective=objectives.ExactLikelihood(),
    optimizer=optim.Adam(0.02),
    epochs=2000,
    batch_size=14,
)
states = rbm.visible.states(9)
p = np.exp(rbm.log_prob(states))


def distance(v):
    """Total variation distance between the states of many chains and the model."""
    codes = v.astype(int) @ (1 << np.arange(9))
    counts = np.bincount(codes, minlength=512)[states.astype(int) @ (1 << np.arange(9))]
    return 0.5 * np.abs(counts / len(v) - p).sum()


n_chains, n_sweeps = 1000, 300
rng = rbm.generator(0)

#: Plain Gibbs sampling: every chain starts at the empty image.
v = np.zeros((n_chains, 9), dtype="float32")
gibbs = []
for _ in range(n_sweeps):
    v, _ = rbm.gibbs_step(v, None, rng)
    gibbs.append(distance(v))

#: Tempering from the same start, at ten temperatures.
betas = samplers.tempering.linear(10)
state = samplers.tempering.init(rbm, betas, n_chains, rng)
state = state._replace(
    v=np.zeros_like(state.v), h=rbm.hidden_given_visible(np.zeros_like(state.v)).sample(rng)
)
tempered = []
for _ in range(n_sweeps):
    state, info = samplers.tempering.step(rbm, state, betas, rng)
    tempered.append(distance(state.v[0]))

#: Even exact draws have a distance, because 1,000 of them are not 512 probabilities.
draws = np.random.default_rng(0).choice(512, size=n_chains, p=p / p.sum())
floor = distance(states[draws])
print(f"distance from the model after {n_sweeps} sweeps: Gibbs {gibbs[-1]:.3f}, tempering {tempered[-1]:.3f}")
print(f"of {n_chains} exact draws: {floor:.3f}")
print("exchange rates between neighbors:", np.round(info.swap_rate, 2))

figure = plotting.series(
    np.arange(1, n_sweeps + 1),
    {"Gibbs": gibbs, "parallel tempering": tempered},
    "sweeps",
    "total variation distance from the model",
    references={"exact draws": floor},
    log_x=True,
)
figure.savefig("tempering.png", dpi=160)
