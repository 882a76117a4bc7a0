"""``minidgm evaluate``: exact figures where they can be had, and each figure says what it is."""

import math

import numpy as np
import pytest

import minidgm as package
from minidgm import datasets
from minidgm.cli import measure


@pytest.fixture
def run(minidgm, tmp_path):
    minidgm.train(tmp_path / "run", "--epochs", 30)
    return tmp_path / "run"


def test_every_figure_has_kind_error_and_unit(minidgm, run):
    shown = minidgm("evaluate", run, "--n-temperatures", 50, "--json")
    assert shown.code == 0
    for figure in shown.json["figures"]:
        assert figure["kind"] in ("exact", "estimate", "lower bound", "upper bound")
        assert (figure["stderr"] is None) == (figure["kind"] == "exact")
        assert figure["unit"]
        assert math.isfinite(figure["value"])
    assert (run / "evaluation.json").exists()


def test_the_exact_log_likelihood_is_the_mean_of_log_prob(minidgm, run):
    figures = minidgm("evaluate", run, "--n-temperatures", 50, "--json").json["figures"]
    model = package.load(run / "model.safetensors")
    expected = float(model.log_prob(datasets.bars_and_stripes(3).train).mean())
    exact = [f for f in figures if f["quantity"] == "log-likelihood" and f["method"] == "enumeration"]
    assert [f["part"] for f in exact] == ["train"]
    assert exact[0]["kind"] == "exact"
    assert exact[0]["value"] == pytest.approx(expected, abs=1e-5)


def test_annealing_stands_beside_the_exact_value(minidgm, run):
    figures = minidgm("evaluate", run, "--n-temperatures", 200, "--json").json["figures"]
    log_z = {f["method"]: f for f in figures if f["quantity"] == "log Z"}
    for method in ("AIS", "reverse AIS"):
        found = log_z[method]
        # Five standard errors and a hundredth of a nat: a false alarm in a million, at a seed that is fixed.
        assert abs(found["value"] - log_z["enumeration"]["value"]) < 5 * found["stderr"] + 0.01


def test_the_table_is_for_people(minidgm, run):
    shown = minidgm("evaluate", run, "--n-temperatures", 50)
    assert "reverse AIS" in shown.out
    assert "exact" in shown.out
    assert "nats" in shown.out


def test_baselines_are_the_closed_forms():
    model = package.RBM(2, 1)
    rows = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    independent, uniform = measure.baselines(model, {"train": rows})
    p = np.array([2.5 / 4, 1.5 / 4])
    expected = np.mean([np.log(np.where(v == 1, p, 1 - p)).sum() for v in rows])
    assert independent.parts["train"].value == pytest.approx(expected, rel=1e-12)
    assert uniform.parts["train"].value == pytest.approx(2 * math.log(0.5), rel=1e-12)
    assert measure.baselines(model, {"train": rows / 2}) == []


def test_other_data_are_not_written_into_the_run(minidgm, run, tmp_path):
    np.save(tmp_path / "rows.npy", np.eye(9, dtype="float32").repeat(3, axis=0))
    shown = minidgm("evaluate", run, "--data", tmp_path / "rows.npy", "--n-temperatures", 10)
    assert shown.code == 0
    assert not (run / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--n-chains", 0], "n_chains"),
        (["--n-temperatures", 1], "temperatures"),
        (["--data", "shifter"], "expected [n, 9]"),
        (["--data", "no.npy"], "no such file"),
    ],
)
def test_bad_input(minidgm, run, more, told):
    shown = minidgm("evaluate", run, *more)
    assert shown.code == 2
    assert told in shown.error


def test_a_damaged_model_is_reported(minidgm, run):
    (run / "model.safetensors").write_bytes(b"\x08" * 40)
    shown = minidgm("evaluate", run)
    assert shown.code == 2
    assert "model.safetensors" in shown.error


def test_models_beyond_enumeration_have_no_exact_figure():
    data = datasets.digits(binarize="threshold")
    found = measure.evaluate(package.RBM(64, 40, seed=0), data, n_chains=5, n_temperatures=5)
    assert set(found.log_partition) == {"AIS", "reverse AIS"}
    assert found.best.by == "AIS"
