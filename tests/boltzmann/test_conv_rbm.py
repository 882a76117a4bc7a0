"""Convolutional RBM: the generic identities on tiny ones, and everything around the mathematics."""

import itertools

import numpy as np
import pytest
from autograd import grad
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import RBM, ConvolutionalRBM, IntractableError, datasets, evaluation, load, optim
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.checks import check_model, oracle
from minidgm.checks.exhaustive import Replay
from minidgm.checks.strict import count_host_reads
from minidgm.errors import DataError
from minidgm.objectives import ContrastiveDivergence, PersistentContrastiveDivergence
from minidgm.samplers import gibbs

# At most 64 joint states, or two real pixels: what the exhaustive identities take.
TINY = [
    {"filters": 1, "filter_size": (1, 2), "pool": (1, 2), "image_shape": (1, 3)},
    {"filters": 1, "filter_size": 1, "pool": (1, 2), "image_shape": (2, 1, 2)},
    {"filters": 2, "filter_size": (1, 2), "pool": 1, "image_shape": (2, 1, 2)},
    {"filters": 1, "filter_size": (2, 1), "pool": 1, "image_shape": (3, 1), "visible": "spin"},
    {"filters": 2, "filter_size": 1, "pool": (1, 2), "image_shape": (1, 2), "visible": "gaussian"},
]


def drawn(seed=0, scale=0.5, **kwargs):
    kwargs = {"filters": 3, "filter_size": (3, 2), "pool": 2, "image_shape": (2, 6, 5), **kwargs}
    model = ConvolutionalRBM(**kwargs)
    values = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, model.backend, model.dtype)
    return model


QUICK = (
    "free energy",
    "hidden free energy",
    "conditionals",
    "weighted energy gradient",
    "free energy gradient",
    "exact likelihood",
    "exact likelihood objective",
    "tempered energy",
    "methods are pure",
)


@pytest.mark.parametrize("structure", TINY, ids=str)
def test_identities_from_the_energy_alone(structure):
    report = check_model(ConvolutionalRBM(**structure, dtype="float64"), QUICK, max_examples=4)
    assert report.ok
    assert len(report.results) == len(QUICK)


def test_every_identity_that_applies():
    report = check_model(ConvolutionalRBM(**TINY[0], dtype="float64"), max_examples=2)
    assert report.ok
    names = {result.name for result in report.results}
    assert {"Toeplitz weights", "contrastive divergence is unbiased", "annealed importance weights"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("structure", TINY, ids=str)
def test_long_proof(structure):
    assert check_model(ConvolutionalRBM(**structure, dtype="float64"), max_examples=20, seed=1).ok


@pytest.mark.parametrize("kind", [{}, {"visible": "gaussian"}])
def test_float32_everywhere(kind, backend):
    assert check_model(drawn(**kind), max_examples=1, backend=backend).ok


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_backends_agree_at_replayed_noise(visible, backend):
    host, device = drawn(1, visible=visible), drawn(1, visible=visible, backend=backend)
    v = np.random.default_rng(0).uniform(size=(4, 60)).astype("float32")
    h = host.hidden_given_visible(v).sample(Replay(1))
    for method, rows in (("free_energy", v), ("hidden_free_energy", h), ("transform", v), ("reconstruct", v)):
        left = getattr(device, method)(asarray(rows, backend))
        np.testing.assert_allclose(to_numpy(left), getattr(host, method)(rows), rtol=1e-4, atol=1e-4)
    for a, b in zip(
        device.gibbs_step(asarray(v, backend), None, Replay(2, backend)),
        host.gibbs_step(v, None, Replay(2)),
        strict=True,
    ):
        np.testing.assert_allclose(to_numpy(a), b, atol=1e-4)
    left = device.free_energy_gradient(asarray(v, backend)).buffer
    np.testing.assert_allclose(to_numpy(left), host.free_energy_gradient(v).buffer, rtol=1e-3, atol=1e-3)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]), st.sampled_from(["bernoulli", "gaussian"]))
@settings(max_examples=10)
def test_hot_fills_are_the_conditionals(seed, pool, visible):
    model = drawn(seed, pool=pool, visible=visible, dtype="float64")
    rng = np.random.default_rng(seed)
    v, h = rng.normal(size=(3, model.n_visible)), rng.uniform(size=(3, model.n_hidden))
    mean, draw, out = np.empty_like(h), np.empty_like(h), np.empty_like(v)
    model.fill_hidden(v, Generator(seed), draw, mean)
    np.testing.assert_allclose(mean, model.hidden_given_visible(v).mean, atol=1e-12)
    np.testing.assert_array_equal(draw, model.hidden_given_visible(v).sample(Generator(seed)))
    model.fill_visible(h, mean=out)
    np.testing.assert_allclose(out, model.visible_given_hidden(h).mean, atol=1e-12)


def test_own_fills_serve_only_the_class_that_brings_them():
    class Shifted(ConvolutionalRBM):
        def hidden_field(self, v):
            return super().hidden_field(v) + 1.0

    class Renamed(ConvolutionalRBM):
        """Changes nothing."""

    sizes = {"filters": 1, "filter_size": 1, "image_shape": (2, 2)}
    kinds = (ConvolutionalRBM, Renamed, Shifted)
    assert [gibbs.has_fills(kind(**sizes)) for kind in kinds] == [True, True, False]
    assert [gibbs.has_fills(m) for m in (RBM(2, 1), RBM(2, 1, visible="spin"))] == [True, True]
    assert not gibbs.has_blocks(ConvolutionalRBM(**sizes))


@pytest.mark.parametrize("objective", [ContrastiveDivergence, PersistentContrastiveDivergence])
def test_no_step_waits_for_the_device(objective):
    model = drawn(backend="strict")
    estimator = objective(sparsity_target=0.05, sparsity_cost=0.1, weight_decay=1e-4)
    batch, rng = asarray(np.ones((7, 60)), "strict", "float32"), Generator(0, "strict")
    estimator.gradient(model, batch, rng)
    with count_host_reads() as reads:
        estimator.gradient(model, batch, rng)
    assert reads.count == 0, reads


def test_persistent_chains_go_on(backend):
    """Each call draws v from the last h, and h from that v: without couplings both forget and look alike."""
    model, objective = drawn(backend=backend), PersistentContrastiveDivergence(n_chains=300)
    model.params.buffer[...] = 0.0
    batch, rng = asarray(np.ones((7, 60)), backend, "float32"), Generator(0, backend)
    seen = []
    for _ in range(3):
        objective.gradient(model, batch, rng)
        seen.append({name: to_numpy(value).copy() for name, value in objective.state.items()})
    for before, after in itertools.pairwise(seen):
        assert (before["v"] != after["v"]).mean() == pytest.approx(0.5, abs=0.02)
        # Each of the four detectors of a block is on with probability 1/5.
        assert (before["h"] != after["h"]).mean() == pytest.approx(2 * 0.2 * 0.8, abs=0.02)


def test_nothing_is_written_to_but_the_result():
    model = drawn(dtype="float64")
    rng = np.random.default_rng(0)
    v, h, w = rng.uniform(size=(4, 60)), rng.uniform(size=(4, model.n_hidden)), rng.normal(size=4)
    before = [x.copy() for x in (v, h, w, model.params.buffer)]
    model.energy_gradient(v, h, w)
    model.free_energy_gradient(v, w)
    model.sparsity_gradient(h, 0.1)
    model.reconstruct(v)
    model.gibbs_step(v, h, Generator(0))
    ContrastiveDivergence(sparsity_target=0.1, sparsity_cost=1.0).gradient(model, v, Generator(0))
    for x, y in zip((v, h, w, model.params.buffer), before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_sparsity_pulls_every_filter_to_its_target():
    model = drawn(3, scale=0.2, dtype="float64")
    v = np.random.default_rng(0).uniform(size=(20, 60))
    objective = ContrastiveDivergence(sparsity_target=0.02, sparsity_cost=1.0)
    plain = ContrastiveDivergence().gradient(model, v, Generator(0))[0]["c"].copy()
    sparse = objective.gradient(model, v, Generator(0))[0]["c"]
    means = model.hidden_given_visible(v).mean
    np.testing.assert_allclose(sparse - plain, model.sparsity_gradient(means, 0.02), atol=1e-12)
    for _ in range(400):
        means = model.hidden_given_visible(v).mean
        model.params["c"][...] -= 20.0 * model.sparsity_gradient(means, 0.02)
    q = model.hidden_given_visible(v).mean.reshape(-1, 3, 4).mean(axis=(0, 2))
    np.testing.assert_allclose(q, 0.02, atol=2e-3)


def test_pooling_units_say_whether_a_detector_is_on():
    """Features are images [filters, P, Q]: those of a picture with one mark move with the mark."""
    model = ConvolutionalRBM(2, 3, 2, image_shape=(8, 10), dtype="float64")
    model.params["W"][...], model.params["c"][...] = 0.0, -20.0
    model.params["W"][1] = 10.0
    picture = np.zeros((2, 8, 10))
    picture[0, 0:3, 0:3] = picture[1, 4:7, 6:9] = 1.0
    features = model.transform(picture).reshape(2, *model.pooled_shape)
    assert features[0, 1, 0, 0] > 0.999
    assert features[1, 1, 2, 3] > 0.999
    assert (features[:, 0] < 1e-6).all()
    assert features[0, 1, 2, 3] < 1e-6


@pytest.mark.parametrize("structure", TINY, ids=str)
def test_annealing_agrees_with_enumeration(structure):
    """Within five standard errors (one in a million); the weights of 500 chains hardly vary here."""
    model = ConvolutionalRBM(**structure, dtype="float64")
    model.params.buffer[...] = 0.5 * np.random.default_rng(0).normal(size=model.params.size)
    exact = float(model.log_partition())
    for base in (None, "biases", "uniform", evaluation.base_rate(model, np.full((1, model.n_visible), 0.3))):
        estimate = evaluation.ais(model, n_chains=500, n_temperatures=20, base=base, rng=0)
        assert abs(estimate.value - exact) < 5.0 * estimate.stderr + 1e-9
    back = evaluation.reverse_ais(model, n_chains=500, n_temperatures=20, rng=0)
    assert abs(back.value - exact) < 5.0 * back.stderr + 1e-9
    other = model.to()
    other.params.buffer[...] *= -0.5
    between = evaluation.ais_between(model, other, n_chains=500, n_temperatures=20, rng=1)
    assert abs(between.value - (float(other.log_partition()) - exact)) < 5.0 * between.stderr + 1e-9


def test_save_load_and_move(tmp_path):
    model = drawn(visible="gaussian")
    v = np.random.default_rng(0).normal(size=(3, 60)).astype("float32")
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.config() == model.config()
    assert (again.free_energy(v) == model.free_energy(v)).all()
    double = model.to(dtype="float64")
    np.testing.assert_allclose(double.free_energy(v.astype("float64")), model.free_energy(v), rtol=1e-5)
    assert repr(model) == (
        "ConvolutionalRBM(filters=3, filter_size=[3, 2], pool=[2, 2], visible='gaussian', "
        "image_shape=[2, 6, 5])"
    )


def test_learns_from_images_and_rows_alike():
    rows = datasets.digits(binarize="threshold").train[:200]
    ends = []
    for X in (rows, rows.reshape(-1, 8, 8), rows.reshape(-1, 1, 8, 8)):
        model = ConvolutionalRBM(6, 3, 2, image_shape=(8, 8), seed=0).initialize(X)
        options = {"objective": "ContrastiveDivergence", "optimizer": optim.Adam(0.02), "batch_size": 50}
        history = model.fit(X, epochs=10, seed=0, **options)
        ends.append(model.params.buffer.copy())
    assert (ends[0] == ends[1]).all()
    assert (ends[0] == ends[2]).all()
    assert history["reconstruction_error"][-1] < history["reconstruction_error"][0]
    assert model.sample(4, 0, steps=2).shape == (4, 64)
    assert model.sample(200, 0, steps=1, init=rows).shape == (200, 64)


def test_arguments_from_a_data_set():
    data = datasets.digits()
    arguments = ConvolutionalRBM.arguments_for(data, {"filters": 5})
    assert arguments == {"filters": 5, "filter_size": [3, 3], "image_shape": [1, 8, 8]}
    assert ConvolutionalRBM(**arguments).n_visible == 64
    with pytest.raises(DataError, match="49 pixels, but rows of digits have 64"):
        ConvolutionalRBM.arguments_for(data, {"image_shape": [7, 7]})
    data.shape = None
    with pytest.raises(DataError, match="does not say the shape"):
        ConvolutionalRBM.arguments_for(data, {})


@pytest.mark.parametrize("method", ["energy", "free_energy", "hidden_free_energy"])
def test_densities_can_be_traced_in_any_one_parameter(method):
    """A namespace that is asked of other arrays than the traced one would lose the derivative."""
    model = drawn(visible="gaussian", dtype="float64")
    v, h = np.random.default_rng(1).normal(size=(2, 60)), model.hidden.states(model.n_hidden, 5, 7)
    states = {"energy": (v, h), "free_energy": (v,), "hidden_free_energy": (h,)}[method]
    together = oracle.gradient(model, lambda m: getattr(m, method)(*states).sum())
    for name, value in model.params.items():

        def alone(x, name=name):
            return getattr(model.with_params({**model.params, name: x}), method)(*states).sum()

        np.testing.assert_allclose(grad(alone)(value), together[name], rtol=1e-9, atol=1e-11, err_msg=name)


def test_bad_input():
    model = ConvolutionalRBM(2, 3, 2, image_shape=(3, 6, 6))
    with pytest.raises(DataError, match=r"shape \(2, 1, 6, 6\); expected \[n, 3, 6, 6\]"):
        model.check_data(np.zeros((2, 1, 6, 6)))
    with pytest.raises(DataError, match=r"shape \(2, 6, 6\)"):
        model.fit(np.zeros((2, 6, 6)))
    with pytest.raises(DataError, match=r"expected \[n, 108\]"):
        model.check_data(np.zeros((2, 107)))
    with pytest.raises(DataError, match="NaN"):
        model.check_data(np.full((2, 3, 6, 6), np.nan))
    with pytest.raises(DataError, match="0 or 1"):
        model.check_data(np.full((2, 3, 6, 6), 2.0))
    with pytest.raises(ValueError, match="softmax"):
        ConvolutionalRBM(2, 3, 2, visible="softmax(3)", image_shape=(3, 6, 6))
    with pytest.raises(ValueError, match="blocks of 3; filter sizes that fit"):
        ConvolutionalRBM(2, 3, 3, image_shape=(6, 6))
    with pytest.raises(ValueError, match="filters"):
        ConvolutionalRBM(0, 3, 2, image_shape=(6, 6))
    with pytest.raises(IntractableError, match="ais"):
        ConvolutionalRBM(24, 3, 2, image_shape=(6, 6)).log_partition()
    with pytest.raises(TypeError, match="both must be convolutional"):
        evaluation.ais_between(model, RBM(108, 2))
    with pytest.raises(ValueError, match="init has 3 rows"):
        model.sample(2, 0, init=np.zeros((3, 108)))
