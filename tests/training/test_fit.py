import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import optim
from minidgm.backend import asarray, to_numpy
from minidgm.boltzmann.rbm import RBM
from minidgm.checks.strict import count_host_reads
from minidgm.errors import DataError, DivergenceError
from minidgm.parameters import Parameters
from minidgm.training import Callback, fit
from tests.training.toy import Point, Squares


def rows(n, d=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


@given(st.integers(1, 30), st.data())
def test_an_epoch_shows_every_row_once_and_ragged_batches_weigh_as_their_rows(n, data):
    batch_size = data.draw(st.integers(1, n))
    X, objective, model = rows(n), Squares(), Point()
    history = fit(model, X, objective, optim.SGD(0.0), epochs=2, batch_size=batch_size)
    for epoch in range(2):
        steps = -(-n // batch_size)
        batches = objective.seen[epoch * steps : (epoch + 1) * steps]
        assert [len(b) for b in batches[:-1]] == [batch_size] * (steps - 1)
        shown = np.concatenate(batches)
        np.testing.assert_array_equal(shown[np.lexsort(shown.T)], X[np.lexsort(X.T)])
    np.testing.assert_allclose(history["first"], X[:, 0].mean(), atol=1e-12)
    np.testing.assert_allclose(history["loss"], 0.5 * (X**2).sum(axis=1).mean(), rtol=1e-12)
    assert history["step"] == [steps, 2 * steps]
    assert history.stopped == "all 2 epochs done"


def test_epochs_have_different_orders_and_a_seed_repeats_them():
    X = rows(20)
    runs = [Squares() for _ in range(3)]
    for objective, seed in zip(runs, (0, 0, 1), strict=True):
        fit(Point(), X, objective, optim.SGD(0.1), epochs=2, batch_size=5, seed=seed)
    first, again, other = (np.concatenate(objective.seen) for objective in runs)
    np.testing.assert_array_equal(first, again)
    assert (first[:20] != first[20:]).any()
    assert (first != other).any()


def test_it_finds_the_minimum():
    X, model = rows(50), Point()
    history = fit(model, X, optimizer=optim.SGD(optim.Linear(0.5)), epochs=40, batch_size=10)
    np.testing.assert_allclose(model.params["b"], X.mean(axis=0), atol=0.02)
    assert history["loss"][-1] < history["loss"][0]
    assert history["learning_rate"][-1] == pytest.approx(0.5 / 200)


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 12), st.integers(1, 5))
def test_a_device_trains_as_the_host_does(n, batch_size):
    batch_size = min(n, batch_size)
    X, host, device = rows(n), Point(), Point(backend="strict")
    for optimizer in (optim.SGD(0.1), optim.Adam(0.1, clip=0.5)):
        on_host = fit(host, X, Squares(), optimizer, epochs=2, batch_size=batch_size)
        for source in (X, asarray(X, "strict")):
            on_device = fit(device, source, Squares(), optimizer, epochs=2, batch_size=batch_size)
            np.testing.assert_allclose(to_numpy(device.params.buffer), host.params.buffer, atol=1e-12)
            np.testing.assert_allclose(on_device["loss"], on_host["loss"], atol=1e-12)
            device.params.buffer[...] = 0.0
        host.params.buffer[...] = 0.0


@pytest.mark.parametrize("home", ["numpy", "strict"])
def test_a_step_reads_nothing_from_the_device(home):
    class Reads(Callback):
        def on_step_end(self, training):
            counts.append(reads.count)

    counts = []
    X = asarray(rows(12), home)
    with count_host_reads() as reads:
        fit(
            Point(backend="strict"),
            X,
            Squares(0.1),
            optim.Adam(0.1, clip=1.0),
            epochs=1,
            batch_size=2,
            callbacks=[Reads()],
        )
    assert len(counts) == 6
    assert len(set(counts)) == 1


@pytest.mark.parametrize("objective", ["CD", "PCD", "PseudoLikelihood"])
def test_an_rbm_on_a_device_is_read_at_the_end_of_an_epoch_only(objective):
    class Reads(Callback):
        def on_step_end(self, training):
            counts.append(reads.count)

    counts = []
    X = (rows(40, 6) > 0).astype("float32")
    model = RBM(6, 4, backend="strict", centered=True, seed=0)
    optimizer = optim.Momentum(0.1, clip=1.0, weight_decay=1e-3)
    with count_host_reads() as reads:
        fit(model, X, objective, optimizer, epochs=1, batch_size=7, callbacks=[Reads()])
    assert len(counts) == 6
    assert len(set(counts)) == 1


def test_gradients_may_come_as_separate_arrays():
    class Plain:
        def gradient(self, model, batch, rng):
            return {"b": model.params["b"] - batch.mean(axis=0), "W": 0 * model.params["W"]}, {}

    class Partial(Plain):
        def gradient(self, model, batch, rng):
            return {"b": model.params["b"]}, {}

    model, twin, X = Point(), Point(), rows(10)
    fit(model, X, Plain(), optim.SGD(0.1), epochs=2, batch_size=5)
    fit(twin, X, Squares(), optim.SGD(0.1), epochs=2, batch_size=5)
    np.testing.assert_allclose(model.params.buffer, twin.params.buffer, rtol=1e-12)
    with pytest.raises(ValueError, match=r"gradients of \['b'\]"):
        fit(model, X, Partial(), optim.SGD(0.1), epochs=1, batch_size=5)


def test_names_and_classes_stand_for_their_defaults():
    X = rows(6)
    models = [Point() for _ in range(3)]
    for model, optimizer in zip(models, ("adam", optim.Adam, None), strict=True):
        fit(model, X, Squares, optimizer, epochs=2, batch_size=3)
        np.testing.assert_array_equal(model.params.buffer, models[0].params.buffer)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"epochs": -1}, ValueError, "epochs must be an integer of at least 0, got -1"),
        ({"epochs": 2.5}, TypeError, "epochs"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1"),
        ({"batch_size": 11}, ValueError, "batch_size=11 is larger than the data of 10 rows"),
        ({"objective": "Contrastivedivergance"}, ValueError, "did you mean 'ContrastiveDivergence'"),
        ({"optimizer": "addam"}, ValueError, "did you mean 'Adam'"),
        ({"optimizer": 0.01}, TypeError, r"e\.g\. SGD\(0\.01\)"),
        ({"objective": 3}, TypeError, "has no gradient"),
        ({"callbacks": [3]}, TypeError, "no function"),
        ({"resume": True}, ValueError, "needs checkpoint="),
        ({"model": object()}, TypeError, "no params"),
        ({"X": rows(10, 4)}, DataError, r"\(10, 4\); expected \[n, 3\]"),
        ({"validation": rows(10, 4)}, DataError, "validation"),
    ],
)
def test_impossible_arguments_are_refused_before_anything_happens(arguments, error, words):
    model = Point()
    with pytest.raises(error, match=words):
        fit(**{"model": model, "X": rows(10), "batch_size": 5, **arguments})
    assert not model.params.buffer.any()


class Explodes(Squares):
    def __init__(self, step, value, where="b"):
        super().__init__()
        self.step, self.value, self.where = step, value, where

    def gradient(self, model, batch, rng):
        grads, metrics = super().gradient(model, batch, rng)
        self.state["count"] = self.state.get("count", 0) + 1
        if self.state["count"] == self.step:
            if self.where == "loss":
                metrics["loss"] = metrics["loss"] * self.value
            else:
                grads[self.where][0] = self.value
        return grads, metrics


@pytest.mark.parametrize("backend", ["numpy", "strict"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["b", "W", "loss"])
def test_what_is_not_finite_stops_the_training(backend, value, where):
    model = Point(backend=backend)
    with pytest.raises(DivergenceError, match=r"step 7: .*likely cause: ") as caught:
        fit(model, rows(10), Explodes(7, value, where), optim.SGD(0.1), epochs=5, batch_size=2)
    if where == "loss":
        assert "the loss is" in str(caught.value)
    else:
        assert f"{where!r} is not finite" in str(caught.value)
    if backend == "numpy":
        assert np.isfinite(model.params.buffer).all()  # found before the update


def test_the_cause_names_the_learning_rate_when_the_parameters_ran_away():
    with pytest.raises(DivergenceError, match=r"grew to .*learning rate 100 is too large"):
        fit(Point(), rows(10), Squares(), optim.SGD(100.0), epochs=500, batch_size=10)
    with pytest.raises(DivergenceError, match="scale them to about 1"):
        fit(Point(dtype="float32"), 1e30 * rows(10), Squares(), optim.SGD(0.1), epochs=1, batch_size=10)


@pytest.mark.parametrize("backend", ["numpy", "strict"])
def test_an_update_that_overflows_is_found_though_every_gradient_was_finite(backend):
    model = Point(dtype="float32", backend=backend)
    with pytest.raises(DivergenceError, match=r"step 1: parameter 'b' is not finite .*an update overflowed"):
        fit(model, 1e10 * rows(4), Squares(), optim.SGD(1e30), epochs=1, batch_size=4)


@pytest.mark.parametrize("backend", ["numpy", "strict"])
def test_parameters_that_start_out_broken_are_refused(backend):
    model = Point(backend=backend)
    model.params["b"][1] = np.nan
    with pytest.raises(DivergenceError, match="'b' is not finite in 1 of 3 values before the first step"):
        fit(model, rows(4), batch_size=2)


def test_any_class_with_parameters_and_a_backend_can_be_trained():
    class Bare:
        backend, dtype = "numpy", "float32"

        def __init__(self):
            self.params = Parameters({"b": (2,)})

    class Mean:
        def gradient(self, model, batch, rng):
            return {"b": model.params["b"] - batch.mean(axis=0)}, {}

    model = Bare()
    fit(model, np.ones((4, 2)), Mean(), optim.SGD(1.0), epochs=1, batch_size=4)
    np.testing.assert_array_equal(model.params["b"], [1, 1])
    with pytest.raises(DataError, match="NaN or infinity"):
        fit(model, np.full((4, 2), np.nan), Mean(), optim.SGD(1.0), epochs=1, batch_size=4)
    with pytest.raises(TypeError, match="pass objective="):
        fit(model, np.ones((4, 2)), batch_size=4)


def test_no_epoch_is_no_training():
    model = Point()
    history = fit(model, rows(4), epochs=0, batch_size=2)
    assert len(history) == 0
    assert not model.params.buffer.any()


@pytest.mark.parametrize(("n", "steps"), [(3, 1), (100, 1), (101, 2)])
def test_small_data_are_one_batch_by_default(n, steps):
    history = fit(Point(), np.zeros((n, 3)), Squares(), optim.SGD(0.1), epochs=1)
    assert history["step"] == [steps]
