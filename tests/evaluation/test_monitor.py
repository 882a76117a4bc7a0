"""Figures to watch, each against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm.backend import to_numpy
from minidgm.errors import DataError
from minidgm.evaluation import free_energy_gap, pseudo_likelihood, reconstruction_error
from tests.evaluation.models import machine, rbm


@pytest.mark.parametrize("make", [lambda b: rbm(3, 2, backend=b), lambda b: machine(3, 2, backend=b)])
def test_pseudo_likelihood_from_the_enumerated_joint(make, backend):
    model = make(backend)
    states = model.visible.states(3, xp=model.xp)
    p = np.exp(to_numpy(model.log_prob(states))).reshape(2, 2, 2)  # p[v_2, v_1, v_0]
    v = to_numpy(states).astype(int)
    expected = 0.0
    for i in range(3):
        conditional = p / p.sum(axis=2 - i, keepdims=True)
        expected += np.log(conditional[v[:, 2], v[:, 1], v[:, 0]]).mean()
    estimate = pseudo_likelihood(model, states)
    assert estimate.value == pytest.approx(expected, rel=1e-9)
    assert (estimate.kind, estimate.unit) == ("exact", "nats")
    assert "not likelihood" in estimate.how


def test_free_energy_gap_is_the_likelihood_gap(backend):
    model = rbm(4, 3, backend=backend)
    states = model.visible.states(4, xp=model.xp)
    train, validation = states[:5], states[5:]
    expected = float(model.log_prob(train).mean()) - float(model.log_prob(validation).mean())
    estimate = free_energy_gap(model, train, validation)
    assert estimate.value == pytest.approx(expected, rel=1e-10)
    assert estimate.kind == "exact"


def test_reconstruction_error_is_a_mean_over_rows_of_squares_summed_over_units(backend, monkeypatch):
    model = rbm(4, 3, backend=backend)
    v = model.visible.states(4, xp=model.xp)
    expected = (to_numpy(v - model.reconstruct(v)) ** 2).sum() / 16
    assert reconstruction_error(model, v).value == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr("minidgm.evaluation.likelihood.ROWS", 5)
    estimate = reconstruction_error(model, v)
    assert estimate.value == pytest.approx(expected, rel=1e-12)
    assert estimate.unit == "squared error"


def test_errors():
    with pytest.raises(TypeError, match="dict has no pseudo_log_likelihood"):
        pseudo_likelihood({}, np.eye(3))
    with pytest.raises(TypeError, match="has no reconstruct"):
        reconstruction_error(object(), np.eye(3))
    for function in (pseudo_likelihood, reconstruction_error):
        with pytest.raises(ValueError, match="v has no rows"):
            function(rbm(3, 2), np.zeros((0, 3)))
    with pytest.raises(DataError, match="holds 7"):
        free_energy_gap(rbm(3, 2), np.full((1, 3), 7.0), np.eye(3))
