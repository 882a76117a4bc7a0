"""A deep Boltzmann machine from the command line: trained, resumed, evaluated by its mean-field bound."""

import pytest

import minidgm as package


@pytest.mark.parametrize(("sizes", "kind"), [([64, 12, 8], "exact"), ([64, 20, 18], "lower bound")])
def test_train_evaluate_sample_resume(minidgm, tmp_path, sizes, kind):
    run = tmp_path / "run"
    asked = ["train", "DBM", "--data", "digits", "--set", f"model.sizes={sizes}", "--out", run, "--quiet"]
    assert minidgm(*asked, "--epochs", 2).code == 0
    before = package.load(run / "model.safetensors")
    assert list(before.sizes) == sizes
    assert minidgm("train", "--out", run, "--resume", "--quiet").code == 0
    assert (package.load(run / "model.safetensors").params.buffer == before.params.buffer).all()

    figures = minidgm("evaluate", run, "--n-temperatures", 20, "--json").json["figures"]
    found = {(f["quantity"], f["method"], f["part"]): f for f in figures}
    assert found["log-likelihood", "enumeration", "test"]["kind"] == kind
    assert found["log-likelihood", "AIS", "test"]["kind"] == "estimate"
    assert minidgm("sample", run).code == 0


def test_sizes_of_other_data_are_refused(minidgm, tmp_path):
    asked = ["train", "DBM", "--data", "digits", "--set", "model.sizes=[9, 4]"]
    shown = minidgm(*asked, "--out", tmp_path / "run")
    assert shown.code != 0
    assert "rows of digits have 64" in shown.err
