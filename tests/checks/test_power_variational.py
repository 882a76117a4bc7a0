"""Wrong variational models must die: each mutant has one mistake, and the named identity finds it."""

import numpy as np
import pytest

from minidgm import VAE, Autoencoder, LinearGaussianVAE
from minidgm.checks import check_model
from minidgm.latent.gaussian import DiagonalNormal
from minidgm.latent.pathwise import Paths
from minidgm.numerics import logsumexp
from minidgm.objectives import ImportanceWeighted, Reparameterization


class SpreadOfVariance(Paths):
    def gradient(self, weights, kl="analytic", beta=1.0, share=None, out=None):
        self._spread = self._spread * self.recognition.deviation
        return super().gradient(weights, kl, beta, share, out)


class NoPullOfThePrior(Paths):
    def gradient(self, weights, kl="analytic", beta=1.0, share=None, out=None):
        return super().gradient(weights, kl, 0.0 * beta, share, out)


class SharesForTheDecoderToo(Paths):
    def gradient(self, weights, kl="analytic", beta=1.0, share=None, out=None):
        weights = weights if share is None else weights * share
        share = None if share is None else 0.0 * share + 1.0
        return super().gradient(weights, kl, beta, share, out)


class VarianceChangesTheMean(VAE):
    def paths(self, x, noise, training=False, rng=None):
        return SpreadOfVariance(self, x, noise, training, rng)


class PriorWithoutPull(VAE):
    def paths(self, x, noise, training=False, rng=None):
        return NoPullOfThePrior(self, x, noise, training, rng)


class SquaredEverywhere(VAE):
    def paths(self, x, noise, training=False, rng=None):
        return SharesForTheDecoderToo(self, x, noise, training, rng)


class UnweightedJoint(VAE):
    def log_joint_gradient(self, x, z, weights=None, out=None):
        return super().log_joint_gradient(x, z, None, out)


class DivergenceWithoutVariance(VAE):
    def kl(self, x):
        q = self.recognition(x)
        return 0.5 * self.xp.sum(q.mean * q.mean, axis=-1)


class SumOfWeights(VAE):
    def log_prob_estimate(self, x, rng=None, n_samples=100):
        return logsumexp(self.log_weights(self.check_data(x), rng, n_samples), axis=0)


class MeanOfLogs(VAE):
    def log_prob_estimate(self, x, rng=None, n_samples=100):
        return 0.0 * x[:, 0] - self.log_weights(self.check_data(x), rng, n_samples).max(axis=0)


class ForgetsTheSpread(LinearGaussianVAE):
    def elbo(self, x, rng=None, n_samples=1):
        q = self.recognition(x)
        return self.likelihood.log_prob(self.decode(q.mean)[0], x) - q.kl()


class DeterminantOfTheWrongSide(LinearGaussianVAE):
    def log_prob(self, x):
        M = self._inner()
        return super().log_prob(x) + self.xp.linalg.slogdet(M)[1]


class NoiseOfUnitVariance(LinearGaussianVAE):
    def encode(self, x, **options):
        q, cache = super().encode(x, **options)
        return DiagonalNormal(q.mean, 0.0 * q.log_variance + np.log(2.0)), cache


class SumsOverTheBatch(Reparameterization):
    def estimate(self, model, batch, rng, grads):
        metrics = super().estimate(model, batch, rng, grads)
        grads.buffer *= batch.shape[0] + 1.0
        return metrics


class ForgetsBeta(Reparameterization):
    def estimate(self, model, batch, rng, grads):
        model = model.with_params(model.params)
        model.beta = 2.0 * model.beta
        return super().estimate(model, batch, rng, grads)


class DrawsWeighEqually(ImportanceWeighted):
    def estimate(self, model, batch, rng, grads):
        metrics = super().estimate(model, batch, rng, grads)
        grads.buffer *= metrics["effective_samples"]
        return metrics


class TargetsTheCorrupted(Autoencoder):
    def loss_gradient(self, x, weights, seen=None, **options):
        return super().loss_gradient(x if seen is None else seen, weights, seen, **options)


class NoSignOfTheCode(Autoencoder):
    def loss_gradient(self, x, weights, seen=None, activity=0.0, **options):
        return super().loss_gradient(x, weights, seen, **options)


class SmallestComponents(Autoencoder):
    def principal_components(self, X):
        super().principal_components(X)
        for name in ("encoder/0/W", "decoder/0/W"):
            self.params[name][...] *= 0.5
        return self


class ComponentsWithoutMean(Autoencoder):
    def principal_components(self, X):
        super().principal_components(X)
        self.params["decoder/0/b"][...] = 0.0
        return self


MUTANTS = [
    (VarianceChangesTheMean, "path gradient"),
    (PriorWithoutPull, "path gradient"),
    (SquaredEverywhere, "importance-weighted bound"),
    (UnweightedJoint, "joint gradient of codes"),
    (DivergenceWithoutVariance, "divergence from the prior"),
    (SumOfWeights, "more samples tighten the bound"),
    (MeanOfLogs, "more samples tighten the bound"),
    (ForgetsTheSpread, "gap of the bound"),
    (DeterminantOfTheWrongSide, "gap of the bound"),
    (NoiseOfUnitVariance, "expected path gradient"),
    (TargetsTheCorrupted, "autoencoder gradient"),
    (NoSignOfTheCode, "autoencoder gradient"),
    (SmallestComponents, "principal components"),
    (ComponentsWithoutMean, "principal components"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_mutants_die(mutant, identity):
    report = check_model(mutant, identity, max_examples=15, raises=False)
    assert not report.ok, f"{mutant.__name__} survives {identity}"
    assert report.failures[0].verdict == "fails", report.failures[0].message


@pytest.mark.parametrize(
    ("objective", "identity"),
    [
        (SumsOverTheBatch, "reparameterized bound"),
        (ForgetsBeta, "reparameterized bound"),
        (DrawsWeighEqually, "importance-weighted bound"),
    ],
)
def test_objective_mutants_die(objective, identity):
    name = objective.__mro__[1].__name__
    report = check_model(VAE, identity, max_examples=15, raises=False, objectives={name: objective})
    assert [result.verdict for result in report.results] == ["fails"]


def test_each_identity_holds_for_the_true_models():
    for cls in (VAE, LinearGaussianVAE, Autoencoder):
        names = {identity for _, identity in MUTANTS}
        report = check_model(cls, None, max_examples=3)
        assert report.ok
        assert names & {result.name for result in report.results}
