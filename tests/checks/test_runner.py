import subprocess
import sys

import numpy as np
import pytest

from minidgm import RBM
from minidgm.checks import check_model, identity, runner
from minidgm.checks.registry import forget
from minidgm.errors import IdentityError


class MyRBM:
    """Nothing but the names of methods."""

    def __init__(self, n_visible=3, n_hidden=2):
        self.params = {
            "W": np.zeros((n_visible, n_hidden)),
            "b": np.zeros(n_visible),
            "c": np.zeros(n_hidden),
        }

    def energy(self, v, h):
        p = self.params
        return -(v @ p["b"]) - h @ p["c"] - ((v @ p["W"]) * h).sum(axis=1)

    def free_energy(self, v):
        return -(v @ self.params["b"]) - np.logaddexp(0.0, v @ self.params["W"] + self.params["c"]).sum(
            axis=1
        )

    def hidden_given_visible(self, v):
        return 1.0 / (1.0 + np.exp(-(v @ self.params["W"]) - self.params["c"]))

    def visible_given_hidden(self, h):
        return 1.0 / (1.0 + np.exp(-(h @ self.params["W"].T) - self.params["b"]))

    def energy_gradient(self, v, h, weights):
        return {"W": -v.T @ (weights[:, None] * h), "b": -weights @ v, "c": -weights @ h}

    def gibbs_step(self, v, h, rng):
        h = 1.0 * (rng.random((len(v), 2)) < self.hidden_given_visible(v))
        return 1.0 * (rng.random((len(v), 3)) < self.visible_given_hidden(h)), h

    def sample(self, n, rng):
        v, h = np.zeros((n, 3)), None
        for _ in range(30):
            v, h = self.gibbs_step(v, h, rng)
        return v


class WrongSign(MyRBM):
    def energy_gradient(self, v, h, weights):
        return {**super().energy_gradient(v, h, weights), "c": weights @ h}


def test_a_class_without_a_base_class():
    report = check_model(MyRBM, max_examples=4)
    names = {r.name for r in report.results}
    assert {"free energy", "conditionals", "weighted energy gradient", "Gibbs stationarity"} <= names
    assert {"Geweke's joint test", "samples follow the density", "likelihood gradient"} <= names
    assert report.not_applicable["normalisation"] == "needs log_prob"


def test_a_density_without_hidden_units():
    class Independent:
        def __init__(self, n_visible=3):
            self.b = np.zeros(n_visible)

        def log_prob(self, v):
            return (v * self.b - np.logaddexp(0.0, self.b)).sum(axis=1)

        def sample(self, n):
            p = 1.0 / (1.0 + np.exp(-self.b))
            return 1.0 * (np.random.Generator(np.random.SFC64(0)).random((n, 3)) < p)

    Independent.n_visible = 3
    report = check_model(Independent, max_examples=4)
    assert {"normalisation", "samples follow the density"} <= {r.name for r in report.results}


def test_failure_raises_under_pytest_with_everything_in_it():
    with pytest.raises(IdentityError) as caught:
        check_model(WrongSign, ["weighted energy gradient"])
    text = str(caught.value)
    for part in (
        "WrongSign",
        "d/dtheta sum_i w_i E",
        "d/dc",
        "left side",
        "right side",
        "weights",
        "likely cause",
    ):
        assert part in text
    assert not caught.value.report.ok
    assert isinstance(caught.value, AssertionError)


def test_failing_examples_are_small(monkeypatch):
    monkeypatch.setattr(runner, "SHRINK_SECONDS", 60.0)
    report = check_model(WrongSign, ["weighted energy gradient"], raises=False)
    message = report.failures[0].message
    assert "[[0. 0.]" in message.split("W ")[1]
    assert message.count("1.") <= 2


def test_an_exception_is_a_failure_with_its_place():
    class Broken(MyRBM):
        def free_energy(self, v):
            raise ZeroDivisionError("no such thing")

    result = check_model(Broken, ["free energy"], raises=False).results[0]
    assert result.verdict == "raises"
    assert "ZeroDivisionError: no such thing" in result.message
    assert "test_runner.py" in result.message
    assert result.worst_error == np.inf


def test_outside_pytest_the_report_comes_back(monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert not check_model(WrongSign, ["weighted energy gradient"]).ok


def test_the_seed_fixes_the_report():
    first, second = (
        check_model(RBM, ["free energy", "conditionals"], max_examples=5, seed=3) for _ in range(2)
    )
    assert [r.worst_error for r in first.results] == [r.worst_error for r in second.results]


def test_names_instances_backends_dtypes():
    assert check_model("RBM", ["free energy"], max_examples=2).ok
    report = check_model(RBM(3, 2), ["free energy"], max_examples=2, backend="strict", dtype="float64")
    assert report.model.endswith("float64 on strict")
    assert report.results[0].tolerance == 1e-9
    assert check_model(RBM(3, 2), ["free energy"], max_examples=2).results[0].tolerance == 5e-4


def test_bad_arguments():
    with pytest.raises(ValueError, match="did you mean"):
        check_model("RMB")
    with pytest.raises(ValueError, match="max_examples"):
        check_model(RBM, max_examples=0)
    with pytest.raises(ValueError, match="unknown identity"):
        check_model(RBM, ["no such identity"])


def test_a_model_that_keeps_a_state_is_called_so():
    class Moody(MyRBM):
        calls = 0

        def free_energy(self, v):
            Moody.calls += 1
            return super().free_energy(v) + (Moody.calls == 7)

    report = check_model(Moody, ["free energy"], raises=False)
    assert not report.ok


def test_an_identity_of_ones_own():
    @identity(name="mirror", equation="E(v, h) = E(v, h)", requires=("energy",))
    def mirror(case):
        v = case.visible()
        h = case.hidden(len(v))
        return case.call("energy", v, h), case.call("energy", v, h), "a label"

    try:
        assert check_model(MyRBM, "mirror").results[0].worst_error == 0.0
    finally:
        forget("mirror")


def test_importing_is_cheap():
    code = (
        "import sys, minidgm, minidgm.checks; "
        "print([m for m in ('hypothesis', 'autograd', 'scipy', 'matplotlib', 'cupy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
