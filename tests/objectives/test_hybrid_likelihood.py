"""The hybrid is the sum of its parts; persistent chains stay those of the state."""

import numpy as np
import pytest

from minidgm import DiscriminativeRBM, Generator
from minidgm.checks import oracle
from minidgm.objectives import ContrastiveDivergence, DiscriminativeLikelihood, HybridLikelihood


def drawn(seed=0):
    model = DiscriminativeRBM(4, 3, 3, dtype="float64")
    model.params.buffer[...] = np.random.default_rng(seed).normal(size=model.params.size)
    return model, model.join(np.random.default_rng(1).integers(0, 2, (5, 4)), [0, 1, 2, 2, 1])


def gradient(objective, model, rows, rng):
    return objective.gradient(model, rows, rng)[0].buffer.copy()


def test_parts_add_up():
    """gamma times the discriminative gradient plus alpha times CD of the joint rows, at equal noise."""
    model, rows = drawn()
    discriminative = gradient(DiscriminativeLikelihood(), model, rows, None)
    joint = gradient(HybridLikelihood(1.0, gamma=0.0), model, rows, Generator(3))
    for alpha, gamma in ((0.5, 1.0), (2.0, 0.3), (0.0, 2.0)):
        found = gradient(HybridLikelihood(alpha, gamma=gamma), model, rows, Generator(3))
        np.testing.assert_allclose(found, gamma * discriminative + alpha * joint, atol=1e-12)
    mean = (
        sum(gradient(HybridLikelihood(1.0, gamma=0.0), model, rows, Generator(s)) for s in range(400)) / 400
    )
    cd = sum(gradient(ContrastiveDivergence(), model, rows, Generator(s)) for s in range(400, 800)) / 400
    np.testing.assert_allclose(mean, cd, atol=0.15)


def test_rows_without_labels_weigh_beta():
    model, rows = drawn()
    rows[:, 4:] = 0.0
    found = [gradient(HybridLikelihood(a, b), model, rows, Generator(3)) for a, b in ((0.3, 1.0), (0.0, 2.0))]
    np.testing.assert_allclose(2.0 * found[0], found[1], atol=1e-12)
    default = [gradient(HybridLikelihood(a), model, rows, Generator(3)) for a in (0.3, 0.6)]
    np.testing.assert_allclose(2.0 * default[0], default[1], atol=1e-12)
    np.testing.assert_allclose(0.3 * found[0], default[0], atol=1e-12)


def test_persistent_chains_continue_from_the_state():
    model, rows = drawn()
    objective = HybridLikelihood(0.5, n_chains=7)
    gradient(objective, model, rows, Generator(0))
    state = objective.state
    assert state["v"].shape == (7, 7)
    first = gradient(objective, model, rows, Generator(1))
    twin = HybridLikelihood(0.5, n_chains=7)
    twin.set_state(state)
    np.testing.assert_array_equal(gradient(twin, model, rows, Generator(1)), first)
    assert not np.array_equal(twin.state["v"], state["v"])
    plain = gradient(HybridLikelihood(0.5, n_chains=7, k=3), model, rows, Generator(1))
    assert np.isfinite(plain).all()
    twin.set_state({"v": state["v"][:3]})
    with pytest.raises(ValueError, match=r"chains have shape \(3, 7\).*need \(7, 7\).*reset"):
        gradient(twin, model, rows, Generator(1))


@pytest.mark.parametrize("n_chains", [1, 5])
def test_persistent_chains_share_the_weight_of_the_batch(n_chains):
    """All chains at one row that they do not leave: the model's expectation is that row's, however many."""
    model, rows = drawn()
    rows[3:, 4:] = 0.0
    end = rows[:1]
    objective = HybridLikelihood(0.3, 0.7, 0.5, n_chains=n_chains)
    objective.set_state({"v": np.repeat(end, n_chains, axis=0)})
    model.gibbs_step = lambda x, h, rng: (x, h)

    def loss(twin):
        v, y = twin.split(rows)
        labelled = y.sum(axis=1)
        free = twin.label_free_energy(v)
        of_label, of_input = (y * free).sum(axis=1), twin.input_free_energy(v)
        terms = labelled * (0.5 * (of_label - of_input) + 0.3 * of_label) + 0.7 * (1.0 - labelled) * of_input
        pull = (0.3 * labelled + 0.7 * (1.0 - labelled)).mean()
        return terms.mean() - pull * twin.free_energy_of_rows(end).sum()

    expected = oracle.gradient(model, loss)
    found, _ = objective.gradient(model, rows, Generator(0))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"alpha": -1.0}, "alpha must be in"),
        ({"beta": "much"}, "beta must be a number"),
        ({"alpha": 0.0, "gamma": 0.0}, "nothing to train"),
        ({"k": 0}, "k must be an integer of at least 1"),
        ({"n_chains": 0}, "n_chains must be"),
    ],
)
def test_bad_arguments_are_refused(arguments, problem):
    with pytest.raises((ValueError, TypeError), match=problem):
        HybridLikelihood(**arguments)
