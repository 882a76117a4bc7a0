"""Wrong models must die: every mutant of tests/checks/mutants.py, and the real bugs a, b, d, q."""

import pytest

from minidgm import RBM
from minidgm.checks import check_model
from minidgm.objectives import FastPersistent, tempered
from minidgm.samplers import GibbsState
from tests.checks import mutants as m

SQUARE = {"n_visible": 3, "n_hidden": 3}
GAUSSIAN = {"n_visible": 2, "n_hidden": 2, "visible": "gaussian"}
GAUSSIAN_HIDDEN = {"n_visible": 3, "n_hidden": 2, "hidden": "gaussian"}
MUTANTS = [
    (m.EnergySign, {}, "free energy"),
    (m.EnergySign, {}, "likelihood gradient"),
    (m.EnergyWithoutHiddenBias, {}, "conditionals"),
    (m.EnergyHalf, {}, "weighted energy gradient"),
    (m.FreeEnergyWithoutBias, {}, "free energy"),
    (m.FreeEnergyMeanForSum, {}, "free energy"),
    (m.FreeEnergyWrongAxis, {}, "rows are independent"),
    (m.FreeEnergyOverflows, {}, "precisions and backends agree"),
    (m.FreeEnergyDraws, {}, "free energy"),
    (m.HiddenFieldTransposed, SQUARE, "conditionals"),
    (m.HiddenFieldWithoutBias, {}, "conditionals"),
    (m.HiddenFieldWithoutBias, {}, "detailed balance"),
    (m.VisibleFieldWithoutBias, {}, "conditionals"),
    (m.VisibleFieldWithoutBias, {}, "Gibbs stationarity"),
    (m.VisibleFieldTwice, {}, "chain rule"),
    (m.LogProbUnderflows, {}, "conditionals"),
    (m.GradientSign, {}, "weighted energy gradient"),
    (m.GradientSign, {}, "likelihood gradient"),
    (m.GradientMeanForSum, {}, "weighted energy gradient"),
    (m.GradientTransposed, SQUARE, "weighted energy gradient"),
    (m.GradientWeightsLeftOut, {}, "weighted energy gradient"),
    (m.GradientWeightsSquared, {}, "weighted energy gradient"),
    (m.FreeEnergyGradientOfField, {}, "free energy gradient"),
    (m.FreeEnergyGradientWithoutVariance, GAUSSIAN_HIDDEN, "free energy gradient"),
    (m.LogPartitionInBits, {}, "normalisation"),
    (m.LogPartitionOfOneSide, {}, "exact likelihood"),
    (m.LogProbOfTheBatch, {}, "rows are independent"),
    (m.PseudoLikelihoodMean, {}, "pseudo-likelihood"),
    (m.GibbsFromStaleHidden, {}, "Gibbs stationarity"),
    (m.GibbsWithMeans, {}, "Geweke's joint test"),
    (m.GibbsSharesNoise, {}, "Geweke's joint test"),
    (m.SampleOfMeans, {}, "samples follow the density"),
    (m.TemperedHiddenBiasKept, {}, "tempered energy"),
    (m.TemperedWithoutBase, GAUSSIAN, "tempered energy"),
    (m.CenteredTwice, {}, "enhanced gradient"),
    (m.CenteredUncorrected, {}, "enhanced gradient"),
    (m.WritesItsParameters, {}, "methods are pure"),
    (m.WritesItsInput, {}, "methods are pure"),
    (m.GaussianEnergySign, GAUSSIAN, "free energy"),
    (m.GaussianEnergySign, GAUSSIAN, "conditionals"),
    (m.GaussianVarianceForDeviation, GAUSSIAN, "conditional samples"),
    (m.GaussianVarianceForDeviation, GAUSSIAN, "Geweke's joint test"),
    (m.GaussianPrecisionForVariance, GAUSSIAN, "conditionals"),
    (m.GaussianScoreSign, GAUSSIAN, "score"),
]


@pytest.mark.parametrize(
    ("mutant", "structure", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", None)
)
def test_wrong_model_dies(mutant, structure, identity):
    model = mutant(**({"n_visible": 3, "n_hidden": 2} | structure), dtype="float64")
    report = check_model(model, [identity], max_examples=20, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


@pytest.mark.parametrize(
    ("objectives", "identity"),
    [
        ({"PersistentContrastiveDivergence": m.NegativePhaseOverBatch}, "batches of any size"),
        ({"PersistentContrastiveDivergence": m.NegativePhaseOverBatch}, "persistent chains at the model"),
        ({"ContrastiveDivergence": m.PartialBatchPadded}, "batches of any size"),
        ({"ContrastiveDivergence": m.OneStepMore}, "contrastive divergence is unbiased"),
    ],
)
def test_wrong_estimator_dies(objectives, identity):
    report = check_model(RBM, [identity], max_examples=10, raises=False, objectives=objectives)
    assert not report.ok


def test_chains_other_than_those_in_the_state_are_caught(monkeypatch):
    def other(model, batch, state, out):
        return contrast(model, batch, GibbsState(1.0 - state.v, state.h), out)

    contrast = tempered.contrast
    monkeypatch.setattr(tempered, "contrast", other)
    assert not check_model(RBM, identities="tempered chains stay", raises=False).ok


@pytest.mark.parametrize("sign", [-1.0, 0.0])
def test_fast_weights_that_move_the_wrong_way_or_not_at_all_are_caught(monkeypatch, sign):
    def learn(self, grads):
        before = self._state["fast"].copy()
        right(self, grads)
        self._state["fast"] = self.decay * before + sign * (self._state["fast"] - self.decay * before)

    right = FastPersistent._learn
    monkeypatch.setattr(FastPersistent, "_learn", learn)
    assert not check_model(RBM, identities="persistent chains at the model", raises=False).ok


@pytest.mark.slow
@pytest.mark.parametrize("mutant", sorted({row[0] for row in MUTANTS}, key=lambda c: c.__name__))
def test_whole_catalogue_finds_it_too(mutant):
    structure = next(row[1] for row in MUTANTS if row[0] is mutant)
    model = mutant(**({"n_visible": 3, "n_hidden": 2} | structure), dtype="float64")
    assert not check_model(model, raises=False).ok
