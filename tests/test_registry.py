"""Every name of every catalogue leads to the thing it names; a wrong name says the nearest."""

import subprocess
import sys

import pytest

from minidgm import registry

CATALOGUES = [registry.models, registry.objectives, registry.optimizers, registry.datasets]


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda c: c.__name__)
def test_every_name_imports_the_object_of_that_name(catalogue):
    for name, thing in catalogue().items():
        assert callable(thing)
        assert thing.__name__ == name


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda c: c.__name__)
def test_every_object_has_a_one_line_summary(catalogue):
    for name, thing in catalogue().items():
        assert (thing.__doc__ or "").strip(), name


def test_lookup_ignores_case_and_knows_abbreviations():
    objectives = registry.objectives()
    assert objectives["pcd"] is objectives["PersistentContrastiveDivergence"]
    assert objectives["SML"] is objectives["StochasticMaximumLikelihood"]
    assert registry.models()["bm"] is registry.models()["BoltzmannMachine"]
    assert "PCD" in objectives
    assert "PCD" not in list(objectives)
    assert "PCD" not in registry.models()


@pytest.mark.parametrize(
    ("catalogue", "wrong", "nearest"),
    [
        (registry.models, "RMB", "RBM"),
        (registry.objectives, "PseudoLiklihood", "PseudoLikelihood"),
        (registry.optimizers, "adamm", "Adam"),
        (registry.datasets, "digit", "digits"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_and_all_known(catalogue, wrong, nearest):
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'") as error:
        catalogue()[wrong]
    assert repr(wrong) in str(error.value)
    assert all(name in str(error.value) for name in catalogue())


@pytest.mark.parametrize("wrong", ["", None, 3, ["RBM"]])
def test_what_is_no_name_is_refused(wrong):
    assert wrong not in registry.models()
    with pytest.raises(ValueError, match="unknown model"):
        registry.models()[wrong]


def test_the_catalogue_itself_imports_nothing_heavy():
    code = (
        "import sys, minidgm.registry as r; list(r.models()); "
        "print([m for m in sys.modules if m.startswith(('minidgm.boltzmann', 'matplotlib', 'hypothesis'))])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
