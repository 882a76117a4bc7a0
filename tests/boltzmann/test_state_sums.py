"""Sums over all states of a layer: against sums in one go, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import GaussianRBM, IntractableError
from minidgm.boltzmann.state_sums import log_sum_states, too_many
from minidgm.boltzmann.units import from_name


@settings(max_examples=20, deadline=None)
@given(
    unit=st.sampled_from(["bernoulli", "spin", "softmax(3)", "pooled(2)"]),
    units=st.integers(1, 4),
    block=st.integers(1, 20),
    seed=st.integers(0, 10),
)
def test_blocks_add_up_to_one_sum(unit, units, block, seed):
    unit = from_name(unit)
    n = units * unit.k
    a = np.random.default_rng(seed).normal(0.0, 3.0, n)
    seen = []

    def log_mass(x):
        seen.append(x)
        return x @ a

    found = log_sum_states(log_mass, unit, n, block=block)
    states = np.concatenate(seen)
    assert max(map(len, seen)) <= block
    assert (states == unit.states(n)).all()
    # Units are independent in a field: the sum is a product of sums over one unit each.
    one = unit.states(unit.k)
    fields = a.reshape(units, unit.k)
    expected = sum(np.logaddexp.reduce(one @ field) for field in fields)
    assert np.shape(found) == ()
    assert found == pytest.approx(expected, rel=1e-12)


def test_masses_of_several_terms_are_all_summed():
    bits = from_name("bernoulli")
    found = log_sum_states(lambda x: np.stack([x.sum(axis=1), 0.0 * x[:, 0]], axis=1), bits, 3, block=3)
    assert found == pytest.approx(np.log((1.0 + np.e) ** 3 + 8.0), rel=1e-12)


def test_backends_agree(backend, xp):
    bits = from_name("bernoulli")
    found = log_sum_states(lambda x: xp.sum(x, axis=1), bits, 4, xp=xp, block=5)
    assert float(found) == pytest.approx(4.0 * np.log(1.0 + np.e), rel=1e-12)


@pytest.mark.parametrize(
    ("total", "message"),
    [
        (2**26, "sums 6.71e+07 rows, more than 2^25; use minidgm.evaluation.ais"),
        (2**1500, "sums 2^1500 rows"),
    ],
)
def test_too_many_states_are_named_however_many(total, message):
    error = too_many(total, "rows")
    assert isinstance(error, IntractableError)
    assert message in str(error)


def test_a_model_of_more_states_than_a_float_counts_says_so():
    with pytest.raises(IntractableError, match=r"2\^1200 hidden states"):
        GaussianRBM(2, 1200, seed=0).log_partition()
