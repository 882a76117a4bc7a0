"""Doubled machines against enumeration, and the greedy stack they make."""

import numpy as np
import pytest

from minidgm import DBM, check_model, datasets, optim
from minidgm.backend import asarray
from minidgm.boltzmann.dbm_pretraining import compose, machines_of, pretrain
from minidgm.boltzmann.doubled_rbm import DoubledRBM


@pytest.mark.parametrize("copies", [(2, 1), (1, 2), (1, 1)])
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_doubled_machines_hold_their_identities(copies, visible):
    machine = DoubledRBM(1, 2, copies, visible, dtype="float64")
    report = check_model(machine, ["8", "10", "11", "14", "chain rule"], max_examples=4, raises=False)
    assert report.ok, report


def test_one_copy_of_each_is_an_rbm_and_two_copies_double_the_input():
    machine = DoubledRBM(3, 2, (2, 1), dtype="float64", seed=0)
    v = machine.visible.states(3)
    both = machine.unfold(v, 2)
    np.testing.assert_allclose(machine.hidden_field(both), 2.0 * v @ machine.params["W"])
    h = machine.hidden.states(2)
    np.testing.assert_allclose(machine.visible_field(h)[:, :3], machine.visible_field(h)[:, 3:])
    np.testing.assert_allclose(machine.fold(both, 2), 2.0 * v)


def test_layout_of_the_stack():
    assert [m.copies for m in machines_of(DBM([4, 3, 2, 5]))] == [(2, 1), (1, 1), (1, 2)]
    assert [m.copies for m in machines_of(DBM([4, 3, 2]))] == [(2, 1), (1, 2)]
    assert [m.copies for m in machines_of(DBM([4, 3]))] == [(1, 1)]
    dbm = DBM([4, 3, 2, 5], "gaussian", dtype="float64")
    machines = machines_of(dbm, 0)
    for i, machine in enumerate(machines):
        machine.params.buffer[...] = i + 1.0
    compose(dbm, machines)
    values = {name: float(value.reshape(-1)[0]) for name, value in dbm.params.items()}
    assert values == {
        "b0": 1.0, "W1": 1.0, "b1": 1.5, "W2": 1.0, "b2": 2.5, "W3": 3.0, "b3": 3.0,
        "visible_log_precision": 1.0,
    }  # fmt: skip


def test_pretraining_makes_digits_likelier():
    data = datasets.bars_and_stripes(2)
    X = np.asarray(data.train, dtype="float32")
    dbm = DBM([X.shape[1], 4, 3], seed=0, dtype="float64")
    before = dbm.log_prob(X).mean()
    histories = dbm.pretrain(X, optimizer=lambda: optim.SGD(0.2), epochs=300, seed=1)
    assert len(histories) == 2
    assert dbm.log_prob(X).mean() > before + 0.1
    again = DBM([X.shape[1], 4, 3], seed=0, dtype="float64")
    pretrain(again, X, optimizer=lambda: optim.SGD(0.2), epochs=300, seed=1)
    np.testing.assert_array_equal(again.params.buffer, dbm.params.buffer)


def test_pretraining_on_backends(backend):
    X = np.random.default_rng(0).integers(0, 2, size=(12, 4)).astype("float32")
    dbm = DBM([4, 3, 2], backend=backend)
    dbm.pretrain(asarray(X, backend), epochs=1)
    assert bool(dbm.xp.isfinite(dbm.params.buffer).all())


def test_machines_that_do_not_chain_are_refused():
    dbm = DBM([4, 3, 2])
    machines = machines_of(dbm)
    with pytest.raises(ValueError, match="machine 2 does not fit"):
        compose(dbm, [machines[0], DoubledRBM(5, 2)])
    with pytest.raises(ValueError, match="machine 2 does not fit"):
        compose(dbm, machines[:1])
    with pytest.raises(ValueError, match="n_features must be an integer of at least 1"):
        DoubledRBM(3, 0)


def test_pretraining_starts_at_the_scale_of_the_data():
    """Two copies of v: the first machine's fields have mean 0, its precision is the data's."""
    rows = np.random.default_rng(0).normal(500.0, 100.0, size=(60, 4))
    dbm = DBM([4, 3, 2], "gaussian", dtype="float64", seed=0)
    dbm.pretrain(rows, epochs=0)
    np.testing.assert_allclose(dbm.params["visible_log_precision"], -2.0 * np.log(rows.std(axis=0)))
    first = 2.0 * rows @ dbm.params["W1"]
    np.testing.assert_allclose(dbm.params["b1"], -0.5 * first.mean(axis=0), atol=1e-4)
