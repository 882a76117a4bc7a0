"""Identities 14, 20 and 21: covariances given by hidden units, Hamiltonian Monte Carlo on free energies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minidgm.backend import asarray
from minidgm.checks import oracle, strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, at_most, equal, host, kolmogorov_smirnov
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"
DRAWS = 4000


@identity(
    name="conditional covariance",
    number="20",
    equation="Cov(x | h) = (d^2 E(x, h) / dx dx^T)^-1, positive definite; E(x, h) is least at E[x | h]",
    source=f"{BOOK}, eq. 20.47; Ranzato and Hinton (2010), section 2",
    requires=("energy", "visible_given_hidden", "conditional_precision"),
    likely_cause="a precision for its inverse, no containment, or a pooling weight of the wrong unit",
    examples=20,
)
def conditional_covariance(case: Case) -> Iterator[Comparison]:
    from autograd import elementwise_grad, jacobian

    h, reference = case.hidden(), case.reference
    x = case.draw(strategies.arrays((len(h), case.subject.visible.n), 3.0), "x")
    given = case.conditional("visible_given_hidden", h)
    covariance, mean = host(given.covariance), host(given.mean)
    lowest = np.linalg.eigvalsh(covariance)[:, 0]
    yield equal(lowest > 0.0, np.ones(len(h)), "positive definite")
    for i in range(len(h)):

        def slope(row: Any, i: int = i) -> Any:
            return elementwise_grad(lambda r: reference.energy(r[None, :], h[i : i + 1])[0])(row)

        yield equal(covariance[i] @ jacobian(slope)(x[i]), np.eye(x.shape[1]), "covariance times Hessian")
        yield equal(slope(mean[i]), np.zeros(x.shape[1]), "slope at the conditional mean")


@identity(
    name="covariance units summed out",
    number="20",
    equation="F(x) = -log sum_{h^m, h^c} exp(-E(x, h^m, h^c)), one set after the other, in either order",
    source=f"{BOOK}, eq. 20.43-20.45; Ranzato and Hinton (2010), eq. 5",
    requires=("energy", "free_energy", "pooled_squares", "split"),
    likely_cause="a sign of the squares, a half left out, or the bias of the other hidden set",
    examples=20,
    applies=lambda s: "" if s.hidden.discrete else "its covariance units take no list of values",
)
def covariance_units_summed_out(case: Case) -> Iterator[Comparison]:
    from minidgm.checks.enumeration import enumerate_states, log_sum_exp

    v, model, reference = case.visible(), case.model, case.reference
    n_mean = model.n_mean
    m, c = enumerate_states(n_mean), enumerate_states(case.subject.hidden.n - n_mean)
    pairs = np.concatenate([np.repeat(m, len(c), axis=0), np.tile(c, (len(m), 1))], axis=1)
    table = -host(case.energy_table(reference, v, pairs)).reshape(len(v), len(m), len(c))
    free = case.call("free_energy", v)
    yield equal(free, -log_sum_exp(log_sum_exp(table, axis=2), axis=1), "covariance units first")
    yield equal(free, -log_sum_exp(log_sum_exp(table, axis=1), axis=1), "mean units first")


@identity(
    name="gamma units integrated out",
    number="21",
    equation="int h^(g-1) exp(-h (1 + u)) dh = Gamma(g) (1 + u)^-g: a Student-t expert along each filter",
    source=f"{BOOK}, eq. 20.48-20.49; Welling, Hinton and Osindero (2003), eq. 2",
    requires=("energy", "free_energy", "pooled_squares", "covariance_given"),
    likely_cause="gamma for gamma - 1, a rate for a scale, or the half of the squares left out",
    examples=20,
    applies=lambda s: "" if "positive" in s.hidden.kinds else "needs gamma-distributed covariance units",
)
def gamma_units_integrated_out(case: Case) -> Iterator[Comparison]:
    from scipy.special import gammaln
    from scipy.stats import t as student

    v, model = case.visible(), case.model
    free = case.call("free_energy", v)
    yield equal(free, -case.log_sum_hidden(v), "by quadrature over h^c, summed over h^m")
    # The same by the densities of a library: what covariance units add is a product of Student-t experts.
    gamma = np.exp(host(model.params["log_gamma"]))
    u = host(model.pooled_squares(case.device(v)))
    proper = 2.0 * gamma - 1.0 > 1e-3
    degrees = np.where(proper, 2.0 * gamma - 1.0, 1.0)
    y = np.sqrt(u * degrees)  # 1 + u = 1 + y^2 / degrees
    expert = student.logpdf(y, degrees) - student.logpdf(0.0, degrees)
    experts = np.where(proper, expert, -gamma * np.log1p(u)) + gammaln(gamma)
    zero = model.to(backend="numpy", dtype="float64")
    zero.params["R"][...] = 0.0
    bare = host(zero.free_energy(v)) + gammaln(gamma).sum()
    yield equal(free, bare - experts.sum(axis=1), "a product of Student-t experts")
    shape, rate = (host(getattr(model.covariance_given(case.device(u)), name)) for name in ("shape", "rate"))
    yield equal(shape, gamma, "shape of p(h^c | x)")
    yield equal(rate, 1.0 + u, "rate of p(h^c | x)")


@identity(
    name="input gradient",
    number="14",
    equation="free_energy_input_gradient(x) = dF(x)/dx, and so the one written into buffers",
    source="the force of Hamiltonian Monte Carlo; autograd of the free energy",
    requires=("free_energy", "free_energy_input_gradient"),
    likely_cause="a sign, a factor of two of the squares, or a filter matrix for its transpose",
    examples=20,
)
def input_gradient(case: Case) -> Iterator[Comparison]:
    from minidgm.workspace import Workspace

    v, reference, model = case.visible(), case.reference, case.model
    right = oracle.derivative(lambda x: reference.free_energy(x).sum(), v)
    yield equal(case.call("free_energy_input_gradient", v), right)
    if case.subject.has("input_gradient_in_place"):
        x, out = case.device(v), case.device(np.full_like(v, np.nan))
        fill = model.input_gradient_in_place(len(v), Workspace())
        for _ in range(2):
            fill(x, out)
            yield equal(host(out), right, "into buffers")
        yield equal(host(x), v, "x after the call", 0.0)


def _hamiltonian(subject: Subject) -> str:
    return "" if subject.visible.kind == "real" and subject.visible.n else "needs real-valued visible units"


@identity(
    name="leapfrog",
    number="14",
    equation="run back with -p it returns; its Jacobian has determinant 1; H changes by O(eps^2)",
    source="Neal (2011), MCMC using Hamiltonian dynamics, sections 2.2-2.3; Deep Learning, 17.5.3",
    requires=("free_energy", "free_energy_input_gradient"),
    likely_cause="a step of p with the slope before v moved, or half steps that are whole",
    largest=1.0,
    examples=10,
    applies=_hamiltonian,
)
def leapfrog(case: Case) -> Iterator[Comparison]:
    from autograd import jacobian

    from minidgm.samplers import hmc
    from minidgm.workspace import Workspace

    v = case.visible(1, 1)
    d = v.shape[1]
    p = case.draw(strategies.arrays((1, d), 1.0), "p")
    n = case.draw(st.integers(1, 5), "steps")
    reference = case.reference
    gradient = reference.free_energy_input_gradient
    end, momentum = hmc.leapfrog(gradient, v, p, 0.1, n)
    back, returned = hmc.leapfrog(gradient, end, -momentum, 0.1, n)
    yield equal(np.concatenate([back, -returned]), np.concatenate([v, p]), "there and back")
    x, q = v.copy(), p.copy()

    def fill(at: np.ndarray, out: np.ndarray) -> None:
        out[...] = gradient(at)

    hmc.leapfrog_in_place(fill, x, q, np.full(1, 0.1), n, Workspace())
    yield equal(np.concatenate([x, q]), np.concatenate([end, momentum]), "in place")

    def moved(state: Any) -> Any:
        import autograd.numpy as anp

        return anp.concatenate(hmc.leapfrog(gradient, state[None, :d], state[None, d:], 0.1, n), axis=1)[0]

    J = jacobian(moved)(np.concatenate([v[0], p[0]]))
    yield equal(np.linalg.det(J), 1.0, "volume")

    def error(eps: float, steps: int) -> float:
        at, with_p = hmc.leapfrog(gradient, v, p, eps, steps)
        return abs(float((host(reference.free_energy(at) - reference.free_energy(v)))[0]
                         + 0.5 * float((with_p**2 - p**2).sum())))  # fmt: skip

    # Over time 0.2, in 40 and in 80 steps: the error falls fourfold.
    coarse, fine = error(0.005, 40), error(0.0025, 80)
    yield at_most(fine, 0.3 * coarse + 1e-10, "energy error with half the step")


@identity(
    name="HMC stays at the model",
    number="14",
    equation="x ~ exp(-F) exactly, then trajectories at a fixed step size: x ~ exp(-F) still",
    source="Duane et al. (1987); Neal (2011), section 3.2; started at p, so slow mixing cannot fail it",
    requires=("energy", "free_energy", "free_energy_input_gradient"),
    likely_cause="the sign of the energy error, its kinetic part left out, or momenta of the wrong variance",
    largest=1.0,
    examples=5,
    applies=_hamiltonian,
)
def hmc_stays_at_the_model(case: Case) -> Iterator[Comparison]:
    from minidgm.samplers import hmc

    rng = case.rng()
    eps = case.draw(st.sampled_from([0.6, 1.2]), "step size")
    exact = np.random.Generator(np.random.SFC64(case.example["seed"]))
    points, p = case.visible_expectation
    spacing = np.asarray([np.diff(np.unique(column)).min() for column in points.T])
    cells = points[exact.choice(len(p), size=DRAWS, p=p / p.sum())]
    v = cells + spacing * (exact.random(cells.shape) - 0.5)
    state = hmc.init(asarray(v, case.subject.backend, case.subject.dtype), eps)
    for _ in range(3):
        state, _info = hmc.step(case.model, state, rng, n_leapfrog=3, adaptation=0.0)
    draws = host(state.v)
    for i in range(draws.shape[1]):
        yield kolmogorov_smirnov(draws[:, i], case.visible_cdf(i, np.sort(draws[:, i])), f"x_{i}")
