"""Estimators that weigh draws: purity, state, devices, formulas, errors (expectations: identities 27, 30)."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import DBN, RBM, BidirectionalHelmholtz, Generator, SigmoidBeliefNet
from minidgm.backend import asarray, get_backend, to_numpy
from minidgm.checks.exhaustive import Replay
from minidgm.checks.strict import count_host_reads
from minidgm.evaluation import gradient_moments
from minidgm.objectives import (
    BidirectionalImportance,
    Reinforce,
    ReweightedWakeSleep,
    Vimco,
    WakeSleep,
    fitting,
)
from minidgm.objectives.vimco import learning_signal
from minidgm.objectives.weighted_draws import normalized

MAKERS = {
    "WakeSleep": WakeSleep,
    "WakeSleep, 3 draws": lambda: WakeSleep(3),
    "RWS": lambda: ReweightedWakeSleep(3),
    "RWS, wake": lambda: ReweightedWakeSleep(3, "wake"),
    "RWS, sleep": lambda: ReweightedWakeSleep(3, "sleep", weight_decay=0.1),
    "BidirectionalImportance": lambda: BidirectionalImportance(3),
    "Reinforce, none": lambda: Reinforce(None),
    "Reinforce, constant": lambda: Reinforce(-2.0, 2),
    "Reinforce, mean": lambda: Reinforce("mean"),
    "Reinforce, mean, normalized": lambda: Reinforce("mean", 2, normalize=True),
    "Reinforce, input": lambda: Reinforce("input", 2, units=4, learning_rate=0.1),
    "Reinforce, leave one out": lambda: Reinforce("leave_one_out", 3),
    "Vimco": lambda: Vimco(3),
}


def net(backend="numpy", dtype="float32", seed=0, sizes=(4, 3, 2)):
    made = SigmoidBeliefNet(list(sizes), backend=backend, dtype=dtype, seed=seed)
    values = 0.7 * np.random.default_rng(seed).normal(size=made.params.size)
    made.params.buffer[...] = asarray(values, backend, dtype)
    return made


def rows(n, backend="numpy", dtype="float32", seed=0):
    x = 1.0 * (np.random.default_rng(seed).random((n, 4)) < 0.5)
    return asarray(x, backend, dtype)


@pytest.mark.parametrize("name", MAKERS)
def test_pure_and_repeatable(name, backend):
    model, x = net(backend), rows(5, backend)
    before, params = to_numpy(x).copy(), to_numpy(model.params.buffer).copy()
    results = []
    for _ in range(2):
        objective, rng = MAKERS[name](), Generator(2, backend)
        for _ in range(3):
            grads, metrics = objective.gradient(model, x, rng)
        results.append(to_numpy(grads.buffer).copy())
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(to_numpy(x), before)
    np.testing.assert_array_equal(to_numpy(model.params.buffer), params)
    assert (grads.shapes, str(grads.dtype)) == (model.params.shapes, "float32")
    assert np.isfinite(results[0]).all()
    assert all(abs(to_numpy(grads[key])).max() > 0 for key in grads)
    for value in metrics.values():
        assert (get_backend(value), value.shape) == (backend, ())
        assert np.isfinite(to_numpy(value))


@pytest.mark.parametrize("name", MAKERS)
def test_state_resumes_to_the_same_bits(name, backend):
    model = net(backend)
    batches = [rows(n, backend, seed=n) for n in (3, 2, 4, 1)]
    whole, rng = MAKERS[name](), Generator(2, backend)
    for x in batches[:2]:
        whole.gradient(model, x, rng)
    state = {key: x if isinstance(x, int) else to_numpy(x) for key, x in whole.state.items()}
    saved = rng.state()
    expected = [to_numpy(whole.gradient(model, x, rng)[0].buffer).copy() for x in batches[2:]]
    resumed, rng = MAKERS[name](), Generator.from_state(json.loads(json.dumps(saved)))
    resumed.set_state(state)
    for x, bits in zip(batches[2:], expected, strict=True):
        np.testing.assert_array_equal(to_numpy(resumed.gradient(model, x, rng)[0].buffer), bits)


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_waits_for_the_device(name):
    model, x, objective = net("strict"), rows(6, "strict"), MAKERS[name]()
    objective.gradient(model, x, Generator(0, "strict"))
    with count_host_reads() as reads:
        objective.gradient(model, x, Generator(1, "strict"))
    assert reads.count == 0


@pytest.mark.parametrize("name", MAKERS)
def test_precisions_and_backends_agree(name):
    found = []
    for where, dtype in (("numpy", "float64"), ("numpy", "float32"), ("strict", "float32")):
        objective, rng = MAKERS[name](), Replay(3, where)
        for _ in range(2):
            grads, _ = objective.gradient(net(where, dtype), rows(5, where, dtype), rng)
        found.append(to_numpy(grads.buffer))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=2e-4)


@given(
    log_w=st.lists(st.integers(-400, 400), min_size=2, max_size=5),
    shift=st.sampled_from([0.0, -900.0, 900.0]),
)
@settings(max_examples=20)
def test_vimco_signal_is_its_formula(log_w, shift):
    """Against plain sums of weights; large log-weights neither overflow nor cancel."""
    a = np.asarray(log_w, dtype=np.float64)[:, None] / 10.0
    found = learning_signal(a + shift)
    w = np.exp(a[:, 0])
    for s in range(len(w)):
        others = np.delete(a[:, 0], s)
        without = np.log((np.exp(others).sum() + np.exp(others.mean())) / len(w))
        np.testing.assert_allclose(found[s, 0], np.log(w.mean()) - without, atol=1e-9)
    np.testing.assert_allclose(normalized(a + shift).sum(axis=0), 1.0)


def test_metrics_say_what_they_are():
    model, x = net(dtype="float64"), rows(7, dtype="float64")
    log_w = model.draw(x, 4, Generator(5)).log_weights
    _, metrics = Reinforce("leave_one_out", 4).gradient(model, x, Generator(5))
    assert float(metrics["loss"]) == pytest.approx(-log_w.mean())
    _, metrics = Vimco(4).gradient(model, x, Generator(5))
    assert float(metrics["loss"]) == pytest.approx(-np.log(np.exp(log_w).mean(axis=0)).mean())
    w = np.exp(log_w)
    expected = (w.sum(axis=0) ** 2 / (w * w).sum(axis=0)).mean()
    assert float(metrics["effective_samples"]) == pytest.approx(expected)
    _, metrics = BidirectionalImportance(4).gradient(model, x, Generator(5))
    assert float(metrics["loss"]) == pytest.approx(-2.0 * np.log(np.sqrt(w).mean(axis=0)).mean())


def test_running_figures_are_those_of_what_was():
    """Mean and deviation of the batches before; the first is drawn once more to begin with."""
    model, x = net(dtype="float64"), rows(50, dtype="float64")
    objective, means, spreads = Reinforce("mean", 2, normalize=True), [], []
    for seed in range(4):
        rng = Generator(seed)
        if not seed:
            look = model.draw(x, 2, rng).log_weights
            means, spreads = [look.mean()], [look.var()]
        drawn = model.draw(x, 2, rng)
        signal, scale = drawn.log_weights - np.mean(means), max(1.0, np.mean(spreads) ** 0.5)
        grads, metrics = objective.gradient(model, x, Generator(seed))
        assert float(metrics["signal"]) == pytest.approx(np.sqrt((signal**2).mean()))
        part = drawn.log_recognition_gradient(-signal / (2 * 50 * scale))
        np.testing.assert_allclose(grads["R1"], part["R1"], atol=1e-12)
        means.append(drawn.log_weights.mean())
        spreads.append(drawn.log_weights.var())
    assert objective.state["count"] == 5
    assert float(objective.state["mean"]) == pytest.approx(np.mean(means))
    assert float(objective.state["variance"]) == pytest.approx(np.mean(spreads))


@pytest.mark.parametrize("baseline", ["mean", "input"])
def test_the_first_step_is_unbiased_and_no_larger_than_others(baseline):
    """Hundreds of nats that all draws share leave no trace in the first gradient."""
    tiny = net(dtype="float64", sizes=(2, 1))
    moments = gradient_moments(tiny, [Reinforce(baseline, units=2, normalize=False)], np.eye(2)[:1])
    assert moments[0].bias < 1e-8
    model, x = net(dtype="float64"), rows(50, dtype="float64")
    model.params["b0"][...] = 0.0
    lengths = []
    for shift in (0.0, -300.0):
        model.params["b2"][...] = shift  # top bits that q draws cost 300 nats each
        model.params["r2"][...] = 30.0  # and q draws them always
        objective = Reinforce(baseline, 2)
        grads, _ = objective.gradient(model, x, Generator(1))
        lengths.append(abs(grads["R1"]).max())
    assert lengths[1] == pytest.approx(lengths[0], rel=1e-6)


def test_the_input_baseline_learns_the_signal():
    """Rows whose log-weights differ: the regression removes what depends on the row."""
    model, x = net(dtype="float64", sizes=(4, 2)), rows(64, dtype="float64")
    model.params["W1"][...] = 0.0
    model.params["b0"][...] = [3.0, -3.0, 3.0, -3.0]
    objective = Reinforce("input", 5, units=30, learning_rate=0.05)
    signals = []
    for seed in range(300):
        signals.append(float(objective.gradient(model, x, Generator(seed))[1]["signal"]))
    log_w = model.draw(x, 5, Generator(0)).log_weights
    assert np.mean(signals[-20:]) < 0.3 * log_w.std()


def test_the_step_of_the_input_baseline_is_its_gradient():
    import autograd.numpy as anp
    from autograd import grad

    model, x, rng = net(dtype="float64"), rows(6, dtype="float64"), np.random.default_rng(4)
    start = {"net_U": rng.normal(size=(4, 3)), "net_a": rng.normal(size=3), "net_v": rng.normal(size=3)}
    mean = rng.normal(size=4)
    running = {"mean": np.asarray(-2.0), "variance": np.asarray(9.0), "count": 4}
    objective = Reinforce("input", 2, units=3, learning_rate=0.1)
    objective.set_state({**start, **running, "net_x": mean})
    objective.gradient(model, x, Generator(7))
    log_w = model.draw(x, 2, Generator(7)).log_weights

    def loss(net):
        signal = log_w + 2.0 - anp.dot(anp.tanh(anp.dot(x - mean, net["net_U"]) + net["net_a"]), net["net_v"])
        return anp.mean(signal**2) / (2.0 * 3.0)

    slope = grad(loss)(start)
    for key, value in start.items():
        np.testing.assert_allclose(objective.state[key], value - 0.1 * slope[key], atol=1e-12)
    hidden = np.tanh((x - mean) @ start["net_U"] + start["net_a"])
    signal = log_w + 2.0 - hidden @ start["net_v"]
    assert float(objective.state["mean"]) == pytest.approx(-2.0 + 0.2 * signal.mean())
    assert float(objective.state["variance"]) == pytest.approx(9.0 + 0.2 * (signal.var() - 9.0))


def test_which_models_they_train():
    names = {"WakeSleep", "ReweightedWakeSleep", "BidirectionalImportance", "Reinforce", "Vimco"}
    for model in (net(), BidirectionalHelmholtz([3, 2])):
        assert names <= set(fitting(model))
        assert "ContrastiveDivergence" not in fitting(model)
    for other in (RBM(3, 2), DBN([3, 2, 2])):
        assert not names & set(fitting(other))
    with pytest.raises(TypeError, match=r"no draw.*Objectives that fit: .*ContrastiveDivergence"):
        Vimco().gradient(RBM(4, 2), rows(2), Generator(0))


def test_bad_input_says_what_to_do():
    for make, message in (
        (lambda: ReweightedWakeSleep(0), "k must be an integer of at least 1"),
        (lambda: ReweightedWakeSleep(3, "dream"), "unknown phase 'dream'.*wake, sleep, both"),
        (lambda: Vimco(1), "at least 2"),
        (lambda: Reinforce("leave_one_out"), "at least 2"),
        (lambda: Reinforce("medium"), "unknown baseline 'medium'"),
        (lambda: Reinforce(float("nan")), "baseline must be in"),
        (lambda: Reinforce("input", learning_rate=-1.0), "learning_rate"),
        (lambda: WakeSleep(0), "k must be"),
        (lambda: BidirectionalImportance(0), "k must be"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(ValueError, match="unknown baseline True"):
        Reinforce(True)
    with pytest.raises(ValueError, match=r"expected \(n, 4\)"):
        WakeSleep().gradient(net(), np.zeros((2, 3), "float32"), Generator(0))


def test_configs_are_their_arguments():
    for make in MAKERS.values():
        objective = make()
        assert repr(type(objective)(**objective.config())) == repr(objective)
