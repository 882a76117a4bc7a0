import numpy as np
import pytest

from minidgm import RBM
from minidgm.checks import enumerate_states
from minidgm.checks.subject import Subject, set_parameters, with_parameters


class Plain:
    """Array attributes, no sizes, no base class."""

    def __init__(self):
        self.W = np.zeros((2, 3), dtype="float32")
        self.bias = np.zeros(2)
        self.count = 7

    def energy(self, v, h):
        return -((v @ self.W) * h).sum(axis=1) - v @ self.bias


class Ising:
    """Spins without hidden units; states listed by the model itself."""

    def __init__(self, coupling=0.0):
        self.params = {"J": np.full(1, coupling)}

    def visible_states(self):
        return enumerate_states(3, (-1.0, 1.0))

    def energy(self, v):
        return -self.params["J"][0] * (v[:, :-1] * v[:, 1:]).sum(axis=1)


def test_attributes_are_parameters_and_sizes_come_from_W():
    subject = Subject(Plain)
    assert subject.parameter_names == ["W", "bias"]
    assert (subject.visible.n, subject.hidden.n) == (2, 3)
    assert subject.float32
    assert subject.n_joint == 32


def test_listed_states_and_no_hidden_units():
    subject = Subject(Ising)
    assert subject.visible.states.shape == (8, 3)
    assert subject.hidden.states.shape == (1, 0)
    assert subject.discrete


def test_an_instance_stays_as_it_is():
    model = Ising(0.5)
    subject = Subject(model)
    subject.set_parameters({"J": np.array([2.0])})
    assert subject.parameters["J"][0] == 2.0
    assert model.params["J"][0] == 0.5


def test_a_large_instance_gets_a_small_twin():
    subject = Subject(RBM(784, 500, visible="gaussian", hidden="softmax(5)", backend="numpy"))
    assert (subject.model.n_visible, subject.model.n_hidden) == (2, 10)
    assert subject.model.visible.name == "gaussian"
    assert "small twin" in subject.notes[0]
    assert Subject(RBM(3, 3)).notes == []


def test_a_large_model_without_config_is_refused():
    class Large(Plain):
        def __init__(self):
            super().__init__()
            self.W, self.bias = np.zeros((20, 20)), np.zeros(20)

    with pytest.raises(TypeError, match="too many to enumerate"):
        Subject(Large())


def test_continuous_sides_have_no_states():
    subject = Subject(RBM(2, 2, visible="gaussian", hidden="bernoulli"))
    assert (subject.visible.kind, subject.visible.discrete) == ("real", False)
    assert Subject(RBM(2, 2, visible="bernoulli", hidden="rectified")).hidden.kind == "nonnegative"


def test_construction_errors_say_what_to_do():
    class Needy:
        def __init__(self, file):
            self.W = np.zeros((1, 1))

    with pytest.raises(TypeError, match="Pass an instance instead"):
        Subject(Needy)

    class Empty:
        pass

    with pytest.raises(TypeError, match="no parameters to draw"):
        Subject(Empty)

    class Shapeless:
        def __init__(self):
            self.theta = np.zeros(3)

        def energy(self, v, h):
            return v @ self.theta

    with pytest.raises(TypeError, match="n_visible"):
        Subject(Shapeless)
    with pytest.raises(TypeError, match=r"no method to\(backend, dtype\)"):
        Subject(Plain(), dtype="float32")


def test_parameters_are_written_in_place_where_that_is_possible():
    model = Plain()
    alias = model.bias
    set_parameters(model, {"bias": np.array([1.0, 2.0])})
    assert alias.tolist() == [1.0, 2.0]
    model.params = {"b": np.zeros(2, dtype=int)}
    set_parameters(model, {"b": np.array([0.5, 0.5])})
    assert model.params["b"].tolist() == [0.5, 0.5]


def test_with_parameters_leaves_the_model_alone():
    model = Plain()
    twin = with_parameters(model, {"W": "traced", "bias": "traced"})
    assert (twin.W, twin.bias) == ("traced", "traced")
    assert model.W.shape == (2, 3)


def test_methods_and_arguments():
    subject = Subject(RBM)
    assert subject.has("visible.cgf")
    assert not subject.has("visible.nothing")
    assert subject.takes("sample", "rng")
    assert subject.takes("energy_gradient", "weights", optional=True)
    assert not subject.takes("energy", "v", optional=True)


@pytest.mark.parametrize(("n", "values"), [(0, (0, 1)), (3, (0, 1)), (2, (-1, 0, 1))])
def test_enumerate_states_lists_each_once(n, values):
    states = enumerate_states(n, values)
    assert states.shape == (len(values) ** n, n)
    assert len(np.unique(states, axis=0)) == len(states)
    assert set(states.reshape(-1)) <= set(values)
