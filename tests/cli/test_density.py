"""The command on a density that is fitted at once, without gradient steps."""

from __future__ import annotations

import numpy as np

from minidgm import KDE, datasets


def test_a_parzen_window_takes_training_rows_and_a_bandwidth_from_validation(minidgm, tmp_path):
    run = tmp_path / "run"
    done = minidgm("train", "KDE", "--data", "digits", "--out", run, "--json")
    assert done.code == 0
    assert done.json["epochs"] == 1
    data = datasets.digits()
    expected = KDE(64).fit(data.train, data.validation)
    found = KDE.load(run / "model.safetensors")
    np.testing.assert_array_equal(found.params["samples"], data.train)
    assert found.bandwidth == expected.bandwidth
    figures = {f["part"]: f for f in minidgm("evaluate", run, "--json").json["figures"]}
    assert figures["test"]["kind"] == "exact"
    assert np.isclose(figures["test"]["value"], expected.log_prob(data.test).mean(), rtol=1e-5)
    assert minidgm("sample", run, "--n", 4, "--out", run / "x.npy").code == 0
    assert np.load(run / "x.npy").shape == (4, 64)
    again = tmp_path / "again"
    assert minidgm("train", "--config", run / "config.toml", "--out", again, "--quiet").code == 0
    repeated = KDE.load(again / "model.safetensors")
    np.testing.assert_array_equal(repeated.params.buffer, found.params.buffer)


def test_it_takes_no_objective(minidgm, tmp_path):
    refused = minidgm("train", "KDE", "--data", "digits", "--out", tmp_path / "run", "--objective", "CD")
    assert refused.code != 0
    assert "takes no objective" in refused.error


def test_gray_levels_stay_where_the_units_of_the_class_are_real(minidgm, tmp_path):
    once = ("--epochs", 1)
    small = {"KDE": (), "GaussianRBM": ("--n-hidden", 2, *once), "LinearGaussianVAE": once, "GMMN": once}
    for model, options in small.items():
        run = tmp_path / model
        assert minidgm("train", model, "--data", "digits", "--out", run, "--quiet", *options).code == 0
        assert "threshold" not in (run / "config.toml").read_text()
