"""Wrong third-order machines must die by identity 26."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidgm import GatedRBM
from minidgm.checks import check_model
from minidgm.objectives import OutputContrastiveDivergence

FACTORED = {"n_input": 2, "n_output": 2, "n_hidden": 2, "n_factors": 2}
WHOLE = {"n_input": 2, "n_output": 2, "n_hidden": 2}


class SquaredResponse(GatedRBM):
    """A factor's response enters squared: no longer linear in x."""

    def energy(self, v: Any, h: Any) -> Any:
        response = self.split(v)[0] @ self.params["Wx"]
        return super().energy(v, h) - (response * response).sum(axis=-1)


class OutputOfTheOtherLayer(GatedRBM):
    def output_field(self, x: Any, h: Any) -> Any:
        return self.coupling.toward_x(self.params, x, h) + self.params["b"]


class InputWithoutBias(GatedRBM):
    def input_field(self, y: Any, h: Any) -> Any:
        return super().input_field(y, h) - self.params["a"]


class NormalizerOfAllInputs(GatedRBM):
    def conditional_log_prob(self, x: Any, y: Any) -> Any:
        return self.log_prob(self.join(x, y))


class FactorsOfTwoLayersExchanged(GatedRBM):
    def tensor(self) -> Any:
        return super().tensor().transpose(1, 0, 2)


class OutputOfAnotherRow(GatedRBM):
    def conditional_gibbs_step(self, v: Any, h: Any, rng: Any) -> Any:
        return self.gibbs_step(v, h, rng)


MUTANTS = [
    (SquaredResponse, FACTORED, "multilinear energy"),
    (OutputOfTheOtherLayer, WHOLE, "three conditionals"),
    (InputWithoutBias, FACTORED, "three conditionals"),
    (NormalizerOfAllInputs, WHOLE, "conditional likelihood"),
    (FactorsOfTwoLayersExchanged, FACTORED, "composed tensor"),
    (OutputOfAnotherRow, WHOLE, "chains of outputs"),
]


@pytest.mark.parametrize(("mutant", "sizes", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", None))
def test_wrong_machine_dies(mutant, sizes, identity):
    report = check_model(mutant(**sizes, dtype="float64"), [identity], max_examples=20, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


class DataWithoutChain(OutputContrastiveDivergence):
    def estimate(self, model: Any, batch: Any, rng: Any, grads: Any) -> dict[str, Any]:
        metrics = super().estimate(model, batch, rng, grads)
        model.free_energy_gradient(batch, np.full(len(batch), 1.0 / len(batch)), grads)
        return metrics


def test_wrong_objective_dies():
    objectives = {"OutputContrastiveDivergence": DataWithoutChain}
    report = check_model(GatedRBM, ["chains of outputs"], raises=False, objectives=objectives)
    assert not report.ok
