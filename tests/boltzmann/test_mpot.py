"""mPoT: gamma units, quadrature, training, and what it shares with the mcRBM."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import Generator, IntractableError, MeanCovarianceRBM, MeanProductOfStudentT, optim
from minidgm.backend import asarray, to_numpy
from minidgm.checks import check_model


def drawn(seed, n_visible=3, n_mean=2, n_covariance=3, n_factors=None, **options):
    model = MeanProductOfStudentT(n_visible, n_mean, n_covariance, n_factors, dtype="float64", **options)
    rng = np.random.default_rng(seed)
    for name, value in model.params.items():
        x = 0.7 * rng.normal(size=value.shape)
        value[...] = asarray(np.abs(x) if name == "P" else x, model.backend)
    return model


def test_the_identities_hold():
    check_model(MeanProductOfStudentT, max_examples=3)


@given(st.integers(0, 10**6), st.integers(1, 2), st.booleans())
@settings(max_examples=10)
def test_log_partition(seed, d, has_factors):
    """The model's quadrature = a plain sum over a fine grid."""
    model = drawn(seed, d, 2, 2, 3 if has_factors else None)
    step = 0.02 if d == 1 else 0.08
    line = np.arange(-60.0, 60.0, step) if d == 1 else np.arange(-30.0, 30.0, step)
    grid = np.stack([x.reshape(-1) for x in np.meshgrid(*[line] * d)], axis=1)
    total = np.exp(-model.free_energy(grid)).sum() * step**d
    assert float(model.log_partition()) == pytest.approx(np.log(total), abs=1e-8)
    assert model.log_prob(grid[:3]) == pytest.approx(-model.free_energy(grid[:3]) - np.log(total), abs=1e-8)


def test_no_log_partition_beyond_two():
    with pytest.raises(IntractableError, match=r"3 visible units has no closed form .* use minidgm"):
        drawn(0).log_prob(np.zeros((1, 3)))


def test_shares_the_normal_of_the_mcrbm():
    """p(x | h) of bits as covariance states is that of an mcRBM with the same filters."""
    model = drawn(0, n_factors=4)
    twin = MeanCovarianceRBM(3, 2, 3, 4, dtype="float64")
    for name in ("W", "R", "P", "b", "visible_log_precision"):
        twin.params[name][...] = model.params[name]
    h = np.array([[1.0, 0.0, 1.0, 0.0, 1.0]])
    np.testing.assert_allclose(
        model.visible_given_hidden(h).covariance, twin.visible_given_hidden(h).covariance
    )
    v = Generator(0).normal((2, 3), dtype="float64")
    np.testing.assert_allclose(model.pooled_squares(v), twin.pooled_squares(v))


def test_tails_are_those_of_a_student_t():
    """Without containment F grows as 2 gamma log|x|: an expert of 2 gamma - 1 degrees of freedom."""
    model = MeanProductOfStudentT(1, 0, 1, dtype="float64")
    model.params["R"][...], model.params["log_gamma"][...] = 1.0, np.log(1.7)
    model.params["visible_log_precision"][...] = -60.0
    near, far = model.free_energy(np.array([[1e4], [1e5]]))
    assert far - near == pytest.approx(2.0 * 1.7 * np.log(10.0), rel=1e-6)


def test_extreme_inputs(backend):
    model = MeanProductOfStudentT(3, 2, 2, backend=backend, seed=0)
    v = asarray(np.array([[1e4, -1e4, 1e4], [0.0, 0.0, 0.0]]), backend, "float32")
    assert np.isfinite(to_numpy(model.free_energy(v))).all()
    assert np.isfinite(to_numpy(model.free_energy_input_gradient(v))).all()
    h = model.hidden_given_visible(v).sample(Generator(0, backend))
    assert (to_numpy(h[:, 2:]) > 0.0).all()
    assert np.isfinite(to_numpy(model.energy(v, h))).all()


@pytest.mark.parametrize("n_factors", [None, 8])
def test_training_raises_the_likelihood(n_factors):
    """Rows with heavy tails in two dimensions: exact log-likelihood by quadrature before and after."""
    X = np.random.default_rng(0).standard_t(2.5, size=(500, 2)).astype("float32")
    model = MeanProductOfStudentT(2, 1, 4, n_factors, seed=0).initialize(X)
    before = float(model.log_prob(X).mean())
    model.fit(X, optimizer=optim.Adam(0.02), epochs=15, batch_size=100)
    assert float(model.log_prob(X).mean()) > before + 0.05
    if n_factors:
        assert (model.params["P"] >= 0.0).all()


def test_gibbs_draws(backend):
    model = drawn(0, backend=backend)
    v, h = model.gibbs_step(model.sample(5, 0, steps=0), None, Generator(0, backend))
    assert (to_numpy(h[:, 2:]) > 0.0).all()
    assert v.shape == (5, 3)
