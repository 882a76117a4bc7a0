"""GatedRBM against its energy written out with three loops; shifts are learned and carried over."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import chisquare

from minidgm import GatedRBM, IntractableError, datasets, load
from minidgm.backend import Generator, asarray, to_numpy
from minidgm.boltzmann import three_way
from minidgm.checks.strict import count_host_reads
from minidgm.errors import DataError
from minidgm.evaluation import ais
from minidgm.objectives import OutputContrastiveDivergence
from minidgm.optim import Adam


def drawn(sizes=(2, 3, 2), n_factors=None, seed=0, scale=0.8, **kwargs):
    model = GatedRBM(*sizes, n_factors, **{"dtype": "float64", **kwargs})
    values = scale * np.random.default_rng(seed).normal(size=model.params.size)
    model.params.buffer[...] = asarray(values, model.backend, model.dtype)
    return model


def log_mass(model):
    """log of the unnormalised p(x, y, h), [2^n_input, 2^n_output, 2^n_hidden], from W_ijk."""
    if model.n_factors is None:
        W = to_numpy(model.params["W"])
    else:
        W = np.einsum("if,jf,kf->ijk", *(to_numpy(model.params[name]) for name in ("Wx", "Wy", "Wh")))
    X, Y, H = (model.output.states(n) for n in W.shape)
    a, b, c = (to_numpy(model.params[name]) for name in "abc")
    third = np.einsum("ijk,xi,yj,hk->xyh", W, X, Y, H)
    return third + (X @ a)[:, None, None] + (Y @ b)[None, :, None] + (H @ c)[None, None]


cases = st.tuples(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([None, 1, 2]),
    st.integers(0, 2**32 - 1),
)


@given(case=cases)
@settings(max_examples=20)
def test_every_density_by_enumeration(case):
    sizes, model = case[0], drawn(*case)
    mass = log_mass(model)
    X, Y, H = (model.output.states(n) for n in sizes)
    x, y = np.repeat(X, len(Y), axis=0), np.tile(Y, (len(X), 1))
    v, log_z = model.join(x, y), logsumexp(mass)
    scores = logsumexp(mass, axis=2)
    np.testing.assert_allclose(float(model.log_partition()), log_z, atol=1e-11)
    np.testing.assert_allclose(model.log_prob(v), scores.ravel() - log_z, atol=1e-11)
    conditional = scores - logsumexp(scores, axis=1, keepdims=True)
    np.testing.assert_allclose(model.conditional_log_prob(x, y), conditional.ravel(), atol=1e-11)
    np.testing.assert_allclose(
        model.transform(x, y), np.exp(mass - scores[:, :, None]).reshape(-1, len(H)) @ H, atol=1e-11
    )
    h = H[-1:]
    for i in range(len(X)):
        p = np.exp(mass[i, :, -1] - logsumexp(mass[i, :, -1]))
        np.testing.assert_allclose(model.output_given(X[i : i + 1], h).mean[0], p @ Y, atol=1e-11)
    for j in range(len(Y)):
        p = np.exp(mass[:, j, -1] - logsumexp(mass[:, j, -1]))
        np.testing.assert_allclose(model.input_given(Y[j : j + 1], h).mean[0], p @ X, atol=1e-11)


@pytest.mark.parametrize("n_factors", [None, 4])
def test_blocks_of_rows_are_the_same_as_all_at_once(n_factors, monkeypatch):
    model, rng = drawn((3, 4, 2), n_factors, 1), np.random.default_rng(0)
    v, h, w = rng.random((9, 7)), rng.random((9, 2)), rng.normal(size=9)

    def everything():
        x, y = model.split(v)
        fields = model.hidden_field(v), model.output_field(x, h), model.input_field(y, h)
        return [*fields, model.energy_gradient(v, h, w).buffer]

    whole = everything()
    monkeypatch.setattr(three_way, "CHUNK", 24)
    for a, b in zip(whole, everything(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("n_factors", [None, 3])
def test_backends_and_host_reads(backend, n_factors):
    host, device = drawn(n_factors=n_factors, seed=2), drawn(n_factors=n_factors, seed=2, backend=backend)
    v = np.random.default_rng(0).random((4, 5))
    w = np.random.default_rng(1).normal(size=4)
    on = [asarray(x, backend) for x in (v, w)]
    found = to_numpy(device.free_energy_gradient(*on).buffer)
    np.testing.assert_allclose(found, host.free_energy_gradient(v, w).buffer, atol=1e-12)
    x, y = (np.round(part) for part in host.split(v))
    np.testing.assert_allclose(
        to_numpy(device.conditional_log_prob(*(asarray(p, backend) for p in (x, y)))),
        host.conditional_log_prob(x, y),
        atol=1e-11,
    )
    if backend == "strict":
        objective, rng = OutputContrastiveDivergence(k=2), Generator(0, backend)
        objective.gradient(device, on[0], rng)
        with count_host_reads() as reads:
            objective.gradient(device, on[0], rng)
        assert reads.count == 0


def test_three_way_chains_follow_the_joint_and_output_chains_the_conditional():
    """40,000 chains started exactly at p, swept once; and y given one x: chi-square at 1e-6."""
    model = drawn((2, 2, 2), None, 3, 1.0)
    p = np.exp(log_mass(model)).sum(axis=2)
    p /= p.sum()
    pick = np.random.default_rng(1).choice(16, size=40_000, p=p.ravel())
    X = model.output.states(2)
    v = model.join(X[pick // 4], X[pick % 4])
    for step in (model.gibbs_step, model.conditional_gibbs_step):
        moved = step(v, None, Generator(5))[0]
        cells = (moved[:, :2] @ [4, 8] + moved[:, 2:] @ [1, 2]).astype(int)
        assert chisquare(np.bincount(cells, minlength=16), 40_000 * p.ravel()).pvalue > 1e-6
    given_x = model.sample(40_000, 3, steps=30, x=np.tile(X[2], (40_000, 1)))
    assert (given_x[:, :2] == X[2]).all()
    expected = 40_000 * p[2] / p[2].sum()
    counts = np.bincount((given_x[:, 2:] @ [1, 2]).astype(int), minlength=4)
    assert chisquare(counts, expected).pvalue > 1e-6


def test_annealing_finds_log_z():
    model = drawn((4, 5, 4), 6, 1)
    estimate = ais(model, n_chains=200, n_temperatures=200, rng=0)
    assert estimate.value == pytest.approx(float(model.log_partition()), abs=6 * estimate.stderr + 1e-3)


def test_shifts_are_learned_and_carried_to_other_words(tmp_path):
    """Words rotated by -1, 0, 1: p(y | x) of unknown ones gains, analogies hold."""
    data = datasets.shifter(6, labelled=False)
    order = np.random.default_rng(0).permutation(len(data.train))
    train, test = data.train[order[:150]], data.train[order[150:]]
    model = GatedRBM(6, 6, 6, seed=0)
    before = float(model.conditional_log_prob(*model.split(test)).mean())
    model.fit(train, optimizer=Adam(0.02), epochs=150, batch_size=15)
    x, y = model.split(test)
    after = float(model.conditional_log_prob(x, y).mean())
    assert before < -4.1 < -2.5 < after
    shift = data.train_labels[order[150:]] - 1
    other = np.roll(x, 3, axis=0)
    expected = np.stack([np.roll(row, s) for row, s in zip(other, shift, strict=True)])
    clear = np.array([len({tuple(np.roll(row, s)) for s in (-1, 0, 1)}) == 3 for row in x])
    assert (np.round(model.transfer(x, y, other)) == expected)[clear].mean() > 0.9
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").transform(x, y), model.transform(x, y))


def test_bad_arguments_and_data_are_refused():
    with pytest.raises(ValueError, match="n_factors must be an integer of at least 1, got 0"):
        GatedRBM(2, 2, 2, n_factors=0)
    model = GatedRBM(2, 3, 2)
    with pytest.raises(DataError, match="x has 1 rows and y 2"):
        model.join(np.eye(2)[:1], np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"x has shape \(1, 3\); expected \[n, 2\]"):
        model.transform(np.zeros((1, 3)), np.zeros((1, 3)))
    with pytest.raises(DataError, match="x_new holds 2 "):
        model.transfer(np.zeros((1, 2)), np.zeros((1, 3)), np.full((1, 2), 2.0))
    with pytest.raises(IntractableError, match="2\\^40 states, more than 2\\^25"):
        GatedRBM(20, 30, 20).log_partition()
    with pytest.raises(IntractableError, match=r"p\(y . x\) sums 2\^21"):
        GatedRBM(2, 30, 21).conditional_log_prob(np.zeros((1, 2)), np.zeros((1, 30)))
    with pytest.raises(TypeError, match="both must be of one structure"):
        model.path_to(GatedRBM(2, 3, 2, n_factors=2))


def test_sizes_from_a_data_set():
    data = datasets.shifter(4, labelled=False)
    assert GatedRBM.arguments_for(data, {}) == {"n_hidden": 64, "n_input": 4, "n_output": 4}
    assert GatedRBM.arguments_for(data, {"n_input": 3, "n_hidden": 2})["n_output"] == 5
    with pytest.raises(DataError, match="do not make up the 8 columns"):
        GatedRBM.arguments_for(data, {"n_input": 3, "n_output": 3})
    with pytest.raises(DataError, match="11 columns, which are no two halves"):
        GatedRBM.arguments_for(datasets.shifter(4), {})
