"""Identities 1-16 hold for the RBM with every pair of units and for the Boltzmann machine, wherever they
live.
"""

import itertools
import sys

import pytest

from minidgm import RBM, BoltzmannMachine
from minidgm.checks import check_model, identities, parametrize_with_identities

UNITS = ("bernoulli", "spin", "gaussian", "softmax(3)", "rectified")
UNBOUNDED = ("gaussian", "rectified")
PAIRS = [pair for pair in itertools.product(UNITS, UNITS) if not set(pair) <= set(UNBOUNDED)]
WIDTHS = {"bernoulli": (3, 2), "spin": (3, 2), "gaussian": (2, 2), "softmax(3)": (6, 3), "rectified": (2, 2)}
EXAMPLES = 2


def rbm(visible, hidden, **options):
    sizes = {"n_visible": WIDTHS[visible][0], "n_hidden": WIDTHS[hidden][1]}
    return RBM(**sizes, visible=visible, hidden=hidden, **options)


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_every_pair_of_units(visible, hidden):
    report = check_model(rbm(visible, hidden, dtype="float64"), max_examples=EXAMPLES)
    assert report.ok


@parametrize_with_identities([RBM, BoltzmannMachine])
def test_bernoulli_models(model, identity):
    check_model(model, identity)


def test_boltzmann_machine_without_hidden_units():
    assert check_model(BoltzmannMachine(3, dtype="float64"), max_examples=5).ok


def test_centered_model():
    model = RBM(3, 2, centered=True, dtype="float64")
    report = check_model(
        model, ["enhanced gradient", "likelihood gradient", "exact likelihood"], max_examples=5
    )
    assert len(report.results) == 3


MOVED = [rbm(*pair) for pair in (("bernoulli", "spin"), ("gaussian", "softmax(3)"), ("spin", "rectified"))]


@pytest.mark.parametrize("backend", ["numpy", "strict", pytest.param("cupy", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("model", [RBM(3, 2), BoltzmannMachine(2, 1), *MOVED], ids=repr)
def test_float32_everywhere(model, backend):
    report = check_model(model, max_examples=EXAMPLES, backend=backend)
    assert report.ok
    assert "float32" in report.model


def test_every_number_of_the_catalogue_up_to_16_is_there():
    numbers = {i.number.rstrip("abcd") for i in identities()}
    assert {str(n) for n in range(1, 17)} <= numbers


def test_sources_equations_and_causes_are_given():
    for i in identities():
        assert i.equation, i.name
        assert i.source, i.name
        assert i.likely_cause, i.name


@pytest.mark.slow
@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_long_proof_of_every_pair(visible, hidden):
    assert check_model(rbm(visible, hidden, dtype="float64"), max_examples=200, seed=1).ok


@pytest.mark.slow
@pytest.mark.parametrize("model", [RBM, BoltzmannMachine])
def test_long_proof(model):
    assert check_model(model, max_examples=500, seed=1).ok


def test_cupy_is_not_imported_for_host_checks():
    check_model(RBM, ["free energy"], max_examples=1)
    assert "cupy" not in sys.modules
