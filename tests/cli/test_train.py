"""``minidgm train``: a run that can be continued and repeated; nothing is left when it cannot start."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minidgm as package
from minidgm.cli import train
from minidgm.cli.runs import Run


def buffer(folder):
    return package.load(folder / "model.safetensors").params.buffer


def test_a_run_holds_everything(minidgm, tmp_path):
    out = tmp_path / "run"
    shown = minidgm.train(out, "--json")
    assert shown.code == 0
    assert shown.json["epochs"] == 2
    assert shown.json["last"]["epoch"] == 2
    files = {path.name for path in out.iterdir()}
    assert files == {
        "config.toml",
        "environment.json",
        "metrics.jsonl",
        "model.safetensors",
        "checkpoint",
        "summary.json",
    }
    assert [record["epoch"] for record in Run.open(out).records()] == [1, 2]


def test_results_are_told_and_what_comes_next(minidgm, tmp_path):
    shown = minidgm.train(tmp_path / "run")
    assert "2 epochs" in shown.out
    assert "minidgm evaluate" in shown.out
    assert shown.err == ""


def test_the_recorded_likelihood_is_that_of_the_model(minidgm, tmp_path):
    minidgm.train(tmp_path / "run", "--epochs", 20)
    model = package.load(tmp_path / "run" / "model.safetensors")
    expected = float(model.log_prob(package.datasets.bars_and_stripes(3).train).mean())
    last = Run.open(tmp_path / "run").records()[-1]
    assert last["train_log_likelihood"] == pytest.approx(expected, abs=1e-5)


def test_a_device_is_trained_measured_and_drawn_on(minidgm, tmp_path):
    assert minidgm.train(tmp_path / "run", "--backend", "strict").code == 0
    assert minidgm("evaluate", tmp_path / "run", "--n-temperatures", 5).code == 0
    assert minidgm("sample", tmp_path / "run", "--steps", 2, "--mean").code == 0


def test_measurements_can_be_far_apart(minidgm, tmp_path):
    minidgm.train(tmp_path / "run", "--epochs", 7, "--set", "training.measure_every=3")
    measured = [r["epoch"] for r in Run.open(tmp_path / "run").records() if "train_log_likelihood" in r]
    assert measured == [3, 6, 7]


def test_progress_goes_to_stderr(minidgm, tmp_path):
    shown = minidgm(
        "train",
        "RBM",
        "--data",
        "bars_and_stripes",
        "--epochs",
        2,
        "--batch-size",
        7,
        "--out",
        tmp_path / "run",
    )
    assert "epoch 2/2" in shown.err
    assert "epoch 2/2" not in shown.out


def test_resuming_reaches_the_bits_of_an_uninterrupted_run(minidgm, tmp_path):
    minidgm.train(tmp_path / "once", "--epochs", 4)
    minidgm.train(tmp_path / "twice", "--epochs", 2)
    shown = minidgm("train", "--out", tmp_path / "twice", "--resume", "--epochs", 4, "--quiet")
    assert shown.code == 0
    assert np.array_equal(buffer(tmp_path / "once"), buffer(tmp_path / "twice"))
    assert Run.open(tmp_path / "twice").config["training"]["epochs"] == 4
    assert len(Run.open(tmp_path / "twice").records()) == 4


def test_a_run_is_repeated_from_its_configuration(minidgm, tmp_path):
    settings = ("--objective", "PCD", "--set", "objective.n_chains=7", "--optimizer", "SGD", "--seed", 3)
    minidgm.train(tmp_path / "a", *settings)
    shown = minidgm("train", "--config", tmp_path / "a" / "config.toml", "--out", tmp_path / "b", "--quiet")
    assert shown.code == 0
    assert np.array_equal(buffer(tmp_path / "a"), buffer(tmp_path / "b"))
    assert Run.open(tmp_path / "a").config == Run.open(tmp_path / "b").config


def test_the_command_line_overrides_the_file(minidgm, tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("[model]\nname = 'RBM'\nn_hidden = 3\n[training]\nepochs = 9\nbatch_size = 7\n")
    minidgm.train(
        tmp_path / "a",
        "--config",
        path,
        "--data",
        "bars_and_stripes",
        "--epochs",
        1,
        "--set",
        "model.n_hidden=4",
    )
    config = Run.open(tmp_path / "a").config
    assert config["training"]["epochs"] == 1
    assert config["training"]["batch_size"] == 7
    assert config["model"]["n_hidden"] == 4


def test_an_existing_run_is_refused_and_kept(minidgm, tmp_path):
    minidgm.train(tmp_path / "a")
    before = buffer(tmp_path / "a").copy()
    shown = minidgm.train(tmp_path / "a", "--seed", 1)
    assert shown.code == 2
    assert "already holds a run" in shown.error
    assert np.array_equal(buffer(tmp_path / "a"), before)
    assert minidgm.train(tmp_path / "a", "--seed", 1, "--overwrite").code == 0
    assert not np.array_equal(buffer(tmp_path / "a"), before)


def test_resuming_refuses_other_settings(minidgm, tmp_path):
    minidgm.train(tmp_path / "a")
    shown = minidgm("train", "--out", tmp_path / "a", "--resume", "--seed", 5)
    assert shown.code == 2
    assert "seed (0 -> 5)" in shown.error


def test_resuming_where_nothing_is_starts_afresh(minidgm, tmp_path):
    assert minidgm.train(tmp_path / "a", "--resume").code == 0
    assert minidgm("train", "--out", tmp_path / "b", "--resume").code == 2


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--resume", "--overwrite"], "choose one"),
        (["--batch-size", 500], "batch_size=500 is larger"),
        (["--objective", "ScoreMatching"], "ScoreMatching cannot train"),
        (["--learning-rate", "-1"], "learning_rate"),
        (["--learning-rate", "nan"], "learning_rate"),
        (["--n-hidden", "-3"], "n_hidden"),
        (["--epochs", "-1"], "epochs"),
        (["--seed", "-1"], "seed"),
        (["--backend", "nunpy"], "did you mean 'numpy'"),
        (["--dtype", "float16"], "did you mean 'float"),
        (["--patience", 3], "has none"),
        (["--config", "no.toml"], "no.toml: No such file"),
        (["--data", "no.npy"], "no.npy: no such file"),
        (["--data", "digts"], "did you mean 'digits'"),
        (["--binarize", "fixed"], "unknown setting 'data.binarize'"),
        (["--set", "model.visible=gausian"], "did you mean 'gaussian'"),
    ],
)
def test_bad_input_leaves_nothing_behind(minidgm, tmp_path, monkeypatch, more, told):
    monkeypatch.chdir(tmp_path)
    shown = minidgm.train("run", *more)
    assert shown.code == 2
    assert told in shown.error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (np.full((20, 4), np.nan), "NaN"),
        (np.full((20, 4), 1.5), "visible units are bernoulli"),
        (np.array([["a"]] * 20), "numbers"),
        (np.zeros((20, 4), dtype=complex), "complex"),
        (np.zeros((0, 4)), "0 examples"),
    ],
)
def test_bad_rows_leave_nothing_behind(minidgm, tmp_path, rows, told):
    np.save(tmp_path / "rows.npy", rows)
    shown = minidgm.train(tmp_path / "run", "--data", tmp_path / "rows.npy")
    assert shown.code == 2
    assert told in shown.error
    assert not (tmp_path / "run").exists()


def test_bits_become_spins_for_a_model_of_spins(minidgm, tmp_path):
    shown = minidgm.train(tmp_path / "a", "--set", "model.visible=spin", "--json")
    assert shown.code == 0
    figures = minidgm("evaluate", tmp_path / "a", "--n-temperatures", 10, "--json").json["figures"]
    found = {f["method"]: f["value"] for f in figures if f["quantity"] == "log-likelihood"}
    model = package.load(tmp_path / "a" / "model.safetensors")
    spins = 2.0 * package.datasets.bars_and_stripes(3).train - 1.0
    assert found["enumeration"] == pytest.approx(float(model.log_prob(spins).mean()), abs=1e-5)


def test_a_users_file_is_trained_on_and_found_again(minidgm, tmp_path):
    np.save(tmp_path / "rows.npy", np.eye(30, 6, dtype="float32"))
    shown = minidgm.train(tmp_path / "a", "--data", tmp_path / "rows.npy")
    assert shown.code == 0
    assert minidgm("evaluate", tmp_path / "a", "--n-temperatures", 10).code == 0


def test_early_stopping_says_why(minidgm, tmp_path):
    rows = np.random.default_rng(0).integers(0, 2, (40, 5)).astype("float32")
    np.save(tmp_path / "rows.npy", rows)
    shown = minidgm.train(
        tmp_path / "a", "--data", tmp_path / "rows.npy", "--epochs", 50, "--patience", 1, "--json",
        "--learning-rate", 0,
    )  # fmt: skip
    assert shown.json["epochs"] == 2
    assert "has not improved" in shown.json["stopped"]


def test_every_setting_of_the_training_reaches_it(minidgm, tmp_path, monkeypatch):
    from minidgm import training

    seen = {}

    def fit(model, X, **options):
        seen.update(options)
        return training.History()

    monkeypatch.setattr(training, "fit", fit)
    minidgm.train(tmp_path / "a", "--seed", 5, "--epochs", 9, "--objective", "CD", "--optimizer", "SGD")
    assert (seen["seed"], seen["epochs"], seen["batch_size"], seen["resume"]) == (5, 9, 5, False)
    assert type(seen["objective"]).__name__ == "ContrastiveDivergence"
    assert type(seen["optimizer"]).__name__ == "SGD"


def test_a_diverged_training_is_a_failure(minidgm, tmp_path, monkeypatch):
    from minidgm.errors import DivergenceError

    def diverge(*args, **kwargs):
        raise DivergenceError("training diverged at step 7: parameter 'W' is not finite")

    monkeypatch.setattr("minidgm.training.fit", diverge)
    shown = minidgm.train(tmp_path / "a")
    assert shown.code == 1
    assert "step 7" in shown.error


def test_an_interrupt_says_how_to_continue(minidgm, tmp_path, monkeypatch):
    def interrupt(self, training):
        if training.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("minidgm.cli.progress.Progress.on_record", interrupt)
    shown = minidgm.train(tmp_path / "a", "--epochs", 4)
    assert shown.code == 130
    assert f"minidgm train --out {tmp_path / 'a'} --resume" in shown.err
    monkeypatch.undo()
    assert minidgm("train", "--out", tmp_path / "a", "--resume", "--quiet").code == 0
    minidgm.train(tmp_path / "b", "--epochs", 4)
    assert np.array_equal(buffer(tmp_path / "a"), buffer(tmp_path / "b"))


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_in_a_real_process(tmp_path):
    argv = ["train", "RBM", "--data", "bars_and_stripes", "--batch-size", "5", "--epochs", "1000000"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "minidgm",
            *argv,
            "--set",
            "training.measure_every=1",
            "--out",
            str(tmp_path / "a"),
        ],
        stderr=subprocess.PIPE,
        text=True,
        # A shell may have started the tests with interrupts ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("a/checkpoint/step-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in err
    assert "Traceback" not in err


def test_names_and_files_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").touch()
    (tmp_path / "mine").touch()
    assert train.data_table("digits") == {"name": "digits"}
    assert train.data_table("mine") == {"file": "mine"}
    assert train.data_table("./digits") == {"file": "./digits"}
    assert train.data_table("a/b.csv") == {"file": "a/b.csv"}
    assert train.data_table("digts") == {"name": "digts"}
    assert train.data_table(None) == {}
