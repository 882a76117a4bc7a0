"""Bounds and importance weighting: against the model's own exact figures, and the kinds they claim."""

import numpy as np
import pytest

from minidgm import DBN, Estimate
from minidgm.backend import asarray
from minidgm.evaluation import importance_weighted, log_partition_exact, lower_bound

V = np.array([[i >> j & 1 for j in range(4)] for i in range(16)], dtype="float64")


def drawn(seed=0, **options):
    dbn = DBN([4, 3, 2], **{"dtype": "float64", **options})
    values = 0.8 * np.random.default_rng(seed).normal(size=dbn.params.size)
    dbn.params.buffer[...] = asarray(values, dbn.backend, dbn.dtype)
    return dbn


def test_exact_bound():
    dbn = drawn()
    found = lower_bound(dbn, V)
    assert found.value == pytest.approx(dbn.elbo(V).mean(), abs=1e-12)
    assert (found.kind, found.stderr) == ("lower bound", None)
    assert found.value < dbn.log_prob(V).mean()


def test_sampled_figures_within_their_errors(backend):
    """Six standard errors from 16 rows x 400 draws: false alarms below 1e-6."""
    dbn = drawn(backend=backend)
    v = asarray(V, backend)
    exact = drawn()
    bound = lower_bound(dbn, v, rng=0, n_samples=400)
    assert abs(bound.value - exact.elbo(V).mean()) < 6 * bound.stderr
    weighted = importance_weighted(dbn, v, rng=0, n_samples=400)
    assert abs(weighted.value - exact.log_prob(V).mean()) < 6 * weighted.stderr + 0.01
    assert bound.value < weighted.value
    assert weighted.kind == "lower bound"


def test_kind_follows_log_z():
    dbn = drawn()
    exact = log_partition_exact(dbn.top)
    kinds = {"exact": "lower bound", "upper bound": "lower bound", "lower bound": "estimate"}
    for kind, expected in kinds.items():
        assert lower_bound(dbn, V, Estimate(exact.value, kind)).kind == expected
    noisy = lower_bound(dbn, V, Estimate(exact.value, "estimate", 0.5), rng=0)
    assert noisy.kind == "estimate"
    assert noisy.stderr > 0.5
    assert lower_bound(dbn, V, Estimate(exact.value, "exact").to("bits")).value == pytest.approx(
        lower_bound(dbn, V).value
    )


def test_rows_go_in_blocks(monkeypatch):
    dbn = drawn()
    whole = lower_bound(dbn, V).value
    monkeypatch.setattr("minidgm.evaluation.bound.ROWS", 5)
    assert lower_bound(dbn, V).value == pytest.approx(whole, abs=1e-12)


def test_bad_input():
    dbn = drawn()
    with pytest.raises(TypeError, match="wrap it as Estimate"):
        lower_bound(dbn, V, 3.0)
    with pytest.raises(ValueError, match="v has no rows"):
        importance_weighted(dbn, V[:0])
    with pytest.raises(ValueError, match="n_samples must be"):
        importance_weighted(dbn, V, n_samples=0)
