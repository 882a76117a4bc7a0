"""Identity 29: gradients through bits and one-hot groups by slopes, straight-through, relaxed, corrected."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.backend import asarray
from minidgm.checks import oracle
from minidgm.checks.case import Case
from minidgm.checks.catalogue.belief_networks import NEEDS, run_on, tables, trained_by
from minidgm.checks.catalogue.score_function import bound
from minidgm.checks.comparison import Comparison, at_most, gradients, host
from minidgm.checks.exhaustive import Replay, expectation
from minidgm.checks.registry import identity

SLOPES = (*NEEDS, "latent_field", "log_joint_input_gradient")
MADDISON = "Maddison, Mnih and Teh (2017), The concrete distribution; Jang, Gu and Poole (2017)"
POINTS = 2**15


class Lattice(Replay):
    """A generator whose uniform numbers fill the cube evenly: averages over rows are integrals.

    Row i of column j is the fractional part of i alpha_j, alpha_j the powers of the root of t^(d+1) = t + 1
    (Roberts 2018, the R_d sequence); ``columns`` is d, over all draws together.
    """

    def __init__(self, columns: int, backend: str):
        super().__init__(0, backend)
        root = 2.0
        for _ in range(50):
            root = (1.0 + root) ** (1.0 / (columns + 1))
        self._steps = root ** -np.arange(1.0, columns + 1)

    def uniform(self, shape: Any, dtype: Any = "float32", out: Any = None) -> Any:
        steps, self._steps = self._steps[: shape[1]], self._steps[shape[1] :]
        u = (0.5 + np.arange(1, shape[0] + 1)[:, None] * steps) % 1.0
        return asarray(u, self.backend, str(np.dtype(dtype)))


def integrated(case: Case, objective: Any, v: np.ndarray, draws: int) -> dict[str, np.ndarray]:
    """Expectation of the gradient of one row, by a lattice over ``draws`` tables of uniform numbers."""
    rng = Lattice(draws * len(case.H[0]), case.subject.backend)
    return run_on(case, objective, np.tile(v, (POINTS, 1)))(rng)


def mean_and_entropy(a: Any, states: int) -> tuple[Any, Any]:
    """Means [n, d] of bits (``states`` 1) or one-hot groups in fields a, and their entropy; traceable."""
    import autograd.numpy as anp

    if states == 1:
        s = 1.0 / (1.0 + anp.exp(-a))
        return s, anp.sum(anp.logaddexp(0.0, a) - a * s)
    groups = anp.reshape(a, (len(a), -1, states))
    top = anp.max(groups, axis=2, keepdims=True)
    log_s = groups - top - anp.log(anp.sum(anp.exp(groups - top), axis=2, keepdims=True))
    s = anp.exp(log_s)
    return anp.reshape(s, (len(a), -1)), -anp.sum(s * log_s)


@identity(
    name="straight-through",
    number="29",
    equation="E[StraightThrough] = -sum_z q(z) [d log p, and f'(z) dm/da + dH/da through a]",
    source="Bengio, Leonard and Courville (2013), Estimating or propagating gradients through neurons",
    requires=SLOPES,
    likely_cause="the slope of p in x, an entropy with the wrong sign, or dm/da left out",
    largest=3.0,
    examples=3,
    applies=trained_by("StraightThrough"),
)
def straight_through(case: Case) -> Iterator[Comparison]:
    import autograd.numpy as anp

    v = case.visible(1, 1)
    rows = np.tile(v, (len(case.H), 1))
    q = np.exp(tables(case, v)[1][0])
    slopes = oracle.derivative(lambda z: anp.sum(case.reference.log_joint(rows, z)), case.H)
    for through in ("mean", "identity"):

        def loss(m: Any, through: str = through) -> Any:
            a = m.latent_field(v)
            s, entropy = mean_and_entropy(a, case.model.latent.k)
            path = s if through == "mean" else a
            return -anp.sum(q * m.log_joint(rows, case.H)) - anp.sum((q @ slopes) * path) - entropy

        objective = case.subject.objective("StraightThrough")(through=through)
        left = expectation(run_on(case, objective, v), case.subject.backend)
        yield from gradients(left, oracle.gradient(case.model, loss), f"{through}:")


@identity(
    name="Gumbel-softmax path",
    number="29",
    equation="GumbelSoftmax = -d/dtheta [mean log p(x, softmax((a + g)/tau)) + H(q)], noise replayed",
    source=MADDISON,
    requires=SLOPES,
    likely_cause="the temperature left out of the slope, or noise of another law",
    largest=3.0,
    examples=5,
    applies=trained_by("GumbelSoftmax"),
)
def gumbel_softmax_path(case: Case) -> Iterator[Comparison]:
    import autograd.numpy as anp

    v = case.visible(1, 3)
    seed, k, tau, states = case.seed(), 2, 0.7, case.model.latent.k
    objective = case.subject.objective("GumbelSoftmax")(tau, k)
    left = run_on(case, objective, v)(case.replay(seed))
    u = host(Replay(seed, "numpy").uniform((k * len(v), len(case.H[0])), case.subject.dtype))
    wide = np.tile(v, (k, 1))

    def loss(m: Any) -> Any:
        entropy = mean_and_entropy(m.latent_field(v), states)[1]
        g = np.log(u) - np.log1p(-u) if states == 1 else -np.log(-np.log(u))
        y = mean_and_entropy((m.latent_field(wide) + g) / tau, states)[0]
        return -anp.sum(m.log_joint(wide, y)) / len(wide) - entropy / len(v)

    yield from gradients(left, oracle.gradient(case.model, loss), tolerance=1e-5)


@identity(
    name="Gumbel-softmax bias",
    number="29",
    equation="|E[GumbelSoftmax(tau)] - d(-elbo)| falls to a third from tau = 2 to tau = 0.1",
    source=MADDISON,
    requires=SLOPES,
    tolerance=0.005,
    likely_cause="a temperature that multiplies, or one that is not used",
    largest=2.0,
    examples=2,
    applies=trained_by("GumbelSoftmax"),
)
def gumbel_softmax_bias(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 1)
    exact = oracle.gradient(case.model, lambda m: -bound(case, m, v))
    biases = []
    for tau in (2.0, 0.1):
        objective = case.subject.objective("GumbelSoftmax")(tau, lowest=tau)
        found = integrated(case, objective, v, 1)
        biases.append(math.sqrt(sum(float(((found[n] - exact[n]) ** 2).sum()) for n in exact)))
    yield at_most(biases[1], biases[0] / 3.0)


@identity(
    name="REBAR is unbiased",
    number="29",
    equation="E[Rebar(tau, c)] = d(-elbo) for every tau and c, by an even lattice of noise",
    source="Tucker et al. (2017), REBAR: low-variance, unbiased gradient estimates for discrete models",
    requires=SLOPES,
    tolerance=0.005,
    likely_cause="noise of the twin not drawn given z, or its path's derivative through s left out",
    largest=2.0,
    examples=2,
    applies=trained_by("Rebar"),
)
def rebar_is_unbiased(case: Case) -> Iterator[Comparison]:
    v = case.visible(1, 1)
    exact = oracle.gradient(case.model, lambda m: -bound(case, m, v))
    for tau, strength in ((0.5, 1.0), (1.0, 0.5)):
        objective = case.subject.objective("Rebar")(tau, 1, strength)
        yield from gradients(integrated(case, objective, v, 2), exact, f"tau = {tau}, c = {strength}:")
