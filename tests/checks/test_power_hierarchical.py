"""Wrong models of several layers of codes must die: one mistake each, and the named identity finds it."""

import pytest

from minidgm import HierarchicalVAE
from minidgm.checks import check_model
from minidgm.latent.gaussian import log_standard_normal
from minidgm.latent.hierarchical_paths import HierarchicalPaths


class Wrong(HierarchicalVAE):
    """A model whose paths are of another class."""

    wrong: type

    def paths(self, x, noise, training=False, rng=None):
        return self.wrong(self, x, noise, training, rng)


class OneLayerAlone(HierarchicalPaths):
    def _through_codes(self, i, *arguments):
        return 0.0 * self.codes[i - 1] if super()._through_codes(i, *arguments) is not None else None


class ScoreInsteadOfSlope(HierarchicalPaths):
    """With "path", z_(l-1) gets what the encoder's parameters get."""

    def _through_codes(self, i, g, w, closed, path, out):
        if not path or i == 0:
            return super()._through_codes(i, g, w, closed, path, out)
        super()._through_codes(i, g, w, closed, path, out)
        h = g + w * (self._eps[i] / self.below[i].deviation)
        dy = self._slopes(i, h, 0.5 * h * self._spread[i])
        return self.model.encoders[i].backward(dy, self._encoders[i])[0]


class PriorWithoutItsVariance(HierarchicalPaths):
    def _prior_slopes(self, i, w):
        in_mean, in_log_variance = super()._prior_slopes(i, w)
        return in_mean, in_log_variance + 0.5 * w


class BetaOnTheHighestAlone(HierarchicalPaths):
    def _prior_slopes(self, i, w):
        return super()._prior_slopes(i, 0.0 * w + 1.0)


class SharesForEverything(HierarchicalPaths):
    def gradient(self, weights, kl="analytic", beta=1.0, share=None, out=None):
        return super().gradient(weights if share is None else weights * share, kl, beta, None, out)


class HighestTwice(HierarchicalPaths):
    """The loss counts the highest layer at the draws and in closed form."""

    def kl_terms(self, kl="analytic"):
        return super().kl_terms(kl) + (0.5 * super().kl_terms("sampled") if kl == "analytic" else 0.0)


class UnweightedRecognition(HierarchicalVAE):
    def log_recognition_gradient(self, x, z, weights=None, out=None):
        return super().log_recognition_gradient(x, z, None, out)


class UpperLayersForgotten(HierarchicalPaths):
    def log_joint_gradient(self, weights, out=None):
        out = super().log_joint_gradient(weights, out)
        for name in out:
            if name.startswith("decoder/2"):
                out[name][...] = 0.0
        return out


class ClosedFormOverAll(HierarchicalVAE):
    """log p(z_(L-1) | z_L) taken for a constant."""

    def divergence(self, x, z):
        codes = self.split(z)
        highest = self.up(self.depth, codes[-2])[0]
        lower = self.encode(x)[0].log_prob(codes[0]) - log_standard_normal(codes[0])
        return lower + highest.kl()


class EntropyOfTheHighest(HierarchicalVAE):
    def divergence(self, x, z):
        highest = self.up(self.depth, self.split(z)[-2])[0]
        return super().divergence(x, z) + 0.5 * (highest.variance - 1.0).sum(axis=1)


def of(paths):
    return type(paths.__name__, (Wrong,), {"wrong": paths, "__module__": __name__})


MUTANTS = [
    (of(OneLayerAlone), "path gradient"),
    (of(ScoreInsteadOfSlope), "path gradient"),
    (of(ScoreInsteadOfSlope), "importance-weighted bound"),
    (of(PriorWithoutItsVariance), "path gradient"),
    (of(PriorWithoutItsVariance), "joint gradient of codes"),
    (of(BetaOnTheHighestAlone), "path gradient"),
    (of(SharesForEverything), "importance-weighted bound"),
    (of(HighestTwice), "reparameterized bound"),
    (UnweightedRecognition, "recognition gradient"),
    (of(UpperLayersForgotten), "joint gradient of codes"),
    (ClosedFormOverAll, "divergence of the highest layer"),
    (EntropyOfTheHighest, "divergence of the highest layer"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_mutants_die(mutant, identity):
    report = check_model(mutant, identity, max_examples=10, raises=False)
    assert not report.ok, f"{mutant.__name__} survives {identity}"
    assert report.failures[0].verdict == "fails", report.failures[0].message


def test_the_true_model_lives():
    names = {identity for _, identity in MUTANTS}
    report = check_model(HierarchicalVAE, None, max_examples=3)
    assert report.ok
    assert names <= {result.name for result in report.results}
