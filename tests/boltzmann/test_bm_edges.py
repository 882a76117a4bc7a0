"""Edges of the Boltzmann machine: defaults, dtypes, limits, blocks of states, the start of chains."""

import numpy as np
import pytest

from minidgm import BoltzmannMachine
from minidgm.boltzmann import bm
from minidgm.errors import DataError, IntractableError
from minidgm.random import Generator


def drawn(n_visible=3, n_hidden=2, dtype="float64", cls=BoltzmannMachine, scale=0.6):
    machine = cls(n_visible, n_hidden, dtype=dtype)
    machine.params.buffer[...] = scale * np.random.default_rng(4).normal(size=machine.params.size)
    return machine


def test_a_new_machine():
    """No hidden units by default; W small normals of the seed, the rest zero."""
    assert BoltzmannMachine(3).config() == {"n_visible": 3, "n_hidden": 0}
    machine = BoltzmannMachine(60, 50, seed=7)
    assert machine.seed == 7
    W = machine.params["W"]
    assert (W == np.float32(0.01) * Generator(7).normal((60, 50), dtype="float32")).all()
    assert W.std() == pytest.approx(0.01, rel=0.1)
    assert abs(machine.params.buffer).sum() == pytest.approx(abs(W).sum(), rel=1e-5)
    double = BoltzmannMachine(6, 5, dtype="float64", seed=7)
    assert (double.params["W"] == 0.01 * Generator(7).normal((6, 5), dtype="float64")).all()
    for name, sizes in (("n_visible", (0, 2)), ("n_hidden", (2, -1))):
        with pytest.raises(ValueError, match=rf"^{name} must be an integer of at least"):
            BoltzmannMachine(*sizes)


def test_sums_over_hidden_states_keep_float32():
    machine, v = drawn(dtype="float32"), np.ones((2, 3), dtype="float32")
    assert machine.free_energy(v).dtype == np.float32
    assert machine.hidden_given_visible(v).mean.dtype == np.float32


class Watched(BoltzmannMachine):
    """Notes how many rows each sum over hidden states takes."""

    def free_energy(self, v):
        self.rows.append((v.shape[0], v.dtype))
        return super().free_energy(v)


def test_log_partition_sums_blocks_of_bounded_size_in_float64():
    machine = drawn(6, 10, "float32", Watched, scale=0.2)
    machine.rows = []
    found = machine.log_partition()
    assert found.dtype == np.float64
    assert [rows << 10 for rows, _ in machine.rows] == [bm.BLOCK] * 4
    assert {dtype for _, dtype in machine.rows} == {np.dtype("float64")}
    double = BoltzmannMachine(6, 10, dtype="float64")
    double.params.buffer[...] = machine.params.buffer
    everything = np.logaddexp.reduce(-double.free_energy(double.visible.states(6)))
    assert found == pytest.approx(everything, rel=1e-13)


def test_limit_of_the_exact_sum_is_the_number_of_all_bits(monkeypatch):
    monkeypatch.setattr(bm, "MAX_BITS", 5)
    assert np.isfinite(drawn(3, 2).log_partition())
    message = r"exact log Z sums 2\^6 states, more than 2\^5; draw from the model with sample\(n, rng\)"
    with pytest.raises(IntractableError, match=message):
        drawn(3, 3).log_partition()


def test_posterior_is_enumerated_up_to_twelve_hidden_units():
    assert BoltzmannMachine(1, 12).exact_posterior
    assert BoltzmannMachine(1, 12).free_energy(np.zeros((1, 1))) == pytest.approx(-12 * np.log(2.0))
    message = r"sum over 2\^13 hidden states was asked for, at most 2\^12 is done; use mean_field"
    with pytest.raises(IntractableError, match=message):
        BoltzmannMachine(1, 13).free_energy(np.zeros((1, 1)))


def test_given_log_partition_stands_for_the_enumeration():
    machine, v = drawn(), np.array([[1.0, 0.0, 1.0]])
    assert (machine.log_prob(v, log_partition=2.5) == -machine.free_energy(v) - 2.5).all()


def test_data_that_states_cannot_be_are_refused_everywhere():
    machine, bad = drawn(), np.full((1, 3), 2.0)
    for method in (machine.log_prob, machine.pseudo_log_likelihood):
        with pytest.raises(DataError, match=r"^v holds 2"):
            method(bad)


def test_weights_left_out_are_ones_of_the_data_s_dtype():
    machine, rng = drawn(4, 3, "float32"), Generator(0)
    v, h, one = rng.uniform((7, 4)), rng.uniform((7, 3)), np.ones(7, dtype="float32")
    assert (machine.energy_gradient(v, h).buffer == machine.energy_gradient(v, h, one).buffer).all()
    assert (machine.free_energy_gradient(v).buffer == machine.free_energy_gradient(v, one).buffer).all()


def test_gradient_goes_where_it_is_asked_for():
    machine, v, h = drawn(), np.ones((2, 3)), np.ones((2, 2))
    out = machine.params.like()
    assert machine.energy_gradient(v, h, out=out) is out
    assert (out.buffer == machine.energy_gradient(v, h).buffer).all()
    assert machine.free_energy_gradient(v, out=out) is out
    assert (out.buffer == machine.free_energy_gradient(v).buffer).all()


def test_helpers_keep_float32():
    A, d = np.ones((2, 2), dtype="float32"), np.array([3, 4], dtype="float32")
    found = bm.with_diagonal(A, d)
    assert found.dtype == np.float32
    assert found.tolist() == [[3.0, 1.0], [1.0, 4.0]]


# Mean field


def by_hand(machine, v, sweeps):
    """Coordinate updates from the energy alone: the odds of unit j with the other means held."""
    n = len(v)
    mu = 1 / (1 + np.exp(-(v @ machine.params["W"] + machine.params["c"])))
    moved = np.zeros(n)
    for _ in range(sweeps):
        moved = np.zeros(n)
        for j in range(machine.n_hidden):
            on, off = mu.copy(), mu.copy()
            on[:, j], off[:, j] = 1.0, 0.0
            new = 1 / (1 + np.exp(machine.energy(v, on) - machine.energy(v, off)))
            moved, mu[:, j] = np.maximum(moved, abs(new - mu[:, j])), new
    return mu, moved


@pytest.mark.parametrize("sweeps", [0, 1, 3])
def test_mean_field_makes_the_sweeps_it_is_asked_for(sweeps):
    machine, v = drawn(3, 3, scale=1.5), np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    found = machine.mean_field(v, tolerance=None, max_iterations=sweeps)
    mean, change = by_hand(machine, v, sweeps)
    assert found.iterations == sweeps
    np.testing.assert_allclose(found.mean, mean, atol=1e-14)
    np.testing.assert_allclose(found.change, change, atol=1e-14)


def test_mean_field_stops_where_nothing_moves_and_never_later_than_after_500_sweeps():
    machine, v = drawn(), np.ones((2, 3))
    assert machine.mean_field(v, tolerance=-1.0).iterations == 500
    machine.params["S"][...] = 0.0  # uncoupled: the first means are the posterior's
    assert machine.mean_field(v, tolerance=0.0).iterations == 1


def test_mean_field_waits_for_every_row():
    machine, v = drawn(2, 2), np.array([[0.0, 0.0], [1.0, 1.0]])
    machine.params["W"][...] = [[-30.0, -30.0], [0.0, 0.0]]  # row 1 settles at once, row 0 does not
    assert machine.mean_field(v[1:]).iterations < machine.mean_field(v).iterations
    assert (machine.mean_field(v).change <= 1e-6).all()


def test_rows_that_moved_by_no_more_than_the_tolerance_have_converged():
    machine, v = drawn(2, 2), np.array([[0.0, 0.0], [1.0, 1.0]])
    machine.params["W"][...] = [[-30.0, -30.0], [0.0, 0.0]]  # row 1 is at rest, row 0 is not
    assert machine.mean_field(v, 1e-9, 1).converged.tolist() == [False, True]
    assert machine.mean_field(v, 0.5, 1).converged.tolist() == [True, True]
    assert machine.mean_field(v[1:], None, 1).change[0] > 0
    assert machine.mean_field(v[1:], None, 1).converged.tolist() == [False]


def test_mean_field_keeps_float32():
    found = drawn(dtype="float32").mean_field(np.ones((2, 3), dtype="float32"))
    assert found.mean.dtype == found.change.dtype == np.float32


# Chains


def test_sweep_without_hidden_states_starts_from_zeros():
    machine, v = drawn(dtype="float32"), np.ones((5, 3), dtype="float32")
    default = machine.gibbs_step(v, None, Generator(1))
    explicit = machine.gibbs_step(v, np.zeros((5, 2), dtype="float32"), Generator(1))
    for found, expected in zip(default, explicit, strict=True):
        assert found.dtype == np.float32
        assert (found == expected).all()


def test_sample_sweeps_from_fair_coins():
    """Both layers start at fair coins: the draws of v, then of h, then the sweeps, in the model's dtype."""
    machine = drawn(4, 3, "float32", scale=2.0)
    rng = Generator(3)
    v, h = (rng.bernoulli(np.full((60, width), 0.5, dtype="float32")) for width in (4, 3))
    assert (machine.sample(60, 3, steps=0) == v).all()
    for _ in range(2):
        v, h = machine.gibbs_step(v, h, rng)
    found = machine.sample(60, 3, steps=2)
    assert (found == v).all()
    assert found.dtype == np.float32


def test_chains_of_float32_stay_float32():
    class Seen(BoltzmannMachine):
        def gibbs_step(self, v, h, rng):
            assert v.dtype == h.dtype == np.float32
            return super().gibbs_step(v, h, rng)

    drawn(dtype="float32", cls=Seen).sample(5, 0, steps=2)


def test_sample_makes_a_thousand_sweeps_by_default():
    machine = drawn(1, 1)
    assert (machine.sample(20, 5) == machine.sample(20, 5, steps=1000)).all()
    assert (machine.sample(20, 5) != machine.sample(20, 5, steps=1001)).any()


def test_sample_names_what_it_cannot_use():
    machine = drawn()
    with pytest.raises(ValueError, match=r"^n must be an integer of at least 1, got 0"):
        machine.sample(0, 0)
    with pytest.raises(ValueError, match=r"^steps must be an integer of at least 0, got -1"):
        machine.sample(2, 0, steps=-1)
    with pytest.raises(DataError, match=r"^init holds 2"):
        machine.sample(1, 0, init=[[0.0, 2.0, 0.0]])
    with pytest.raises(ValueError, match=r"init has 1 rows; expected one for each of n=2"):
        machine.sample(2, 0, init=[[0.0, 1.0, 0.0]])


# Annealing


def test_tempered_scales_all_couplings_and_moves_the_biases():
    machine, base = drawn(), np.array([1.0, -1.0, 0.5])
    cooled = machine.tempered(0.25, base)
    for name in "RWSc":
        assert (cooled.params[name] == 0.25 * machine.params[name]).all()
    assert np.allclose(cooled.params["b"], 0.75 * base + 0.25 * machine.params["b"], atol=1e-15)
    assert (machine.tempered(0.25).params["b"] == 0.25 * machine.params["b"]).all()
