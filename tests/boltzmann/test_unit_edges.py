"""Edges of the units: messages in full, ends of domains, blocks of states, arrays to write into."""

import numpy as np
import pytest

from minidgm.boltzmann import units
from minidgm.errors import DataError
from minidgm.random import Generator

PLAIN = [units.Bernoulli(), units.Spin(), units.Softmax(2), units.Rectified()]
ADVICE = {
    units.Bernoulli(): "Bernoulli units take 0 or 1, or a probability between; ",
    units.Spin(): "spin units take -1 or 1, or a mean between; map bits by 2 x - 1, or use "
    "visible='bernoulli'",
    units.Rectified(): "rectified units take numbers >= 0; shift the data, or use visible='gaussian'",
    units.Softmax(2): "softmax(2) units take one-hot groups of 2 columns",
}


@pytest.mark.parametrize("unit", ADVICE, ids=repr)
def test_message_names_argument_value_place_and_remedy(unit):
    x = unit.states(2)[:1].repeat(3, axis=0) if unit.bounded else np.zeros((3, 2))
    x[1, 1] = -7.5
    with pytest.raises(DataError) as caught:
        unit.check(x, "rows of X")
    message = str(caught.value)
    assert message.startswith("rows of X holds -7.5 (row 1, column 1); " + ADVICE[unit])


@pytest.mark.parametrize("unit", [units.Bernoulli(), units.Spin()], ids=repr)
def test_both_ends_of_the_domain_are_allowed_and_no_more(unit):
    low, high = unit.values
    unit.check(np.array([[low, high], [high, low]]), "v")
    unit.check(np.zeros((0, 2)), "v")
    for value in (np.nextafter(low, -2.0), np.nextafter(high, 2.0)):
        with pytest.raises(DataError, match="row 1, column 0"):
            unit.check(np.array([[low, high], [value, low]]), "v")


@pytest.mark.parametrize("row", [[-0.5, 1.5], [1.5, -0.5]])
def test_softmax_refuses_what_only_sums_to_one(row):
    with pytest.raises(DataError, match=r"v holds (-0\.5|1\.5)"):
        units.Softmax(2).check(np.array([row]), "v")


def test_softmax_refuses_one_value_above_one_and_none_below_zero():
    with pytest.raises(DataError, match=r"^v holds 1.2 .* one-hot"):
        units.Softmax(2).check(np.array([[1.2, 0.0]]), "v")


def test_softmax_says_which_group_does_not_sum_to_one():
    with pytest.raises(DataError, match=r"group sums of v holds 0\.5 \(row 0, column 1\); softmax.* one-hot"):
        units.Softmax(2).check(np.array([[0.0, 1.0, 0.25, 0.25]]), "v")


@pytest.mark.parametrize("unit", [units.Bernoulli(), units.Softmax(2)], ids=repr)
def test_logit_of_certain_values_is_that_of_nearly_certain_ones(unit):
    ends, near = np.array([[0.0, 1.0]]), np.array([[0.001, 0.999]])
    assert np.isfinite(unit.logit(ends)).all()
    assert (unit.logit(ends) == unit.logit(near)).all()


@pytest.mark.parametrize("unit", [units.Bernoulli(), units.Spin(), units.Softmax(3)], ids=repr)
def test_blocks_of_states_join_to_all(unit):
    n = 2 * unit.k
    total = unit.n_states(n)
    assert isinstance(total, int)
    blocks = [unit.states(n, start, min(start + 3, total)) for start in range(0, total, 3)]
    assert all(len(b) <= 3 for b in blocks)
    assert (np.concatenate(blocks) == unit.states(n)).all()
    assert unit.states(n, dtype="float32").dtype == np.float32
    assert unit.states(n).dtype == np.float64


@pytest.mark.parametrize("unit", PLAIN, ids=repr)
def test_draws_go_where_they_are_asked_for(unit):
    a = np.linspace(-1.0, 1.0, 12).reshape(3, 4)
    out = np.full_like(a, np.nan)
    assert unit.sample(a, Generator(0), out=out) is out
    assert (out == unit.sample(a, Generator(0))).all()


@pytest.mark.parametrize("unit", PLAIN, ids=repr)
def test_fill_writes_the_mean_and_leaves_the_field(unit):
    x, bias = np.linspace(-1.0, 1.0, 12).reshape(3, 4), np.array([0.5, -0.5, 1.0, 0.0])
    before, mean = x.copy(), np.full_like(x, np.nan)
    unit.fill(x, bias, mean=mean)
    assert np.allclose(mean, unit.mean(before + bias), atol=1e-15)
    assert (x == before).all()


def test_equal_units_hash_alike_and_others_not():
    assert hash(units.Softmax(3)) == hash(units.Softmax(3))
    assert len({hash(u) for u in (units.Bernoulli(), units.Spin(), units.Softmax(3))}) == 3


@pytest.mark.parametrize("unit", [*PLAIN, units.Gaussian()], ids=repr)
def test_fill_draws_what_sample_draws(unit):
    """With or without the mean, in place or not, with the unit's own parameters."""
    x, bias = np.linspace(-1.0, 1.0, 12).reshape(3, 4), np.array([0.5, -0.5, 1.0, 0.0])
    own = {"log_precision": np.linspace(-1.0, 1.0, 4)} if unit.name == "gaussian" else {}
    expected = unit.sample(x + bias, Generator(2), **own)
    for draw, mean in (
        (np.full_like(x, np.nan), None),
        (np.full_like(x, np.nan), np.full_like(x, np.nan)),
        (x.copy(), None),
    ):
        field = draw if (draw == x).all() else x.copy()
        unit.fill(field, bias, Generator(2), draw, mean, **own)
        assert (draw == expected).all()
        assert mean is None or np.allclose(mean, unit.mean(x + bias, **own), atol=1e-15)
    mean = np.full_like(x, np.nan)
    unit.fill(x.copy(), bias, mean=mean, **own)
    assert np.allclose(mean, unit.mean(x + bias, **own), atol=1e-15)


def test_names_carry_sizes_of_groups():
    assert units.from_name("pooled(3)").name == "pooled(3)"
    assert units.from_name("pooled(3)").k == units.from_name("softmax(3)").k == 3
