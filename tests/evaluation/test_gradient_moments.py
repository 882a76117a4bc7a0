"""The laboratory of estimators: moments over every outcome, the toy's closed forms, the picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import SigmoidBeliefNet, plotting
from minidgm.backend import asarray, to_numpy
from minidgm.checks import oracle
from minidgm.checks.exhaustive import NotEnumerable
from minidgm.evaluation import BernoulliToy, gradient_moments, optimal_baseline
from minidgm.evaluation.gradient_moments import bound_gradient
from minidgm.objectives import Reinforce, ReweightedWakeSleep, Vimco, WakeSleep

ROW = np.zeros((1, 1))


def toy(theta=0.4, target=0.3, **options):
    made = BernoulliToy(target, **{"dtype": "float64", **options})
    made.params["theta"][...] = theta
    return made


@given(
    theta=st.integers(-30, 30),
    target=st.integers(0, 10),
    constant=st.integers(-5, 5),
    k=st.integers(1, 4),
)
@settings(max_examples=15)
def test_every_variance_of_the_toy_is_its_closed_form(theta, target, constant, k):
    model = toy(theta / 10.0, target / 10.0)
    cases = [(None, k), (constant / 4.0, k), ("leave_one_out", k + 1)]
    # The objective's signal is -f: a baseline of the loss enters with its sign turned.
    found = gradient_moments(
        model,
        [Reinforce(-b if isinstance(b, float) else b, n) for b, n in cases],
        ROW,
        exact={"theta": model.exact_gradient()},
    )
    for (baseline, n), moments in zip(cases, found, strict=True):
        np.testing.assert_allclose(moments.mean, model.exact_gradient(), atol=1e-12)
        np.testing.assert_allclose(moments.variance, model.variance(baseline, n), atol=1e-12)
        assert moments.bias < 1e-12
    best = gradient_moments(model, [Reinforce(-float(model.optimal_baseline()[0]))], ROW)[0]
    assert best.total_variance < 1e-12


def test_optimal_baseline_is_the_toys():
    model = toy(0.8, 0.2)
    s = 1.0 / (1.0 + np.exp(-0.8))
    signal = np.array([0.04, 0.64])
    scores = np.array([[-s], [1.0 - s]])
    found = optimal_baseline(np.array([1.0 - s, s]), signal, scores)
    assert found == pytest.approx(float(model.optimal_baseline()[0]), abs=1e-12)
    assert optimal_baseline(np.array([1.0]), np.array([3.0]), np.zeros((1, 1))) == 0.0


def test_the_exact_gradient_is_autograds():
    net = SigmoidBeliefNet([2, 2], dtype="float64", seed=0)
    x = np.array([[0.0, 1.0], [1.0, 1.0]])
    z = net.latent.states(2)
    rows, states = np.repeat(x, 4, axis=0), np.tile(z, (2, 1))

    def loss(m):
        import autograd.numpy as anp

        log_p, log_q = m.log_joint(rows, states), m.log_recognition(rows, states)
        return -anp.sum(anp.exp(log_q) * (log_p - log_q)) / 2.0

    right = oracle.gradient(net, loss)
    for name, value in bound_gradient(net, x).items():
        np.testing.assert_allclose(value, right[name], atol=1e-9)


def test_estimators_compared(backend):
    net = SigmoidBeliefNet([2, 2], dtype="float64", seed=1, backend=backend)
    x = asarray(np.array([[0.0, 1.0]]), backend)
    named = {"plain": Reinforce(None, 2), "left out": Reinforce("leave_one_out", 2)}
    named["wake-sleep"] = WakeSleep()
    plain, left_out, wake_sleep = gradient_moments(net, named, x, part=("R", "r"))
    assert [m.name for m in (plain, left_out, wake_sleep)] == list(named)
    assert max(plain.bias, left_out.bias) < 1e-8 < 1e-3 < wake_sleep.bias
    assert left_out.total_variance < plain.total_variance
    assert left_out.signal_to_noise > plain.signal_to_noise
    assert "left out: bias" in str(left_out)
    assert len(plain.mean) == 2 * 2 + 2


def test_reweighting_is_biased_and_k_helps():
    """Of the gradient of log p, not of the bound: the parameters of p alone."""
    net = SigmoidBeliefNet([2, 1], dtype="float64", seed=3)
    x = np.array([[1.0, 0.0]])
    z = net.latent.states(1)
    log_p = net.log_joint(np.repeat(x, 2, 0), z)
    weights = np.exp(log_p - np.logaddexp(*log_p))
    exact = net.log_joint_gradient(np.repeat(x, 2, 0), z, -weights)
    found = gradient_moments(net, [ReweightedWakeSleep(k, "wake") for k in (1, 2, 5, 9)], x, exact, part="W")
    biases = [m.bias for m in found]
    assert biases == sorted(biases, reverse=True)
    assert biases[-1] < 0.3 * biases[0]


def test_moments_from_samples_and_state_put_back():
    model = toy()
    objective = Reinforce("mean", 2)
    objective.gradient(model, ROW, model.generator(0))
    before = objective.state
    sampled = gradient_moments(model, [objective], ROW, n_samples=4000, rng=1)[0]
    exact = gradient_moments(model, [objective], ROW)[0]
    # 5.5 standard errors: a false alarm below 1e-6.
    assert abs(sampled.mean - exact.mean)[0] < 5.5 * (exact.total_variance / 4000) ** 0.5
    assert sampled.n_samples == 4000
    assert float(objective.state["mean"]) == float(before["mean"])


def test_toy_learns_and_refuses(backend):
    model = toy(backend=backend, dtype="float32", target=0.3)
    x = asarray(np.zeros((20, 1)), backend)
    model.fit(x, epochs=100, optimizer="adam", seed=0)
    assert float(model.params["theta"][0]) < 0.4
    assert to_numpy(model.elbo(x)).shape == (20,)
    assert float(model.elbo(x, rng=0, n_samples=3)[0]) <= 0.0
    with pytest.raises(ValueError, match="n_bits=2"):
        BernoulliToy(0.3, 2).variance()
    with pytest.raises(ValueError, match="target"):
        BernoulliToy(1.5)
    with pytest.raises(ValueError, match=r"begins with part='R'; there are \['theta'\]"):
        gradient_moments(model, [Vimco(2)], x, part="R")
    with pytest.raises(NotEnumerable, match="outcomes"):
        gradient_moments(BernoulliToy(0.3, 20), [Vimco(2)], ROW)


def test_picture():
    found = gradient_moments(toy(), {"none": Reinforce(None), "best": Reinforce(-0.2)}, ROW)
    assert plotting.to_png_bytes(plotting.estimators(found))[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="gradient_moments"):
        plotting.estimators([])
