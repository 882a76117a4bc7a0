"""The gradient of -log p(y | v), by hand on one example, and what its metrics say."""

import numpy as np
import pytest

from minidgm import RBM, DiscriminativeRBM, HybridThirdOrderRBM
from minidgm.checks import oracle
from minidgm.objectives import DiscriminativeLikelihood


@pytest.mark.parametrize("model_class", [DiscriminativeRBM, HybridThirdOrderRBM])
def test_gradient_is_that_of_the_posterior(model_class):
    model = model_class(4, 3, 3, dtype="float64", seed=0)
    model.params.buffer[...] = np.random.default_rng(0).normal(size=model.params.size)
    v, y = np.random.default_rng(1).random((6, 4)), np.array([0, 1, 2, 2, 1, 0])
    rows = model.join(v, y)
    rows[4:, 4:] = 0.0
    found, metrics = DiscriminativeLikelihood(weight_decay=0.1).gradient(model, rows, None)

    def loss(m):
        decay = 0.05 * sum((p**2).sum() for p in m.params.values() if p.ndim >= 2)
        return -(m.label_log_prob(v[:4])[np.arange(4), y[:4]]).sum() / 6 + decay

    right = oracle.gradient(model, loss)
    for name in right:
        np.testing.assert_allclose(found[name], right[name], atol=1e-10)
    log_p = model.label_log_prob(v[:4])
    assert float(metrics["loss"]) == pytest.approx(-log_p[np.arange(4), y[:4]].mean())
    assert float(metrics["error"]) == pytest.approx((log_p.argmax(axis=1) != y[:4]).mean())


def test_a_batch_without_labels_has_no_gradient():
    model = DiscriminativeRBM(2, 2, 2, dtype="float64", seed=0)
    grads, metrics = DiscriminativeLikelihood().gradient(model, np.zeros((3, 4)), None)
    assert not grads.buffer.any()
    assert float(metrics["loss"]) == float(metrics["error"]) == 0.0


def test_models_without_labels_are_refused():
    with pytest.raises(TypeError, match="it has no label_log_prob"):
        DiscriminativeLikelihood().gradient(RBM(2, 2), np.zeros((1, 2), "float32"), None)
