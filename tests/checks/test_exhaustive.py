import inspect
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.checks.exhaustive import Exhaustive, Friendly, NotEnumerable, Replay, expectation, outcomes
from minidgm.random import Generator

P = np.array([[0.25, 0.5, 1.0]])


def test_every_path_once_with_its_probability():
    found = {tuple(x[0].astype(int)): p for p, x in outcomes(lambda rng: rng.bernoulli(P))}
    assert set(found) == {(a, b, 1) for a, b in itertools.product((0, 1), repeat=2)}
    assert found[1, 0, 1] == pytest.approx(0.125)
    assert sum(found.values()) == pytest.approx(1.0)


@given(st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=4))
def test_expectation_of_bits_is_the_sigmoid(logits):
    x = np.array([logits])
    mean = expectation(lambda rng: {"x": rng.bernoulli_from_logits(x, bias=0.5)})["x"]
    assert np.allclose(mean, 1.0 / (1.0 + np.exp(-x - 0.5)), atol=1e-14)


def test_number_of_draws_may_depend_on_outcomes():
    def geometric(rng):
        count = 0
        while count < 4 and rng.bernoulli(np.array([0.5]))[0]:
            count += 1
        return {"count": np.array(count)}

    assert expectation(geometric)["count"] == pytest.approx(0.25 + 2 / 8 + 3 / 16 + 4 / 16)


def test_categorical_integers_permutation():
    logits = np.log(np.array([[0.2, 0.3, 0.5]]))
    assert np.allclose(expectation(lambda rng: {"x": rng.categorical(logits)})["x"], [[0.2, 0.3, 0.5]])
    assert expectation(lambda rng: {"x": rng.integers(2, 5, (1,))})["x"] == pytest.approx(3.0)
    assert np.allclose(expectation(lambda rng: {"x": rng.permutation(3)})["x"], 1.0)


def test_out_and_mean_are_filled():
    out, mean = np.zeros((1, 2)), np.zeros((1, 2))
    rng = Exhaustive(np.array([3]))
    assert rng.bernoulli_from_logits(np.zeros((1, 2)), out=out, mean=mean) is out
    assert out.tolist() == [[1.0, 1.0]]
    assert mean.tolist() == [[0.5, 0.5]]


def test_rows_follow_their_own_scripts():
    p = np.array([[0.25, 0.5]])
    rng = Exhaustive(np.arange(4))
    draws = rng.bernoulli(np.tile(p, (4, 1)))
    assert draws.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert np.exp(rng.log_probability) == pytest.approx([0.375, 0.125, 0.375, 0.125])
    assert rng.n_paths == 4


def test_rows_may_lie_on_another_axis():
    rng = Exhaustive(np.arange(4), axis=1)
    draws = rng.bernoulli(np.full((2, 4), 0.5))
    assert draws.T.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]


def test_refusals():
    with pytest.raises(NotEnumerable, match="infinitely many"):
        Exhaustive(np.arange(2)).normal((2, 1))
    with pytest.raises(NotEnumerable, match="rows"):
        Exhaustive(np.arange(2)).bernoulli(np.zeros((3, 1)))
    with pytest.raises(NotEnumerable, match="more than 10 outcomes"):
        list(outcomes(lambda rng: rng.bernoulli(np.full(5, 0.5)), limit=10))


@pytest.mark.parametrize("backend", ["numpy", "strict"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_replayed_noise_is_the_same_everywhere(backend, dtype):
    from minidgm.backend import asarray, to_numpy

    here, there = Replay(7), Replay(7, backend)
    x = np.linspace(-2, 2, 6).reshape(2, 3)
    moved = asarray(x, backend, dtype)
    for name, one, other in (
        ("normal", ((2, 3), "float64"), ((2, 3), dtype)),
        ("bernoulli_from_logits", (x,), (moved,)),
        ("categorical", (x,), (moved,)),
        ("integers", (0, 9, (4,)), (0, 9, (4,))),
        ("permutation", (5,), (5,)),
    ):
        found = to_numpy(getattr(there, name)(*other))
        assert np.allclose(found, getattr(here, name)(*one), atol=1e-6), name


def test_shared_noise_is_the_same_for_every_row():
    rng = Replay(1, shared=True)
    u = rng.uniform((4, 3), "float64")
    assert (u == u[0]).all()
    assert (np.diff(u[0]) != 0).all()


@pytest.mark.parametrize("cls", [Exhaustive, Replay])
def test_they_answer_to_what_a_generator_answers(cls):
    public = {n for n, f in inspect.getmembers(Generator, callable) if not n.startswith("_")}
    sampling = public - {"state", "set_state", "from_state"}
    for name in sampling:
        own, theirs = (inspect.signature(getattr(c, name)).parameters for c in (cls, Generator))
        assert "args" in own or list(own) == list(theirs), name


def test_friendly_has_numpy_names_too():
    rng = Friendly(0)
    assert rng.random(3).shape == (3,)
    assert rng.uniform((2,)).dtype == np.float32
    with pytest.raises(AttributeError):
        rng.no_such_name
