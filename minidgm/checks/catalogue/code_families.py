"""Identities 28 and 31 for codes of any family whose draws move: full normal, logistic, gamma."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import numpy as np

from minidgm.checks import oracle
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, at_most, equal, gradients, host
from minidgm.checks.registry import identity
from minidgm.checks.subject import Subject

FIGURNOV = "Figurnov, Mohamed and Mnih (2018), Implicit reparameterization gradients"
NEEDS = ("path_gradient", "paths", "log_joint", "recognition")
STEP = 2e-4


def _of_family(subject: Subject) -> str:
    return "" if hasattr(subject.model, "family") else "needs codes of a named family"


def _few(subject: Subject) -> str:
    return _of_family(subject) or ("" if subject.model.n_latent <= 2 else "needs at most 2 codes")


def _grid(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Noise [m, n_latent] and masses [m]: the double-exponential rule over probabilities."""
    t = np.arange(-3.04, 3.05, 0.08)
    logit = math.pi * np.sinh(t)
    u = 1.0 / (1.0 + np.exp(-logit))
    mass = u / (1.0 + np.exp(logit)) * math.pi * np.cosh(t) * 0.08
    if model.family == "logistic":
        line = logit
    elif model.family.startswith("gamma"):
        line = u
    else:
        line = np.array([NormalDist().inv_cdf(min(max(p, 1e-15), 1.0 - 1e-15)) for p in u])
    d = model.n_latent
    nodes = np.array(list(itertools.product(line, repeat=d)))
    return nodes, np.array([math.prod(row) for row in itertools.product(mass, repeat=d)])


def _log_weights(model: Any, v: np.ndarray, q: Any, z: np.ndarray) -> np.ndarray:
    """log p(x, z) - log q(z), [k, n], at codes [k, n, d]."""
    return np.stack([host(model.log_joint(v, one) - q.log_prob(one)) for one in z])


@identity(
    name="path gradient of a family",
    number="28a",
    equation="path_gradient(x, noise, w) = d/dtheta sum w (log p(x,z) - log q(z|x)), z = path(noise; y)",
    source=f"{FIGURNOV}; differences of fourth order along a direction, noise replayed",
    requires=NEEDS,
    likely_cause="an implicit derivative of the wrong sign, or the score of q where the path alone is asked",
    largest=2.0,
    examples=10,
    tolerance=2e-6,
    applies=_few,
)
def path_gradient(case: Case) -> Iterator[Comparison]:
    v, k, model = case.visible(max_size=3), 2, case.reference
    rng = np.random.Generator(np.random.SFC64(case.seed()))
    noise = host(model.noise(k, v, case.replay(case.seed(), "numpy")))
    noise = 0.02 + 0.96 * noise if model.family.startswith("gamma") else noise
    w = case.weights(k * len(v)).reshape(k, len(v))
    names = list(model.params)
    direction = {name: rng.normal(size=model.params[name].shape) for name in names}
    held = model.recognition(v)

    def total(t: float, kl: str) -> float:
        moved = model.with_params({name: model.params[name] + t * direction[name] for name in names})
        q = moved.recognition(v)
        z = q.at(noise)
        if kl == "analytic" and q.closed:
            plain = np.stack([host(moved.log_joint(v, one) - moved.log_prior(one)) for one in z])
            return float((w * (plain - host(q.kl()))).sum())
        return float((w * _log_weights(moved, v, held if kl == "path" else q, z)).sum())

    for kl in ("sampled", "path", "analytic"):
        found = case.model.path_gradient(*(case.device(a) for a in (v, noise, w)), kl=kl)
        left = sum(float((host(found[name]) * direction[name]).sum()) for name in names)
        near, far = (total(s * STEP, kl) - total(-s * STEP, kl) for s in (1.0, 2.0))
        right = (8.0 * near - far) / (12.0 * STEP)
        size = max(1.0, abs(right))
        yield equal(left / size, right / size, kl)


@identity(
    name="expected path gradient of a family",
    number="28b",
    equation="E[path_gradient] = d/dtheta int q(z|x) (log p(x,z) - log q(z|x)) dz, by quadrature",
    source=f"Deep Learning, 20.9; {FIGURNOV}, eq. 4-6",
    requires=NEEDS,
    likely_cause="a path that is not that of the density",
    largest=1.5,
    examples=4,
    tolerance=1e-6,
    applies=_few,
)
def expected_path_gradient(case: Case) -> Iterator[Comparison]:
    import autograd.numpy as anp

    v = case.visible(max_size=1)
    nodes, masses = _grid(case.model)
    held = case.reference.recognition(v)
    z = host(held.at(nodes[:, None]))[:, 0]
    rows = np.repeat(v, len(z), axis=0)
    log_q = host(held.log_prob(z))

    def bound(model: Any) -> Any:
        moved = model.log_recognition(rows, z)
        return anp.sum(masses * anp.exp(moved - log_q) * (model.log_joint(rows, z) - moved))

    right = oracle.gradient(case.model, bound)
    for kl in ("analytic", "sampled", "path"):
        arrays = (v, nodes[:, None], masses[:, None])
        left = case.model.path_gradient(*(case.device(a) for a in arrays), kl=kl)
        yield from gradients(left, right, f"{kl}:")


@identity(
    name="divergence of a family",
    number="31c",
    equation="kl(x) = int q(z|x) (log q(z|x) - log p(z)) dz, by quadrature; int q = 1",
    source="the textbook divergences between normals and between gammas",
    requires=(*NEEDS, "log_prior"),
    likely_cause="a factor 1/2, the determinant's sign, or p and q exchanged",
    largest=1.5,
    examples=6,
    tolerance=1e-6,
    applies=_few,
)
def divergence(case: Case) -> Iterator[Comparison]:
    v, model = case.visible(max_size=1), case.reference
    nodes, masses = _grid(model)
    q = model.recognition(v)
    z = host(q.at(nodes[:, None]))[:, 0]
    yield equal(masses.sum(), 1.0, "int q")
    if q.closed:
        apart = host(q.log_prob(z)) - host(model.log_prior(z))
        yield equal(case.call("kl", v), np.array([masses @ apart]), "kl")
    log_w = _log_weights(model, v, q, z[:, None])[:, 0]
    bound, evidence = float(masses @ log_w), math.log(float(masses @ np.exp(log_w)))
    yield at_most(bound, evidence, "bound")


@identity(
    name="joint gradient of a family",
    number="31a",
    equation="log_joint_gradient, log_recognition_gradient = d/dtheta sum w log p(x, z), log q(z|x)",
    source="autograd, at codes of the prior",
    requires=(*NEEDS, "log_joint_gradient", "log_recognition_gradient", "dream"),
    likely_cause="a score of the wrong parameter, or codes mapped to noise and back",
    largest=2.0,
    examples=8,
    applies=_of_family,
)
def joint_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    z = host(case.reference.dream(len(v), case.replay(case.seed(), "numpy"))[1])
    w = case.weights(len(v))
    for name in ("log_joint", "log_recognition"):
        left = getattr(case.model, f"{name}_gradient")(*(case.device(a) for a in (v, z, w)))

        def weighted(model: Any, name: str = name) -> Any:
            return (w * getattr(model, name)(v, z)).sum()

        yield from gradients(left, oracle.gradient(case.model, weighted), f"{name}:")
