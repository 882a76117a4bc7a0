"""CD and exact likelihood of models of sequences: no host reads, decay, and what is refused."""

import numpy as np
import pytest

from minidgm import RBM, Generator
from minidgm.checks.strict import count_host_reads
from minidgm.objectives import ConditionalContrastiveDivergence, ConditionalLikelihood, fitting
from tests.boltzmann.sequence_helpers import KINDS, drawn, one_batch, sequences


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "objective", [ConditionalContrastiveDivergence(2, truncation=2), ConditionalLikelihood()]
)
def test_no_host_reads(kind, objective):
    model = drawn(kind, backend="strict")
    batch, rng = one_batch(model, sequences(model)), Generator(0, "strict")
    objective.gradient(model, batch, rng)
    with count_host_reads() as reads:
        objective.gradient(model, batch, rng)
    assert reads.count == 0, reads.kinds


@pytest.mark.parametrize("kind", ["conditional", "recurrent"])
def test_many_sweeps_tend_to_the_likelihood(kind):
    """CD-30, thirty means over a hundred copies of a batch, against the exact gradient.

    Student's t with 29 degrees of freedom exceeds 7.5 with probability 3e-8; three entries are looked at.
    """
    model = drawn(kind, scale=0.3)
    batch = one_batch(model, sequences(model, (4, 3)))
    exact = ConditionalLikelihood().gradient(model, batch, None)[0]["b"].copy()
    objective, rng = ConditionalContrastiveDivergence(k=30), Generator(1)
    many = np.concatenate([batch] * 100)
    found = np.stack([objective.gradient(model, many, rng)[0]["b"].copy() for _ in range(30)])
    error = found.std(axis=0, ddof=1) / np.sqrt(30)
    assert (abs(found.mean(axis=0) - exact) < 7.5 * error).all()


def test_weight_decay():
    model = drawn("recurrent")
    batch = one_batch(model, sequences(model))
    plain = ConditionalLikelihood().gradient(model, batch, None)[0].copy()
    decayed = ConditionalLikelihood(weight_decay=0.1).gradient(model, batch, None)[0]
    np.testing.assert_allclose(decayed["R"] - plain["R"], 0.1 * model.params["R"], atol=1e-12)
    np.testing.assert_array_equal(decayed["u0"], plain["u0"])


@pytest.mark.parametrize("kind", ["conditional", "recurrent"])
def test_sparsity_by_differences(kind):
    """cost * sum_j (target - q_j)^2 in the hidden biases, q_j over real frames only."""
    model = drawn(kind)
    batch = one_batch(model, sequences(model))
    plain = ConditionalLikelihood().gradient(model, batch, None)[0]["c"].copy()
    sparse = ConditionalLikelihood(sparsity_target=0.1, sparsity_cost=0.7)
    found = sparse.gradient(model, batch, None)[0]["c"] - plain

    def penalty():
        frames = model.frames(batch)
        w = frames.weights / frames.weights.sum()
        return 0.7 * ((w @ frames.rbms.hidden_given_visible(frames.v).mean - 0.1) ** 2).sum()

    for j in range(model.n_hidden):
        ends = []
        for step in (1e-5, -1e-5):
            model.params["c"][j] += step
            ends.append(penalty())
            model.params["c"][j] -= step
        assert abs((ends[0] - ends[1]) / 2e-5 - found[j]) < 1e-8


def test_who_can_train_what():
    for kind in KINDS:
        assert fitting(drawn(kind)) == ["ConditionalContrastiveDivergence", "ConditionalLikelihood"]
    assert "ConditionalLikelihood" not in fitting(RBM(3, 2))


def test_bad_arguments():
    with pytest.raises(ValueError, match="truncation must be an integer of at least 1"):
        ConditionalLikelihood(truncation=0)
    with pytest.raises(ValueError, match="k must be"):
        ConditionalContrastiveDivergence(0)
    model = drawn("conditional")
    with pytest.raises(ValueError, match=r"expected \(n, 9\)"):
        ConditionalLikelihood().gradient(model, np.zeros((2, 3)), None)
    with pytest.raises(ValueError, match="at least one row"):
        ConditionalLikelihood().gradient(drawn("recurrent"), np.zeros((0, 3, 4)), None)
