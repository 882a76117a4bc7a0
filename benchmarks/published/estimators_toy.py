"""Every estimator of the gradient of E[(b - t)^2]: exact mean and variance beside those of its own draws.

    python benchmarks/published/estimators_toy.py [--draws 20000]

One bit, theta = 0.7, t = 0.45 (the toy of Tucker et al. 2017), and one number of each family with the same
t. Exact columns are closed forms or quadrature (`BernoulliToy.moments`, `PathToy.moments`); measured ones
run the objective on one row, as training does. Deviations are in standard errors of the measurement; that of
a variance is from the fourth moment, by quadrature too for the numbers, whose tails are heavy.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
from common import write

from minidgm import Generator
from minidgm.evaluation import BernoulliToy, PathToy
from minidgm.objectives import GumbelSoftmax, Rebar, Reinforce, Reparameterization, StraightThrough

TARGET, THETA = 0.45, 0.7
NUMBERS = {"normal": (0.3, -0.4), "full": (0.3, -0.4), "logistic": (0.3, -0.4), "gamma": (1.6, 1.2)}
ROW = np.zeros((1, 1))


def bits() -> list[tuple[str, object, object, int]]:
    """Estimators on one bit: toy, name, objective, index of the parameter."""
    toy = BernoulliToy(TARGET, dtype="float64")
    toy.params["theta"][...] = THETA
    best = -float(toy.optimal_baseline()[0])
    mean = float(toy.elbo(ROW)[0])
    found = {
        "REINFORCE": Reinforce(None),
        "REINFORCE, E[f] for baseline": Reinforce(mean),
        "REINFORCE, best constant": Reinforce(best),
        "REINFORCE, leave-one-out, k = 2": Reinforce("leave_one_out", 2),
        "REINFORCE, leave-one-out, k = 5": Reinforce("leave_one_out", 5),
        "straight-through": StraightThrough(),
        "straight-through, identity": StraightThrough(1, "identity"),
    }
    found |= {f"Gumbel-softmax, tau = {tau}": GumbelSoftmax(tau, lowest=tau) for tau in (2.0, 1.0, 0.5, 0.1)}
    found["Gumbel-softmax, hard, tau = 0.5"] = GumbelSoftmax(0.5, hard=True)
    found |= {f"REBAR, tau = {tau}": Rebar(tau) for tau in (5.0, 1.0, 0.5, 0.1)}
    found["REBAR, tau = 1.0, c = 0.5"] = Rebar(1.0, 1, 0.5)
    return [(name, toy, objective, 0) for name, objective in found.items()]


def numbers() -> list[tuple[str, object, object, int]]:
    """Path and score on one number of each family, for both of its parameters."""
    rows: list[tuple[str, object, object, int]] = []
    for family, y in NUMBERS.items():
        toy = PathToy(family, TARGET, dtype="float64")
        toy.params["y"][...] = y
        for i in range(2):
            rows.append((f"path, {family}, y_{i}", toy, Reparameterization(), i))
            rows.append((f"score, {family}, y_{i}", toy, Reinforce(float(toy.elbo(ROW)[0])), i))
    return rows


def measure(name: str, toy: object, objective: object, i: int, draws: int) -> dict[str, object]:
    """One row of the table."""
    start, rng = time.perf_counter(), Generator(0)
    g = np.array([objective.gradient(toy, ROW, rng)[0].buffer[i] for _ in range(draws)])  # type: ignore[attr-defined]
    exact = toy.moments(objective)  # type: ignore[attr-defined]
    mean, variance, right = float(exact.mean[i]), float(exact.variance[i]), float(exact.exact[i])
    spread, center = float(g.var()), float(g.mean())
    fourth = float(((g - center) ** 4).mean())
    if isinstance(toy, PathToy):
        values, masses = toy.outcomes(objective)
        fourth = float(masses @ (values[:, i] - mean) ** 4)
    error = math.sqrt(max(fourth - variance**2, 0.0) / draws)
    noisy = variance > 1e-12
    return {
        "estimator": name,
        "exact gradient": round(right, 6),
        "mean": round(mean, 6),
        "bias": round(mean - right, 6) + 0.0,
        "variance": float(f"{variance:.5g}"),
        "measured mean": round(center, 6),
        "measured variance": float(f"{spread:.5g}"),
        "mean, in s.e.": round((center - mean) / math.sqrt(variance / draws), 2) if noisy else 0.0,
        "variance, in s.e.": round((spread - variance) / error, 2) if noisy else 0.0,
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=5_000)
    draws = parser.parse_args().draws
    rows = [measure(*one, draws) for one in (*bits(), *numbers())]
    settings = {"theta": THETA, "t": TARGET, "y": NUMBERS, "draws": draws, "seed": 0}
    write("estimators-toy", rows, settings)


if __name__ == "__main__":
    main()
