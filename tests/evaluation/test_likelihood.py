"""Log-likelihoods take over the kind of log Z, turned."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm.errors import DataError, IntractableError
from minidgm.evaluation import Estimate, ais, log_likelihood, log_partition_exact
from tests.evaluation.models import machine, rbm


@pytest.mark.parametrize("make", [lambda b: rbm(4, 3, backend=b), lambda b: machine(3, 2, backend=b)])
def test_exact_by_default(make, backend):
    model = make(backend)
    v = model.visible.states(model.n_visible, xp=model.xp)
    estimate = log_likelihood(model, v)
    assert estimate.value == pytest.approx(float(model.log_prob(v).mean()), rel=1e-12)
    assert (estimate.kind, estimate.unit) == ("exact", "nats")


@pytest.mark.parametrize(
    ("kind", "turned"),
    [
        ("lower bound", "upper bound"),
        ("upper bound", "lower bound"),
        ("estimate", "estimate"),
        ("exact", "exact"),
    ],
)
def test_kinds_turn(kind, turned):
    model, v = rbm(4, 3), np.eye(4)
    stderr = None if kind == "exact" else 0.5
    log_z = Estimate(3.0, kind, stderr, how="magic", ess=4.0, settings={"n": 1})
    estimate = log_likelihood(model, v, log_z)
    assert estimate.kind == turned
    assert estimate.value == pytest.approx(-model.free_energy(v).mean() - 3.0, rel=1e-12)
    assert (estimate.stderr, estimate.ess, estimate.settings) == (stderr, 4.0, {"n": 1})
    assert estimate.how == "log Z by magic"
    assert log_likelihood(model, v, log_z.to("bits")).value == pytest.approx(estimate.value, rel=1e-12)


def test_low_log_partitions_make_high_likelihoods():
    model, v = rbm(4, 3), np.eye(4)
    exact = log_partition_exact(model)
    assert log_likelihood(model, v, exact - 1.0).value == pytest.approx(log_likelihood(model, v).value + 1.0)
    annealed = ais(model, 20, 5, rng=0)
    estimate = log_likelihood(model, v, annealed)
    assert estimate.stderr == annealed.stderr
    assert "AIS" in estimate.how


def test_rows_pass_in_blocks(monkeypatch):
    model = rbm(4, 3)
    v = model.visible.states(4)
    whole = log_likelihood(model, v).value
    monkeypatch.setattr("minidgm.evaluation.likelihood.ROWS", 5)
    assert log_likelihood(model, v).value == pytest.approx(whole, rel=1e-12)


def test_errors():
    model = rbm(4, 3)
    with pytest.raises(TypeError, match=r"log_partition is a float; wrap it as Estimate\(value, kind\)"):
        log_likelihood(model, np.eye(4), 3.0)
    with pytest.raises(ValueError, match="v has no rows"):
        log_likelihood(model, np.zeros((0, 4)))
    with pytest.raises(DataError, match=r"v has shape \(3, 3\)"):
        log_likelihood(model, np.eye(3))
    with pytest.raises(IntractableError):
        log_likelihood(rbm(30, 30), np.zeros((1, 30)))
