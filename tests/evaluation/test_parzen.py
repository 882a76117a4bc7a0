"""Parzen-window figures: against the density, the choice of the window, what they say, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import KDE
from minidgm.backend import asarray
from minidgm.errors import DataError
from minidgm.evaluation import parzen


def rows(n, seed, d=2):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_the_value_is_the_mean_log_density_of_the_best_window(backend):
    samples, test, validation = rows(60, 0), rows(40, 1), rows(30, 2)
    candidates = [0.1, 0.5, 3.0]
    found = parzen(*(asarray(x, backend) for x in (samples, test, validation)), bandwidths=candidates)
    windows = {b: KDE.from_samples(samples, b, dtype="float64") for b in candidates}
    best = max(candidates, key=lambda b: float(windows[b].log_prob(validation).mean()))
    values = windows[best].log_prob(test)
    assert found.value == pytest.approx(float(values.mean()), rel=1e-9)
    assert found.stderr == pytest.approx(float(values.std(ddof=1) / np.sqrt(40)), rel=1e-9)
    assert (found.kind, found.settings["bandwidth"], found.settings["n_samples"]) == ("estimate", best, 60)


def test_better_samples_have_a_higher_figure():
    test, validation = rows(200, 1), rows(100, 2)
    good, shifted = (parzen(rows(300, 3) + shift, test, validation).value for shift in (0.0, 3.0))
    assert good > shifted + 1.0


def test_a_window_at_the_edge_of_the_candidates_is_said():
    args = rows(50, 0), rows(20, 1), rows(20, 2)
    assert "edge" in parzen(*args, bandwidths=[0.01, 0.02]).how
    assert "edge" not in parzen(*args, bandwidths=[0.01, 0.5, 9.0]).how


def test_refusals():
    x = rows(5, 0)
    with pytest.raises(ValueError, match="test has no rows"):
        parzen(x, x[:0], x)
    with pytest.raises(ValueError, match="validation has no rows"):
        parzen(x, x, x[:0])
    with pytest.raises(DataError, match=r"test has shape \(5, 3\)"):
        parzen(x, rows(5, 0, 3), x)
    with pytest.raises(DataError, match="samples have shape"):
        parzen(x[0], x, x)
