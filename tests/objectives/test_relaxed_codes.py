"""Estimators through the slopes of codes: purity, devices, the toy's closed forms, errors, mutants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import RBM, Generator, SigmoidBeliefNet, check_model
from minidgm.backend import asarray, get_backend, to_numpy
from minidgm.checks.catalogue.relaxation import Lattice
from minidgm.checks.exhaustive import Replay
from minidgm.checks.strict import count_host_reads
from minidgm.evaluation import BernoulliToy, gradient_moments
from minidgm.objectives import GumbelSoftmax, Rebar, StraightThrough, fitting
from minidgm.objectives.relaxations import BitNoise, GroupNoise

MAKERS = {
    "straight-through": lambda: StraightThrough(2),
    "identity": lambda: StraightThrough(1, "identity"),
    "Gumbel-softmax": lambda: GumbelSoftmax(0.7, 2, decay=0.1),
    "hard": lambda: GumbelSoftmax(0.7, 2, hard=True),
    "REBAR": lambda: Rebar(0.7, 2, weight_decay=0.1),
}


def net(backend="numpy", dtype="float32", scale=0.7):
    made = SigmoidBeliefNet([4, 3], backend=backend, dtype=dtype, seed=0)
    values = scale * np.random.default_rng(0).normal(size=made.params.size)
    made.params.buffer[...] = asarray(values, backend, dtype)
    return made


def rows(n, backend="numpy", dtype="float32"):
    return asarray(1.0 * (np.random.default_rng(0).random((n, 4)) < 0.5), backend, dtype)


def toy(theta, target):
    made = BernoulliToy(target, dtype="float64")
    made.params["theta"][...] = theta
    return made


@pytest.mark.parametrize("name", MAKERS)
def test_pure_repeatable_and_without_waiting(name, backend):
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
    assert np.isfinite(results[0]).all()
    assert (str(grads.dtype), get_backend(metrics["loss"]), metrics["loss"].shape) == ("float32", backend, ())
    if backend == "strict":
        with count_host_reads() as reads:
            objective.gradient(model, x, Generator(3, backend))
        assert reads.count == 0


@pytest.mark.parametrize("name", MAKERS)
def test_precisions_and_backends_agree(name):
    found = []
    for where, dtype in (("numpy", "float64"), ("numpy", "float32"), ("strict", "float32")):
        rng = Replay(3, where)
        grads, _ = MAKERS[name]().gradient(net(where, dtype), rows(5, where, dtype), rng)
        found.append(to_numpy(grads.buffer))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=2e-4)


@pytest.mark.parametrize("name", MAKERS)
def test_extreme_fields(name):
    model = net(scale=1e4)
    for seed in range(3):
        grads, metrics = MAKERS[name]().gradient(model, rows(6), Generator(seed))
        assert np.isfinite(grads.buffer).all()
        assert np.isfinite(metrics["loss"])


@given(theta=st.integers(-30, 30), target=st.integers(0, 10))
@settings(max_examples=15)
def test_straight_through_on_the_toy(theta, target):
    model = toy(theta / 10.0, target / 10.0)
    s = 1.0 / (1.0 + np.exp(-theta / 10.0))
    v = s * (1.0 - s)
    exact = {"theta": model.exact_gradient()}
    found = gradient_moments(model, [StraightThrough()], np.zeros((1, 1)), exact)[0]
    assert found.bias == pytest.approx(abs(v * (2.0 * s - 1.0)), abs=1e-12)
    assert found.total_variance == pytest.approx(4.0 * v**3, abs=1e-12)


def test_relaxations_on_the_toy():
    """Integrals over the noise: Gumbel-softmax nears the gradient as it cools; REBAR has it at once."""
    model, n = toy(np.log(3.0 / 7.0), 0.3), 2**15
    exact = float(model.exact_gradient()[0])

    def mean(objective, draws):
        grads, _ = objective.gradient(model, np.zeros((n, 1)), Lattice(draws, "numpy"))
        return float(grads["theta"][0])

    biases = [abs(mean(GumbelSoftmax(tau, lowest=tau), 1) - exact) for tau in (1.0, 0.5, 0.25, 0.1, 0.05)]
    assert biases == sorted(biases, reverse=True)
    assert biases[-1] < 0.1 * biases[0]
    for tau, strength in ((0.5, 1.0), (1.0, 0.5), (0.1, 1.0), (0.5, 0.0)):
        assert mean(Rebar(tau, 1, strength), 2) == pytest.approx(exact, abs=1e-3)


def test_rebar_has_less_noise_than_reinforce():
    """On a net, a hundredth of the variance; the factor c = 0 is REINFORCE without a baseline."""
    model, x = net(dtype="float64"), rows(1, dtype="float64")
    found = gradient_moments(
        model, [Rebar(1.0, 1, 0.0), Rebar(1.0)], x, exact=model.params, n_samples=500, part=("R", "r")
    )
    assert found[1].total_variance < 0.1 * found[0].total_variance


def test_temperature_falls_and_resumes():
    objective, model = GumbelSoftmax(1.0, lowest=0.2, decay=0.5), net()
    for step in range(5):
        assert objective.state.get("step", 0) == step
        objective.gradient(model, rows(2), Generator(0))
    other = GumbelSoftmax(1.0, lowest=0.2, decay=0.5)
    other.set_state(objective.state)
    found = [to_numpy(o.gradient(model, rows(2), Generator(1))[0].buffer) for o in (objective, other)]
    np.testing.assert_array_equal(*found)
    assert objective.at(100) == 0.2


def test_noise_stays_inside():
    class Ends(Generator):
        def uniform(self, shape, dtype="float32", out=None):
            return np.array([[0.0, 1.0 - 2.0**-24]], dtype)

    a, z = np.zeros((1, 2), "float32"), np.array([[1.0, 0.0]], "float32")
    for noise in (BitNoise(), GroupNoise(2)):
        assert np.isfinite(noise.noisy(a, Ends(0))).all()
        assert all(np.isfinite(x).all() for x in noise.again(a, z, Ends(0))[0])


def test_which_models_they_train():
    names = {"StraightThrough", "GumbelSoftmax", "Rebar"}
    assert names <= set(fitting(net()))
    for other in (RBM(3, 2), SigmoidBeliefNet([3, 2, 2])):
        assert not names & set(fitting(other))
    with pytest.raises(TypeError, match=r"single one.*Objectives that fit: .*ReweightedWakeSleep"):
        Rebar().gradient(SigmoidBeliefNet([3, 2, 2]), np.zeros((1, 3), "float32"), Generator(0))
    with pytest.raises(ValueError, match="one hidden layer"):
        SigmoidBeliefNet([3, 2, 2]).log_joint_input_gradient(np.zeros((1, 3)), np.zeros((1, 4)))


def test_bad_input_says_what_to_do():
    for make, message in (
        (lambda: GumbelSoftmax(0.0), "temperature"),
        (lambda: GumbelSoftmax(1.0, lowest=-1.0), "lowest"),
        (lambda: Rebar(-1.0), "temperature"),
        (lambda: StraightThrough(0), "k must be"),
        (lambda: StraightThrough(1, "relu"), "unknown slope 'relu'.*mean, identity"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


class WithoutSlopeOfTheMean(StraightThrough):
    def slope(self, model, x, a, rng):
        z, d, f = super().slope(model, x, a, rng)
        return z, 0.5 * d if self.through == "mean" else d, f


class MeansForDraws(StraightThrough):
    def slope(self, model, x, a, rng):
        _, d, f = super().slope(model, x, a, rng)
        return model.latent.distribution(a).mean, d, f


class WithoutTemperature(GumbelSoftmax):
    def slope(self, model, x, a, rng):
        z, d, f = super().slope(model, x, a, rng)
        return z, d * self.temperature, f


class AlwaysWarm(GumbelSoftmax):
    def at(self, step):
        return 2.0


class TwinOfItsOwn(Rebar):
    """The twin's noise drawn without regard to z."""

    def slope(self, model, x, a, rng):
        z, d, f = super().slope(model, x, a, rng)
        return z, d + 0.3 * self.strength * (z - 0.5), f


class WithoutCorrection(Rebar):
    def slope(self, model, x, a, rng):
        z, d, f = super().slope(model, x, a, rng)
        s = model.latent.distribution(a).mean
        return z, d + 0.5 * f[:, None] * (1.0 - s), f


MUTANTS = [
    (WithoutSlopeOfTheMean, "straight-through"),
    (MeansForDraws, "straight-through"),
    (WithoutTemperature, "Gumbel-softmax path"),
    (AlwaysWarm, "Gumbel-softmax path"),
    (AlwaysWarm, "Gumbel-softmax bias"),
    (TwinOfItsOwn, "REBAR is unbiased"),
    (WithoutCorrection, "REBAR is unbiased"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_wrong_estimator_dies(mutant, identity):
    name = mutant.__mro__[1].__name__
    model = SigmoidBeliefNet([2, 2], dtype="float64")
    report = check_model(model, [identity], 6, raises=False, objectives={name: mutant})
    assert not report.ok
