import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.backend import get_backend, to_numpy
from minidgm.parameters import Parameters

layouts = st.dictionaries(
    st.text("abcW/0", min_size=1, max_size=4),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    max_size=5,
)


@given(layouts, st.sampled_from(["float32", "float64"]))
def test_the_buffer_is_the_concatenation_of_the_arrays(shapes, dtype):
    params = Parameters(shapes, dtype=dtype)
    params.buffer[...] = np.arange(params.size)
    assert params.names == tuple(shapes) == tuple(params)
    assert params.shapes == shapes
    flat = [params[name].ravel() for name in params]
    np.testing.assert_array_equal(np.concatenate([np.zeros(0), *flat]), params.buffer)
    for name, shape in shapes.items():
        assert params[name].shape == shape
        assert params[name].dtype == dtype
        assert np.shares_memory(params[name], params.buffer) or params[name].size == 0
        if params[name].size:
            assert params[name].ravel()[0] == params.offset(name)
            assert params.name_at(params.offset(name)) == name
            assert params.name_at(params.offset(name) + params[name].size - 1) == name


@given(layouts)
def test_copies_are_independent_and_keep_the_layout(shapes):
    params = Parameters(shapes)
    params.buffer[...] = np.arange(params.size)
    for twin in (params.copy(), copy.copy(params), copy.deepcopy(params), pickle.loads(pickle.dumps(params))):
        assert twin.shapes == params.shapes
        assert twin.names == params.names
        np.testing.assert_array_equal(twin.buffer, params.buffer)
        twin.buffer[...] = -1  # through the buffer into the views, and nowhere else
        assert all((twin[name] == -1).all() for name in twin)
        np.testing.assert_array_equal(params.buffer, np.arange(params.size))
    assert not params.like().buffer.any()
    assert params.to(dtype="float64").dtype == "float64"


def test_assignment_copies_into_the_view():
    params = Parameters({"W": (2, 3), "b": (3,), "s": ()})
    w = np.arange(6.0).reshape(2, 3)
    params["W"] = w
    w[...] = -1
    params["b"] += 2.0
    params["s"] = 7
    params.update(b=[1, 2, 3])
    np.testing.assert_array_equal(params.buffer, [0, 1, 2, 3, 4, 5, 1, 2, 3, 7])


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("W", np.zeros((3, 2)), ValueError, r"'W' has shape \(2, 3\), got an array of shape \(3, 2\)"),
        ("W", 1.0, ValueError, r"shape \(2, 3\), got an array of shape \(\)"),
        ("w", np.zeros((2, 3)), KeyError, "did you mean 'W'"),
        ("W", np.full((2, 3), "x"), TypeError, "real numbers"),
        ("W", np.zeros((2, 3), complex), TypeError, "complex128"),
    ],
)
def test_wrong_assignments_are_refused_and_change_nothing(name, value, error, words):
    params = Parameters({"W": (2, 3)})
    with pytest.raises(error, match=words):
        params[name] = value
    assert params.names == ("W",)
    assert not params.buffer.any()


def test_the_set_of_names_is_fixed():
    params = Parameters({"W": (2, 3)})
    for removal in (lambda: params.pop("W"), params.popitem, params.clear, lambda: params.__delitem__("W")):
        with pytest.raises(TypeError, match="cannot be deleted"):
            removal()
    with pytest.raises(KeyError, match="Known: W"):
        params["V"]
    assert "V" not in params
    assert params.get("V") is None


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"shapes": {"W": (-1, 2)}}, ValueError, "negative"),
        ({"shapes": {"W": (1.5,)}}, TypeError, "integers"),
        ({"shapes": {"W": 3}}, TypeError, "integers"),
        ({"shapes": {3: (3,)}}, TypeError, "non-empty string"),
        ({"shapes": {"W": (2,)}, "dtype": "float31"}, ValueError, "did you mean 'float32'"),
        ({"shapes": {"W": (2,)}, "backend": "cupyy"}, ValueError, "did you mean 'cupy'"),
        ({"shapes": {"W": (2,)}, "buffer": np.zeros(3, np.float32)}, ValueError, r"\(2,\)"),
        ({"shapes": {"W": (2,)}, "buffer": np.zeros(2)}, ValueError, "float64"),
        ({"shapes": {"W": (2,)}, "buffer": [0.0, 0.0]}, TypeError, "numpy"),
    ],
)
def test_wrong_layouts_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        Parameters(**arguments)


def test_a_buffer_that_is_given_is_not_copied():
    buffer = np.zeros(4, np.float32)
    params = Parameters({"a": (2,), "b": (2,)}, buffer=buffer)
    params["b"] = [1, 2]
    np.testing.assert_array_equal(buffer, [0, 0, 1, 2])


def test_parameters_compare_by_identity():
    params = Parameters({"a": (2,)})
    assert params == params
    assert params != params.copy()
    assert len({params, params}) == 1


def test_a_device_copies_and_refuses_as_the_host_does():
    host = Parameters({"W": (2, 3), "b": (3,)})
    host.buffer[...] = np.arange(9)
    device = host.to("strict")
    assert (get_backend(device["W"]), device.backend) == ("strict", "strict")
    for twin in (
        device.copy(),
        copy.deepcopy(device),
        pickle.loads(pickle.dumps(device)),
        device.to("numpy"),
    ):
        np.testing.assert_array_equal(to_numpy(twin.buffer), host.buffer)
        twin["b"] = [7, 8, 9]
        np.testing.assert_array_equal(to_numpy(twin.buffer[6:]), [7, 8, 9])
    np.testing.assert_array_equal(to_numpy(device.buffer), host.buffer)
    with pytest.raises(TypeError, match="'b' lives on strict, got a numpy array"):
        device["b"] = np.zeros(3)
    with pytest.raises(TypeError, match="'b' lives on numpy, got a strict array"):
        host["b"] = device["b"]
