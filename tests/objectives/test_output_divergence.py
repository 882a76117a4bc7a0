"""CD of p(y | x): x stays, whatever depends on x alone cancels."""

import numpy as np
import pytest

from minidgm import RBM, GatedRBM, Generator
from minidgm.objectives import OutputContrastiveDivergence


def test_input_biases_have_no_gradient_and_two_sweeps_differ_from_one():
    model = GatedRBM(3, 3, 4, dtype="float64", seed=0)
    model.params.buffer[...] = np.random.default_rng(0).normal(size=model.params.size)
    rows = np.random.default_rng(1).integers(0, 2, (8, 6)).astype(float)
    one, metrics = OutputContrastiveDivergence().gradient(model, rows, Generator(0))
    np.testing.assert_allclose(one["a"], 0.0, atol=1e-15)
    one = one.buffer.copy()
    two = OutputContrastiveDivergence(k=2).gradient(model, rows, Generator(0))[0].buffer
    assert not np.allclose(one, two)
    assert 0.0 < float(metrics["reconstruction_error"]) < 1.0


def test_the_chain_is_the_models_own():
    """mean F(data) - mean F(end of the chain), by the same draws."""
    model = GatedRBM(2, 2, 3, n_factors=2, dtype="float64", seed=0)
    model.params.buffer[...] = np.random.default_rng(2).normal(size=model.params.size)
    rows = np.random.default_rng(1).integers(0, 2, (4, 4)).astype(float)
    end, _ = model.conditional_gibbs_step(rows, None, Generator(5))
    quarter = np.full(4, 0.25)
    right = model.free_energy_gradient(rows, quarter).buffer - model.free_energy_gradient(end, quarter).buffer
    found = OutputContrastiveDivergence().gradient(model, rows, Generator(5))[0].buffer
    np.testing.assert_allclose(found, right, atol=1e-12)


def test_bad_arguments_and_models_are_refused():
    with pytest.raises(ValueError, match="k must be an integer of at least 1"):
        OutputContrastiveDivergence(k=0)
    with pytest.raises(TypeError, match="it has no conditional_gibbs_step"):
        OutputContrastiveDivergence().gradient(RBM(2, 2), np.zeros((1, 2), "float32"), None)
