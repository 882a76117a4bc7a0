"""Wrong convolutional models must die by identity 23, the published bug c among them."""

from typing import Any

import numpy as np
import pytest

from minidgm import ConvolutionalRBM
from minidgm.checks import check_model
from minidgm.distributions import Bernoulli, Categorical


class EnergyWithMeanHiddenBias(ConvolutionalRBM):
    """Bug c: the energy multiplies the detectors by the mean of the hidden biases (ConvRBM of learnergy)."""

    def energy(self, v: Any, h: Any) -> Any:
        c = self.params["c"]
        return super().energy(v, h) + h @ self.hidden_bias() - h.sum(axis=1) * c.mean()


class EnergyCountsTheBiasOnce(ConvolutionalRBM):
    def energy(self, v: Any, h: Any) -> Any:
        mean = v.reshape(len(v), self.image_shape[0], -1).mean(axis=2)
        return super().energy(v, h) + v @ self.visible_bias() - mean @ self.params["b"]


class FilterFlipped(ConvolutionalRBM):
    def visible_field(self, h: Any) -> Any:
        return self.with_params({**self.params, "W": self.params["W"][:, :, ::-1, ::-1]})._straight(h)

    def _straight(self, h: Any) -> Any:
        return super().visible_field(h)


class CompetesWithoutIdleState(ConvolutionalRBM):
    def hidden_given_visible(self, v: Any) -> Any:
        return Categorical(self.hidden_field(v), self.maps.K)


class DoesNotCompete(ConvolutionalRBM):
    def hidden_given_visible(self, v: Any) -> Any:
        return Bernoulli(self.hidden_field(v))


class FreeEnergyOfFreeUnits(ConvolutionalRBM):
    def free_energy(self, v: Any) -> Any:
        return -(v @ self.visible_bias()) - Bernoulli(self.hidden_field(v)).cgf().sum(axis=-1)


class PoolsTheStrongest(ConvolutionalRBM):
    def pooling_given_visible(self, v: Any) -> Any:
        blocks = self.hidden_field(v).reshape(len(v), -1, self.filters, self.maps.K)
        return Bernoulli(blocks.max(axis=-1).transpose(0, 2, 1).reshape(len(v), -1))


class PoolsInTheOrderOfDetectors(ConvolutionalRBM):
    def pooling_given_visible(self, v: Any) -> Any:
        bits = super().pooling_given_visible(v)
        return Bernoulli(bits.field.reshape(len(v), self.filters, -1).transpose(0, 2, 1).reshape(len(v), -1))


class GradientOfMeanOverPlaces(ConvolutionalRBM):
    def energy_gradient(self, *args: Any, **kwargs: Any) -> Any:
        out = super().energy_gradient(*args, **kwargs)
        out["c"][...] = out["c"] / (self.maps.P * self.maps.Q)
        return out


class GradientTransposed(ConvolutionalRBM):
    def energy_gradient(self, *args: Any, **kwargs: Any) -> Any:
        out = super().energy_gradient(*args, **kwargs)
        out["W"][...] = out["W"][:, ::-1].copy()
        return out


class GradientFlipped(ConvolutionalRBM):
    def energy_gradient(self, *args: Any, **kwargs: Any) -> Any:
        out = super().energy_gradient(*args, **kwargs)
        out["W"][...] = out["W"][:, :, ::-1].copy()
        return out


class SparsityOfFreeUnits(ConvolutionalRBM):
    def sparsity_gradient(self, means: Any, target: float) -> Any:
        mean = means.reshape(-1, self.filters, self.maps.K)
        return 2.0 * (mean.mean(axis=(0, 2)) - target) * (mean * (1.0 - mean)).mean(axis=(0, 2))


MUTANTS = [
    (EnergyWithMeanHiddenBias, "Toeplitz weights"),
    (EnergyWithMeanHiddenBias, "probabilistic max pooling"),
    (EnergyCountsTheBiasOnce, "Toeplitz weights"),
    (FilterFlipped, "Toeplitz weights"),
    (CompetesWithoutIdleState, "probabilistic max pooling"),
    (DoesNotCompete, "probabilistic max pooling"),
    (FreeEnergyOfFreeUnits, "probabilistic max pooling"),
    (PoolsTheStrongest, "probabilistic max pooling"),
    (PoolsInTheOrderOfDetectors, "probabilistic max pooling"),
    (GradientOfMeanOverPlaces, "Toeplitz weights"),
    (GradientTransposed, "shared gradients"),
    (GradientFlipped, "shared gradients"),
    (SparsityOfFreeUnits, "sparsity of filters"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", None))
def test_wrong_model_dies(mutant, identity):
    report = check_model(mutant, [identity], max_examples=10, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message
    assert "does not hold" in report.failures[0].message


@pytest.mark.parametrize("identity", sorted({identity for _, identity in MUTANTS}))
def test_right_model_lives(identity):
    assert check_model(ConvolutionalRBM, [identity], max_examples=10).ok


def test_the_mean_of_one_hidden_bias_is_that_bias():
    """Bug c hides where there is one filter: only several filters tell."""
    right, wrong = (
        kind(1, 2, 1, image_shape=(3, 3), dtype="float64", seed=0)
        for kind in (ConvolutionalRBM, EnergyWithMeanHiddenBias)
    )
    for model in (right, wrong):
        model.params["c"][...] = 1.5
    v, h = np.ones((2, 9)), np.eye(4)[:2]
    np.testing.assert_allclose(wrong.energy(v, h), right.energy(v, h), rtol=1e-14)
