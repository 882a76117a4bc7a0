"""Wrong generators and wrong moment matching must die by identities 34 and 37."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidgm import GMMN, AffineGenerator, DifferentiableGenerator
from minidgm.checks import check_model
from minidgm.objectives import MaximumMeanDiscrepancy, MomentMatching


class DeterminantWithTheWrongSign(DifferentiableGenerator):
    def log_prob(self, x: Any) -> Any:
        z, log_det = self.invert(x)
        return self.log_prior(z) + log_det


class DeterminantLeftOut(DifferentiableGenerator):
    def log_prob(self, x: Any) -> Any:
        return self.log_prior(self.invert(x)[0])


class PriorAtX(DifferentiableGenerator):
    def log_prob(self, x: Any) -> Any:
        return self.log_prior(x) - self.invert(x)[1]


class ShiftForgottenInTheInverse(DifferentiableGenerator):
    def invert(self, x: Any) -> Any:
        return super().invert(x + self.params["generator/0/b"])


class GradientOfTheMean(DifferentiableGenerator):
    """Means over rows where the chain rule sums."""

    def backward(self, dx: Any, cache: Any, out: Any = None) -> Any:
        return super().backward(dx / dx.shape[0], cache, out)


class FirstLayerWithoutGradient(GMMN):
    def backward(self, dx: Any, cache: Any, out: Any = None) -> Any:
        dz, out = super().backward(dx, cache, out)
        out["generator/0/W"][...] = 0.0
        return dz, out


class RowsMinusTheirMean(GMMN):
    def forward(self, z: Any, training: bool = False, rng: Any = None) -> Any:
        x, cache = super().forward(z, training, rng)
        return (x - x.mean(axis=0) if len(x) else x), cache


class OutputScaledInPlace(GMMN):
    def forward(self, z: Any, training: bool = False, rng: Any = None) -> Any:
        z *= 0.5
        return super().forward(z, training, rng)


class ConstantOfDoublePrecision(GMMN):
    def forward(self, z: Any, training: bool = False, rng: Any = None) -> Any:
        x, cache = super().forward(z, training, rng)
        return x * np.float64(1.0), cache


class DiagonalGradientWithoutItsLogarithm(AffineGenerator):
    def log_prob_gradient(self, x: Any, weights: Any = None, out: Any = None) -> Any:
        out = super().log_prob_gradient(x, weights, out)
        out["generator/0/log_diagonal"][...] /= np.exp(self.params["generator/0/log_diagonal"])
        return out


class GradientWithoutTheDeterminant(AffineGenerator):
    def log_prob_gradient(self, x: Any, weights: Any = None, out: Any = None) -> Any:
        out = super().log_prob_gradient(x, weights, out)
        out["generator/0/log_diagonal"][...] += np.sum(weights)
        return out


class VarianceOfTheTranspose(AffineGenerator):
    """Says L^T L where samples have L L^T."""

    @property
    def covariance(self) -> Any:
        return self.matrix.T @ self.matrix


MUTANTS = [
    (DeterminantWithTheWrongSign, "change of variables"),
    (DeterminantWithTheWrongSign, "normalisation"),
    (DeterminantLeftOut, "change of variables"),
    (PriorAtX, "change of variables"),
    (ShiftForgottenInTheInverse, "change of variables"),
    (GradientOfTheMean, "gradient through a generator"),
    (RowsMinusTheirMean, "generated rows are independent"),
    (OutputScaledInPlace, "generated rows are independent"),
    (ConstantOfDoublePrecision, "a generator everywhere"),
    (FirstLayerWithoutGradient, "gradient through a generator"),
    (FirstLayerWithoutGradient, "moment-matching gradients"),
    (DiagonalGradientWithoutItsLogarithm, "normal density of an affine generator"),
    (GradientWithoutTheDeterminant, "normal density of an affine generator"),
    (VarianceOfTheTranspose, "normal density of an affine generator"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_wrong_generator_dies(mutant, identity):
    report = check_model(mutant, [identity], max_examples=20, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


class HalfTheGradient(MaximumMeanDiscrepancy):
    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        metrics = super().estimate(model, batch, rng, grads)
        grads.buffer *= 0.5
        return metrics


class RootWithoutItsSlope(MaximumMeanDiscrepancy):
    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        metrics = super().estimate(model, batch, rng, grads)
        if self.root:
            grads.buffer *= 2.0 * metrics["loss"]
        return metrics


class PairsWithThemselves(MaximumMeanDiscrepancy):
    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        self.unbiased = False
        return super().estimate(model, batch, rng, grads)


class LengthForgottenInTheGradient(MaximumMeanDiscrepancy):
    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        metrics = super().estimate(model, batch, rng, grads)
        grads.buffer *= self.scale
        return metrics


class MomentsWithoutTheirPower(MomentMatching):
    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        order, self.order = self.order, 1
        metrics = super().estimate(model, batch, rng, grads)
        self.order = order
        return metrics


@pytest.mark.parametrize(
    "mutant",
    [
        HalfTheGradient,
        RootWithoutItsSlope,
        PairsWithThemselves,
        LengthForgottenInTheGradient,
        MomentsWithoutTheirPower,
    ],
)
def test_wrong_objective_dies(mutant):
    name = mutant.__bases__[0].__name__
    report = check_model(
        GMMN, ["moment-matching gradients"], max_examples=10, raises=False, objectives={name: mutant}
    )
    assert not report.ok
