import numpy as np
from hypothesis import find, given
from hypothesis import strategies as st

from minidgm import RBM
from minidgm.checks import strategies
from minidgm.checks.subject import Domain, Subject


@given(strategies.parameters(RBM(2, 3, visible="gaussian"), largest=5.0))
def test_parameters_have_the_shapes_and_stay_in_bounds(values):
    assert {name: v.shape for name, v in values.items()}["W"] == (2, 3)
    assert all(np.abs(v).max() <= 5.0 for v in values.values())
    assert np.abs(values["visible_log_precision"]).max() <= 1.0


def test_zeros_and_large_values_are_drawn():
    drawn = strategies.arrays((3,), 30.0)
    assert find(drawn, lambda a: (a == 0).all()).tolist() == [0, 0, 0]
    assert np.abs(find(drawn, lambda a: np.abs(a).max() > 20.0)).max() > 20.0


def test_bounds_of_the_model_hold():
    class Bounded:
        parameter_bounds = {"rate": (0.5, 2.0)}

        def __init__(self):
            self.rate, self.n_visible, self.n_hidden = np.ones(3), 3, 0

    @given(strategies.parameters(Bounded()))
    def inside(values):
        assert (values["rate"] >= 0.5).all()
        assert (values["rate"] <= 2.0).all()

    inside()


@given(strategies.batches(3))
def test_batches_are_matrices(v):
    assert v.ndim == 2
    assert v.shape[1] == 3
    assert set(v.reshape(-1)) <= {0.0, 1.0}


def test_batches_cover_the_awkward_ones():
    drawn = strategies.batches(2)
    assert find(drawn, lambda v: len(v) == 0).shape == (0, 2)
    assert len(find(drawn, lambda v: len(v) == 1)) == 1
    assert find(drawn, lambda v: len(v) > 1 and (v[0] == v[-1]).all()) is not None
    assert len(find(drawn, lambda v: len(v) == 5)) == 5


@given(strategies.batches(Subject(RBM(4, 2, visible="softmax(2)")).visible, min_size=1))
def test_softmax_batches_are_one_hot(v):
    assert (v.reshape(-1, 2).sum(axis=1) == 1.0).all()


@given(strategies.states(Domain(2, "nonnegative")), strategies.states(Domain(2, "real")))
def test_continuous_states(x, y):
    assert (x >= 0).all()
    assert np.abs(y).max() <= 3.0


@given(st.integers(0, 5).flatmap(strategies.weights))
def test_weights_are_signed(w):
    assert np.abs(w).max(initial=0.0) <= 2.0


def test_weights_can_be_negative():
    assert find(strategies.weights(1), lambda w: w[0] < 0)[0] < 0


@given(strategies.seeds())
def test_seeds_are_seeds(seed):
    np.random.SeedSequence(seed)


@given(strategies.named_arrays({"W": (2, 1), "b": (1,)}))
def test_named_arrays(values):
    assert values["W"].shape == (2, 1)
