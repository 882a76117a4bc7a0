"""Wrong families of codes must die: each mutant has one mistake, and the named identity finds it."""

import numpy as np
import pytest

from minidgm import FamilyVAE, check_model
from minidgm.distributions import PathFullNormal, PathGamma, PathLogistic
from minidgm.distributions.gamma_path import shape_derivative
from minidgm.latent.family_paths import FamilyPaths


class WrongSign(PathGamma):
    def path_backward(self, z, g):
        found = super().path_backward(z, g)
        d = z.shape[-1]
        return np.concatenate([-found[:, :d], found[:, d:]], axis=1)


class ShapeWithoutRate(PathGamma):
    def path_backward(self, z, g):
        moved = (g * shape_derivative(self.shape, z * self.rate) * self.shape).sum(axis=0)
        return np.concatenate([moved, -(g * z).sum(axis=0)], axis=1)


class AtTheDrawOfAnotherRate(PathGamma):
    def path_backward(self, z, g):
        moved = (g * shape_derivative(self.shape, z) * self.shape / self.rate).sum(axis=0)
        return np.concatenate([moved, -(g * z).sum(axis=0)], axis=1)


class PriorOfShapeOne(PathGamma):
    def kl_terms(self):
        return PathGamma(self.y, 2.0).kl_terms()


class Transposed(PathFullNormal):
    def path_backward(self, z, g):
        outer = np.einsum("kni,knj->nij", self._standard(z), g)
        return self._packed(g.sum(axis=0), outer)


class WithoutDeterminant(PathFullNormal):
    def kl_terms(self):
        return super().kl_terms() + self._log_scale


class DiagonalOfTheSquare(PathFullNormal):
    def kl_backward(self, c):
        return self._packed(c * self._mean, c[:, :, None] * self.factor, 0.0 * c)


class ScoreWithoutScale(PathLogistic):
    def log_backward(self, z, c):
        in_z, in_y = super().log_backward(z, c)
        d = z.shape[-1]
        in_y[:, d:] += c.sum(axis=0)
        return in_z, in_y


class NormalSpread(PathLogistic):
    def path_backward(self, z, g):
        found = super().path_backward(z, g)
        d = z.shape[-1]
        return np.concatenate([found[:, :d], 0.5 * found[:, d:]], axis=1)


class NormalPrior(PathLogistic):
    def prior_slope(self, z):
        return -z


def with_family(family, mutant):
    class Wrong(FamilyVAE):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self._class = self._make = mutant

    Wrong.__name__ = mutant.__name__
    plain = FamilyVAE.small(None).config()
    size = mutant.outputs(2)
    plain["encoder"] = [*plain["encoder"][:-1], ("dense", size)]
    return Wrong(**{**plain, "family": family}, dtype="float64")


class PathWithScore(FamilyPaths):
    def gradient(self, weights, kl="analytic", beta=1.0, share=None, out=None):
        return super().gradient(weights, "sampled" if kl == "path" else kl, beta, share, out)


class ScoreToo(FamilyVAE):
    def paths(self, x, noise, training=False, rng=None):
        return PathWithScore(self, x, noise, training, rng)


MUTANTS = [
    ("gamma", WrongSign, "path gradient of a family"),
    ("gamma", WrongSign, "expected path gradient of a family"),
    ("gamma", ShapeWithoutRate, "expected path gradient of a family"),
    ("gamma", AtTheDrawOfAnotherRate, "path gradient of a family"),
    ("gamma", PriorOfShapeOne, "divergence of a family"),
    ("full", Transposed, "path gradient of a family"),
    ("full", Transposed, "expected path gradient of a family"),
    ("full", WithoutDeterminant, "divergence of a family"),
    ("full", DiagonalOfTheSquare, "path gradient of a family"),
    ("logistic", ScoreWithoutScale, "joint gradient of a family"),
    ("logistic", ScoreWithoutScale, "path gradient of a family"),
    ("logistic", NormalSpread, "expected path gradient of a family"),
    ("logistic", NormalPrior, "path gradient of a family"),
]


@pytest.mark.parametrize(("family", "mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_mutants_die(family, mutant, identity):
    report = check_model(with_family(family, mutant), identity, max_examples=8, raises=False)
    assert not report.ok
    assert report.failures[0].verdict == "fails", report.failures[0].message


def test_the_path_is_not_the_whole():
    report = check_model(ScoreToo.small(dtype="float64"), "path gradient of a family", 8, raises=False)
    assert not report.ok
