"""The commands on sequences: train, resume, evaluate, sample, and what is refused."""

import json

import numpy as np
import pytest

from minidgm.cli import main


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "beats.npy"
    beats = np.zeros((20, 6, 3))
    beats[:, ::2, 0] = beats[:, 1::2, 1] = 1.0
    np.save(path, beats)
    return str(path)


@pytest.mark.parametrize("model", ["RNNRBM", "ConditionalRBM"])
def test_a_run_from_training_to_a_picture(model, data, tmp_path, capsys):
    run = str(tmp_path / "run")
    options = ["--n-hidden", "4", "--batch-size", "16", "--out", run, "--quiet", "--json"]
    size = "model.n_recurrent=3" if model == "RNNRBM" else "model.n_context=1"
    assert main(["train", model, "--data", data, "--epochs", "2", "--set", size, *options]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert "validation_pseudo_log_likelihood" in summary["last"]
    assert main(["train", "--out", run, "--resume", "--epochs", "3", "--quiet"]) == 0
    assert main(["evaluate", run, "--json"]) == 0
    out = capsys.readouterr().out
    figures = json.loads(out[out.index("{") :])["figures"]
    found = {(f["quantity"], f["part"]): f for f in figures}
    assert found["log-likelihood a frame", "test"]["kind"] == "exact"
    assert found["baseline log-likelihood", "train"]["value"] == pytest.approx(2 * np.log(0.5), abs=0.2)
    assert main(["evaluate", run]) == 0
    assert "partition function" not in capsys.readouterr().out
    assert main(["sample", run, "--n", "7", "--steps", "2"]) == 0
    assert np.load(tmp_path / "run" / "samples.npy").shape == (7, 3)
    assert main(["sample", run, "--n", "7", "--out", str(tmp_path / "roll.png")]) == 0
    assert (tmp_path / "roll.png").stat().st_size > 500
    assert main(["check", run, "--identity", "24", "--max-examples", "2"]) == 0


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        ("RNNRBM", "bars_and_stripes", "rows without an order"),
        ("ConditionalRBM", "digits", "rows without an order"),
    ],
)
def test_rows_are_no_sequences(model, name, message, tmp_path, capsys):
    assert main(["train", model, "--data", name, "--out", str(tmp_path / "run")]) != 0
    assert message in capsys.readouterr().err


def test_a_context_as_long_as_the_sequences(data, tmp_path, capsys):
    run = str(tmp_path / "run")
    assert main(["train", "ConditionalRBM", "--data", data, "--set", "model.n_context=6", "--out", run]) != 0
    assert "expected at least 7: a context of n_context=6" in capsys.readouterr().err
