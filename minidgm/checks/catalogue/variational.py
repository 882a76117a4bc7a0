"""Identities 28 and 31: gradients through draws, and variational bounds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.checks import oracle, strategies
from minidgm.checks.case import Case, traced_log_sum_exp
from minidgm.checks.comparison import Comparison, at_most, equal, gradients, host
from minidgm.checks.exhaustive import Replay
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject

KINGMA = "Kingma and Welling (2014), Auto-encoding variational Bayes"
BURDA = "Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders"
TIPPING = "Tipping and Bishop (1999), Probabilistic principal component analysis"
NODES, MASSES = np.polynomial.hermite_e.hermegauss(3)  # exact for polynomials to degree 5
MASSES = MASSES / MASSES.sum()


class Given(Replay):
    """A generator whose normal draws are given, in turn."""

    def __init__(self, *noise: np.ndarray, backend: str = "numpy"):
        super().__init__(0, backend)
        self._given = list(noise)

    def normal(self, shape: Any, dtype: Any = "float32", out: Any = None) -> Any:
        return self._move(self._given.pop(0).reshape(shape), dtype, out)


def normal_codes(subject: Subject) -> str:
    """Say why a model's codes are not those of these identities, or ``""``."""
    return "its codes are of another family" if hasattr(subject.model, "family") else ""


def _codes(subject: Subject) -> str:
    return normal_codes(subject) or ("" if subject.model.n_latent <= 3 else "needs at most 3 codes")


def _noise(case: Case, n: int, k: int) -> np.ndarray:
    return case.draw(strategies.arrays((k, n, case.model.n_latent), 3.0), "noise")


def _grid(n_latent: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes [m, n_latent] and masses [m] that integrate polynomials to degree 5 against N(0, I)."""
    nodes = np.asarray(list(itertools.product(NODES, repeat=n_latent)))
    masses = np.asarray([np.prod(row) for row in itertools.product(MASSES, repeat=n_latent)])
    return nodes, masses


def _on_path(model: Any, v: np.ndarray, eps: np.ndarray, held: Any = None) -> tuple[Any, Any]:
    """log p(x, z) and log q(z | x) at z = mu + sigma eps, traced; ``held`` are q's parameters, held fixed."""
    q = model.recognition(v)
    z = q.at(eps)
    return model.log_joint(v, z), (q if held is None else held).log_prob(z)


def _log_prior(model: Any, z: Any) -> Any:
    """log p(z): N(0, I), or what a model of several layers says."""
    layered = getattr(model, "log_prior", None)
    return -0.5 * (z * z + np.log(2.0 * np.pi)).sum(axis=1) if layered is None else layered(z)


def _divergence(model: Any, v: np.ndarray, z: Any) -> Any:
    """KL(q, p) in closed form; of several layers that of the highest alone, the others at the codes."""
    layered = getattr(model, "divergence", None)
    return model.kl(v) if layered is None else layered(v, z)


@identity(
    name="joint gradient of codes",
    number="31a",
    equation="log_joint_gradient(x, z, w) = d/dtheta sum_i w_i log p(x_i, z_i), at any codes",
    source=f"{KINGMA}, eq. 1; autograd of the log joint",
    requires=("log_joint", "log_joint_gradient", "paths"),
    likely_cause="a likelihood's derivative, or weights left out of a layer",
    largest=3.0,
    examples=15,
    applies=normal_codes,
)
def joint_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    z, w = _noise(case, len(v), 1)[0], case.weights(len(v))
    left = case.model.log_joint_gradient(*(case.device(a) for a in (v, z, w)))
    right = oracle.gradient(case.model, lambda m: (w * m.log_joint(v, z)).sum())
    yield from gradients(left, right)


@identity(
    name="path gradient",
    number="31a",
    equation="path_gradient(x, eps, w) = d/dtheta sum w (log p(x,z) - log q(z|x)), z = mu + sigma eps",
    source=f"{KINGMA}, eq. 6-10 and appendix B; autograd at replayed noise",
    requires=("path_gradient", "log_joint", "recognition", "paths"),
    likely_cause="sigma for log-variance in the chain rule, the KL's sign, or beta on one part of it only",
    largest=3.0,
    examples=15,
    applies=normal_codes,
)
def path_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible(max_size=3)
    k = 2
    noise = _noise(case, len(v), k)
    w = case.weights(k * len(v)).reshape(k, len(v))
    arrays = [case.device(a) for a in (v, noise, w)]

    def sampled(model: Any) -> Any:
        parts = [_on_path(model, v, noise[s]) for s in range(k)]
        return sum((w[s] * (joint - q)).sum() for s, (joint, q) in enumerate(parts))

    yield from gradients(
        case.model.path_gradient(*arrays, kl="sampled"), oracle.gradient(case.model, sampled), "sampled:"
    )

    def analytic(model: Any) -> Any:
        q, total = model.recognition(v), 0.0
        for s in range(k):
            z = q.at(noise[s])
            likelihood = model.log_joint(v, z) - _log_prior(model, z)
            total = total + (w[s] * (likelihood - 2.0 * _divergence(model, v, z))).sum()
        return total

    yield from gradients(
        case.model.path_gradient(*arrays, beta=2.0), oracle.gradient(case.model, analytic), "analytic:"
    )
    held = case.reference.recognition(v)

    def path(model: Any) -> Any:
        parts = [_on_path(model, v, noise[s], held) for s in range(k)]
        return sum((w[s] * (joint - q)).sum() for s, (joint, q) in enumerate(parts))

    yield from gradients(
        case.model.path_gradient(*arrays, kl="path"), oracle.gradient(case.model, path), "path:"
    )


@identity(
    name="reparameterized bound",
    number="31b",
    equation="Reparameterization().gradient = -d/dtheta mean_i (log p(x_i|z_i) - beta KL_i), noise replayed",
    source=f"{KINGMA}, eq. 10",
    requires=("paths", "log_joint", "recognition"),
    likely_cause="a sum for the mean over the batch, draws summed in place of averaged, or beta left out",
    largest=3.0,
    examples=10,
    applies=lambda s: normal_codes(s) or s.cannot_train("Reparameterization"),
)
def reparameterized_bound(case: Case) -> Iterator[Comparison]:
    v, k = case.visible(max_size=3), 2
    noise = _noise(case, len(v), k)
    objective = case.subject.objective("Reparameterization")(n_samples=k)
    rng = Given(noise, backend=case.subject.backend)
    left, metrics = objective.gradient(case.model, case.device(v), rng)
    beta = case.model.beta

    def loss(model: Any) -> Any:
        q, total = model.recognition(v), 0.0
        for s in range(k):
            z = q.at(noise[s])
            likelihood = model.log_joint(v, z) - _log_prior(model, z)
            total = total - (likelihood - beta * _divergence(model, v, z)).mean() / k
        return total

    yield equal(metrics["loss"], host(loss(case.reference)), "loss")
    yield from gradients(left, oracle.gradient(case.model, loss))


@identity(
    name="importance-weighted bound",
    number="31b",
    equation="ImportanceWeighted(k).gradient = -d/dtheta mean_i log 1/k sum_s p(x_i,z_si)/q(z_si|x_i)",
    source=f"{BURDA}, eq. 8 and 13; Tucker et al. (2019), eq. 8, for the encoder's squared weights",
    requires=("paths", "log_joint", "recognition"),
    likely_cause="weights that are not normalized over the draws, or squared in the decoder too",
    largest=3.0,
    examples=10,
    applies=lambda s: normal_codes(s) or s.cannot_train("ImportanceWeighted"),
)
def importance_weighted_bound(case: Case) -> Iterator[Comparison]:
    v, k = case.visible(max_size=3), 3
    noise = _noise(case, len(v), k)

    def log_weights(model: Any, held: Any = None) -> list[Any]:
        parts = (_on_path(model, v, noise[s], held) for s in range(k))
        return [joint - q for joint, q in parts]

    def loss(model: Any) -> Any:
        import autograd.numpy as anp

        return -(traced_log_sum_exp(anp.stack(log_weights(model)), axis=0) - np.log(k)).mean()

    make = case.subject.objective("ImportanceWeighted")
    x = case.device(v)
    grads, metrics = make(k).gradient(case.model, x, Given(noise, backend=case.subject.backend))
    yield equal(metrics["loss"], host(loss(case.reference)), "loss")
    right = oracle.gradient(case.model, loss)
    yield from gradients(grads, right)
    log_w = np.stack([host(part) for part in log_weights(case.reference)])
    shares = np.exp(log_w - log_w.max(axis=0))
    shares = shares / shares.sum(axis=0)
    held = case.reference.recognition(v)

    def doubly(model: Any) -> Any:
        return -sum((shares[s] ** 2 * part).sum() for s, part in enumerate(log_weights(model, held))) / len(v)

    encoder = oracle.gradient(case.model, doubly)
    right.update({name: encoder[name] for name in right if name.startswith("encoder/")})
    rng = Given(noise, backend=case.subject.backend)
    grads, _ = make(k, doubly_reparameterized=True).gradient(case.model, x, rng)
    yield from gradients(grads, right, "doubly reparameterized:")


@identity(
    name="divergence from the prior",
    number="31c",
    equation="kl(x) = E_q[log q(z|x) - log p(z)], by quadrature; the mean of draws tends to it",
    source=f"{KINGMA}, appendix B",
    requires=("kl", "recognition", "paths"),
    likely_cause="a factor 1/2, or variance and log-variance exchanged",
    largest=3.0,
    applies=_codes,
)
def divergence(case: Case) -> tuple[Any, Any]:
    v, model = case.visible(), case.reference
    q = model.recognition(v)
    nodes, masses = _grid(model.n_latent)
    right: Any = 0.0
    for node, mass in zip(nodes, masses, strict=True):
        z = q.mean + q.deviation * node
        log_prior = -0.5 * (z * z + np.log(2.0 * np.pi)).sum(axis=1)
        right = right + mass * (q.log_prob(z) - log_prior)
    return case.call("kl", v), right


@identity(
    name="divergence of the highest layer",
    number="31c",
    equation="divergence(x, z) = E[log q(z|x) - log p(z)] over z_L ~ q(z_L | z_(L-1)), by quadrature",
    source=f"{KINGMA}, appendix B, given the codes below",
    requires=("divergence", "recognition", "log_prior", "split", "up"),
    likely_cause="the highest layer counted twice, or log p(z_(L-1) | z_L) taken into its closed form",
    largest=3.0,
    applies=_codes,
)
def divergence_of_the_highest(case: Case) -> tuple[Any, Any]:
    v, model = case.visible(), case.reference
    q = model.recognition(v)
    z = q.at(_noise(case, len(v), 1)[0])
    codes = model.split(z)
    highest = model.up(len(codes), codes[-2] if len(codes) > 1 else v)[0]

    def at_codes(top: np.ndarray) -> np.ndarray:
        return highest.log_prob(top) + 0.5 * (top * top + np.log(2.0 * np.pi)).sum(axis=1)

    nodes, masses = _grid(codes[-1].shape[1])
    mean = sum(mass * at_codes(highest.at(node)) for node, mass in zip(nodes, masses, strict=True))
    return case.call("divergence", v, z), q.log_prob(z) - model.log_prior(z) - at_codes(codes[-1]) + mean


@identity(
    name="more samples tighten the bound",
    number="31d",
    equation="mean_s log w_s <= mean over halves of log mean w <= log mean_s w_s, at the same draws",
    source=f"{BURDA}, theorem 1",
    requires=("log_weights", "log_prob_estimate", "paths"),
    likely_cause="a sum for a mean under the logarithm, or a mean outside of it",
    largest=3.0,
    examples=10,
    applies=normal_codes,
)
def more_samples(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    noise = _noise(case, len(v), 4)

    def estimate(part: np.ndarray) -> np.ndarray:
        rng = Given(part, backend=case.subject.backend)
        return host(case.model.log_prob_estimate(case.device(v), rng, len(part)))

    ones = np.mean([estimate(noise[s : s + 1]) for s in range(4)], axis=0)
    halves = np.mean([estimate(noise[:2]), estimate(noise[2:])], axis=0)
    yield at_most(ones, halves, "1 and 2 samples")
    yield at_most(halves, estimate(noise), "2 and 4 samples")
    yield equal(estimate(noise[[0, 0, 0]]), estimate(noise[:1]), "the same sample three times")
    parts = [_on_path(case.reference, v, row) for row in noise]
    yield equal(ones, np.mean([joint - q for joint, q in parts], axis=0), "one sample")


@identity(
    name="gap of the bound",
    number="31",
    equation="log p(x) - ELBO(x) = KL(q(z|x), p(z|x)) >= 0, all exact on a linear-Gaussian model",
    source=f"{BURDA}, section 2; {TIPPING}, eq. 6-8",
    requires=("posterior_gap", "exact_posterior", "elbo", "log_prob", "log_joint"),
    likely_cause="a covariance for a precision, a determinant's sign, or the spread of q left out",
    largest=3.0,
    applies=_codes,
)
def gap_of_the_bound(case: Case) -> Iterator[Comparison]:
    v, model = case.visible(), case.reference
    elbo, log_p = case.call("elbo", v), case.call("log_prob", v)
    yield equal(log_p - elbo, case.call("posterior_gap", v), "gap")
    yield at_most(elbo, log_p, "bound")
    q = model.recognition(v)
    nodes, masses = _grid(model.n_latent)
    right: Any = 0.0
    for node, mass in zip(nodes, masses, strict=True):
        z = q.mean + q.deviation * node
        right = right + mass * (model.log_joint(v, z) - q.log_prob(z))
    yield equal(elbo, right, "ELBO by quadrature")
    posterior = model.exact_posterior(v)
    z = q.mean + 0.5
    yield equal(model.log_joint(v, z) - posterior.log_prob(z), log_p, "Bayes at any code")


@identity(
    name="expected path gradient",
    number="28",
    equation="E_eps[path_gradient(x, eps)] = d ELBO/dtheta, by quadrature, on Gaussian quadratics",
    source=f"{KINGMA}, section 2.4",
    requires=("posterior_gap", "path_gradient", "elbo"),
    likely_cause="a path gradient that is biased: a score left out that does not vanish",
    largest=3.0,
    examples=10,
    applies=_codes,
)
def expected_path_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible(max_size=3)
    right = oracle.gradient(case.model, lambda m: m.elbo(v).sum())
    nodes, masses = _grid(case.model.n_latent)
    noise = np.repeat(nodes[:, None], len(v), axis=1)
    w = np.repeat(masses[:, None], len(v), axis=1)
    for kl in ("analytic", "sampled", "path"):
        left = case.model.path_gradient(*(case.device(a) for a in (v, noise, w)), kl=kl)
        yield from gradients(left, right, f"{kl}:")
