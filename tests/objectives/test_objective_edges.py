"""Edges of the objectives: defaults, messages in full, what the model is handed, paths, blocks, seeds."""

from types import SimpleNamespace

import numpy as np
import pytest

from minidgm import RBM, BoltzmannMachine, Generator
from minidgm.backend import get_backend
from minidgm.boltzmann import bm
from minidgm.boltzmann.units import Bernoulli, Gaussian
from minidgm.checks.strict import count_host_reads
from minidgm.objectives import (
    ContrastiveDivergence,
    DenoisingScoreMatching,
    ExactLikelihood,
    FastPersistent,
    Objective,
    PersistentContrastiveDivergence,
    PseudoLikelihood,
    RatioMatching,
    ScoreMatching,
    TemperedPersistent,
    alternatives,
    exact_likelihood,
    two_phase,
)
from minidgm.objectives.base import Workspace
from minidgm.parameters import Parameters
from tests.objectives.helpers import drawn, plain_only, rows

PENALTIES = {"weight_decay": 0.0, "sparsity_target": None, "sparsity_cost": 0.0}
DEFAULTS = {
    ExactLikelihood: {},
    ContrastiveDivergence: {"k": 1},
    PersistentContrastiveDivergence: {"k": 1, "n_chains": 100},
    TemperedPersistent: {"n_temperatures": 10, "k": 1, "n_chains": 100},
    FastPersistent: {"k": 1, "n_chains": 100, "fast_learning_rate": 0.01, "decay": 0.95},
    PseudoLikelihood: {"n_units": None},
    RatioMatching: {"n_units": None},
    ScoreMatching: {},
    DenoisingScoreMatching: {"sigma": 0.1},
}


# Arguments


@pytest.mark.parametrize("cls", DEFAULTS)
def test_defaults_are_those_of_the_documentation(cls):
    assert cls().config() == {**DEFAULTS[cls], **PENALTIES}


def test_the_base_has_no_penalty_by_default():
    assert Objective().config() == PENALTIES


@pytest.mark.parametrize("cls", [Objective, *DEFAULTS])
def test_penalties_reach_the_base(cls):
    given = {"weight_decay": 0.5, "sparsity_target": 0.2, "sparsity_cost": 0.25}
    assert {name: getattr(cls(**given), name) for name in given} == given


@pytest.mark.parametrize(
    ("cls", "name"),
    [(cls, name) for cls, defaults in DEFAULTS.items() for name in [*defaults, "weight_decay"]],
)
def test_messages_name_the_argument(cls, name):
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got -3"):
        cls(**{name: -3})


def test_messages_about_penalties():
    with pytest.raises(ValueError, match=r"^sparsity_cost must be in \[0, inf\), got -1"):
        ExactLikelihood(sparsity_cost=-1)
    with pytest.raises(ValueError, match=r"^sparsity_cost=0.5 needs a sparsity_target, e.g. 0.1$"):
        ExactLikelihood(sparsity_cost=0.5)
    assert ExactLikelihood(sparsity_target=0.1).sparsity_cost == 0.0


def test_ends_of_the_ranges():
    assert FastPersistent(decay=0.0).decay == 0.0
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\), got 1.0: at 1 the fast weights never"):
        FastPersistent(decay=1.0)
    with pytest.raises(ValueError, match="sigma must be above 0: without noise there is no score"):
        DenoisingScoreMatching(0.0)


def test_repr_is_the_call():
    text = "ContrastiveDivergence(k=2, weight_decay=0.5, sparsity_target=None, sparsity_cost=0.0)"
    assert repr(ContrastiveDivergence(2, weight_decay=0.5)) == text


# Models that do not fit


class Bare:
    """A model with parameters and the methods it is given."""

    n_visible, backend = 2, "numpy"

    def __init__(self, *names):
        self.params = Parameters({"b": (2,)}, backend="numpy", dtype="float64")
        for name in names:
            setattr(self, name, lambda *a, **k: None)


def endless():
    model = Bare("free_energy", "free_energy_gradient", "log_partition")
    model.visible = Gaussian()
    return model


def joined():
    """An RBM whose rows are said to join units of several types."""
    model = drawn("bernoulli")
    model.row_unit = model.visible
    return model


SCORES = ("score", "score_vjp", "score_divergence", "score_divergence_gradient")


@pytest.mark.parametrize(
    ("cls", "model", "message"),
    [
        (
            ContrastiveDivergence,
            Bare(),
            "ContrastiveDivergence cannot train this Bare: it has no energy_gradient, free_energy_gradient, "
            "gibbs_step, hidden_given_visible. Objectives that fit: none of minidgm.objectives.",
        ),
        (
            ExactLikelihood,
            Bare("free_energy", "score", "score_vjp"),
            "ExactLikelihood cannot train this Bare: it has no free_energy_gradient, log_partition. ",
        ),
        (
            ExactLikelihood,
            Bare("free_energy", "free_energy_gradient", "log_partition", *SCORES),
            "ExactLikelihood cannot train this Bare: its visible states cannot be listed (no `visible` "
            "unit). Objectives that fit: ScoreMatching, DenoisingScoreMatching.",
        ),
        (
            ExactLikelihood,
            endless(),
            "ExactLikelihood cannot train this Bare: neither side's states can be listed. ",
        ),
        (
            PseudoLikelihood,
            Bare("free_energy"),
            "PseudoLikelihood cannot train this Bare: it has no free_energy_gradient, visible. ",
        ),
        (
            PseudoLikelihood,
            drawn("gaussian"),
            "PseudoLikelihood cannot train this RBM: its gaussian visible units take infinitely many "
            "values. ",
        ),
        (
            PseudoLikelihood,
            joined(),
            "PseudoLikelihood cannot train this RBM: its rows hold units of several types. ",
        ),
        (
            RatioMatching,
            Bare("free_energy"),
            "RatioMatching cannot train this Bare: it has no free_energy_gradient, visible. ",
        ),
        (
            RatioMatching,
            drawn("softmax"),
            "RatioMatching cannot train this RBM: ratio matching flips bits and its visible units are "
            "softmax(2). ",
        ),
        (
            ScoreMatching,
            Bare("score"),
            "ScoreMatching cannot train this Bare: it has no score_vjp, score_divergence, "
            "score_divergence_gradient. ",
        ),
        (
            ScoreMatching,
            drawn("bernoulli"),
            "ScoreMatching cannot train this RBM: its bernoulli visible units have no score; it needs "
            "visible='gaussian'. ",
        ),
        (
            ScoreMatching,
            drawn("gaussian-softmax"),
            "ScoreMatching cannot train this RBM: its softmax(2) hidden units are coupled within a group; "
            "denoising score matching fits. ",
        ),
        (
            DenoisingScoreMatching,
            drawn("bernoulli"),
            "DenoisingScoreMatching cannot train this RBM: its bernoulli visible units have no score; it "
            "needs visible='gaussian'. ",
        ),
    ],
    ids=lambda x: getattr(x, "__name__", None) if isinstance(x, type) else "",
)
def test_refusal_says_why_and_what_fits(cls, model, message):
    with pytest.raises(TypeError) as caught:
        cls().gradient(model, np.zeros((1, model.n_visible)), Generator(0))
    assert str(caught.value).startswith(message)


def test_a_score_is_all_that_score_matching_needs():
    """No unit is asked for: a model of its own kind with the four methods fits."""
    assert ScoreMatching.obstacle(Bare(*SCORES)) is None
    assert DenoisingScoreMatching.obstacle(Bare("score", "score_vjp")) is None


def test_models_of_sequences_need_objectives_of_conditionals():
    class Knows(Objective):
        of_conditionals = True

    frames = SimpleNamespace(takes_sequences=True)
    assert Objective.obstacle(frames) == "its partition function depends on the past of each frame"
    assert Knows.obstacle(frames) is None
    assert Objective.obstacle(SimpleNamespace(takes_sequences=False)) is None
    assert Objective.obstacle(SimpleNamespace()) is None
    assert ScoreMatching.obstacle(frames) == f"it has no {', '.join(SCORES)}"


# What the model gets

METHODS = (
    *("energy", "energy_gradient", "free_energy", "free_energy_gradient", "mean_field", "gibbs_step"),
    *("hidden_field", "hidden_given_visible", "hidden_free_energy", "hidden_free_energy_gradient"),
    *SCORES,
)


@pytest.mark.parametrize(
    ("cls", "kind"),
    [
        (cls, kind)
        for kind in ("bernoulli", "bernoulli, wide", "machine", "gaussian", "bernoulli-gaussian")
        for cls in DEFAULTS
        if cls.obstacle(drawn(kind)) is None
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_everything_handed_to_the_model_has_its_dtype(cls, kind, plain, monkeypatch):
    """float64 in a float32 model would double the work of a device without a visible difference."""
    model, seen = drawn(kind, seed=1, dtype="float32"), set()
    double = drawn(kind, seed=1)
    if plain:
        plain_only(monkeypatch)
    for name in METHODS:
        if hasattr(type(model), name):
            whole = getattr(type(model), name)

            def spy(self, *args, whole=whole, name=name, **kwargs):
                # The partition function is summed in float64 by design, on a float64 twin.
                if self.params["b"].dtype == np.float32:
                    for x in [*args, *kwargs.values()]:
                        if get_backend(x):
                            seen.add((name, str(x.dtype)))
                return whole(self, *args, **kwargs)

            monkeypatch.setattr(type(model), name, spy)
    grads, _ = cls(**({"n_chains": 3} if "n_chains" in DEFAULTS[cls] else {})).gradient(
        model, rows(double, 4).astype("float32"), Generator(0)
    )
    assert {dtype for _, dtype in seen} <= {"float32"}, seen
    assert seen
    assert grads.dtype == "float32"


def test_the_fit_of_a_model_is_looked_at_once(monkeypatch):
    calls, model = [], drawn("bernoulli")
    monkeypatch.setattr(ContrastiveDivergence, "obstacle", classmethod(lambda cls, m: calls.append(m)))
    objective, other = ContrastiveDivergence(), drawn("bernoulli")
    for trained in (model, model, other):
        objective.gradient(trained, rows(model, 2), Generator(0))
    assert calls == [model, other]


def test_rows_are_as_wide_as_the_model_says():
    class Labelled(RBM):
        n_columns = 5

    with pytest.raises(ValueError, match=r"batch has shape \(2, 3\), expected \(n, 5\) with n at least 1"):
        ContrastiveDivergence().gradient(Labelled(3, 2), np.zeros((2, 3), dtype="float32"), Generator(0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "bool"])
def test_an_estimate_gets_the_batch_itself_or_a_cast(dtype):
    class Seen(Objective):
        def estimate(self, model, batch, rng, grads):
            self.batch = batch
            return {}

    objective, v = Seen(), np.eye(3, dtype=dtype)
    objective.gradient(drawn("bernoulli", dtype="float32"), v, None)
    assert objective.batch.dtype == np.float32
    assert (objective.batch is v) == (dtype == "float32")
    assert (objective.batch == v).all()


def test_chains_are_as_wide_as_rows():
    objective = PersistentContrastiveDivergence(n_chains=4)
    model = SimpleNamespace(n_visible=3, n_hidden=2)
    assert not objective._started(model, (4,))
    objective.set_state({"v": np.ones((4, 3)), "h": np.ones((4, 2))})
    assert objective._started(model, (4,))
    model.n_columns = 5
    with pytest.raises(ValueError, match=r"\(4, 3\) and \(4, 2\), .* need \(4, 5\) and \(4, 2\): call reset"):
        objective._started(model, (4,))


def test_mean_gap_counts_units_not_biases():
    assert two_phase.mean_gap({"b": np.array([2.0, -4.0])}) == 3.0
    assert two_phase.mean_gap({"b0": np.array([2.0, -4.0])}) == 3.0
    assert two_phase.mean_gap({"b": np.array([2.0, -4.0])}, SimpleNamespace(n_visible=6)) == 1.0


def test_a_state_takes_the_dtype_of_the_model():
    model = drawn("bernoulli", dtype="float32")
    objective = PersistentContrastiveDivergence(n_chains=4)
    objective.set_state({"v": np.ones((4, 3)), "h": np.ones((4, 2))})
    objective.gradient(model, rows(model, 2), Generator(0))
    assert {str(x.dtype) for x in objective.state.values()} == {"float32"}


def test_a_workspace_asked_again_gives_the_same_memory():
    space, like = Workspace(), np.zeros(1)
    assert np.shares_memory(space.array("v", (4, 3), like), space.array("v", (3, 4), like))


def test_metrics_of_fast_chains():
    grads, metrics = FastPersistent(n_chains=3).gradient(model := drawn("spin"), rows(model, 2), Generator(0))
    assert metrics == {"mean_gap": pytest.approx(abs(grads["b"]).mean())}


@pytest.mark.parametrize("cls", [PersistentContrastiveDivergence, FastPersistent])
def test_mean_field_stops_after_ten_sweeps_converged_or_not(cls, monkeypatch):
    """Two hidden units at the critical coupling, where the means close in on 1/2 slower than any power."""
    monkeypatch.setattr(bm, "MAX_HIDDEN_BITS", 1)
    model = BoltzmannMachine(2, 2, dtype="float64")
    model.params.buffer[...] = 0.0
    model.params["S"][0, 1], model.params["c"][...], model.params["W"][...] = 4.0, -2.0, 0.5
    v = np.array([[0.0, 0.0], [1.0, 0.0]])
    ten = model.mean_field(v, None, 10)
    assert ten.change.max() > 1e-3
    objective = cls(n_chains=3)
    grads, _ = objective.gradient(model, v, Generator(0))
    chains = objective.state
    expected = model.energy_gradient(v, ten.mean, np.full(2, 0.5)).buffer.copy()
    expected -= model.energy_gradient(chains["v"], chains["h"], np.full(3, 1 / 3)).buffer
    np.testing.assert_allclose(grads.buffer, expected, atol=1e-13)


@pytest.mark.parametrize("cls", [PersistentContrastiveDivergence, FastPersistent])
def test_mean_field_never_waits_for_the_device(cls):
    model, objective = BoltzmannMachine(2, 13, backend="strict"), cls(n_chains=3)
    with count_host_reads() as reads:
        objective.gradient(model, model.xp.zeros((2, 2), dtype="float32"), Generator(0, "strict"))
    assert reads.count == 0


class Filled(RBM):
    """Fills arrays by itself and changes a map, so that the RBM's own products do not speak for it."""

    def hidden_field(self, v):
        return v @ self.params["W"] + self.params["c"]

    def fill_hidden(self, v, rng=None, draw=None, mean=None):
        self.hidden.fill(v @ self.params["W"], self.params["c"], rng, draw, mean)

    def fill_visible(self, h, rng=None, draw=None, mean=None):
        self.visible.fill(h @ self.params["W"].T, self.params["b"], rng, draw, mean)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("make", [ContrastiveDivergence, lambda k: PersistentContrastiveDivergence(k, 5)])
def test_models_that_fill_arrays_themselves_are_trained_through_their_fills(make, k):
    models = [cls(4, 3, dtype="float64") for cls in (Filled, RBM)]
    results = []
    for model in models:
        model.params.buffer[...] = np.random.default_rng(1).normal(size=model.params.size)
        objective, rng = make(k), Generator(2)
        for n in (3, 5):
            grads, metrics = objective.gradient(model, np.eye(4)[:n], rng)
        results.append((grads.buffer, metrics, objective.state))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12, atol=1e-14)
    assert results[0][1] == pytest.approx(results[1][1])
    for name, value in results[1][2].items():
        np.testing.assert_array_equal(results[0][2][name], value)


@pytest.mark.parametrize("cls", [ContrastiveDivergence, PersistentContrastiveDivergence])
def test_centring_takes_the_hidden_means_that_the_estimate_left(cls, monkeypatch):
    model = drawn("bernoulli", seed=2)
    model.centered = True
    objective = cls()
    objective.gradient(model, rows(model, 3), Generator(0))  # starts the chains

    def refuse(self, v):
        raise AssertionError("the means of the batch are known")

    monkeypatch.setattr(RBM, "hidden_given_visible", refuse)
    objective.gradient(model, rows(model, 3), Generator(0))


def test_sparsity_of_a_dead_unit_is_finite():
    """A unit with E[h] = 0 exactly: its variance is 0 and so is its part of the gradient."""
    model = drawn("bernoulli", seed=2)
    model.params["c"][0] = -1e4
    v = rows(model, 3)
    plain, _ = ExactLikelihood().gradient(model, v, None)
    sparse, _ = ExactLikelihood(sparsity_target=0.1, sparsity_cost=1.0).gradient(model, v, None)
    assert sparse["c"][0] == plain["c"][0]
    assert sparse["c"][1] != plain["c"][1]


def test_a_model_s_own_sparsity_moves_its_hidden_biases():
    class Shared(RBM):
        def sparsity_gradient(self, rows, target):
            return target * len(rows) * np.array([1.0, 0.5])

    model = Shared(3, 2, dtype="float64", seed=0)
    v = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    plain, _ = ExactLikelihood().gradient(model, v, None)
    sparse, _ = ExactLikelihood(sparsity_target=0.25, sparsity_cost=8.0).gradient(model, v, None)
    np.testing.assert_allclose(sparse["c"] - plain["c"], [4.0, 2.0], rtol=1e-13)


def test_exact_likelihood_lists_rows_where_they_are_the_smaller_side():
    """Rows of two columns and of a unit of their own; without them the visible units."""
    unit = Bernoulli()
    model = SimpleNamespace(visible="of three", n_visible=3, free_energy=1, free_energy_gradient=2)
    assert exact_likelihood._smaller_side(model) == ("of three", 3, 1, 2)
    model.row_unit, model.n_columns = unit, 2
    assert exact_likelihood._smaller_side(model) == (unit, 2, 1, 2)
    model.hidden, model.n_hidden = unit, 2
    model.hidden_free_energy, model.hidden_free_energy_gradient = 3, 4
    assert exact_likelihood._smaller_side(model) == (unit, 2, 3, 4)
    model.n_hidden = 3
    assert exact_likelihood._smaller_side(model) == (unit, 2, 1, 2)


def test_swap_rate_of_two_temperatures():
    model = drawn("bernoulli", seed=2)
    assert "swap_rate" in TemperedPersistent(2, n_chains=3).gradient(model, rows(model, 2), Generator(0))[1]


# Alternatives


@pytest.mark.parametrize("kind", ["bernoulli", "spin"])
def test_binary_rbms_take_the_rank_one_path(kind, monkeypatch):
    monkeypatch.setattr(alternatives, "plain", None)
    model = drawn(kind)
    PseudoLikelihood().gradient(model, rows(model, 2), None)


@pytest.mark.parametrize("units", [[0, 2], [1, 2], [2], [0, 3], [1, 3], [0, 1, 3], [0, 1, 2, 3]])
@pytest.mark.parametrize("block", [1, 2**20])
def test_rank_one_of_any_units_equals_plain(units, block, monkeypatch):
    model = RBM(4, 3, dtype="float64")
    model.params.buffer[...] = np.random.default_rng(1).normal(size=model.params.size)
    v, rule = rows(model, 5), PseudoLikelihood().rule
    monkeypatch.setattr(alternatives, "HOST_BLOCK", block)
    fast, slow = model.params.like(), model.params.like()
    losses = [
        alternatives.rank_one(model, v, units, rule, 0.3, fast),
        alternatives.plain(model, v, units, rule, 0.3, slow),
    ]
    np.testing.assert_allclose(fast.buffer, slow.buffer, rtol=1e-11, atol=1e-13)
    assert losses[0] == pytest.approx(losses[1], rel=1e-13)


@pytest.mark.parametrize(("room", "blocks"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7])])
def test_blocks_of_units_fit_the_room_they_have(room, blocks, backend, monkeypatch):
    model = RBM(7, 2, backend=backend)
    n = 5
    here, there = ("HOST_BLOCK", "DEVICE_BLOCK") if backend == "numpy" else ("DEVICE_BLOCK", "HOST_BLOCK")
    monkeypatch.setattr(alternatives, here, room * n * 2 * 4)  # rows, hidden units, bytes of a float32
    monkeypatch.setattr(alternatives, there, 2 * n * 2 * 4)
    seen, whole = [], Bernoulli.cgf

    def spy(self, a, **own):
        seen.append(a.shape)
        return whole(self, a, **own)

    monkeypatch.setattr(Bernoulli, "cgf", spy)
    PseudoLikelihood().gradient(model, model.xp.zeros((n, 7), dtype="float32"), None)
    assert seen[1:] == [(size, n, 2) for size in blocks]


def test_a_block_has_one_unit_where_there_is_no_room_for_any(monkeypatch):
    monkeypatch.setattr(alternatives, "HOST_BLOCK", 1)
    seen, whole = [], Bernoulli.cgf
    monkeypatch.setattr(Bernoulli, "cgf", lambda self, a: seen.append(a.shape) or whole(self, a))
    PseudoLikelihood().gradient(RBM(3, 2), np.zeros((4, 3), dtype="float32"), None)
    assert seen[1:] == [(1, 4, 2)] * 3


def test_orders_of_units_have_seeds_of_their_own():
    """From any generator; 30 seeds below 2^40 of 2^62 would be an accident of probability 2^-660."""
    model = drawn("bernoulli")
    seeds = set()
    for seed in [*range(29), [1, 2]]:
        objective = PseudoLikelihood(n_units=1)
        objective.gradient(model, rows(model, 2), Generator(seed))
        seeds.add(objective.state["order_seed"])
    assert len(seeds) == 30
    assert max(seeds) > 2**40
    assert min(seeds) >= 0


def test_n_units_may_be_all_but_no_more():
    model = drawn("softmax")  # two units of two columns
    full = PseudoLikelihood().gradient(model, rows(model, 3), None)[0].buffer.copy()
    same = PseudoLikelihood(n_units=2).gradient(model, rows(model, 3), Generator(0))[0].buffer
    np.testing.assert_allclose(same, full, atol=1e-13)
    with pytest.raises(ValueError, match=r"^n_units=3; this model has 2 visible units"):
        PseudoLikelihood(n_units=3).gradient(model, rows(model, 3), Generator(0))
