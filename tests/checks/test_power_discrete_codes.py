"""Wrong autoencoders of discrete codes and wrong relaxed estimators must die, for bits and for groups."""

import pytest

from minidgm import DiscreteVAE, check_model
from minidgm.latent import nets
from minidgm.latent.code_draws import CodeDraws
from minidgm.objectives import GumbelSoftmax, Rebar, StraightThrough


def model(kind, latent):
    n = 3 if "3" in latent else 2
    encoder, decoder = nets.dense(2, n, [2], codes=1)
    return kind(encoder, decoder, n, latent, dtype="float64")


class UniformPrior(DiscreteVAE):
    def kl(self, x):
        a = self.latent_field(x)
        return self.xp.sum(a * self.latent.mean(a), axis=-1) - self.latent.cgf(a).sum(axis=-1)


class BackwardDivergence(DiscreteVAE):
    def kl(self, x):
        q, p = self.recognition(x), self.prior()
        return ((p.field - q.field) * p.mean).sum(axis=1) - p.cgf().sum() + q.cgf().sum(axis=1)


class PriorWithoutNormalization(DiscreteVAE):
    def log_prior(self, z):
        return z @ self.params["prior/b"]


class SlopeWithoutPrior(DiscreteVAE):
    def log_joint_slopes(self, x, z, weights=None, out=None):
        log_p, d = super().log_joint_slopes(x, z, weights, out)
        return log_p, d - (1.0 if weights is None else weights[:, None]) * self.params["prior/b"]


class SlopeUnweighted(DiscreteVAE):
    def log_joint_slopes(self, x, z, weights=None, out=None):
        super().log_joint_slopes(x, z, weights, out)
        return super().log_joint_slopes(x, z)


class DreamsOfUniformCodes(DiscreteVAE):
    def dream(self, n, rng=None):
        z = self.latent.distribution(self.xp.zeros((n, self.n_latent))).sample(rng)
        return self.visible_given_latent(z).sample(rng), z


class ScoreOfBits(DiscreteVAE):
    """z - sigmoid(a), also where the code is a group."""

    def log_recognition_gradient(self, x, z, weights=None, out=None):
        a, backward = self.latent_field_back(x)
        w = 1.0 if weights is None else weights[:, None]
        return backward(w * (z - 1.0 / (1.0 + self.xp.exp(-a)) * (1.0 + 1e-3)), out)


class MeanOncePerDraw(CodeDraws):
    def log_recognition_gradient(self, weights, out=None):
        mean = self.model.latent.mean(self.field)
        return self._pull((weights[:, :, None] * self.z).sum(axis=0) - mean, out)


class DrawsOfTheMean(DiscreteVAE):
    def draw(self, x, k, rng, scratch=None):
        return MeanOncePerDraw(self, x, k, rng)


MODELS = [
    (UniformPrior, "divergence of discrete codes"),
    (BackwardDivergence, "divergence of discrete codes"),
    (PriorWithoutNormalization, "divergence of discrete codes"),
    (PriorWithoutNormalization, "normalisation"),
    (SlopeWithoutPrior, "slope between the codes"),
    (SlopeWithoutPrior, "Gumbel-softmax path"),
    (SlopeUnweighted, "slope between the codes"),
    (DreamsOfUniformCodes, "ancestral sampling"),
    (ScoreOfBits, "wake-sleep phases"),
    (ScoreOfBits, "recognition gradient"),
    (DrawsOfTheMean, "weighted draws"),
    (DrawsOfTheMean, "REINFORCE is unbiased"),
]


@pytest.mark.parametrize("latent", ["bernoulli", "softmax(3)"])
@pytest.mark.parametrize(("mutant", "identity"), MODELS, ids=lambda x: getattr(x, "__name__", x))
def test_wrong_model_dies(mutant, identity, latent):
    report = check_model(model(mutant, latent), [identity], max_examples=15, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


class SlopeOfBits(GumbelSoftmax):
    """y (1 - y)/tau in a group too."""

    def slope(self, model, x, a, rng):
        z, d, f = super().slope(model, x, a, rng)
        return z, d * 0.9, f


class Argmin(GumbelSoftmax):
    def slope(self, model, x, a, rng):
        z, d, f = super().slope(model, x, -a, rng)
        return z, -d, f


class WithoutTwin(Rebar):
    def slope(self, model, x, a, rng):
        z, d, f = super().slope(model, x, a, rng)
        return z, d + 0.2 * self.strength * (z - 0.5) * f[:, None], f


class HalfOfTheMean(StraightThrough):
    def slope(self, model, x, a, rng):
        z, d, f = super().slope(model, x, a, rng)
        return z, 0.5 * d if self.through == "mean" else d, f


OBJECTIVES = [
    (SlopeOfBits, "Gumbel-softmax path"),
    (Argmin, "Gumbel-softmax path"),
    (WithoutTwin, "REBAR is unbiased"),
    (HalfOfTheMean, "straight-through"),
]


@pytest.mark.parametrize(("mutant", "identity"), OBJECTIVES, ids=lambda x: getattr(x, "__name__", x))
def test_wrong_estimator_dies(mutant, identity):
    name = mutant.__mro__[1].__name__
    report = check_model(
        model(DiscreteVAE, "softmax(3)"), [identity], 6, raises=False, objectives={name: mutant}
    )
    assert not report.ok
