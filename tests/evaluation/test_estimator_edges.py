"""Edges of the annealed estimators: defaults, settings and sources in full, blocks, dtypes, messages."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest

from minidgm import RBM, BoltzmannMachine
from minidgm.backend import Generator
from minidgm.boltzmann import bm
from minidgm.boltzmann.units import Spin
from minidgm.evaluation import ais, ais_between, annealing, base_rate, log_partition_exact, reverse_ais
from minidgm.evaluation.annealing import describe_base, log_mean_exp, path_from_base, sample_base
from minidgm.evaluation.collapsed import CollapsedPath
from minidgm.evaluation.fused import BernoulliPath
from minidgm.evaluation.path import HarmoniumPath
from minidgm.evaluation.schedule import base_biases, check_betas, published_betas
from tests.evaluation.models import machine, rbm

FIELD = "field of idle hidden units"


def wide(seed=0):
    """2^24 hidden states: too many to draw from."""
    return rbm(25, 24, seed=seed, scale=0.05)


class Counting:
    """An executor that notes the sizes of the blocks it is given."""

    def __init__(self):
        self.runs = []

    def map(self, function, jobs, rngs):
        self.runs.append([len(job[1][0] if isinstance(job[1], tuple) else job[1]) for job in jobs])
        return map(function, jobs, rngs)


# What an estimate says of itself


def test_defaults_are_a_hundred_chains_and_a_thousand_temperatures():
    a, b = rbm(2, 1), rbm(2, 1, seed=1)
    common = {"n_chains": 100, "n_temperatures": 1000, "block_size": 100}
    based = {**common, "base": FIELD, "sweeps": "block"}
    assert ais(a, rng=0).settings == based
    assert reverse_ais(a, rng=0).settings == {**based, "gibbs_steps": 0}
    assert ais_between(a, b, rng=0).settings == {**common, "gibbs_steps": 0}


@pytest.mark.parametrize(
    ("base", "name"), [("uniform", "uniform"), ("biases", "biases"), (np.zeros(2), "given biases")]
)
def test_settings_name_the_base(base, name):
    assert ais(rbm(2, 1), 3, 2, base=base, rng=0).settings["base"] == name
    assert reverse_ais(rbm(2, 1), 3, 2, base=base, rng=0).settings["base"] == name
    assert describe_base(None) == FIELD


def test_sources_in_words():
    small, other, init = rbm(3, 2), rbm(3, 1, seed=1), np.zeros((5, 3))
    assert ais(small, 5, 2, rng=0).how == "AIS; at most log Z in expectation"
    cases = [
        (reverse_ais(small, 5, 2, rng=0), "exact samples; at least log Z in expectation", 0),
        (
            reverse_ais(small, 5, 2, rng=0, gibbs_steps=2),
            "exact samples; at least log Z in expectation",
            2,
        ),
        (
            reverse_ais(small, 5, 2, rng=0, init=init),
            "the given samples; so too if these are samples of the model",
            0,
        ),
        (
            reverse_ais(wide(), 5, 2, rng=0, gibbs_steps=0),
            "the end of a forward run; so too if these are samples of the model",
            0,
        ),
    ]
    for estimate, source, steps in cases:
        assert estimate.how == f"reverse AIS from {source}"
        assert estimate.settings["gibbs_steps"] == steps
    between = [
        (ais_between(small, other, 5, 2, rng=0), "exact samples; at most log Z_B - log Z_A in expectation"),
        (ais_between(small, other, 5, 2, rng=0, init=init), "the given samples"),
        (
            ais_between(wide(), wide(1), 5, 2, rng=0, gibbs_steps=2),
            "the biases and 2 Gibbs sweeps",
        ),
    ]
    for estimate, source in between:
        assert estimate.how == f"AIS between models from {source}"


def test_chains_settle_for_a_thousand_sweeps_where_no_number_is_given(monkeypatch):
    assert annealing.GIBBS_STEPS == 1000
    monkeypatch.setattr(annealing, "GIBBS_STEPS", 3)
    assert reverse_ais(wide(), 2, 2, rng=0).settings["gibbs_steps"] == 3
    assert ais_between(wide(), wide(1), 2, 2, rng=0).settings["gibbs_steps"] == 3


@pytest.mark.parametrize("between", [False, True])
def test_value_error_and_size_belong_to_the_log_weights(between):
    model, other = rbm(5, 3, seed=2), rbm(5, 2, seed=3)
    estimate = ais_between(model, other, 64, 5, rng=3) if between else reverse_ais(model, 64, 5, rng=3)
    w = np.exp(estimate.log_weights)
    assert w.shape == (64,)
    assert w.dtype == np.float64
    constant = -math.log(2.0) if between else path_from_base(model, None)[1] + 3 * math.log(2.0)
    sign = 1.0 if between else -1.0
    assert estimate.value == pytest.approx(constant + sign * math.log(w.mean()), rel=1e-12)
    assert estimate.stderr == pytest.approx(w.std(ddof=1) / w.mean() / 8.0, rel=1e-12)
    assert estimate.ess == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-12)
    assert estimate.samples.shape == (64, 5)
    assert set(np.unique(estimate.samples)) == {0.0, 1.0}


def test_log_mean_exp_of_weights_that_overflow():
    value, stderr, ess = log_mean_exp(np.log([1.0, 3.0]) + 1000.0)
    assert value == pytest.approx(1000.0 + math.log(2.0), rel=1e-14)
    assert stderr == pytest.approx(math.sqrt(2.0) / math.sqrt(2.0) / 2.0, rel=1e-12)
    assert ess == pytest.approx(16.0 / 10.0, rel=1e-12)
    assert log_mean_exp(np.array([-7.0])) == (-7.0, None, 1.0)


# Blocks and workers


def test_blocks_of_chains_go_to_the_executor():
    model, other = rbm(3, 2), rbm(3, 1, seed=1)
    for run, n_runs in (
        (lambda e: ais(model, 7, 3, rng=0, executor=e, block_size=3), 1),
        (lambda e: reverse_ais(model, 7, 3, rng=0, executor=e, block_size=3), 1),
        (lambda e: ais_between(model, other, 7, 3, rng=0, executor=e, block_size=3), 1),
        (lambda e: reverse_ais(wide(), 7, 3, rng=0, executor=e, block_size=3, gibbs_steps=0), 2),
        (lambda e: ais(machine(3, 2), 7, 3, rng=0, executor=e, block_size=3), 1),
    ):
        executor = Counting()
        estimate = run(executor)
        assert executor.runs == [[3, 3, 1]] * n_runs
        assert estimate.settings["block_size"] == 3
        assert (estimate.log_weights == run(None).log_weights).all()


def test_blocks_hold_a_hundred_chains_by_default():
    executor = Counting()
    ais(rbm(2, 1), 201, 2, rng=0, executor=executor)
    reverse_ais(rbm(2, 1), 201, 2, rng=0, executor=executor)
    ais_between(rbm(2, 1), rbm(2, 2), 201, 2, rng=0, executor=executor)
    assert executor.runs == [[100, 100, 1]] * 3


@pytest.mark.parametrize("kind", ["rbm", "machine"])
def test_sources_of_chains_leave_the_given_generator_where_draws_end(kind):
    """Base or samples first, then one child a block: replayed by hand."""
    model = rbm(4, 3) if kind == "rbm" else machine(4, 3)
    path, log_z = path_from_base(model, None)
    rng = Generator(5)
    start, betas = sample_base(path, 6, rng), [0.0, 0.5, 1.0]
    (child,) = rng.spawn(1)
    log_w, state = path.anneal(start, betas, child)
    estimate = ais(model, 6, betas=betas, rng=5)
    assert (estimate.log_weights == log_w).all()
    assert (estimate.samples == path.visible(state)).all()
    assert estimate.value == pytest.approx(
        log_z + float(path.log_constants()) + log_mean_exp(log_w)[0], rel=1e-14
    )


def test_chains_between_models_start_at_the_first_one_s_biases(monkeypatch):
    """Replayed by hand, with and without settling sweeps, for both families."""
    pairs = [(wide(), wide(1)), (machine(4, 3), machine(4, 3, seed=1))]
    monkeypatch.setattr(bm, "MAX_HIDDEN_BITS", 1)
    for (a, b), steps in itertools.product(pairs, (0, 2)):
        rng, path, betas = Generator(6), annealing.path_between(a, b), [0.0, 0.5, 1.0]
        start = path.join(a.sample(8, rng, steps=0), 0.0, rng)
        (child,) = rng.spawn(1)
        log_w, state = path.anneal(start, [0.0] * steps + betas, child)
        found = ais_between(a, b, 8, betas=betas, rng=6, gibbs_steps=steps)
        assert (found.log_weights == log_w).all()
        assert (found.samples == path.visible(state)).all()


def test_given_samples_are_completed_at_their_end_of_the_path():
    """Replayed by hand: hidden states of a machine are drawn given the samples, from the run's generator."""
    a, b = machine(3, 2), machine(3, 2, seed=1)
    init, betas = a.visible.states(3), [0.0, 0.5, 1.0]
    for path, at, run in (
        (path_from_base(a, None)[0], 1.0, lambda: reverse_ais(a, 8, betas=betas, rng=6, init=init)),
        (annealing.path_between(a, b), 0.0, lambda: ais_between(a, b, 8, betas=betas, rng=6, init=init)),
    ):
        rng = Generator(6)
        start = init, a.hidden_given_visible(init).sample(rng)
        (child,) = rng.spawn(1)
        log_w, _ = path.anneal(start, betas[::-1] if at else betas, child)
        assert (run().log_weights == log_w).all()


def test_few_hidden_units_are_collapsed_unless_told_otherwise():
    class Same(RBM):
        def hidden_field(self, v):
            return super().hidden_field(v)

    outnumbered, even = RBM(20, 2), RBM(3, 2)
    for model, sweeps, kind in (
        (outnumbered, None, CollapsedPath),
        (outnumbered, "block", BernoulliPath),
        (even, None, BernoulliPath),
        (even, "collapsed", CollapsedPath),
        (Same(20, 2), None, HarmoniumPath),
        (Same(20, 2), "collapsed", CollapsedPath),
    ):
        assert type(path_from_base(model, None, sweeps)[0]) is kind


def test_a_base_has_no_hidden_parameters():
    base = path_from_base(rbm(3, 2, hidden="gaussian"), None)[0].a
    assert {name: base.params[name].shape for name in ("W", "c", "hidden_log_precision")} == {
        "W": (3, 0),
        "c": (0,),
        "hidden_log_precision": (0,),
    }


def test_a_path_may_draw_its_base_itself():
    assert sample_base(SimpleNamespace(sample_base=lambda n, rng: (n, rng)), 3, "rng") == (3, "rng")


def test_sweeps_are_passed_on():
    model = rbm(3, 2)
    for run in (ais, reverse_ais):
        for sweeps in ("block", "collapsed"):
            assert run(model, 5, 3, rng=0, sweeps=sweeps).settings["sweeps"] == sweeps


@pytest.mark.parametrize("hidden", ["bernoulli", "spin"])
def test_every_draw_of_a_float32_model_is_float32(hidden):
    class Noting(Generator):
        dtypes = set()

        def bernoulli_from_logits(self, x, bias=None, out=None, mean=None):
            self.dtypes.update(str(a.dtype) for a in (x, bias, out) if a is not None)
            return super().bernoulli_from_logits(x, bias, out, mean)

    path, _ = path_from_base(rbm(4, 3, hidden=hidden, dtype="float32"), None)
    rng = Noting(0)
    path.anneal(sample_base(path, 6, rng), [0.0, 0.5, 1.0], rng)
    assert rng.dtypes == {"float32"}


# Bases


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_base_of_a_float32_model_is_summed_in_float64(visible):
    model = rbm(200, 2, visible, dtype="float32", seed=1, scale=2.0)
    _, log_z = path_from_base(model, "biases")
    b = model.params["b"].astype("float64")
    if visible == "bernoulli":
        exact = np.logaddexp(0.0, b).sum()
    else:
        log_precision = model.params["visible_log_precision"].astype("float64")
        exact = (0.5 * b**2 * np.exp(-log_precision) + 0.5 * (np.log(2 * np.pi) - log_precision)).sum()
    assert isinstance(log_z, float)
    assert log_z == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("kind", ["rbm", "machine"])
def test_chains_of_float32_models_are_float32_and_weights_float64(kind):
    model = rbm(4, 3, "bernoulli", "spin", dtype="float32") if kind == "rbm" else None
    if model is None:
        model = machine(4, 3).to(dtype="float32")
    path, _ = path_from_base(model, None)
    start = sample_base(path, 6, Generator(0))
    log_w, state = path.anneal(start, [0.0, 0.5, 1.0], Generator(1))
    assert path.visible(start).dtype == path.visible(state).dtype == np.float32
    assert path.log_increment(start, 0.0, 0.5).dtype == log_w.dtype == np.float64
    if kind == "machine":
        assert start[1].dtype == state[1].dtype == np.float32


def test_increments_of_float32_models_sum_in_float64():
    """3,000 terms of order one: a float32 sum would be off by some 1e-4."""
    model = rbm(2, 3000, hidden="spin", dtype="float32", seed=1)
    path, v = path_from_base(model, "biases")[0], np.zeros((1, 2), dtype="float32")
    terms = model.hidden.cgf(model.hidden_field(v)) - model.hidden.cgf(0.0 * model.hidden_field(v))
    assert terms.dtype == np.float32
    expected = terms.astype("float64").sum()
    assert float(path.log_increment(v, 0.0, 1.0)[0]) == pytest.approx(expected, rel=1e-13)


def test_machine_with_a_posterior_that_is_not_listed(monkeypatch):
    """Chains start at a sweep from h = 0, which is exact where nothing is coupled."""
    model, other = machine(3, 2, seed=4), machine(3, 2, seed=5)
    exact = log_partition_exact(model).value
    difference = log_partition_exact(other).value - exact
    monkeypatch.setattr(bm, "MAX_HIDDEN_BITS", 1)
    path, _ = path_from_base(model, None)
    v = np.zeros((4000, 3))
    joined = path.join(v, 0.0, Generator(0))
    swept = path.at(0.0).gibbs_step(v, np.zeros((4000, 2)), Generator(0))
    for found, expected in zip(joined, swept, strict=True):
        assert (found == expected).all()
    assert abs(joined[1].mean(axis=0) - 0.5).max() < 6 * 0.5 / 4000**0.5
    single = path_from_base(model.to(dtype="float32"), None)[0]
    assert single.join(np.zeros((2, 3), dtype="float32"), 0.0, Generator(0))[1].dtype == np.float32
    assert abs(ais(model, 500, 20, rng=0).value - exact) < 0.2
    assert abs(ais_between(model, other, 500, 20, rng=0, gibbs_steps=50).value - difference) < 0.3


def test_base_in_full(backend):
    model = rbm(3, 2, backend=backend, dtype="float32")
    for given in ([1, 2, 3], (1, 2, 3), model.xp.asarray([1.0, 2.0, 3.0])):
        base = base_biases(model, given)
        assert base.dtype == np.float32
        assert base.tolist() == [1.0, 2.0, 3.0]


class Own:
    """A model that brings its own path, base rate and nothing else."""

    def path_from_base(self, base):
        return "path", base

    def path_to(self, other):
        return "road", other


def test_models_with_paths_of_their_own():
    assert path_from_base(Own(), 3.0) == ("path", 3.0)
    assert annealing.path_between(Own(), "b") == ("road", "b")


def test_base_rates_of_a_model_s_own_and_of_rows_of_several_types():
    rate = base_rate(SimpleNamespace(base_rate=lambda v: ("rate", v)), 3.0)
    assert rate == ("rate", 3.0)
    model, v = rbm(2, 2), np.array([[1.0, 0.0], [0.0, 0.0]])
    model.row_unit = Spin()
    assert np.allclose(base_rate(model, v), Spin().logit(np.array([0.5, 0.0])), atol=1e-12)


@pytest.mark.parametrize("n", [290_000, 14_500, 2_900, 30])
def test_published_temperatures_keep_their_proportions(n):
    betas = np.array(published_betas(n))
    low, middle = (betas < 0.5).sum(), ((betas >= 0.5) & (betas < 0.9)).sum()
    assert (low, middle, len(betas)) == (round(n * 5 / 145), round(n * 40 / 145), n)


# Messages


def test_messages_name_the_argument_in_every_function():
    model = rbm(3, 2)
    for run in (ais, reverse_ais, lambda m, *a, **k: ais_between(m, m, *a, **k)):
        for arguments, message in (
            ({"n_chains": 0}, r"^n_chains must be an integer of at least 1, got 0"),
            ({"n_temperatures": 1}, r"^n_temperatures must be an integer of at least 2, got 1"),
            ({"block_size": 0, "n_temperatures": 2}, r"^block_size must be an integer of at least 1, got 0"),
            ({"betas": [0.0, 0.5]}, r"^betas hold 0 to 0.5; expected at least two, from exactly 0"),
        ):
            with pytest.raises(ValueError, match=message):
                run(model, **{"n_chains": 5, "rng": 0, **arguments})
    for run in (reverse_ais, lambda m, *a, **k: ais_between(m, m, *a, **k)):
        with pytest.raises(ValueError, match=r"^gibbs_steps must be an integer of at least 0, got -1"):
            run(model, 5, 2, gibbs_steps=-1)
        with pytest.raises(ValueError, match=r"^init has 4 rows; expected one for each of n_chains=5"):
            run(model, 5, 2, init=np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"^sweeps='blok'; expected 'block', 'collapsed', or None"):
        ais(model, sweeps="blok")


def test_messages_of_temperatures():
    for betas, message in (
        ([], "betas hold nothing; expected at least two"),
        ([0.0], "betas hold 0 to 0; expected"),
        ([0.25, 1.0], "betas hold 0.25 to 1; expected"),
        ([0.0, 0.75, 0.5, 1.0], r"betas\[1\]=0.75 and betas\[2\]=0.5 do not increase strictly"),
        ([0.0, 0.5, 0.5, 1.0], r"betas\[1\]=0.5 and betas\[2\]=0.5 do not increase strictly"),
    ):
        with pytest.raises(ValueError, match=rf"^{message}"):
            check_betas(betas, 7)
    assert check_betas([0, 1], 7) == [0.0, 1.0]
    assert len(published_betas()) == 14500


def test_messages_of_bases():
    model = rbm(3, 2)
    for base, error, message in (
        ("unifrom", ValueError, r"base='unifrom'; expected 'biases', 'uniform', an array \[n_visible\], or"),
        (1.0, TypeError, r"base is a float; expected 'uniform' or biases \[3\]"),
        (np.zeros((1, 3)), ValueError, r"base has shape \(1, 3\); expected biases \[3\]"),
        ([0.0, np.nan, 0.0], ValueError, r"base holds NaN or infinity; base_rate\(model, data\) gives"),
    ):
        with pytest.raises(error, match=rf"^{message}"):
            base_biases(model, base)


def test_collapsed_sweeps_are_refused_where_hidden_units_have_more_values():
    with pytest.raises(ValueError, match=r"hidden units of two values, these are gaussian; use 'block'"):
        path_from_base(rbm(3, 2, hidden="gaussian"), None, "collapsed")
    assert type(path_from_base(rbm(3, 2, hidden="spin"), None, "block")[0]) is HarmoniumPath


def test_a_machine_without_hidden_units_has_no_idle_ones():
    model = BoltzmannMachine(3, dtype="float64")
    path, log_z = path_from_base(model, None)
    assert log_z == pytest.approx(3 * math.log(2.0), rel=1e-14)
    assert path.log_constants() == 0.0
