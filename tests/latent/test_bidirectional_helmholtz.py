"""Bidirectional Helmholtz machines against enumeration; chains, estimates of Z, training."""

import numpy as np
import pytest
from scipy.special import logsumexp

from minidgm import BidirectionalHelmholtz, IntractableError, check_model
from minidgm.backend import to_numpy
from minidgm.checks.comparison import chi_square
from minidgm.evaluation import importance_weighted
from minidgm.objectives import BidirectionalImportance
from minidgm.optim import Adam
from tests.latent.test_sbn import bits, drawn, enumerated


def net_of(sizes=(3, 2), seed=0, **options):
    return drawn(list(sizes), seed, 1.5, BidirectionalHelmholtz, **options)


def test_the_model_is_the_geometric_mean():
    net = net_of((3, 2, 2))
    x = bits(3)
    _, log_p, log_q = enumerated(net, x)
    bound = 2.0 * logsumexp(0.5 * (log_p + log_q), axis=1)
    np.testing.assert_allclose(net.log_prob_bound(x), bound, atol=1e-10)
    np.testing.assert_allclose(net.log_prob(x), bound - logsumexp(bound), atol=1e-10)
    assert net.log_partition() < 0.0
    assert (net.log_prob_bound(x) <= logsumexp(log_p, axis=1) + 1e-12).all()
    assert (net.elbo(x) <= net.log_prob_bound(x)).all()


@pytest.mark.parametrize("sizes", [[2, 2], [2, 2, 1]], ids=str)
def test_every_identity_holds(sizes):
    report = check_model(BidirectionalHelmholtz(sizes, dtype="float64"), max_examples=3)
    assert report.ok
    assert "bidirectional model" in {result.name for result in report.results}


def test_chains_reach_the_model_and_not_p():
    """Chi-square with false alarms below 1e-6; p itself is refused at the same size."""
    net = net_of(seed=4)
    states = bits(3)
    place = {tuple(row): i for i, row in enumerate(states)}
    p = np.exp(net.log_prob(states))
    for steps, kept in ((40, True), (0, False)):
        draws = net.sample(6000, 0, steps=steps)
        counts = np.bincount([place[tuple(row)] for row in draws], minlength=8)
        assert (chi_square(counts, p).error <= 1.0) is kept


def test_estimates(backend):
    net = net_of(seed=1, backend=backend)
    x = net.visible.states(3, xp=net.xp)
    log_z = net.log_partition_estimate(0, n_samples=20000, k=5)
    assert float(log_z) == pytest.approx(float(net.log_partition()), abs=0.05)
    close = net.log_prob_estimate(x, 0, 4000, log_partition=float(net.log_partition()))
    np.testing.assert_allclose(to_numpy(close), to_numpy(net.log_prob(x)), atol=0.15)
    assert to_numpy(net.log_prob_estimate(x, 0, 2000)).shape == (8,)


def test_training_raises_its_bound():
    x = np.array([[a, a, b] for a in (0.0, 1.0) for b in (0.0, 1.0)] * 25)
    net = BidirectionalHelmholtz([3, 2], seed=0)
    before = net.log_prob_bound(x).mean()
    assert isinstance(net.default_objective(), BidirectionalImportance)
    net.fit(x, epochs=60, batch_size=25, seed=0, optimizer=Adam(0.01))
    after = net.log_prob_bound(x).mean()
    assert after > before + 0.1
    assert after <= net.log_prob(x).mean() <= -2 * np.log(2.0) + 1e-6


def test_bad_input_says_what_to_do():
    net = BidirectionalHelmholtz([30, 2])
    with pytest.raises(IntractableError, match="log_partition_estimate"):
        net.log_partition()
    with pytest.raises(ValueError, match="n_samples"):
        net.log_partition_estimate(0, n_samples=0)
    with pytest.raises(ValueError, match="steps"):
        net.sample(2, 0, steps=-1)


def test_evaluation_is_of_the_model_and_not_of_p():
    net = net_of(seed=2)
    x = bits(3)
    found = importance_weighted(net, x, rng=0, n_samples=3000)
    assert found.kind == "lower bound"
    assert found.value == pytest.approx(float(net.log_prob_bound(x).mean()), abs=5.0 * found.stderr + 0.02)
    assert abs(found.value - float(super(BidirectionalHelmholtz, net).log_prob(x).mean())) > 0.1


def test_the_standard_error_is_the_spread_over_seeds():
    """Of 400 seeds, whose deviation is known to 4 %; 25 % is seven of these."""
    net, x = net_of(seed=2), bits(3)
    found = [importance_weighted(net, x, rng=seed, n_samples=400) for seed in range(400)]
    spread = np.std([estimate.value for estimate in found])
    assert np.mean([estimate.stderr for estimate in found]) == pytest.approx(spread, rel=0.25)
