"""Wrong belief nets and wrong score-function estimators must die: mutants of identities 27 and 30."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import BidirectionalHelmholtz, SigmoidBeliefNet, check_model, evaluation
from minidgm.latent.layered_draws import LayeredDraws
from minidgm.numerics import logsumexp
from minidgm.objectives import BidirectionalImportance, Reinforce, ReweightedWakeSleep, Vimco, WakeSleep


class WithoutPrior(SigmoidBeliefNet):
    def log_above(self, x):
        return 0.0 * x.sum(axis=1)


class PriorOfHalves(SigmoidBeliefNet):
    def prior(self):
        return self.hidden.distribution(0.0 * self.params[f"b{self.depth}"][None, :])


class BiasOfTheLayerAbove(SigmoidBeliefNet):
    def down(self, layer, x):
        bias = self.params["b1"][: self.sizes[layer - 1]]
        return self.hidden.distribution(x @ self.params[f"W{layer}"].T + bias)


class GenerativeWeightsUp(SigmoidBeliefNet):
    def up(self, layer, x):
        return self.hidden.distribution(x @ self.params[f"W{layer}"] + self.params[f"r{layer}"])


class DescendsByMeans(SigmoidBeliefNet):
    def descend(self, x, rng, layer):
        states = super().descend(x, rng, layer)
        return [1.0 * (self.down(1, states[1]).mean > 0.5), *states[1:]]


class DreamsWithoutTop(SigmoidBeliefNet):
    def dream(self, n, rng=None):
        states = self.descend(self.xp.zeros((n, self.sizes[-1])), rng, self.depth)
        return states[0], self.xp.concatenate(states[1:], axis=1)


class EntropySign(SigmoidBeliefNet):
    def mean_log_weight(self, v):
        def expectation(log_p, log_q, message):
            return (np.exp(log_q) * (log_p + log_q + message)).sum(axis=1)

        return self.enumerate_layers(v, expectation)


class MixtureWithQ(SigmoidBeliefNet):
    def log_mixture(self, v):
        return self.enumerate_layers(v, lambda log_p, log_q, m: logsumexp(log_p + log_q + m, axis=1))


class GradientWithoutPrior(SigmoidBeliefNet):
    def log_joint_gradient(self, x, z, weights=None, out=None):
        out = super().log_joint_gradient(x, z, weights, out)
        out[f"b{self.depth}"] *= 0.0
        return out


class GradientUnweighted(SigmoidBeliefNet):
    def log_joint_gradient(self, x, z, weights=None, out=None):
        return super().log_joint_gradient(x, z, None, out)


class GradientOfTheMean(SigmoidBeliefNet):
    def log_joint_gradient(self, x, z, weights=None, out=None):
        out = super().log_joint_gradient(x, z, weights, out)
        out.buffer /= len(x)
        return out


class RowsShareTheirSum(LayeredDraws):
    def log_joint_gradient(self, weights, out=None):
        return super().log_joint_gradient(weights[:, ::-1], out)


class RecognitionSumsOnce(LayeredDraws):
    def log_recognition_gradient(self, weights, out=None):
        out = super().log_recognition_gradient(weights, out)
        out["r1"] /= self.k
        return out


class JointWithoutVisibleBias(LayeredDraws):
    def _descend(self):
        super()._descend()
        self.log_joint = self.log_joint - self.x @ self.model.params["b0"]


class MeansTwice(LayeredDraws):
    def log_joint_gradient(self, weights, out=None):
        self._of_means = False
        super().log_joint_gradient(weights)
        self._of_means = False
        return super().log_joint_gradient(weights, out)


def drawing(draws):
    class Drawing(SigmoidBeliefNet):
        def draw(self, x, k, rng, scratch=None):
            return draws(self, x, k, rng, scratch)

    Drawing.__name__ = f"Drawing{draws.__name__}"
    return Drawing


class BoundWithoutSquare(BidirectionalHelmholtz):
    def log_prob_bound(self, x):
        return 0.5 * super().log_prob_bound(x)


class RootsWithWholePrior(BidirectionalHelmholtz):
    def enumerate_layers(self, v, combine, scale=1.0):
        return super().enumerate_layers(v, combine, 1.0)


class PartitionOfTheJoint(BidirectionalHelmholtz):
    def log_partition(self):
        return 0.5 * super().log_partition()


class PartitionFromWeights(BidirectionalHelmholtz):
    def _proposals(self, n, k, rng):
        log_w, x = super()._proposals(n, k, rng)
        return 2.0 * log_w, x


MUTANTS = [
    (WithoutPrior, "belief net's joint"),
    (PriorOfHalves, "belief net's joint"),
    (BiasOfTheLayerAbove, "belief net's joint"),
    (GenerativeWeightsUp, "belief net's joint"),
    (GenerativeWeightsUp, "recognition gradient"),
    (DescendsByMeans, "ancestral sampling"),
    (DreamsWithoutTop, "ancestral sampling"),
    (DreamsWithoutTop, "wake-sleep phases"),
    (EntropySign, "importance weights"),
    (MixtureWithQ, "importance weights"),
    (MixtureWithQ, "normalisation"),
    (GradientWithoutPrior, "joint gradient"),
    (GradientUnweighted, "joint gradient"),
    (GradientOfTheMean, "joint gradient"),
    (drawing(RowsShareTheirSum), "weighted draws"),
    (drawing(RecognitionSumsOnce), "weighted draws"),
    (drawing(RecognitionSumsOnce), "VIMCO is unbiased"),
    (drawing(JointWithoutVisibleBias), "weighted draws"),
    (drawing(JointWithoutVisibleBias), "importance weights"),
    (drawing(MeansTwice), "weighted draws"),
    (BoundWithoutSquare, "bidirectional model"),
    (RootsWithWholePrior, "bidirectional model"),
    (PartitionOfTheJoint, "bidirectional model"),
    (PartitionFromWeights, "bidirectional model"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_wrong_net_dies(mutant, identity):
    report = check_model(mutant([2, 2, 1], dtype="float64"), [identity], max_examples=20, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


class SleepSign(WakeSleep):
    def add_dreams(self, model, n, scale, rng, grads):
        super().add_dreams(model, n, -scale, rng, grads)


class SleepOverDraws(WakeSleep):
    def add_dreams(self, model, n, scale, rng, grads):
        super().add_dreams(model, n, scale / 2.0, rng, grads)


class Unnormalized(ReweightedWakeSleep):
    def weigh(self, model, batch, log_w):
        u, c, metrics = super().weigh(model, batch, log_w)
        return 1.1 * u, c, metrics


class OverTheBatch(ReweightedWakeSleep):
    """Weights normalized over all draws there are: right for one draw of one row only."""

    def weigh(self, model, batch, log_w):
        u = np.full_like(log_w, 1.0 / len(log_w))
        return u, u if self.phase == "wake" else None, {"loss": -log_w.mean()}


class WholeOfBoth(ReweightedWakeSleep):
    def weigh(self, model, batch, log_w):
        u, c, metrics = super().weigh(model, batch, log_w)
        return u, u if self.phase == "both" else c, metrics


class WeightsForRoots(BidirectionalImportance):
    def weigh(self, model, batch, log_w):
        return super().weigh(model, batch, 2.0 * log_w)


class OneDirection(BidirectionalImportance):
    def weigh(self, model, batch, log_w):
        u, _, metrics = super().weigh(model, batch, log_w)
        return u, None, metrics


class SeesItsOwnDraw(Reinforce):
    def weigh(self, model, batch, log_w):
        u, c, metrics = super().weigh(model, batch, log_w)
        return u, c - 0.5 * log_w / self.k, metrics


class MeanOfAllDraws(Reinforce):
    """Leave-one-out that leaves none out: biased by (k - 1)/k."""

    def weigh(self, model, batch, log_w):
        u, c, metrics = super().weigh(model, batch, log_w)
        return u, c * (self.k - 1) / self.k if self.k > 1 else c, metrics


class SumOverDraws(Reinforce):
    def weigh(self, model, batch, log_w):
        u, c, metrics = super().weigh(model, batch, log_w)
        return self.k * u, c, metrics


class DividesBoth(Reinforce):
    def weigh(self, model, batch, log_w):
        u, c, metrics = super().weigh(model, batch, log_w)
        return u * (0.5 if self.normalize else 1.0), c, metrics


class VarianceForDeviation(Reinforce):
    def weigh(self, model, batch, log_w):
        u, c, metrics = super().weigh(model, batch, log_w)
        return u, c * (0.5 if self.normalize else 1.0), metrics


class UpdatesFirst(Reinforce):
    """A baseline that has moved towards the signal before it is used."""

    def weigh(self, model, batch, log_w):
        if "mean" in self._state:
            self._state["mean"] = 0.9 * self._state["mean"] + 0.1 * log_w.mean()
        return super().weigh(model, batch, log_w)


class WithoutShare(Vimco):
    def weigh(self, model, batch, log_w):
        u, c, metrics = super().weigh(model, batch, log_w)
        return u, c + u, metrics


class SignalOfAll(Vimco):
    """The whole bound for a signal, divided by the number of draws."""

    def weigh(self, model, batch, log_w):
        u, c, metrics = super().weigh(model, batch, log_w)
        return u, 0.5 * c, metrics


OBJECTIVES = [
    (SleepSign, "wake-sleep phases"),
    (SleepOverDraws, "wake-sleep phases"),
    (Unnormalized, "reweighted wake-sleep"),
    (Unnormalized, "reweighting's bias shrinks"),
    (OverTheBatch, "reweighted wake-sleep"),
    (OverTheBatch, "reweighting's bias shrinks"),
    (WholeOfBoth, "reweighted wake-sleep"),
    (WeightsForRoots, "bidirectional importance"),
    (OneDirection, "bidirectional importance"),
    (SeesItsOwnDraw, "REINFORCE is unbiased"),
    (MeanOfAllDraws, "REINFORCE is unbiased"),
    (SumOverDraws, "REINFORCE is unbiased"),
    (UpdatesFirst, "REINFORCE is unbiased"),
    (UpdatesFirst, "NVIL"),
    (DividesBoth, "NVIL"),
    (VarianceForDeviation, "NVIL"),
    (WithoutShare, "VIMCO is unbiased"),
    (SignalOfAll, "VIMCO is unbiased"),
]


@pytest.mark.parametrize(("mutant", "identity"), OBJECTIVES, ids=lambda x: getattr(x, "__name__", x))
def test_wrong_estimator_dies(mutant, identity):
    name = mutant.__mro__[1].__name__
    net = SigmoidBeliefNet([2, 2], dtype="float64")
    report = check_model(net, [identity], 4, raises=False, objectives={name: mutant})
    assert not report.ok
    assert identity in report.failures[0].message


def test_the_mean_signal_is_not_the_optimal_baseline(monkeypatch):
    monkeypatch.setattr(evaluation, "optimal_baseline", lambda p, f, s: float(p @ f))
    assert not check_model(SigmoidBeliefNet([2, 2], dtype="float64"), "optimal baseline", raises=False).ok
