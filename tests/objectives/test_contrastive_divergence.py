"""CD-k: unbiased for the exact CD-k gradient, which tends to maximum likelihood."""

import numpy as np
import pytest

from minidgm import RBM, Generator
from minidgm.checks.exhaustive import expectation
from minidgm.objectives import ContrastiveDivergence, ExactLikelihood, PersistentContrastiveDivergence
from tests.objectives.helpers import (
    ALL,
    assert_gradients,
    drawn,
    negative_log_likelihood,
    plain_only,
    rows,
    transition,
)


def exact_cd(model, v, k):
    """mean_i [dF(v_i) - sum_v' T^k(v'|v_i) dF(v')] through the transition matrix."""
    V = model.visible.states(model.n_visible)
    start = np.zeros(len(V))
    for row in v:
        start[(row == V).all(axis=1)] += 1 / len(v)
    end = start @ np.linalg.matrix_power(transition(model), k)
    return model.free_energy_gradient(V, start - end)


@pytest.mark.parametrize(
    ("kind", "k", "n"), [("tiny", 1, 2), ("tiny", 2, 1), ("spin", 1, 1), ("softmax", 1, 1)]
)
@pytest.mark.parametrize("in_place", [True, False])
def test_unbiased_for_the_exact_cd(kind, k, n, in_place, monkeypatch):
    """Expectation over every outcome of every draw."""
    if not in_place:
        plain_only(monkeypatch)
    if kind == "tiny":
        model = RBM(2, 1, dtype="float64")
        model.params.buffer[...] = [0.9, -0.7, 0.3, -0.4, 0.5]
    else:
        model = drawn(kind, seed=4)
    v = rows(model, n, seed=1)
    objective = ContrastiveDivergence(k)
    mean = expectation(lambda rng: {k: g.copy() for k, g in objective.gradient(model, v, rng)[0].items()})
    assert_gradients(mean, exact_cd(model, v, k))


@pytest.mark.parametrize("kind", ["bernoulli", "spin", "softmax-softmax"])
def test_cd_infinity_is_maximum_likelihood(kind):
    model = drawn(kind, seed=5)
    v = rows(model, 3)
    assert_gradients(exact_cd(model, v, 2000), ExactLikelihood().gradient(model, v, None)[0])
    assert abs(exact_cd(model, v, 1).buffer - exact_cd(model, v, 2000).buffer).max() > 1e-3


@pytest.mark.parametrize("kind", [kind for kind in ALL if "machine" not in kind])
@pytest.mark.parametrize("k", [1, 3])
def test_in_place_equals_plain(kind, k, monkeypatch):
    """The same random numbers give the same gradient and metrics, for any sequence of batch sizes."""
    model = drawn(kind, seed=6)
    objective = ContrastiveDivergence(k)
    batches = [rows(model, n, seed=n) for n in (5, 2, 7)]
    results = [
        (grads.buffer.copy(), metrics)
        for i, v in enumerate(batches)
        for grads, metrics in [objective.gradient(model, v, Generator(i))]
    ]
    plain_only(monkeypatch)
    for i, v in enumerate(batches):
        grads, metrics = objective.gradient(model, v, Generator(i))
        np.testing.assert_allclose(results[i][0], grads.buffer, rtol=1e-12, atol=1e-13)
        for name, value in metrics.items():
            assert results[i][1][name] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("estimator", [ContrastiveDivergence, PersistentContrastiveDivergence])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("cost", [0.0, 0.5])
def test_in_place_keeps_the_means_that_are_needed_after_it(estimator, centered, cost, monkeypatch):
    """The weighted means may lie over the means, unless centring or sparsity read those."""
    model = drawn("bernoulli", seed=6)
    model.centered = centered
    v = rows(model, 5, seed=2)

    def gradient():
        objective = estimator(sparsity_target=0.1, sparsity_cost=cost)
        return objective.gradient(model, v, Generator(3))[0].buffer.copy()

    in_place = gradient()
    plain_only(monkeypatch)
    np.testing.assert_allclose(in_place, gradient(), rtol=1e-12, atol=1e-13)


def test_metrics():
    model = drawn("bernoulli", seed=1)
    v = rows(model, 40, seed=2)
    grads, metrics = ContrastiveDivergence().gradient(model, v, Generator(3))
    h = model.hidden_given_visible(v).sample(rng := Generator(3))
    chains = model.visible_given_hidden(h).sample(rng)
    assert metrics["reconstruction_error"] == pytest.approx(((v - chains)[:32] ** 2).mean())
    assert metrics["mean_gap"] == pytest.approx(abs(v.mean(axis=0) - chains.mean(axis=0)).mean())
    np.testing.assert_allclose(grads["b"], chains.mean(axis=0) - v.mean(axis=0), atol=1e-14)


def test_subclass_with_its_own_map_is_not_written_out():
    """A subclass that overrides a map of the RBM is trained by that map."""

    class Shifted(RBM):
        def hidden_field(self, v):
            return super().hidden_field(v) + 1.0

    model = Shifted(3, 2, dtype="float64", seed=0)
    v = rows(model, 2)
    grads, _ = ContrastiveDivergence().gradient(model, v, Generator(0))
    shifted = RBM(3, 2, dtype="float64", seed=0)
    shifted.params["c"] += 1.0
    expected, _ = ContrastiveDivergence().gradient(shifted, v, Generator(0))
    np.testing.assert_allclose(grads["W"], expected["W"], rtol=1e-12)


def test_descends():
    """On a fitted direction CD lowers the exact negative log-likelihood."""
    model = drawn("bernoulli", seed=8, scale=0.1)
    v = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    before = negative_log_likelihood(model, v)
    objective, rng = ContrastiveDivergence(2), Generator(0)
    for _ in range(300):
        grads, _ = objective.gradient(model, v, rng)
        model.params.buffer[...] -= 0.1 * grads.buffer
    assert negative_log_likelihood(model, v) < before - 0.5
