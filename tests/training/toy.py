"""A model with one minimum that is known, and an objective with state and noise, for tests of the loop."""

from minidgm.backend import get_xp
from minidgm.model import Model
from minidgm.parameters import Parameters


class Point(Model):
    """log p(v) = -||v - b||^2 / 2; W is a passenger that only drifts."""

    def __init__(self, n_visible=3, *, backend="numpy", dtype="float64", seed=None):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n_visible = n_visible
        self.params = Parameters({"W": (2, n_visible), "b": (n_visible,)}, backend, dtype)

    def config(self):
        return {"n_visible": self.n_visible}

    def check_data(self, v, what="v"):
        return self.check_matrix(v, self.n_visible, what)

    def default_objective(self):
        return Squares()

    def reconstruct(self, v):
        return v * 0 + self.params["b"]


class Squares:
    """Mean of the squared distances, with a noisy chain that lives across steps and drives W."""

    def __init__(self, noise=0.0):
        self.noise = noise
        self.seen = []
        self.reset()

    def reset(self):
        self.state = {}

    def set_state(self, state):
        self.state = dict(state)

    def config(self):
        return {"noise": self.noise}

    def gradient(self, model, batch, rng):
        xp = get_xp(batch)
        self.seen.append(batch)
        grads = model.params.like()
        error = model.params["b"] - batch
        grads["b"] = error.mean(axis=0)
        if self.noise:
            chain = self.state.get("chain")
            kick = rng.normal((2, model.n_visible), dtype=model.dtype)
            chain = kick if chain is None else 0.5 * xp.asarray(chain) + kick
            self.state = {"chain": chain, "count": self.state.get("count", 0) + 1}
            grads["W"] = self.noise * chain
        return grads, {"loss": 0.5 * (error**2).sum(axis=-1).mean(), "first": batch[:, 0].mean()}
