"""Identities 19 and 22: real-valued visible units under hidden units of their own precisions and slabs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from autograd import grad, hessian

from minidgm.checks import strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, equal, gradients, host
from minidgm.checks.enumeration import log_integral, log_sum_exp
from minidgm.checks.registry import identity
from minidgm.checks.subject import Domain, Subject, with_parameters

BOOK = "Goodfellow, Bengio and Courville (2016), Deep Learning"


@identity(
    name="mixture of Gaussians",
    number="19",
    equation="p(v) = sum_h pi_h N(v; m_h, S): 2^n_hidden Gaussians, S from the Hessian of E in v, positive",
    source=f"{BOOK}, 20.5.1; Welling, Rosen-Zvi and Hinton (2005)",
    requires=("energy", "mixture", "log_prob"),
    likely_cause="a precision for a variance, its logarithm not halved, or weights without |W h|^2 / 2",
)
def mixture_of_gaussians(case: Case) -> Iterator[Comparison]:
    weights, means, covariance = (host(x) for x in case.model.mixture())
    v, H = case.visible(), case.H
    zero = np.zeros_like(case.visible()[:1])

    def energy(x: Any, h: np.ndarray) -> Any:
        return case.energy(case.reference, x, h).sum()

    precision = hessian(energy, 0)(zero, H[:1]).reshape(len(zero[0]), len(zero[0]))
    yield equal(covariance @ precision, np.eye(len(precision)), "S = inverse Hessian of the energy in v")
    yield equal(np.sort(np.linalg.eigvalsh(covariance))[:1] > 0.0, [True], "S is positive definite")
    for h, mean in zip(H, means, strict=True):
        slope = grad(energy, 0)(mean[None, :], h[None, :])
        yield equal(slope, 0.0 * slope, "the energy is least at m_h")
    log_mass = case.log_sum_visible(H)
    yield equal(weights, np.exp(log_mass - log_sum_exp(log_mass)), "pi_h = p(h)")
    residual = v[:, None, :] - means[None, :, :]
    square = np.einsum("nki,ij,nkj->nk", residual, precision, residual)
    log_det = np.linalg.slogdet(precision)[1] - len(precision) * np.log(2.0 * np.pi)
    with np.errstate(divide="ignore"):
        mixed = log_sum_exp(np.log(weights)[None, :] - 0.5 * square + 0.5 * log_det, axis=1)
    yield equal(case.call("log_prob", v), mixed, "log p(v)")


def _scaled(subject: Subject) -> str:
    return "" if getattr(subject.model, "own_centering", False) else "needs centring at its own visible bias"


@identity(
    name="gradient of centred hidden units",
    number="19a",
    equation="center_gradient(g, lam) = J J^T g, J of b = b' - W lam, c = c' - W^T W lam in (W, b', c')",
    source="Montavon and Mueller (2012); Melchior, Fischer and Wiskott (2016), JMLR 17(99)",
    requires=("energy", "center_gradient", "energy_gradient"),
    likely_cause="the part of c that moves with W left out, a transpose, or the old gradient of W in b and c",
    examples=10,
    applies=_scaled,
)
def centred_hidden_units(case: Case) -> Iterator[Comparison]:
    lam = case.draw(strategies.arrays((case.subject.hidden.n,), 1.0), "lam")
    params = {name: host(value) for name, value in case.subject.parameters.items()}
    g = {name: case.draw(strategies.arrays(p.shape, 3.0), f"g[{name}]") for name, p in params.items()}
    v = case.visible()
    h = case.hidden(len(v))

    def uncentre(values: Any) -> dict[str, Any]:
        u = values["W"] @ lam
        return {**values, "b": values["b"] - u, "c": values["c"] - u @ values["W"]}

    # |z'|^2 / 2 - c'.h - z'^T W (h - lam), built from the model's own energies at W = 0 and with h shifted.
    bare = with_parameters(case.reference, {**params, "W": 0.0 * params["W"], "c": 0.0 * params["c"]})
    free = host(case.energy(bare, v, h))
    coupled = with_parameters(case.reference, {**params, "c": 0.0 * params["c"]})
    centred = free + host(case.energy(coupled, v, h - lam)) - free - h @ params["c"]
    constant = centred - host(case.energy(with_parameters(case.reference, uncentre(params)), v, h))
    yield equal(constant, np.full(len(v), constant[0]), "the centred energy differs by a constant")

    jacobian = _jacobian(uncentre, params)
    flat = np.concatenate([g[name].ravel() for name in params])
    right = jacobian @ (jacobian.T @ flat)
    left = case.model.energy_gradient(*(case.device(rows) for rows in case.zeros(1)))
    for name, value in g.items():
        left[name][...] = case.device(value)
    left = case.model.center_gradient(left, None, case.device(lam))
    yield from gradients(left, _unflatten(right, params))


def _unflatten(flat: Any, like: dict[str, np.ndarray]) -> dict[str, Any]:
    found, start = {}, 0
    for name, value in like.items():
        found[name] = flat[start : start + value.size].reshape(value.shape)
        start += value.size
    return found


def _jacobian(function: Any, params: dict[str, np.ndarray]) -> np.ndarray:
    import autograd.numpy as anp
    from autograd import jacobian

    def flat_function(flat: Any) -> Any:
        values = function(_unflatten(flat, params))
        return anp.concatenate([values[name].reshape(-1) for name in params])

    return jacobian(flat_function)(np.concatenate([value.ravel() for value in params.values()]))


@identity(
    name="slabs summed out",
    number="22",
    equation="E(x, h) = -log integral of exp(-E(x, s, h)) ds; p(s | x, h) and p(x | s, h) are Bayes",
    source=f"{BOOK}, 20.5.4; Courville, Bergstra and Bengio (2011)",
    requires=("slab_energy", "energy", "slabs_given", "visible_given_slabs"),
    likely_cause="a factor one half, alpha for its inverse, or a mean of the slab that ignores its spike",
)
def slabs_summed_out(case: Case) -> Iterator[Comparison]:
    v = case.visible(max_size=3)
    n, k = len(v), case.subject.hidden.n
    h = case.hidden(n)
    s = case.draw(strategies.arrays((n, k), 2.0), "s")
    reference = case.reference
    integrals = [_over_slabs(reference, v[i], h[i]) for i in range(n)]
    yield equal(case.call("energy", v, h), [-x for x in integrals], "integrated over s")
    joint = -host(reference.slab_energy(v, s, h))
    given = case.model.slabs_given(case.device(v), case.device(h))
    yield equal(given.log_prob(case.device(s)), joint - np.asarray(integrals), "log p(s | x, h)")
    over_x = [_over_visible(reference, s[i], h[i]) for i in range(n)]
    down = case.model.visible_given_slabs(case.device(s), case.device(h))
    yield equal(down.log_prob(case.device(v)), joint - np.asarray(over_x), "log p(x | s, h)")


def _over_slabs(model: Any, v: np.ndarray, h: np.ndarray) -> float:
    def log_density(s: np.ndarray) -> np.ndarray:
        return -host(model.slab_energy(np.tile(v, (len(s), 1)), s, np.tile(h, (len(s), 1))))

    return log_integral(log_density, Domain(len(h), "real"))


def _over_visible(model: Any, s: np.ndarray, h: np.ndarray) -> float:
    def log_density(v: np.ndarray) -> np.ndarray:
        return -host(model.slab_energy(v, np.tile(s, (len(v), 1)), np.tile(h, (len(v), 1))))

    return log_integral(log_density, Domain(model.n_visible, "real"))


@identity(
    name="covariance of slabs",
    number="22",
    equation="p(x | h) = N(S W (mu h), S), S^-1 = Lambda + sum_i h_i (Phi_i - W_i W_i^T / alpha_i)",
    source=f"{BOOK}, 20.5.4; Courville, Bergstra and Bengio (2011), eq. 6",
    requires=("slab_energy", "visible_given_hidden"),
    likely_cause="the squares of the slabs with another sign or without 1 / alpha, or Phi of idle spikes",
)
def covariance_of_slabs(case: Case) -> Iterator[Comparison]:
    h = case.hidden(1)
    n, k = case.subject.visible.n, case.subject.hidden.n

    def joint(both: Any) -> Any:
        return case.reference.slab_energy(both[:, :n], both[:, n:], h).sum()

    origin = np.zeros((1, n + k))
    A = hessian(joint)(origin).reshape(n + k, n + k)
    covariance = np.linalg.inv(A)  # of x and s together; the block of x is that of its marginal
    mean = -covariance @ grad(joint)(origin)[0]
    given = case.model.visible_given_hidden(case.device(h))
    yield equal(given.covariance, covariance[None, :n, :n], "Cov(x | h)", 1e-8)
    yield equal(given.mean, mean[None, :n], "E[x | h]", 1e-8)
