"""MMD and moment matching as objectives: expectations, replayed noise, state, strict device, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minidgm import GMMN, RBM, DifferentiableGenerator, Generator, training
from minidgm.backend import asarray, to_numpy
from minidgm.checks import strict
from minidgm.checks.exhaustive import Replay
from minidgm.evaluation import mmd2_between
from minidgm.objectives import MaximumMeanDiscrepancy, MomentMatching, fitting
from minidgm.parameters import Parameters

OBJECTIVES = [
    MaximumMeanDiscrepancy(),
    MaximumMeanDiscrepancy("rational_quadratic", 6, unbiased=True, scale=2.0),
    MaximumMeanDiscrepancy(("polynomial", {"degree": 2}), root=True),
    MaximumMeanDiscrepancy("rational_quadratic", linear=True),
    MomentMatching(3),
    MomentMatching(2, cross=True),
]
X = np.random.default_rng(0).normal(size=(7, 2))


class Switch:
    """A generator of two rows, a and b, each with probability one half: every draw can be listed."""

    n_visible = 1

    def __init__(self, a, b, picks=()):
        self.params = Parameters({"rows": (2, 1)}, dtype="float64")
        self.params["rows"][...] = [[a], [b]]
        self.picks = np.array(picks, dtype=int)

    def draw_latent(self, n, rng):
        return np.eye(2)[self.picks[:n]]

    def forward(self, z, training=False, rng=None):
        return z @ self.params["rows"], z

    def backward(self, dx, z, out):
        out["rows"][...] = z.T @ dx
        return dx @ self.params["rows"].T, out

    def update(self, cache):
        pass


def test_the_unbiased_gradient_is_unbiased_by_enumeration():
    """Its mean over every draw of 3 rows and every batch of 2 is the gradient of the exact MMD^2."""
    kernel, y, q = ("gaussian", {"bandwidths": [0.8]}), np.array([[0.0], [2.0]]), np.array([0.3, 0.7])

    def exact(a, b):
        states = np.array([[a], [b], *y.tolist()])
        p = np.array([0.5, 0.5, 0.0, 0.0])
        return mmd2_between(states, p, np.array([0.0, 0.0, *q]), kernel).value

    a, b, h = -0.4, 0.9, 1e-5
    expected = [(exact(a + h, b) - exact(a - h, b)) / (2 * h), (exact(a, b + h) - exact(a, b - h)) / (2 * h)]
    objective = MaximumMeanDiscrepancy(kernel, 3, unbiased=True, scale=1.0)
    total, loss = np.zeros(2), 0.0
    for picks in itertools.product(range(2), repeat=3):
        for rows in itertools.product(range(2), repeat=2):
            grads, metrics = objective.gradient(Switch(a, b, picks), y[list(rows)], None)
            weight = 0.5**3 * q[list(rows)].prod()
            total += weight * grads["rows"][:, 0]
            loss += weight * float(metrics["loss"])
    np.testing.assert_allclose(total, expected, rtol=1e-8)
    assert loss == pytest.approx(exact(a, b), rel=1e-10)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_precisions_and_devices_agree_at_replayed_noise(objective):
    model = GMMN(2, 2, (3,), seed=0, dtype="float64")
    found = {}
    for where in (("numpy", "float64"), ("numpy", "float32"), ("strict", "float32")):
        objective.reset()
        grads, metrics = objective.gradient(model.to(*where), asarray(X, *where), Replay(3, where[0]))
        found[where] = to_numpy(grads.buffer).astype("float64"), float(metrics["loss"])
    exact, loss = found.pop(("numpy", "float64"))
    for values, value in found.values():
        np.testing.assert_allclose(values, exact, rtol=2e-3, atol=2e-5 * max(1.0, np.abs(exact).max()))
        assert value == pytest.approx(loss, rel=1e-3, abs=1e-5)
    objective.reset()


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_a_step_reads_nothing_from_the_device(objective):
    objective.reset()
    model, rng = GMMN(2, 2, (3,), seed=0, backend="strict"), Generator(0, "strict")
    batch = asarray(X, "strict", "float32")
    objective.gradient(model, batch, rng)
    with strict.count_host_reads() as reads:
        objective.gradient(model, batch, rng)
    assert reads.count == 0
    objective.reset()


def test_the_scale_of_the_data_is_a_state(tmp_path):
    objective = MaximumMeanDiscrepancy()
    model = GMMN(2, 2, (3,), seed=0, dtype="float64")
    first = objective.gradient(model, 3.0 * X, Generator(0))[0].buffer.copy()
    distances = 9.0 * ((X[:, None] - X[None]) ** 2).sum(axis=2).mean()
    np.testing.assert_allclose(objective.state["unit"], distances**-0.5, rtol=1e-12)
    again = MaximumMeanDiscrepancy()
    again.set_state(objective.state)
    np.testing.assert_array_equal(again.gradient(model, 3.0 * X, Generator(0))[0].buffer, first)
    fixed = MaximumMeanDiscrepancy(scale=float(distances**0.5))
    np.testing.assert_allclose(fixed.gradient(model, 3.0 * X, Generator(0))[0].buffer, first, rtol=1e-9)
    assert bool(np.isfinite(MaximumMeanDiscrepancy().gradient(model, 0.0 * X, Generator(0))[0].buffer).all())


def test_resuming_gives_the_same_bits(tmp_path):
    def run(epochs, **options):
        model = GMMN(2, 2, (3,), seed=0)
        training.fit(model, X, MaximumMeanDiscrepancy(), epochs=epochs, batch_size=4, **options)
        return model.params.buffer.copy()

    whole = run(4)
    run(2, checkpoint=tmp_path / "c")
    np.testing.assert_array_equal(run(4, checkpoint=tmp_path / "c", resume=True), whole)


def test_moment_matching_stops_where_moments_agree():
    model = DifferentiableGenerator(2, 2, ["triangular"], dtype="float64")
    for objective in (MomentMatching(3), MomentMatching(2, cross=True)):
        rows = model.sample(7, Generator(5))
        grads, metrics = objective.gradient(model, rows, Generator(5))
        assert float(metrics["loss"]) == pytest.approx(0.0, abs=1e-12)
        np.testing.assert_allclose(grads.buffer, 0.0, atol=1e-12)


def test_marginal_moments_do_not_see_dependence():
    x = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    model = DifferentiableGenerator(2, 4, [("dense", 2, False)], dtype="float64")
    model.params["generator/0/W"][...] = x
    model.draw_latent = lambda n, rng: np.eye(4)
    correlated = x[[0, 0, 1, 1]]
    losses = [
        float(MomentMatching(2, cross=c).gradient(model, correlated, None)[1]["loss"]) for c in (False, True)
    ]
    assert losses == pytest.approx([0.0, 2.0])  # E x_1 x_2 = 0 and 1, twice


def test_configurations_are_json():
    import json

    for objective in OBJECTIVES:
        config = json.loads(json.dumps(objective.config()))
        assert repr(type(objective)(**config)) == repr(objective)


def test_refusals():
    rbm = RBM(2, 2)
    with pytest.raises(TypeError, match=r"cannot train this RBM: it has no draw_latent"):
        MaximumMeanDiscrepancy().gradient(rbm, X, Generator(0))
    assert {"MaximumMeanDiscrepancy", "MomentMatching"} <= set(fitting(GMMN(2)))
    assert "MomentMatching" not in fitting(rbm)
    with pytest.raises(ValueError, match="no root"):
        MaximumMeanDiscrepancy(unbiased=True, root=True)
    with pytest.raises(ValueError, match="n_samples"):
        MaximumMeanDiscrepancy(n_samples=1, unbiased=True)
    with pytest.raises(ValueError, match="scale"):
        MaximumMeanDiscrepancy(scale=0.0)
    with pytest.raises(ValueError, match="order"):
        MomentMatching(0)
    with pytest.raises(ValueError, match="leave a batch of one row"):
        GMMN(2).fit(X, objective=MaximumMeanDiscrepancy(unbiased=True), epochs=1, batch_size=3)
