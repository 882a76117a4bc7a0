"""Identity 32: losses of autoencoders, and the optimum of a linear one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.checks import oracle, strategies
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, at_most, equal, gradients, host
from minidgm.checks.registry import identity

CONTRACTED = (["Dense", "Sigmoid"], ["Dense", "Tanh"])


@identity(
    name="autoencoder gradient",
    number="32",
    equation="loss_gradient(x, w) = d/dtheta sum_i w_i (loss_i + activity |h_i|_1 + contraction |dh_i/dx|^2)",
    source="Deep Learning, 14.2; Rifai et al. (2011), eq. 5",
    requires=("loss", "loss_gradient", "transform"),
    likely_cause="the corrupted row as the target, or a chain rule through the wrong slope",
    largest=3.0,
    examples=15,
)
def autoencoder_gradient(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    w = case.weights(len(v))
    seen = 0.5 * v[::-1] + 0.25
    x, weights, other = (case.device(a) for a in (v, w, seen))
    left = case.model.loss_gradient(x, weights, other)[0]
    yield from gradients(left, oracle.gradient(case.model, lambda m: (w * m.loss(v, seen)).sum()))
    if [type(layer).__name__ for layer in case.model.encoder.layers] in CONTRACTED:
        left = case.model.loss_gradient(x, weights, contraction=0.5)[0]
        right = oracle.gradient(case.model, lambda m: (w * (m.loss(v) + 0.5 * m.contraction(v))).sum())
        yield from gradients(left, right, "contractive:")
    if _kinks(case, seen):
        return

    def sparse(model: Any) -> Any:
        import autograd.numpy as anp

        return (w * (model.loss(v, seen) + 0.5 * anp.abs(model.encode(seen)[0]).sum(axis=1))).sum()

    left = case.model.loss_gradient(x, weights, other, activity=0.5)[0]
    yield from gradients(left, oracle.gradient(case.model, sparse), "sparse:")


def _kinks(case: Case, seen: np.ndarray) -> bool:
    """Whether a code lies near 0, where |h| has no derivative and no difference quotient."""
    return bool((np.abs(host(case.reference.encode(seen)[0])) < 0.1).any())


@identity(
    name="principal components",
    number="32",
    equation="a linear autoencoder at the principal components: no gradient, and loss = half the tail",
    source="Baldi and Hornik (1989), facts 1 and 4",
    requires=("principal_components", "loss_gradient"),
    likely_cause="the smallest components for the largest, or the mean left out",
    examples=15,
    applies=lambda s: "" if getattr(s.model, "linear", False) else "needs linear nets and squared error",
)
def principal_components(case: Case) -> Iterator[Comparison]:
    X = case.draw(strategies.arrays((6, case.subject.visible.n), 3.0), "X")
    before = {name: host(value).copy() for name, value in case.subject.parameters.items()}
    model = case.model.principal_components(case.device(X))
    n, k = len(X), model.n_latent
    weights = case.device(np.full(n, 1.0 / n))
    grads, losses, _ = model.loss_gradient(case.device(X), weights)
    tail = np.linalg.eigvalsh(np.cov(X.T, bias=True))[: X.shape[1] - k].sum()
    constant = 0.5 * X.shape[1] * np.log(2.0 * np.pi)
    yield equal(host(losses).mean(), constant + 0.5 * tail, "loss")
    yield from gradients(grads, {name: np.zeros(value.shape) for name, value in before.items()}, "optimum:")
    case.subject.set_parameters(before)
    _, drawn, _ = model.loss_gradient(case.device(X), weights)
    yield at_most(constant + 0.5 * tail, host(drawn).mean(), "no other parameters do better")
