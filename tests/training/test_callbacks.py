import json

import numpy as np
import pytest

from minidgm import optim
from minidgm.boltzmann.rbm import RBM
from minidgm.training import Callback, EarlyStopping, JSONLines, Metrics, Samples, fit
from tests.training.toy import Point, Squares

X = np.random.default_rng(0).standard_normal((12, 3))


def train(*callbacks, epochs=5, model=None, **settings):
    return fit(
        model or Point(),
        X,
        Squares(),
        optim.SGD(0.1),
        epochs=epochs,
        batch_size=4,
        callbacks=callbacks,
        **settings,
    )


def test_hooks_come_in_order():
    class Log(Callback):
        def __init__(self, name):
            self.name = name

        def on_start(self, training):
            calls.append((self.name, "start", training.epoch))

        def on_step_end(self, training):
            calls.append((self.name, "step", training.step))

        def on_epoch_end(self, training):
            calls.append((self.name, "epoch", training.epoch))

        def on_record(self, training):
            calls.append((self.name, "record", training.record["epoch"]))

        def on_stop(self, training):
            calls.append((self.name, "stop", training.history.stopped))

    class Duck:
        def on_record(self, training):
            calls.append(("duck", "record", training.record["epoch"]))

    calls = []
    train(Log("a"), lambda training: calls.append(("f", "epoch", training.epoch)), Duck(), epochs=1)
    assert calls == [
        ("a", "start", 0),
        ("a", "step", 1),
        ("a", "step", 2),
        ("a", "step", 3),
        ("a", "epoch", 1),
        ("f", "epoch", 1),
        ("a", "record", 1),
        ("duck", "record", 1),
        ("a", "stop", "all 1 epochs done"),
    ]


def test_metrics_are_measured_when_due_and_at_the_end():
    history = train(Metrics(lambda model: {"norm": (model.params["b"] ** 2).sum()}, every=2))
    assert [record["epoch"] for record in history.records if "norm" in record] == [2, 4, 5]
    assert all(type(value) is float for value in history["norm"])


def test_a_function_can_add_to_the_record_and_stop():
    def watch(training):
        training.record["twice"] = 2 * training.epoch
        if training.epoch == 2:
            training.stop("enough")

    history = train(watch)
    assert history["twice"] == [2, 4]
    assert history.stopped == "enough"


def test_a_step_can_stop_an_epoch():
    class Stop(Callback):
        def on_step_end(self, training):
            if training.step == 4:
                training.stop("in the middle")

    history = train(Stop())
    assert history["step"] == [3, 4]
    assert history.stopped == "in the middle"


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("restore_best", [False, True])
def test_early_stopping_waits_and_restores(mode, restore_best):
    path = [5.0, 3.0, 4.0, 2.0, 2.0, 2.5, 1.0]
    sign = 1 if mode == "min" else -1
    models = []

    def score(training):
        training.record["score"] = sign * path[training.epoch - 1]
        models.append(training.model.params.buffer.copy())

    model = Point()
    stopping = EarlyStopping("score", patience=2, mode=mode, restore_best=restore_best)
    history = train(score, stopping, epochs=7, model=model)
    assert len(history) == 6  # 2.0 at epoch 4, then two epochs that do not improve on it
    assert f"improved on {sign * 2}" in history.stopped
    np.testing.assert_array_equal(model.params.buffer, models[3 if restore_best else 5])


def test_early_stopping_counts_only_clear_improvements():
    path = [5.0, 4.9, 4.8, 4.0]

    def score(training):
        training.record["score"] = path[training.epoch - 1]

    assert len(train(score, EarlyStopping("score", patience=2, min_delta=0.5), epochs=4)) == 3
    with pytest.raises(KeyError, match="did you mean 'score'"):
        train(score, EarlyStopping("scor"))
    with pytest.raises(ValueError, match="mode"):
        EarlyStopping("score", mode="least")


def test_json_lines_hold_the_history(tmp_path):
    path = tmp_path / "new" / "metrics.jsonl"

    def nan(training):
        training.record["bad"] = float("nan")

    history = train(JSONLines(path), nan, epochs=2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{**record, "bad": None} for record in history.records]
    train(JSONLines(path), epochs=1)
    assert len(path.read_text().splitlines()) == 1


def test_samples_are_drawn_apart_from_the_training(tmp_path):
    data = (X > 0).astype("float32")
    plain, sampled = RBM(3, 2, seed=0), RBM(3, 2, seed=0)
    samples = Samples(5, every=2, folder=tmp_path / "s", steps=3)
    for model, callbacks in ((plain, []), (sampled, [samples])):
        fit(model, data, epochs=3, batch_size=4, callbacks=callbacks)
    np.testing.assert_array_equal(plain.params.buffer, sampled.params.buffer)
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        "samples-000002.npy",
        "samples-000003.npy",
    ]
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "samples-000003.npy"), samples.latest)
    assert samples.latest.shape == (5, 3)
