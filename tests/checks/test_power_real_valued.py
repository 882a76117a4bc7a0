"""Wrong real-valued models and networks must die: identities 19, 22 and the descent of 14 have power."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import GaussianRBM, Hopfield, SpikeAndSlabRBM
from minidgm.boltzmann.gaussian_rbm import Mixture
from minidgm.boltzmann.hopfield import Descent
from minidgm.checks import check_model
from minidgm.distributions import Normal
from minidgm.distributions.multivariate import MultivariateNormal
from minidgm.numerics import logsumexp


class VarianceForPrecision(GaussianRBM):
    @property
    def deviation(self):
        return np.exp(0.5 * self.params["visible_log_precision"])

    def energy(self, v, h):
        z = v * np.exp(0.5 * self.params["visible_log_precision"]) - self.params["b"]
        return (0.5 * z * z - z * (h @ self.params["W"].T)).sum(axis=-1) - h @ self.params["c"]


class DeviationForCovariance(GaussianRBM):
    def mixture(self):
        weights, means, _ = super().mixture()
        return Mixture(weights, means, np.diag(self.deviation))


class MeansWithoutDeviation(GaussianRBM):
    def mixture(self):
        weights, means, covariance = super().mixture()
        return Mixture(weights, means / self.deviation, covariance)


class WeightsOfBiases(GaussianRBM):
    def mixture(self):
        """exp(c.h) without the |W h|^2 / 2 that the integral over v adds."""
        log_weights = self.hidden.states(self.n_hidden) @ self.params["c"]
        return super().mixture()._replace(weights=np.exp(log_weights - logsumexp(log_weights)))


class LogPartitionWithoutVolume(GaussianRBM):
    def log_partition(self):
        return super().log_partition() + 0.5 * self.params["visible_log_precision"].sum()


class CentredWithoutW(GaussianRBM):
    def center_gradient(self, grads, mu, lam):
        """c held where W moves: its dependence on W^T W lam left out."""
        grads["W"][...] -= np.outer(grads["b"], lam)
        grads["b"][...] -= grads["W"] @ lam
        return grads


class CentredByOldGradient(GaussianRBM):
    def center_gradient(self, grads, mu, lam):
        old = grads["W"].copy()
        grads = super().center_gradient(grads, mu, lam)
        grads["b"][...] += (grads["W"] - old) @ lam
        return grads


class PrecisionGradientWithoutBias(GaussianRBM):
    def energy_gradient(self, v, h, weights=None, out=None):
        out = super().energy_gradient(v, h, weights, out)
        out["visible_log_precision"][...] += 0.5 * self.params["b"] * out["b"]
        return out


class SlabPenaltyHalved(SpikeAndSlabRBM):
    """alpha mu^2 / 2 in the energy for the text's alpha mu^2."""

    def slab_energy(self, v, s, h):
        penalty = 0.5 * self.alpha * self.params["mu"] ** 2
        return super().slab_energy(v, s, h) - h @ penalty


class SlabPrecisionForVariance(SpikeAndSlabRBM):
    def slabs_given(self, v, h):
        mean = h * ((v @ self.params["W"]) * self.alpha + self.params["mu"])
        return Normal(mean / self.alpha, -self.params["log_alpha"])


class SlabWithoutSpike(SpikeAndSlabRBM):
    def slabs_given(self, v, h):
        return super().slabs_given(v, np.ones_like(h))


class PhiOfEverySpike(SpikeAndSlabRBM):
    def visible_given_slabs(self, s, h):
        precision = self.conditional_precision(np.ones_like(h))
        return Normal((s * h) @ self.params["W"].T, np.log(precision))


class FieldWithoutSlabs(SpikeAndSlabRBM):
    def energy(self, v, h):
        t = v @ self.params["W"]
        return super().energy(v, h) + 0.5 * (h * t * t / self.alpha).sum(axis=-1)


class CovarianceSign(SpikeAndSlabRBM):
    def visible_given_hidden(self, h):
        W = self.params["W"]
        right = self.visible_precision(h)
        slabs = ((h / self.alpha)[:, None, :] * W[None, :, :]) @ W.T
        return MultivariateNormal((h * self.params["mu"]) @ W.T, right + 2.0 * slabs)


class CovarianceWithoutAlpha(SpikeAndSlabRBM):
    def visible_precision(self, h):
        W = self.params["W"]
        diagonal = self.conditional_precision(h)
        scaled = h[:, None, :] * W[None, :, :]
        return diagonal[:, :, None] * np.eye(self.n_visible) - scaled @ W.T


class MeanWithoutMu(SpikeAndSlabRBM):
    def visible_given_hidden(self, h):
        given = super().visible_given_hidden(h)
        return MultivariateNormal(h @ self.params["W"].T, given.precision)


class GradientOfAlphaOfSpikesOnly(SpikeAndSlabRBM):
    """The normaliser of the slabs, log alpha / 2 a row, left out."""

    def energy_gradient(self, v, h, weights=None, out=None):
        out = super().energy_gradient(v, h, weights, out)
        out["log_alpha"][...] -= 0.5 * (len(v) if weights is None else weights.sum())
        return out


class AllAtOnce(Hopfield):
    def descend(self, v, max_sweeps=100, rng=None):
        v = self.check_data(v).copy()
        energies = [self.potential(v)]
        for _ in range(4):
            field = self.field(v)
            v = np.where(field > 0, 1.0, np.where(field < 0, 0.0, v))
            energies.append(self.potential(v))
        return Descent(v, np.stack(energies), 4, np.ones(len(v), bool))


class HalfTheCouplings(Hopfield):
    def field(self, v):
        return v @ self.params["R"].T + self.params["b"]


class Upwards(Hopfield):
    def descend(self, v, max_sweeps=100, rng=None):
        turned = Hopfield(self.n_visible, dtype=self.dtype)
        for name in ("R", "b"):
            turned.params[name][...] = -self.params[name]
        found = turned.descend(v, max_sweeps, rng)
        return found._replace(energies=-found.energies)


class HotForCold(Hopfield):
    def at_temperature(self, temperature):
        return self.tempered(temperature)


MUTANTS = [
    (VarianceForPrecision, "mixture of Gaussians"),
    (VarianceForPrecision, "conditionals"),
    (DeviationForCovariance, "mixture of Gaussians"),
    (MeansWithoutDeviation, "mixture of Gaussians"),
    (WeightsOfBiases, "mixture of Gaussians"),
    (LogPartitionWithoutVolume, "mixture of Gaussians"),
    (LogPartitionWithoutVolume, "normalisation"),
    (CentredWithoutW, "gradient of centred hidden units"),
    (CentredByOldGradient, "gradient of centred hidden units"),
    (PrecisionGradientWithoutBias, "weighted energy gradient"),
    (SlabPenaltyHalved, "slabs summed out"),
    (SlabPrecisionForVariance, "slabs summed out"),
    (SlabWithoutSpike, "slabs summed out"),
    (PhiOfEverySpike, "slabs summed out"),
    (FieldWithoutSlabs, "slabs summed out"),
    (FieldWithoutSlabs, "conditionals"),
    (CovarianceSign, "covariance of slabs"),
    (CovarianceWithoutAlpha, "covariance of slabs"),
    (MeanWithoutMu, "covariance of slabs"),
    (GradientOfAlphaOfSpikesOnly, "weighted energy gradient"),
    (AllAtOnce, "energy descent"),
    (HalfTheCouplings, "energy descent"),
    (Upwards, "energy descent"),
    (HotForCold, "zero temperature"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", None))
def test_wrong_model_dies(mutant, identity):
    report = check_model(mutant, [identity], max_examples=20, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message
