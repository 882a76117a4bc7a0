"""Annealing the RBMs of all frames at once: unbiased, and close to enumeration."""

import numpy as np
import pytest

from minidgm import Generator, evaluation
from minidgm.backend import asarray, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.evaluation.frames import anneal_frames
from tests.boltzmann.sequence_helpers import KINDS, drawn, sequences


@pytest.mark.parametrize("kind", KINDS)
def test_close_to_enumeration(kind):
    """Twenty frames: within six standard errors (false alarms 2e-9) and the bias that is left."""
    model = drawn(kind)
    X = sequences(model, (12, 12))
    exact = evaluation.frame_log_likelihood(model, X)
    found = evaluation.frame_log_likelihood(model, X, n_chains=200, n_temperatures=50, rng=1, exact=False)
    assert (exact.kind, found.kind) == ("exact", "upper bound")
    assert abs(found.value - exact.value) < 6 * found.stderr + 1e-3
    assert 1 <= found.ess <= 200


@pytest.mark.parametrize("start", ["mean field", "uniform"])
def test_weights_average_to_the_partition_function(start):
    """With two temperatures AIS is importance sampling: 20,000 chains a frame, six standard errors."""
    model = drawn("recurrent", scale=0.4)
    v, rbms = next(iter(model.frame_blocks(sequences(model, (3,)))))
    biases = None if start == "mean field" else 0.0 * v
    log_z, stderr, ess = anneal_frames(rbms, 3, 20_000, [0.0, 1.0], Generator(0), biases)
    assert (abs(log_z - rbms.log_partition()) < 6 * stderr).all()
    assert (ess > 1000).all()


def test_one_chain_has_no_standard_error():
    model = drawn("conditional")
    assert evaluation.frame_log_likelihood(model, sequences(model), 1, 5, rng=0, exact=False).stderr is None


def test_parts_and_backends_agree(backend, monkeypatch):
    model = drawn("recurrent")
    X = sequences(model, (4, 3, 5))
    monkeypatch.setattr("minidgm.evaluation.frames.ROWS", 8)
    twin = model.to(backend)
    _, rbms = next(iter(model.frame_blocks(X)))
    _, others = next(iter(twin.frame_blocks([asarray(x, backend) for x in X])))
    left = anneal_frames(rbms, 4, 3, [0.0, 0.5, 1.0], Replay(2))[0]
    right = anneal_frames(others, 4, 3, [0.0, 0.5, 1.0], Replay(2, backend))[0]
    np.testing.assert_allclose(left, to_numpy(right), rtol=1e-12)
    exact = evaluation.frame_log_likelihood(model, X)
    assert float(model.log_prob(X).sum()) / 12 == pytest.approx(exact.value)
