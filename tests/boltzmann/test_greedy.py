"""Layer-wise training: what each layer learns from, the bound, records, callbacks, interruptions."""

import json

import numpy as np
import pytest

from minidgm import DBN, RBM
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.boltzmann.greedy import ascend, start_layer
from minidgm.datasets import bars_and_stripes
from minidgm.errors import CheckpointError, DataError
from minidgm.objectives import ContrastiveDivergence, ExactLikelihood, UpDown
from minidgm.optim import SGD
from minidgm.training import Callback, Checkpoint, EarlyStopping, JSONLines

X = (np.random.default_rng(0).uniform(size=(60, 6)) < 0.3).astype("float32")


def network(sizes=(6, 4, 3), **options):
    return DBN(sizes, seed=3, **options)


@pytest.mark.parametrize("inputs", ["samples", "means"])
def test_each_layer_is_an_rbm_trained_on_the_one_below(inputs):
    dbn = network()
    history = dbn.fit(X, objective="CD", optimizer=SGD(0.1), epochs=(3, 2), inputs=inputs, seed=5)
    assert history["layer"] == [1, 1, 1, 2, 2]
    assert history["epoch"] == [1, 2, 3, 4, 5]
    assert history["step"] == [1, 2, 3, 4, 5]
    assert history["seconds"] == sorted(history["seconds"])
    assert history.stopped == "layer 2: all 2 epochs done"

    seeds = Generator(5).integers(0, 2**31 - 1, (4,))
    first = RBM(6, 4)
    for key, name in {"W": "W1", "b": "b0", "c": "b1"}.items():
        first.params[key] = network().params[name]
    first.fit(X, objective="CD", optimizer=SGD(0.1), epochs=3, seed=int(seeds[0]))
    assert (dbn.params["W1"] == first.params["W"]).all()
    assert (dbn.params["R1"] == first.params["W"]).all()
    assert (dbn.params["r1"] == first.params["c"]).all()
    assert (dbn.params["b0"] == first.params["b"]).all()

    hidden = first.hidden_given_visible(X)
    noise = Generator(int(seeds[1])).spawn(2)[0]
    inner = hidden.mean if inputs == "means" else hidden.sample(noise)
    second = RBM(4, 3)
    second.params["W"], second.params["c"] = network().params["W2"], network().params["b2"]
    second.initialize(inner).fit(inner, objective="CD", optimizer=SGD(0.1), epochs=2, seed=int(seeds[2]))
    assert (dbn.params["W2"] == second.params["W"]).all()
    assert (dbn.params["b1"] == second.params["b"]).all()
    assert (dbn.params["b2"] == second.params["c"]).all()


@pytest.mark.parametrize("n", [2, 3])
def test_exact_greedy_training_raises_the_exact_bound(n):
    """From the mirror image on, each exact step on E_q[log p(h)] is a step of the bound (identity 17)."""
    V = bars_and_stripes(n).train.astype("float64")
    dbn = DBN([n * n, 5, n * n], dtype="float64", seed=0)
    dbn.params["W1"][...] *= 20.0
    rbm = start_layer(dbn, 1, V, "random")
    rbm.fit(V, objective=ExactLikelihood(), optimizer=SGD(0.2), epochs=150, batch_size=len(V))
    dbn.place(1, rbm)
    before = rbm.log_prob(V).mean()
    top = start_layer(dbn, 2, V, "transpose")
    H = dbn.hidden.states(5)
    q = np.exp(dbn.pair_tables(1, V, H)[1]).mean(axis=0)
    bounds = []
    for _ in range(20):
        dbn.place(2, top)
        bounds.append(float(dbn.elbo(V).mean()))
        p = np.exp(top.log_prob(H))
        top.params.buffer -= 0.05 * top.free_energy_gradient(H, q - p).buffer
    assert bounds[0] == pytest.approx(before, abs=1e-12)
    assert (np.diff(bounds) > 0).all()
    assert dbn.log_prob(V).mean() >= bounds[-1]


def test_mirror_image_by_fit():
    dbn = DBN([6, 4, 6], dtype="float64", seed=0)
    dbn.fit(X, objective=ExactLikelihood(), optimizer=SGD(0.5), epochs=(20, 0), init="transpose")
    rbm = start_layer(dbn, 1, X, "random")
    np.testing.assert_allclose(dbn.log_prob(X), rbm.log_prob(X), atol=1e-12)
    assert (dbn.params["W2"] == dbn.params["W1"].T).all()


def test_gaussian_network_trains(backend):
    rows = asarray(np.random.default_rng(1).normal(size=(50, 3)), backend, "float32")
    dbn = DBN([3, 4, 2], "gaussian", backend=backend, seed=0)
    history = dbn.fit(rows, epochs=2, inputs="means", validation=rows[:10])
    assert len(history) == 4
    assert "validation_reconstruction_error" in history
    assert np.isfinite(to_numpy(dbn.params.buffer)).all()
    assert (to_numpy(dbn.params["visible_log_precision"]) != 0).all()


def test_reals_of_any_scale_train_the_first_layer_alike():
    """As a Gaussian RBM, whose units do not saturate on large numbers: hidden means are the same."""
    rows = np.random.default_rng(1).normal(2.0, 1.0, size=(200, 5))
    means = []
    for unit in (1.0, 64.0):
        dbn = DBN([5, 4, 2], "gaussian", dtype="float64", seed=0)
        dbn.fit(unit * rows, epochs=3, batch_size=20)
        means.append(dbn.transform(unit * rows, 1))
        deviation = np.exp(-0.5 * dbn.params["visible_log_precision"])
        np.testing.assert_allclose(deviation, unit * rows.std(axis=0), rtol=0.2)
    np.testing.assert_allclose(means[0], means[1], atol=1e-6)


def test_objectives_that_only_natural_parameters_know_train_them():
    rows = np.random.default_rng(1).normal(size=(50, 3)).astype("float32")
    dbn = DBN([3, 4], "gaussian", seed=0)
    first = dbn.rbm(1)
    twin = RBM(3, 4, visible="gaussian", seed=0)
    for name, value in first.params.items():
        twin.params[name] = value
    dbn.fit(rows, objective="TemperedPersistent", epochs=2, seed=1)
    seeds = Generator(1).integers(0, 2**31 - 1, (2,))
    twin.fit(rows, objective="TemperedPersistent", epochs=2, seed=int(seeds[0]))
    np.testing.assert_array_equal(dbn.params["W1"], twin.params["W"])


def test_whole_network_by_an_objective_for_whole_networks():
    dbn = network()
    dbn.fit(X, epochs=1)
    assert (dbn.params["R1"] == dbn.params["W1"]).all()
    for objective in ("UpDown", UpDown, UpDown(k=2)):
        history = dbn.fit(X, objective=objective, optimizer=SGD(0.05), epochs=2)
        assert "layer" not in history
        assert len(history) == 2
    assert (dbn.params["R1"] != dbn.params["W1"]).any()


class Seen(Callback):
    def __init__(self):
        self.events = []

    def on_start(self, training):
        self.events.append(("start", training.layer, len(training.history)))

    def on_step_end(self, training):
        self.events.append(("step", training.step))

    def on_epoch_end(self, training):
        training.record["bound"] = float(training.model.elbo(X[:3]).mean())
        self.events.append(("epoch", training.epoch, training.epochs))

    def on_stop(self, training):
        self.events.append(("stop", training.layer))


def test_callbacks_see_the_whole_network():
    dbn, seen, calls = network(), Seen(), []
    history = dbn.fit(X, epochs=(2, 1), callbacks=[seen, lambda t: calls.append(t.record["layer"])])
    assert calls == [1, 1, 2]
    assert seen.events == [
        ("start", 1, 0), ("step", 1), ("epoch", 1, 3), ("step", 2), ("epoch", 2, 3), ("stop", 1),
        ("start", 2, 2), ("step", 3), ("epoch", 3, 3), ("stop", 2),
    ]  # fmt: skip
    assert history["bound"][-1] == pytest.approx(float(dbn.elbo(X[:3]).mean()))


def test_patience_counts_within_a_layer():
    class Falling(Callback):
        def on_epoch_end(self, training):
            training.record["worse"] = float(training.epoch)
            training.model.params["b2"][...] = training.epoch

    dbn = network()
    stop = EarlyStopping("worse", patience=2, restore_best=True)
    history = dbn.fit(X, epochs=9, callbacks=[Falling(), stop])
    assert history["layer"] == [1, 1, 1, 2, 2, 2]
    assert (dbn.params["b2"] == 4.0).all()  # the first epoch of layer 2 is its best


class Interrupt(Exception):
    pass


def test_interrupted_run_continues_to_the_same_bits(tmp_path):
    def train(dbn, **options):
        callbacks = [JSONLines(tmp_path / "log.jsonl"), *options.pop("more", ())]
        options |= {"objective": ContrastiveDivergence(), "epochs": 3, "batch_size": 20}
        return dbn.fit(X, callbacks=callbacks, **options)

    def interrupt(training):
        if training.epoch == 5:
            raise Interrupt

    whole = network()
    expected = train(whole)
    dbn = network()
    with pytest.raises(Interrupt):
        train(dbn, checkpoint=tmp_path / "run", more=[interrupt])
    with pytest.raises(CheckpointError, match="layer-1 has 2 checkpoints"):
        train(network(), checkpoint=tmp_path / "run")
    dbn = network()
    history = train(dbn, checkpoint=tmp_path / "run", resume=True, more=[lambda training: None])
    assert (dbn.params.buffer == whole.params.buffer).all()
    assert history["layer"] == expected["layer"]
    assert history["step"] == expected["step"]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["layer-1", "layer-2"]
    folder = Checkpoint(tmp_path / "run", keep=2)
    again = train(network(), checkpoint=folder, resume=True, more=[lambda training: None])
    assert len(again) == 6


def test_rows_go_up_in_blocks(monkeypatch):
    dbn = network()
    whole = ascend(dbn, 1, X)
    monkeypatch.setattr("minidgm.boltzmann.greedy.ROWS", 7)
    np.testing.assert_allclose(ascend(dbn, 1, X), whole, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"inputs": "mean"}, ValueError, "unknown inputs 'mean'; did you mean 'means'"),
        ({"init": "mirror"}, ValueError, "unknown init 'mirror'"),
        ({"init": "transpose"}, ValueError, r"needs n_2 = n_0, but sizes=\[6, 4, 3\] have 3 and 6"),
        ({"epochs": (1, 2, 3)}, ValueError, "one for each of 2 layers"),
        ({"epochs": -1}, ValueError, "epochs must be"),
        ({"resume": True}, ValueError, "needs checkpoint"),
        ({"objective": "ScoreMatching"}, TypeError, "cannot train this RBM"),
        ({"objective": "nonsense"}, ValueError, "unknown objective"),
    ],
)
def test_impossible_settings(options, error, match):
    with pytest.raises(error, match=match):
        network().fit(X, **options)


@pytest.mark.parametrize("rows", ["rows.npy", [[0.0] * 6], X[0], iter([X])])
def test_rows_must_be_an_array(rows):
    with pytest.raises(DataError, match=r"pass an array \[n, 6\]"):
        network().fit(rows)


def test_mirror_needs_bits():
    with pytest.raises(ValueError, match="they are gaussian: use init='random'"):
        DBN([3, 2, 3], "gaussian").fit(np.zeros((2, 3)), init="transpose")
