"""Prove your own model: a class without a base class, a wrong sign, and the check that finds it.

`check_model` needs nothing but the names of methods. Below, a restricted Boltzmann machine as one might write
it in ten minutes: a plain class with a dict of arrays. One sign in its gradient is wrong. Training with it
does not fail, it only learns less well; the identity fails at once, and says where.
"""

import numpy as np
from matplotlib.figure import Figure

from minidgm.checks import check_model, identity


class MyRBM:
    """p(v, h) proportional to exp(b.v + c.h + v W h), all units 0 or 1."""

    #: The constructor takes small sizes by these names, and ``params`` holds what is to be drawn.
    def __init__(self, n_visible=3, n_hidden=2):
        self.params = {
            "W": np.zeros((n_visible, n_hidden)),
            "b": np.zeros(n_visible),
            "c": np.zeros(n_hidden),
        }

    #: Every density is compared with sums over all states of this one.
    def energy(self, v, h):
        W, b, c = (self.params[name] for name in "Wbc")
        return -(v @ b) - h @ c - ((v @ W) * h).sum(axis=1)

    def free_energy(self, v):
        W, b, c = (self.params[name] for name in "Wbc")
        return -(v @ b) - np.logaddexp(0.0, v @ W + c).sum(axis=1)

    #: A conditional may be an array of probabilities, or an object with ``mean``, ``sample``, ``log_prob``.
    def hidden_given_visible(self, v):
        return 1.0 / (1.0 + np.exp(-(v @ self.params["W"]) - self.params["c"]))

    def visible_given_hidden(self, h):
        return 1.0 / (1.0 + np.exp(-(h @ self.params["W"].T) - self.params["b"]))

    #: The sum over rows of weights times dE/dtheta. The sign of ``c`` is wrong.
    def energy_gradient(self, v, h, weights):
        return {
            "W": -v.T @ (weights[:, None] * h),
            "b": -weights @ v,
            "c": +weights @ h,
        }


#: Every identity that these methods make checkable, on 25 drawn sets of parameters each. A failure shows the
#: smallest example that it could find, both sides of the equation, and what is usually the cause.
wrong = check_model(MyRBM)
print(wrong)


class MyCorrectedRBM(MyRBM):
    def energy_gradient(self, v, h, weights):
        gradient = super().energy_gradient(v, h, weights)
        return {**gradient, "c": -weights @ h}


#: An identity of one's own: without couplings the energy is a sum of a part of v and a part of h.
@identity(
    name="no coupling, no memory",
    equation="W = 0: E(v, h) = E(v, 0) + E(0, h)",
    source="the energy is a sum of two independent parts without its couplings",
    requires=("energy",),
    likely_cause="a term of second order that is not in W",
)
def no_coupling_no_memory(case):
    v = case.visible()
    h = case.hidden(len(v))
    case.model.params["W"][...] = 0.0
    alone = case.call("energy", v, 0.0 * h) + case.call("energy", 0.0 * v, h)
    return case.call("energy", v, h), alone


right = check_model(MyCorrectedRBM)
print()
print(right)

#: Errors of a right formula are rounding; those of a wrong one are not.
figure = Figure(figsize=(8, 3.6), layout="constrained")
axes = figure.subplots()
names = [result.name for result in right.results]
bars = ((wrong, "wrong sign", 0.2, "#c44e52"), (right, "corrected", -0.2, "#4c72b0"))
for report, label, offset, color in bars:
    errors = {result.name: max(result.worst_error, 1e-17) for result in report.results}
    rows = [i for i, name in enumerate(names) if name in errors]
    values = [errors[names[i]] for i in rows]
    axes.barh([i + offset for i in rows], values, height=0.4, left=1e-17, color=color, label=label)
allowed = [result.tolerance for result in right.results]
axes.plot(allowed, range(len(names)), "k|", markersize=14, label="allowed")
axes.set_xscale("log")
axes.set_yticks(range(len(names)), names, fontsize=8)
axes.invert_yaxis()
axes.set_xlabel("worst error over all drawn parameters")
axes.legend(loc="lower right", fontsize=8)
figure.savefig("prove_your_own_model.png", dpi=160)
