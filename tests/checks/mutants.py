"""Wrong models, each with one mistake: a check that lets one of them pass has no power."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidgm import RBM
from minidgm.distributions import Bernoulli, Normal
from minidgm.numerics import logsumexp, softplus
from minidgm.objectives import ContrastiveDivergence, PersistentContrastiveDivergence


class EnergySign(RBM):
    def energy(self, v: Any, h: Any) -> Any:
        return super().energy(v, h) + 2.0 * ((v @ self.params["W"]) * h).sum(axis=-1)


class EnergyWithoutHiddenBias(RBM):
    def energy(self, v: Any, h: Any) -> Any:
        return super().energy(v, h) + h @ self.params["c"]


class EnergyHalf(RBM):
    def energy(self, v: Any, h: Any) -> Any:
        return 0.5 * super().energy(v, h)


class FreeEnergyWithoutBias(RBM):
    def free_energy(self, v: Any) -> Any:
        return super().free_energy(v) + v @ self.params["b"]


class FreeEnergyMeanForSum(RBM):
    def free_energy(self, v: Any) -> Any:
        return -(v @ self.params["b"]) - softplus(self.hidden_field(v)).mean(axis=-1)


class FreeEnergyWrongAxis(RBM):
    def free_energy(self, v: Any) -> Any:
        return -(v @ self.params["b"]) - softplus(self.hidden_field(v)).sum(axis=0).sum()


class FreeEnergyOverflows(RBM):
    def free_energy(self, v: Any) -> Any:
        return -(v @ self.params["b"]) - np.log(1.0 + np.exp(self.hidden_field(v))).sum(axis=-1)


class FreeEnergyDraws(RBM):
    """Bug d: a random draw inside the free energy (MultinomialRBM of yell/boltzmann-machines)."""

    _rng = np.random.Generator(np.random.SFC64(0))

    def free_energy(self, v: Any) -> Any:
        h = 1.0 * (self._rng.random((v.shape[0], self.n_hidden)) < self.hidden_given_visible(v).mean)
        return self.energy(v, h) + self.hidden_given_visible(v).log_prob(h) + 1e-3 * h.sum(axis=-1)


class HiddenFieldTransposed(RBM):
    def hidden_field(self, v: Any) -> Any:
        return v @ self.params["W"].T + self.params["c"]


class HiddenFieldWithoutBias(RBM):
    def hidden_field(self, v: Any) -> Any:
        return v @ self.params["W"]


class VisibleFieldWithoutBias(RBM):
    def visible_field(self, h: Any) -> Any:
        return h @ self.params["W"].T


class VisibleFieldTwice(RBM):
    def visible_given_hidden(self, h: Any) -> Any:
        return self.visible.distribution(2.0 * self.visible_field(h))


class LogProbUnderflows(RBM):
    """Bug q: the log of a rounded probability, -inf where it is about 0 (Bernoulli of chainer)."""

    class Conditional(Bernoulli):
        def log_prob(self, x: Any) -> Any:
            p = self.mean
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(x > 0, np.log(p), np.log(1.0 - p)).sum(axis=-1)

    def hidden_given_visible(self, v: Any) -> Any:
        return self.Conditional(self.hidden_field(v))


class GradientSign(RBM):
    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        out = super().energy_gradient(v, h, weights, out)
        out["b"][...] = -out["b"]
        return out


class GradientMeanForSum(RBM):
    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        out = super().energy_gradient(v, h, weights, out)
        out.buffer[...] /= max(len(v), 1)
        return out


class GradientTransposed(RBM):
    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        out = super().energy_gradient(v, h, weights, out)
        out["W"][...] = out["W"].T.copy()
        return out


class GradientWeightsLeftOut(RBM):
    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        out = super().energy_gradient(v, h, weights, out)
        out["c"][...] = -h.sum(axis=0)
        return out


class GradientWeightsSquared(RBM):
    def energy_gradient(self, v: Any, h: Any, weights: Any = None, out: Any = None) -> Any:
        out = super().energy_gradient(v, h, weights, out)
        w = np.ones(len(v)) if weights is None else weights
        out["W"][...] = -(v * w[:, None]).T @ (h * w[:, None])
        return out


class FreeEnergyGradientOfField(RBM):
    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        return self.energy_gradient(v, self.hidden_field(v), weights, out)


class FreeEnergyGradientWithoutVariance(RBM):
    def free_energy_gradient(self, v: Any, weights: Any = None, out: Any = None) -> Any:
        return self.energy_gradient(v, self.hidden_given_visible(v).mean, weights, out)


class LogPartitionInBits(RBM):
    def log_partition(self) -> Any:
        return super().log_partition() / np.log(2.0)


class LogPartitionOfOneSide(RBM):
    def log_partition(self) -> Any:
        return logsumexp(-self.free_energy(self.visible.states(self.n_visible)[1:]))


class LogProbOfTheBatch(RBM):
    def log_prob(self, v: Any, log_partition: Any = None) -> Any:
        return -self.free_energy(v) - logsumexp(-self.free_energy(v))


class PseudoLikelihoodMean(RBM):
    def pseudo_log_likelihood(self, v: Any) -> Any:
        return super().pseudo_log_likelihood(v) / self.n_visible


class GibbsFromStaleHidden(RBM):
    def gibbs_step(self, v: Any, h: Any, rng: Any) -> Any:
        new = self.hidden_given_visible(v).sample(rng)
        return self.visible_given_hidden(h).sample(rng), new


class GibbsWithMeans(RBM):
    def gibbs_step(self, v: Any, h: Any, rng: Any) -> Any:
        h = self.hidden_given_visible(v).mean
        return self.visible_given_hidden(h).sample(rng), (h > 0.5) * 1.0


class GibbsSharesNoise(RBM):
    def gibbs_step(self, v: Any, h: Any, rng: Any) -> Any:
        u = rng.uniform((len(v), 1), dtype=self.dtype)
        h = 1.0 * (u < self.hidden_given_visible(v).mean)
        return self.visible_given_hidden(h).sample(rng), h


class SampleOfMeans(RBM):
    def sample(self, n: int, rng: Any = None, steps: int = 1000, init: Any = None) -> Any:
        v = super().sample(n, rng, steps, init)
        return np.round(self.reconstruct(v))


class TemperedHiddenBiasKept(RBM):
    def tempered(self, beta: float, base: Any = None) -> Any:
        cooler = super().tempered(beta, base)
        return cooler.with_params({**cooler.params, "c": self.params["c"]})


class TemperedWithoutBase(RBM):
    def tempered(self, beta: float, base: Any = None) -> Any:
        return super().tempered(beta)


class CenteredTwice(RBM):
    def center_gradient(self, grads: Any, mu: Any, lam: Any) -> Any:
        return super().center_gradient(super().center_gradient(grads, mu, lam), mu, lam)


class CenteredUncorrected(RBM):
    def center_gradient(self, grads: Any, mu: Any, lam: Any) -> Any:
        grads["b"][...] -= grads["W"] @ lam
        grads["c"][...] -= mu @ grads["W"]
        return grads


class WritesItsParameters(RBM):
    def free_energy(self, v: Any) -> Any:
        found = super().free_energy(v)
        if isinstance(self.params["b"], np.ndarray):
            self.params["b"][...] += 1e-3
        return found


class WritesItsInput(RBM):
    def transform(self, v: Any) -> Any:
        found = super().transform(v)
        v *= 0.0
        return found


class GaussianEnergySign(RBM):
    """Bug b: the quadratic term with the wrong sign (VarianceGaussianRBM of learnergy)."""

    def energy(self, v: Any, h: Any) -> Any:
        base = self.visible.log_base(v, log_precision=self.params["visible_log_precision"])
        return super().energy(v, h) + 2.0 * base.sum(axis=-1)


class GaussianVarianceForDeviation(RBM):
    """Bug b: the variance passed where a standard deviation belongs."""

    class Conditional(Normal):
        def sample(self, rng: Any, out: Any = None) -> Any:
            return self.mean + self.variance * rng.normal(self.field.shape, dtype=self.field.dtype)

    def visible_given_hidden(self, h: Any) -> Any:
        return self.Conditional(self.visible_field(h), self.params["visible_log_precision"])


class GaussianPrecisionForVariance(RBM):
    def visible_given_hidden(self, h: Any) -> Any:
        return Normal(self.visible_field(h), -self.params["visible_log_precision"])


class GaussianScoreSign(RBM):
    def score(self, v: Any) -> Any:
        return -super().score(v)


class NegativePhaseOverBatch(PersistentContrastiveDivergence):
    """Bug a: chains summed, divided by the size of the data's batch (scikit-learn's BernoulliRBM)."""

    def gradient(self, model: Any, batch: Any, rng: Any) -> Any:
        grads, metrics = super().gradient(model, batch, rng)
        positive = model.free_energy_gradient(batch, np.full(len(batch), 1.0 / len(batch)))
        scale = self.n_chains / len(batch)
        grads.buffer[...] = positive.buffer + scale * (grads.buffer - positive.buffer)
        return grads, metrics


class PartialBatchPadded(ContrastiveDivergence):
    """Bug a, the other way round: a partial batch divided by the size of a full one."""

    def gradient(self, model: Any, batch: Any, rng: Any) -> Any:
        grads, metrics = super().gradient(model, batch, rng)
        grads.buffer[...] *= len(batch) / max(len(batch), 4)
        return grads, metrics


class OneStepMore(ContrastiveDivergence):
    def __init__(self, k: int = 1):
        super().__init__(k + 1)
