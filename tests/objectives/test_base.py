"""What every objective shares: purity, state, penalties, centring, devices, errors."""

import inspect
import json
import pickle

import autograd.numpy as anp
import numpy as np
import pytest

from minidgm import RBM, BoltzmannMachine, Generator, objectives, registry
from minidgm.backend import asarray, get_backend, to_numpy
from minidgm.checks import oracle
from minidgm.checks.strict import count_host_reads
from minidgm.objectives import (
    ContrastiveDivergence,
    DenoisingScoreMatching,
    ExactLikelihood,
    FastPersistent,
    PersistentContrastiveDivergence,
    PseudoLikelihood,
    RatioMatching,
    ScoreMatching,
    TemperedPersistent,
    fitting,
)
from minidgm.objectives.base import Workspace
from tests.objectives.helpers import ALL, assert_gradients, drawn, plain_only, rows

MAKERS = {
    "ExactLikelihood": ExactLikelihood,
    "ContrastiveDivergence": lambda **kw: ContrastiveDivergence(2, **kw),
    "PersistentContrastiveDivergence": lambda **kw: PersistentContrastiveDivergence(2, 5, **kw),
    "TemperedPersistent": lambda **kw: TemperedPersistent(3, 1, 4, **kw),
    "FastPersistent": lambda **kw: FastPersistent(1, 5, **kw),
    "PseudoLikelihood": lambda **kw: PseudoLikelihood(1, **kw),
    "RatioMatching": lambda **kw: RatioMatching(1, **kw),
    "ScoreMatching": ScoreMatching,
    "DenoisingScoreMatching": lambda **kw: DenoisingScoreMatching(0.3, **kw),
}
MADE = [(name, kind) for kind in ALL for name in MAKERS if name in fitting(drawn(kind))]


def test_the_product_is_large():
    """Which objective meets which model; those of other models are tested in files of their own."""
    assert set(MAKERS) <= set(registry.objectives())
    assert len(MADE) >= 80
    sampled = {
        "ContrastiveDivergence",
        "PersistentContrastiveDivergence",
        "TemperedPersistent",
        "FastPersistent",
    }
    for kind in ALL:
        assert sampled <= set(fitting(drawn(kind))), kind


@pytest.mark.parametrize(("name", "kind"), MADE)
def test_pure_and_repeatable(name, kind, backend):
    """Batch and parameters untouched, the same bits for the same generator, names and dtype as the model."""
    model = drawn(kind, seed=1, dtype="float32", backend=backend, scale=0.3)
    v = rows(model, 3)
    before, params = to_numpy(v).copy(), to_numpy(model.params.buffer).copy()
    results = []
    for _ in range(2):
        objective, rng = MAKERS[name](), Generator(2, backend)
        for _ in range(3):
            grads, metrics = objective.gradient(model, v, rng)
        results.append(to_numpy(grads.buffer).copy())
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(to_numpy(v), before)
    np.testing.assert_array_equal(to_numpy(model.params.buffer), params)
    assert grads.shapes == model.params.shapes
    assert str(grads.dtype) == "float32"
    assert np.isfinite(results[0]).all()
    assert abs(results[0]).max() > 0
    for value in metrics.values():
        assert get_backend(value) == backend
        assert value.shape == ()
        assert np.isfinite(to_numpy(value))
    for value in objective.state.values():
        assert isinstance(value, int) or get_backend(value) == backend


@pytest.mark.parametrize(("name", "kind"), MADE)
def test_state_resumes_to_the_same_bits(name, kind, backend):
    """Two steps, a checkpoint through the host, two more, with ragged batches: as without the checkpoint."""
    model = drawn(kind, seed=1, dtype="float32", backend=backend, scale=0.3)
    batches = [rows(model, n, seed=n) for n in (3, 2, 4, 1)]
    model.centered = hasattr(model, "center_gradient")
    whole, rng = MAKERS[name](), Generator(2, backend)
    for v in batches[:2]:
        whole.gradient(model, v, rng)
    state = {key: x if isinstance(x, int) else to_numpy(x) for key, x in whole.state.items()}
    saved = rng.state()
    expected = [to_numpy(whole.gradient(model, v, rng)[0].buffer).copy() for v in batches[2:]]
    resumed, rng = MAKERS[name](), Generator.from_state(json.loads(json.dumps(saved)))
    resumed.set_state(state)
    for v, bits in zip(batches[2:], expected, strict=True):
        np.testing.assert_array_equal(to_numpy(resumed.gradient(model, v, rng)[0].buffer), bits)
    for key, value in whole.state.items():
        other = resumed.state[key]
        np.testing.assert_array_equal(*(x if isinstance(x, int) else to_numpy(x) for x in (value, other)))
    resumed.reset()
    assert resumed.state == {}


def test_state_from_the_host_reaches_an_objective_in_use():
    """Back to a checkpoint in the middle of a training on a device."""
    model = drawn("bernoulli", seed=1, backend="strict")
    v, objective = rows(model, 2), PersistentContrastiveDivergence(1, 4)
    objective.gradient(model, v, Generator(0, "strict"))
    state = {key: to_numpy(x) for key, x in objective.state.items()}
    expected = to_numpy(objective.gradient(model, v, Generator(1, "strict"))[0].buffer).copy()
    objective.set_state(state)
    again, _ = objective.gradient(model, v, Generator(1, "strict"))
    np.testing.assert_array_equal(to_numpy(again.buffer), expected)


def test_offsets_belong_to_the_batch_at_hand(monkeypatch):
    """The hidden means that the in-place path leaves behind are not taken for those of a later batch."""
    model = drawn("bernoulli", seed=1)
    model.centered = True
    objective = ContrastiveDivergence()
    first, second = rows(model, 6), rows(model, 4, seed=9)
    objective.gradient(model, first, Generator(0))
    plain_only(monkeypatch)
    objective.gradient(model, second, Generator(0))
    means = [model.hidden_given_visible(v).mean.mean(axis=0) for v in (first, second)]
    np.testing.assert_allclose(objective.state["hidden_offset"], sum(means) / 2, atol=1e-13)


@pytest.mark.parametrize("name", MAKERS)
def test_state_is_a_copy(name):
    model = drawn("gaussian" if "Score" in name else "bernoulli", seed=1)
    model.centered = True
    objective = MAKERS[name]()
    objective.gradient(model, rows(model, 2), Generator(0))
    frozen, kept = objective.state, {k: np.array(x) for k, x in objective.state.items()}
    objective.gradient(model, rows(model, 2, seed=5), Generator(1))
    for key, value in kept.items():
        np.testing.assert_array_equal(frozen[key], value)


@pytest.mark.parametrize(("name", "kind"), MADE)
def test_no_host_reads(name, kind):
    """A training step never waits for the device, the first included."""
    model = drawn(kind, seed=1, dtype="float32", backend="strict", scale=0.3)
    v, objective, rng = rows(model, 3), MAKERS[name](weight_decay=0.1), Generator(2, "strict")
    model.centered = hasattr(model, "center_gradient")
    with count_host_reads() as reads:
        for _ in range(2):
            objective.gradient(model, v, rng)
    assert reads.count == 0


@pytest.mark.parametrize("name", MAKERS)
def test_config_rebuilds(name):
    made = MAKERS[name](weight_decay=0.5, sparsity_target=0.2, sparsity_cost=0.1)
    config = json.loads(json.dumps(made.config()))
    again = registry.objectives()[name](**config)
    assert again.config() == made.config()
    assert repr(again) == repr(made)
    assert "weight_decay=0.5" in repr(made)
    assert pickle.loads(pickle.dumps(made)).config() == config


@pytest.mark.parametrize("name", MAKERS)
def test_weight_decay_is_the_gradient_of_its_penalty(name):
    kind = "gaussian" if "Score" in name else "machine"
    model = drawn(kind, seed=2)
    v = rows(model, 3)
    plain, _ = MAKERS[name]().gradient(model, v, Generator(1))
    decayed, _ = MAKERS[name](weight_decay=0.3).gradient(model, v, Generator(1))
    couplings = [key for key, x in model.params.items() if x.ndim == 2]
    penalty = oracle.gradient(model, lambda m: sum(0.15 * anp.sum(m.params[key] ** 2) for key in couplings))
    assert_gradients(decayed, {key: plain[key] + penalty[key] for key in model.params})


@pytest.mark.parametrize(
    "kind", ["bernoulli", "spin", "bernoulli-gaussian", "gaussian", "softmax-softmax", "machine"]
)
def test_sparsity_moves_hidden_biases_along_the_penalty(kind):
    model = drawn(kind, seed=3)
    v = rows(model, 4)
    plain, _ = ContrastiveDivergence().gradient(model, v, Generator(1))
    sparse, _ = ContrastiveDivergence(sparsity_target=0.1, sparsity_cost=0.7).gradient(model, v, Generator(1))

    def penalty(m):
        q = m.hidden_given_visible(v).mean
        return 0.7 * anp.sum((0.1 - anp.mean(q, axis=0)) ** 2)

    expected = oracle.gradient(model, penalty)["c"]
    np.testing.assert_allclose(sparse["c"] - plain["c"], expected, rtol=1e-9, atol=1e-12)
    for key in ("W", "b"):
        np.testing.assert_array_equal(sparse[key], plain[key])


@pytest.mark.parametrize("name", MAKERS)
def test_centring_passes_running_means(name):
    """The enhanced gradient at offsets that average the first batches, then move at 0.01; then decay."""
    model = drawn("gaussian" if "Score" in name else "bernoulli", seed=4)
    centered = drawn("gaussian" if "Score" in name else "bernoulli", seed=4)
    centered.centered = True
    plain, objective = MAKERS[name](), MAKERS[name](weight_decay=0.2)
    mu = lam = 0.0
    for step in range(1, 4):
        v = rows(model, 2 + step, seed=step)
        means = v.mean(axis=0), model.hidden_given_visible(v).mean.mean(axis=0)
        mu, lam = mu + (means[0] - mu) / step, lam + (means[1] - lam) / step
        if isinstance(plain, FastPersistent):  # its chains follow the untransformed gradient
            plain.set_state(objective.state)
        expected = plain.gradient(model, v, Generator(step))[0].copy()
        model.center_gradient(expected, mu, lam)
        expected["W"] += 0.2 * model.params["W"]
        grads, _ = objective.gradient(centered, v, Generator(step))
        assert_gradients(grads, dict(expected))
    state = objective.state
    objective.set_state({**state, "offset_count": 1000})
    objective.gradient(centered, np.full((1, model.n_visible), 1.0), Generator(0))
    np.testing.assert_allclose(objective.state["visible_offset"], 0.99 * mu + 0.01)


def test_a_user_model_with_the_methods_only():
    """Nothing of RBM is needed but the methods' names: a field of independent bits."""

    class Bits:
        n_visible, n_hidden, backend = 2, 0, "numpy"

        def __init__(self):
            self.twin = BoltzmannMachine(2, dtype="float64")
            self.params = self.twin.params

        def energy_gradient(self, v, h, weights=None, out=None):
            return self.twin.energy_gradient(v, h, weights, out)

        def free_energy_gradient(self, v, weights=None, out=None):
            return self.twin.free_energy_gradient(v, weights, out)

        def hidden_given_visible(self, v):
            return self.twin.hidden_given_visible(v)

        def gibbs_step(self, v, h, rng):
            return rng.bernoulli(np.full(v.shape, 0.5)), h

    assert fitting(Bits()) == ["ContrastiveDivergence"]
    grads, _ = ContrastiveDivergence().gradient(Bits(), np.eye(2), Generator(0))
    assert np.isfinite(grads.buffer).all()
    with pytest.raises(TypeError, match=r"has no sample.*Objectives that fit: ContrastiveDivergence"):
        PersistentContrastiveDivergence().gradient(Bits(), np.eye(2), Generator(0))


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (np.zeros((0, 3)), ValueError, r"shape \(0, 3\)"),
        (np.zeros((2, 4)), ValueError, r"expected \(n, 3\)"),
        (np.zeros(3), ValueError, r"shape \(3,\)"),
        ([[0, 0, 1]], TypeError, "list.*check_data"),
        (asarray(np.zeros((2, 3)), "strict"), TypeError, "strict array.*numpy"),
    ],
)
def test_bad_batches(batch, error, message):
    with pytest.raises(error, match=message):
        ContrastiveDivergence().gradient(drawn("bernoulli"), batch, Generator(0))


def test_integer_batches_are_cast():
    model = drawn("bernoulli")
    v = rows(model, 3)
    a, _ = ContrastiveDivergence().gradient(model, v.astype("uint8"), Generator(0))
    b, _ = ContrastiveDivergence().gradient(model, v, Generator(0))
    np.testing.assert_array_equal(a.buffer, b.buffer)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ContrastiveDivergence(0), ValueError, "k must be an integer of at least 1, got 0"),
        (lambda: ContrastiveDivergence(1.5), TypeError, "k must be an integer, got 1.5"),
        (lambda: PersistentContrastiveDivergence(n_chains=-3), ValueError, "n_chains.*-3"),
        (lambda: TemperedPersistent(0), ValueError, "n_temperatures"),
        (lambda: FastPersistent(fast_learning_rate=-1.0), ValueError, "fast_learning_rate"),
        (lambda: PseudoLikelihood(0), ValueError, "n_units"),
        (lambda: ExactLikelihood(weight_decay=-0.1), ValueError, "weight_decay.*-0.1"),
        (lambda: ExactLikelihood(weight_decay=float("nan")), ValueError, "weight_decay.*nan"),
        (
            lambda: ExactLikelihood(weight_decay="a"),
            TypeError,
            "weight_decay must be a number, got 'a'",
        ),
        (lambda: ExactLikelihood(sparsity_cost=0.1), ValueError, "needs a sparsity_target"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_objectives_follow_a_change_of_model():
    """Another size, dtype or backend gets new buffers; chains alone must be reset."""
    objective = ContrastiveDivergence()
    for model in (drawn("bernoulli"), RBM(5, 4), drawn("bernoulli, wide"), RBM(5, 4, backend="strict")):
        v = asarray(np.zeros((2, model.n_visible)), model.backend, model.dtype)
        grads, _ = objective.gradient(model, v, Generator(0, model.backend))
        assert (grads.shapes, grads.dtype, grads.backend) == (model.params.shapes, model.dtype, model.backend)


def test_workspace_reuses_memory():
    space, like = Workspace(), np.zeros(1, dtype="float32")
    big = space.array("v", (4, 3), like)
    small = space.array("v", (2, 3), like)
    assert np.shares_memory(big, small)
    assert small.flags.c_contiguous
    assert small.dtype == np.float32
    assert not np.shares_memory(small, space.array("h", (2, 3), like))
    assert space.array("v", (5, 5), like).shape == (5, 5)


HOLD_TO_A_TARGET = {
    "ContrastiveDivergence",
    "DenoisingScoreMatching",
    "ExactLikelihood",
    "FastPersistent",
    "PersistentContrastiveDivergence",
    "PseudoLikelihood",
    "RatioMatching",
    "ScoreMatching",
    "TemperedPersistent",
}


def test_every_objective_says_its_arguments():
    """A network of several hidden layers, or of real codes, has no one mean to hold to a target."""
    for name in objectives.__all__:
        thing = getattr(objectives, name)
        if inspect.isclass(thing):
            parameters = inspect.signature(thing).parameters
            assert "weight_decay" in parameters
            targets = {"sparsity_target", "sparsity_cost"} & set(parameters)
            assert len(targets) in ((2,) if name in HOLD_TO_A_TARGET else (0, 2))
