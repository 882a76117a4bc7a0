"""Every identity holds for the machines with labels and the third-order machines, wherever they live."""

import pytest

from minidgm import DiscriminativeRBM, GatedRBM, HybridThirdOrderRBM
from minidgm.checks import check_model

MODELS = [DiscriminativeRBM, HybridThirdOrderRBM, GatedRBM, GatedRBM(2, 2, 2, n_factors=3, dtype="float64")]
NAMES = ["DiscriminativeRBM", "HybridThirdOrderRBM", "GatedRBM", "factored GatedRBM"]
FAST = ["2", "3", "4", "6", "8", "10", "11", "14", "25", "26"]


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_the_fast_ones(model):
    report = check_model(model, FAST, max_examples=2)
    assert any(result.number.startswith(("25", "26")) for result in report.results)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"backend": "strict"}, {"dtype": "float32"}, {}], ids=str)
@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_all_of_them(model, options):
    report = check_model(model, max_examples=5, **options)
    assert len(report.results) >= 29
