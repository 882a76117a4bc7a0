"""mcRBM: exact likelihood, projection, samples and error messages, beyond the shared identities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import Generator, IntractableError, MeanCovarianceRBM, objectives, optim
from minidgm.backend import asarray, to_numpy
from minidgm.checks import check_model, oracle
from minidgm.errors import DataError


def drawn(seed, n_visible=3, n_mean=2, n_covariance=3, n_factors=None, **options):
    """A model with all parameters about 0.7, P positive."""
    model = MeanCovarianceRBM(n_visible, n_mean, n_covariance, n_factors, dtype="float64", **options)
    rng = np.random.default_rng(seed)
    for name, value in model.params.items():
        x = 0.7 * rng.normal(size=value.shape)
        value[...] = asarray(np.abs(x) if name == "P" else x, model.backend)
    return model


pooled = pytest.mark.parametrize("n_factors", [None, 4])


def test_the_identities_hold():
    check_model(MeanCovarianceRBM, max_examples=3)


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=10)
def test_log_partition_by_the_other_route(seed, has_factors):
    """log Z of one visible unit: the sum of Gaussian integrals = quadrature of exp(-F)."""
    model = drawn(seed, 1, 2, 3, 4 if has_factors else None)
    x = np.linspace(-60.0, 60.0, 200_001)
    total = np.exp(-model.free_energy(x[:, None])).sum() * (x[1] - x[0])
    assert float(model.log_partition()) == pytest.approx(np.log(total), abs=1e-9)


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=10)
def test_hidden_free_energy_gradient(seed, has_factors):
    model = drawn(seed, n_factors=4 if has_factors else None)
    rng = np.random.default_rng(seed)
    h = model.hidden.states(model.n_hidden)[rng.integers(0, 32, size=6)]
    w = rng.normal(size=6)
    right = oracle.gradient(model, lambda m: (w * m.hidden_free_energy(h)).sum())
    left = model.hidden_free_energy_gradient(h, w)
    for name, value in right.items():
        np.testing.assert_allclose(left[name], value, rtol=1e-9, atol=1e-9, err_msg=name)
    assert abs(model.hidden_free_energy_gradient(h)["b"]).max() > 0.0


def test_one_filter_a_unit_is_pooling_by_the_identity():
    plain, factored = drawn(0), drawn(0, n_factors=3)
    for name, value in plain.params.items():
        factored.params[name][...] = value
    factored.params["P"][...] = np.eye(3)
    rng = Generator(1)
    v = rng.normal((5, 3), dtype="float64")
    h = plain.hidden_given_visible(v).sample(rng)
    for method, arguments in (("energy", (v, h)), ("free_energy", (v,)), ("hidden_free_energy", (h,))):
        np.testing.assert_allclose(getattr(plain, method)(*arguments), getattr(factored, method)(*arguments))
    assert plain.free_energy_input_gradient(v) == pytest.approx(factored.free_energy_input_gradient(v))
    assert float(plain.log_partition()) == pytest.approx(float(factored.log_partition()))


def test_the_text_at_the_start():
    """Lambda = I and b = 0, as in (20.44)."""
    model = MeanCovarianceRBM(4, 3, 2, dtype="float64", seed=0)
    v = Generator(0).normal((3, 4), dtype="float64")
    h = np.array([[1.0, 0, 1, 1, 0]] * 3)
    W, R, c = (model.params[name] for name in "WRc")
    mean = 0.5 * (v * v).sum(1) - ((v @ W) * h[:, :3]).sum(1) - h[:, :3] @ c[:3]
    covariance = (h[:, 3:] * (0.5 * (v @ R) ** 2 - c[3:])).sum(axis=1)
    np.testing.assert_allclose(model.energy(v, h), mean + covariance)


@pooled
def test_projection(n_factors, backend):
    model = drawn(3, n_factors=n_factors, backend=backend)
    directions = to_numpy(model.params["R"]) / np.linalg.norm(to_numpy(model.params["R"]), axis=0)
    norm = np.linalg.norm(to_numpy(model.params["R"]), axis=0).mean()
    if n_factors:
        model.params["P"][0, 0] = -0.5
    model.project()
    R = to_numpy(model.params["R"])
    np.testing.assert_allclose(np.linalg.norm(R, axis=0), norm)
    np.testing.assert_allclose(R / norm, directions)
    if n_factors:
        P = to_numpy(model.params["P"])
        assert P[0, 0] == 0.0
        np.testing.assert_allclose(P.sum(axis=0), 1.0)
    before = to_numpy(model.params.buffer).copy()
    model.project()
    np.testing.assert_allclose(to_numpy(model.params.buffer), before, atol=1e-15)


@pooled
def test_training_keeps_the_constraints(n_factors):
    X = np.random.default_rng(0).normal(size=(300, 6)).astype("float32")
    model = MeanCovarianceRBM(6, 2, 5, n_factors, seed=0)
    model.fit(X, optimizer=optim.SGD(0.05), epochs=3, batch_size=50)
    norms = np.linalg.norm(model.params["R"], axis=0)
    np.testing.assert_allclose(norms, norms.mean(), rtol=1e-5)
    if n_factors:
        assert (model.params["P"] >= 0.0).all()
        np.testing.assert_allclose(model.params["P"].sum(axis=0), 1.0, rtol=1e-5)


def test_exact_training_finds_a_forbidden_direction():
    """Data of standard deviations 1 and 0.2: the model learns the narrow one with a covariance unit."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(400, 2)) * [1.0, 0.2]) @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    model = MeanCovarianceRBM(2, 0, 1, dtype="float64", seed=0)
    before = float(model.log_prob(X).mean())
    model.fit(
        X, objective=objectives.ExactLikelihood(), optimizer=optim.Adam(0.05), epochs=200, batch_size=400
    )
    exact = -0.5 * np.linalg.slogdet(np.cov(X.T))[1] - np.log(2 * np.pi) - 1.0
    assert before < float(model.log_prob(X).mean()) < exact + 0.01
    assert float(model.log_prob(X).mean()) > exact - 0.03
    direction = model.params["R"][:, 0] / np.linalg.norm(model.params["R"])
    assert abs(direction @ [-0.6, 0.8]) > 0.99


def test_a_covariance_that_is_not_definite():
    model = drawn(0, n_factors=4)
    h = np.ones((2, 5))
    model.params["P"][2, 1] = -50.0
    with pytest.raises(DataError, match=r"covariance unit 1: its weight P\[2, 1\] = -50 is negative; lower"):
        model.visible_given_hidden(h)
    plain = drawn(0)
    h[1, 3] = -100.0
    with pytest.raises(DataError, match=r"\(row 1, .* covariance unit 1: its state is -100, expected at"):
        plain.visible_given_hidden(h)
    # A negative weight that leaves all eigenvalues positive is no error.
    h[1, 3] = -1e-3
    assert np.linalg.eigvalsh(plain.visible_given_hidden(h).covariance).min() > 0.0


def test_too_many_hidden_states():
    with pytest.raises(IntractableError, match=r"more than 2\^20; use minidgm.evaluation.ais"):
        MeanCovarianceRBM(4, 10, 20).log_prob(np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2, 2), "n_visible must be an integer of at least 1"),
        ((3, -1, 2), "n_mean must be an integer of at least 0"),
        ((3, 1, 0), "n_covariance must be an integer of at least 1"),
        ((3, 1, 2, 0), "n_factors must be an integer of at least 1"),
    ],
)
def test_bad_sizes(arguments, message):
    with pytest.raises(ValueError, match=message):
        MeanCovarianceRBM(*arguments)


def test_bad_rows():
    model = MeanCovarianceRBM(3, 1, 2, seed=0)
    with pytest.raises(DataError, match=r"v has shape \(2, 4\); expected \[n, 3\]"):
        model.transform(np.zeros((2, 4)))
    with pytest.raises(DataError, match="NaN or infinity"):
        model.log_prob(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="init has 2 rows"):
        model.sample(3, 0, init=np.zeros((2, 3)))


def test_without_mean_units(backend):
    model = MeanCovarianceRBM(3, 0, 2, backend=backend, seed=0)
    v = asarray(np.ones((4, 3)), backend, "float32")
    assert model.hidden_given_visible(v).mean.shape == (4, 2)
    assert model.free_energy_gradient(v)["W"].shape == (3, 0)
    assert model.sample(4, 0, steps=3).shape == (4, 3)


def test_sampling_that_is_stuck_warns():
    model = MeanCovarianceRBM(3, 1, 2, seed=0)
    model.params["visible_log_precision"][...] = 40.0
    with pytest.warns(RuntimeWarning, match=r"MeanCovarianceRBM.sample rejected everything"):
        model.sample(5, 0, steps=4, step_size=1e3)


def test_the_base_of_a_column_that_never_varies_is_not_narrow():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    rows[:, 2] = 1.0
    b, log_precision = MeanCovarianceRBM(3, 1, 2, dtype="float64").base_rate(rows)
    variance = np.exp(-log_precision)
    np.testing.assert_allclose(variance[:2], rows[:, :2].var(axis=0))
    assert variance[2] == pytest.approx(0.01 * rows.var(axis=0).mean())
    np.testing.assert_allclose(b * variance, rows.mean(axis=0))


def test_an_acceptance_that_cannot_be_reached_is_refused():
    with pytest.raises(ValueError, match=r"target must be in \(0, 1\), got 1.0"):
        MeanCovarianceRBM(3, 1, 2, seed=0).sample(2, 0, target=1.0)


def test_initialize_takes_the_moments():
    X = np.random.default_rng(0).normal(1.0, 3.0, size=(500, 2))
    model = MeanCovarianceRBM(2, 1, 2, dtype="float64").initialize(X)
    precision = np.exp(model.params["visible_log_precision"])
    np.testing.assert_allclose(precision, 1.0 / X.var(axis=0))
    np.testing.assert_allclose(model.params["b"] / precision, X.mean(axis=0))


@pooled
def test_an_untrained_model_takes_on_the_scale_of_the_data(n_factors, backend):
    """The density it starts from is the same but for the units of x."""
    X = np.random.default_rng(0).normal(1.0, 3.0, size=(500, 2))
    free = []
    for unit in (1.0, 100.0):
        model = MeanCovarianceRBM(2, 1, 2, n_factors, backend=backend, dtype="float64", seed=0)
        rows = asarray(unit * X, backend, "float64")
        model.begin(rows)
        free.append(to_numpy(model.free_energy(rows)))
        known = to_numpy(model.params.buffer).copy()
        model.begin(2.0 * rows)  # it is not untrained any more
        np.testing.assert_array_equal(to_numpy(model.params.buffer), known)
    np.testing.assert_allclose(*free, rtol=1e-9)


def test_columns_that_never_vary_keep_the_chains_moving():
    X = np.random.default_rng(0).normal(0.0, 5.0, size=(400, 4)).astype("float32")
    X[:, 3] = 0.0
    model = MeanCovarianceRBM(4, 1, 4, seed=0)
    history = model.fit(X, epochs=2, batch_size=50)
    precision = np.exp(model.params["visible_log_precision"])
    assert precision[3] < 1000.0 * precision[:3].min()
    assert history.records[-1]["acceptance"] > 0.5
    idle = MeanCovarianceRBM(4, 1, 4, seed=0).initialize(0.0 * X)
    np.testing.assert_array_equal(idle.params["visible_log_precision"], 0.0)
    with pytest.raises(ValueError, match="X has no rows"):
        idle.initialize(X[:0])


@pooled
def test_reconstruct_and_features(n_factors, backend):
    model = drawn(1, n_factors=n_factors, backend=backend)
    v = asarray(np.ones((4, 3)), backend, "float64")
    assert model.transform(v).shape == (4, 5)
    assert model.reconstruct(v).shape == model.reconstruct(v, Generator(0, backend)).shape == (4, 3)
    v, h = model.gibbs_step(v, None, Generator(0, backend))
    assert v.shape == (4, 3)
    assert set(np.unique(to_numpy(h))) <= {0.0, 1.0}


def test_the_small_twin_shares_the_kind():
    small = MeanCovarianceRBM.small(like=MeanCovarianceRBM(20, 5, 30, 40))
    assert (small.n_mean, small.n_factors) == (1, 3)
    assert MeanCovarianceRBM.small().n_factors is None
