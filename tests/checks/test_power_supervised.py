"""Wrong machines with labels must die by identity 25."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidgm import DiscriminativeRBM, HybridThirdOrderRBM
from minidgm.checks import check_model
from minidgm.numerics import logsumexp
from minidgm.objectives import DiscriminativeLikelihood, HybridLikelihood
from minidgm.objectives.discriminative import known

SIZES = {"n_visible": 2, "n_hidden": 2, "n_classes": 3}


class PosteriorWithoutLabelBias(DiscriminativeRBM):
    def label_log_prob(self, v: Any, field: Any = None) -> Any:
        scores = -self.label_free_energy(v, field) - self.params["d"]
        return scores - logsumexp(scores, axis=1, keepdims=True)


class PosteriorOverRows(DiscriminativeRBM):
    def label_log_prob(self, v: Any, field: Any = None) -> Any:
        scores = -self.label_free_energy(v, field)
        return scores - logsumexp(scores, axis=0, keepdims=True)


class PosteriorOfTheHiddenMeans(DiscriminativeRBM):
    """p(y | E[h | v]) in place of p(y | v): what a softmax layer on the features would say."""

    def label_log_prob(self, v: Any, field: Any = None) -> Any:
        field = self.input_field(v) if field is None else field
        scores = self.hidden.mean(field) @ self.params["U"].T + self.params["d"]
        return scores - logsumexp(scores, axis=1, keepdims=True)


class MarginalOfTheBestLabel(DiscriminativeRBM):
    def input_free_energy(self, v: Any) -> Any:
        return self.label_free_energy(v).min(axis=1)


class GradientOfOneLabel(DiscriminativeRBM):
    """The hidden means of label 0 for every label."""

    def label_gradient(self, v: Any, weights: Any, out: Any = None, field: Any = None) -> Any:
        first = np.zeros((len(v), self.n_classes))
        first[:, 0] = weights.sum(axis=1)
        found = super().label_gradient(v, first, None, field)
        right = super().label_gradient(v, weights, out, field)
        right["W"][...], right["c"][...] = found["W"], found["c"]
        return right


class GradientWithoutLabelBias(DiscriminativeRBM):
    def label_gradient(self, v: Any, weights: Any, out: Any = None, field: Any = None) -> Any:
        out = super().label_gradient(v, weights, out, field)
        out["d"][...] = 0.0
        return out


class FreeUnitsInOneLabelOnly(HybridThirdOrderRBM):
    def label_gradient(self, v: Any, weights: Any, out: Any = None, field: Any = None) -> Any:
        out = super().label_gradient(v, weights, out, field)
        out["V"][...] *= 1.0 / self.n_classes
        return out


class GatedFieldsTransposed(HybridThirdOrderRBM):
    def label_free_energy(self, v: Any, field: Any = None) -> Any:
        return super().label_free_energy(v, field)[:, ::-1]


MUTANTS = [
    (PosteriorWithoutLabelBias, "label posterior"),
    (PosteriorOverRows, "label posterior"),
    (PosteriorOfTheHiddenMeans, "label posterior"),
    (MarginalOfTheBestLabel, "label posterior"),
    (MarginalOfTheBestLabel, "marginal of the inputs"),
    (GradientOfOneLabel, "weighted label gradient"),
    (GradientOfOneLabel, "discriminative gradient"),
    (GradientWithoutLabelBias, "weighted label gradient"),
    (FreeUnitsInOneLabelOnly, "weighted label gradient"),
    (GatedFieldsTransposed, "label posterior"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_wrong_machine_dies(mutant, identity):
    report = check_model(mutant(**SIZES, dtype="float64"), [identity], max_examples=20, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


class PosteriorSign(DiscriminativeLikelihood):
    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        metrics = super().estimate(model, batch, rng, grads)
        v, y = model.split(batch)
        p = np.exp(model.label_log_prob(v))
        model.label_gradient(v, (y + known(y) * p) / len(batch), grads)
        return metrics


class UnlabelledRowsLeftOutOfTheMean(DiscriminativeLikelihood):
    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        metrics = super().estimate(model, batch, rng, grads)
        grads.buffer[...] *= len(batch) / known(model.split(batch)[1]).sum()
        return metrics


class UnlabelledChainOfALabelledRow(HybridLikelihood):
    def _chains(self, model: Any, batch: Any, log_p: Any, rng: Any) -> Any:
        v, y = model.split(batch)
        return super()._chains(model, np.concatenate([v, 0.0 * y], axis=1), log_p, rng)


class ChainsOfAlphaOnly(HybridLikelihood):
    """beta weighs the data of a row without label, alpha its chain."""

    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        metrics = super().estimate(model, batch, rng, grads)
        if float(known(model.split(batch)[1]).sum()) < len(batch) and self.beta:
            log_p = model.label_log_prob(model.split(batch)[0])
            chains = self._chains(model, batch, log_p, rng)
            part = model.free_energy_gradient(chains, np.full(len(batch), 1.0))
            grads.buffer += (self.beta - self.alpha) * part.buffer / len(batch)
        return metrics


@pytest.mark.parametrize(
    ("name", "mutant", "identity"),
    [
        ("DiscriminativeLikelihood", PosteriorSign, "discriminative gradient"),
        ("DiscriminativeLikelihood", UnlabelledRowsLeftOutOfTheMean, "discriminative gradient"),
        ("HybridLikelihood", UnlabelledChainOfALabelledRow, "hybrid gradient"),
        ("HybridLikelihood", ChainsOfAlphaOnly, "hybrid gradient"),
    ],
)
def test_wrong_objective_dies(name, mutant, identity):
    model = DiscriminativeRBM(2, 1, n_classes=2, dtype="float64")
    report = check_model(model, [identity], max_examples=10, raises=False, objectives={name: mutant})
    assert not report.ok
