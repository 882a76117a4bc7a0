"""What every model shares: moving, copying, and refusing bad input before any arithmetic."""

import numpy as np
import pytest

from minidgm import RBM, BoltzmannMachine, Generator
from minidgm.backend import asarray, get_backend, to_numpy
from minidgm.errors import DataError
from minidgm.model import Model


def test_to_moves_and_casts(backend):
    host = RBM(3, 2, "gaussian", "spin", seed=0)
    moved = host.to(backend=backend, dtype="float64")
    assert get_backend(moved.params["W"]) == backend
    assert moved.params["W"].dtype == np.float64
    np.testing.assert_array_equal(to_numpy(moved.params.buffer), host.params.buffer.astype("float64"))
    assert moved.config() == host.config()


def test_with_params_shares_structure_not_parameters():
    rbm = RBM(3, 2, seed=0)
    twin = rbm.with_params({name: 2 * value for name, value in rbm.params.items()})
    np.testing.assert_array_equal(twin.params["W"], 2 * rbm.params["W"])
    assert rbm.params is not twin.params


def test_generator_of_a_model(backend):
    rbm = RBM(2, 2, backend=backend)
    assert rbm.generator(3).backend == backend
    own = Generator(0, backend)
    assert rbm.generator(own) is own


def test_host_data_reaches_the_device(backend):
    v = RBM(2, 1, backend=backend).check_data(np.array([[0, 1], [1, 1]]))
    assert get_backend(v) == backend
    assert v.dtype == np.float32


def test_float_data_of_the_right_kind_is_not_copied():
    x = np.zeros((5, 3), dtype=np.float32)
    assert np.shares_memory(RBM(3, 2).check_data(x), x)


@pytest.mark.parametrize("row", [0, 3])
def test_non_finite_entries_are_located(backend, row):
    x = np.zeros((4, 3), dtype=np.float32)
    x[row, 2] = np.nan
    with pytest.raises(DataError, match=rf"NaN or infinity \(row {row}, column 2\)"):
        RBM(3, 2, backend=backend).check_data(asarray(x, backend))


def test_large_finite_values_are_not_mistaken_for_infinity():
    x = np.full((4, 3), 3e38, dtype=np.float32)
    assert RBM(3, 2, "gaussian").check_data(x).shape == (4, 3)


def test_abstract_parts_are_the_subclass_job():
    for call in (Model().config, Model().default_objective):
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize("model", [RBM, BoltzmannMachine])
def test_unknown_arguments_are_refused(model):
    with pytest.raises(TypeError):
        model(3, 2, hiden="spin")
    with pytest.raises(ValueError, match="unknown backend 'gpu'"):
        model(3, 2, backend="gpu")


def test_finite_data_may_have_a_sum_that_overflows():
    x = np.full((1, 2), 1e308)
    model = RBM(2, 1, visible="gaussian", dtype="float64")
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(model.check_data(x), x)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found_wherever_it_stands(bad):
    model = RBM(3, 2, visible="gaussian", hidden="bernoulli")
    x = np.array([[-3e38, 0.0, 3e38], [1.0, 2.0, 3.0]], dtype="float32")
    assert model.check_data(x) is x
    x[1, 1] = bad
    with pytest.raises(DataError, match=r"NaN or infinity \(row 1, column 1\)"):
        model.check_data(x)
