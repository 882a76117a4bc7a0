"""Wrong models with covariance units, and wrong Hamiltonian dynamics, must die."""

import numpy as np
import pytest

from minidgm import MeanCovarianceRBM, MeanProductOfStudentT
from minidgm.checks import check_model
from minidgm.distributions import Gamma, MultivariateNormal
from minidgm.samplers import hmc


class PrecisionForCovariance(MeanCovarianceRBM):
    def visible_given_hidden(self, h):
        given = super().visible_given_hidden(h)
        return MultivariateNormal(given.field, given.covariance)


class WithoutContainment(MeanCovarianceRBM):
    def conditional_precision(self, h_c):
        precision = super().conditional_precision(h_c)
        return precision - np.eye(self.n_visible) * (np.exp(self.params["visible_log_precision"]) - 1e-3)


class PoolingTransposed(MeanCovarianceRBM):
    def _spread(self, h_c):
        return h_c @ self.params["P"]


class WithoutHalf(MeanCovarianceRBM):
    def pooled_squares(self, v):
        return 2.0 * super().pooled_squares(v)


class FieldSign(MeanCovarianceRBM):
    def visible_given_hidden(self, h):
        given = super().visible_given_hidden(h)
        return MultivariateNormal(given.field - 2.0 * self.params["b"], given.precision)


class SquaresSign(MeanCovarianceRBM):
    def covariance_cgf(self, u):
        return super().covariance_cgf(-u)


class BiasOfTheOtherSet(MeanCovarianceRBM):
    def covariance_cgf(self, u):
        return np.logaddexp(0.0, self.params["c"][: self.n_mean] - u)


class ForceSign(MeanCovarianceRBM):
    def free_energy_input_gradient(self, v):
        return -super().free_energy_input_gradient(v)


class ForceWithoutMean(MeanCovarianceRBM):
    def free_energy_input_gradient(self, v):
        return super().free_energy_input_gradient(v) + (
            self.hidden_given_visible(v).mean[:, : self.n_mean] @ self.params["W"].T
        )


class ForceInBuffersHalf(MeanCovarianceRBM):
    def _fill_covariance_mean(self, s, constants):
        s *= 2.0
        super()._fill_covariance_mean(s, constants)


class SpoilsItsInput(MeanCovarianceRBM):
    def input_gradient_in_place(self, n, scratch):
        fill = super().input_gradient_in_place(n, scratch)

        def spoil(v, out):
            fill(v, out)
            v *= 0.5

        return spoil


class GammaForGammaMinusOne(MeanProductOfStudentT):
    def covariance_base(self, h_c):
        return super().covariance_base(h_c) - np.log(h_c).sum(axis=-1)


class RateForScale(MeanProductOfStudentT):
    def covariance_given(self, u):
        return Gamma(self.gamma, 1.0 / (1.0 + u))


class ExpertWithoutHalf(MeanProductOfStudentT):
    def covariance_cgf(self, u):
        return super().covariance_cgf(2.0 * u)


class WithoutLogGamma(MeanProductOfStudentT):
    def covariance_cgf(self, u):
        return -self.gamma * np.log1p(u)


class LogMeanForMeanLog(MeanProductOfStudentT):
    def _mean_base_gradient(self, u, h_c, weights, out):
        self._base_gradient(h_c, weights, out)


POOLED = {"n_factors": 2}
MUTANTS = [
    (PrecisionForCovariance, {}, "conditional covariance"),
    (WithoutContainment, {}, "conditional covariance"),
    (PoolingTransposed, POOLED, "conditional covariance"),
    (FieldSign, {}, "conditional covariance"),
    (FieldSign, {}, "conditionals"),
    (WithoutHalf, {}, "conditional covariance"),
    (SquaresSign, {}, "covariance units summed out"),
    (BiasOfTheOtherSet, {}, "covariance units summed out"),
    (ForceSign, {}, "input gradient"),
    (ForceWithoutMean, {}, "input gradient"),
    (ForceInBuffersHalf, {}, "input gradient"),
    (SpoilsItsInput, {}, "input gradient"),
    (GammaForGammaMinusOne, {"n_covariance": 1}, "gamma units integrated out"),
    (RateForScale, {"n_covariance": 1}, "gamma units integrated out"),
    (RateForScale, {"n_covariance": 1}, "conditional samples"),
    (ExpertWithoutHalf, {"n_covariance": 1}, "gamma units integrated out"),
    (WithoutLogGamma, {"n_covariance": 1}, "gamma units integrated out"),
    (LogMeanForMeanLog, {"n_covariance": 1}, "free energy gradient"),
]


@pytest.mark.parametrize(
    ("mutant", "structure", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", None)
)
def test_wrong_model_dies(mutant, structure, identity):
    model = mutant(**{"n_visible": 2, "n_mean": 1, "n_covariance": 2, **structure}, dtype="float64")
    report = check_model(model, [identity], max_examples=15, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


def whole_kicks(gradient, v, p, step_size, n):
    for _ in range(n):
        p = p - step_size * gradient(v)
        v = v + step_size * p
    return v, p


def drift_first(gradient, v, p, step_size, n):
    for _ in range(n):
        at = gradient(v)
        v = v + step_size * p
        p = p - step_size * at
    return v, p


@pytest.mark.parametrize("wrong", [whole_kicks, drift_first])
def test_wrong_leapfrog_dies(wrong, monkeypatch):
    monkeypatch.setattr(hmc, "leapfrog", wrong)
    assert not check_model(MeanCovarianceRBM, ["leapfrog"], max_examples=10, raises=False).ok


class Errors:
    """Wrong acceptance rules, as changes of what the step hands to it."""

    @staticmethod
    def double(rng):
        class Scaled:
            def normal(self, *args, **kwargs):
                return 1.5 * rng.normal(*args, **kwargs)

            def uniform(self, *args, **kwargs):
                return rng.uniform(*args, **kwargs)

        return Scaled()

    @staticmethod
    def accepts(rng):
        class Always:
            def normal(self, *args, **kwargs):
                return rng.normal(*args, **kwargs)

            def uniform(self, *args, **kwargs):
                return 0.0 * rng.uniform(*args, **kwargs)

        return Always()


@pytest.mark.parametrize("wrong", [Errors.double, Errors.accepts])
def test_wrong_acceptance_dies(wrong, monkeypatch):
    right = hmc.step
    monkeypatch.setattr(hmc, "step", lambda model, state, rng, **k: right(model, state, wrong(rng), **k))
    found = check_model(MeanCovarianceRBM, ["HMC stays at the model"], max_examples=8, raises=False)
    assert not found.ok


@pytest.mark.parametrize("model", [MeanCovarianceRBM, MeanProductOfStudentT])
def test_the_pooled_models_pass(model):
    """Without pooling they are checked with the registry's other models."""
    small = model.small(like=model(5, 2, 3, 4), dtype="float64")
    check_model(small, ["1", "8", "10", "11", "14", "20", "21"], max_examples=3)
