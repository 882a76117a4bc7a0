"""Run folders: never another's files, never half a file, and everything needed to go on."""

import json
import os

import pytest

from minidgm.cli.runs import CHECKPOINT, CONFIG, LARGER, MODEL, Run, environment, is_run
from minidgm.errors import DataError

SETTINGS = {"command": "train", "backend": "numpy", "model": {"name": "RBM", "n_hidden": 3}}


def test_a_run_is_opened_with_what_it_was_made_with(tmp_path):
    made = Run.create(tmp_path / "a" / "b", SETTINGS)
    assert Run.open(made.path).config == SETTINGS
    assert made.read_json("environment.json")["python"]


def test_an_existing_run_is_kept(tmp_path):
    Run.create(tmp_path / "a", SETTINGS)
    with pytest.raises(DataError, match=r"already holds a run.*--resume.*--overwrite"):
        Run.create(tmp_path / "a", SETTINGS)


def test_overwriting_deletes_what_a_run_wrote_and_nothing_else(tmp_path):
    run = Run.create(tmp_path / "a", SETTINGS)
    larger = Run.create(run / LARGER, SETTINGS)
    for folder in (run, larger):
        (folder / CHECKPOINT).mkdir()
        (folder / CHECKPOINT / "step-000000001.safetensors").touch()
        (folder / MODEL).touch()
    (run / "notes.txt").write_text("mine")
    (run / CHECKPOINT / "notes.txt").write_text("mine")
    Run.create(tmp_path / "a", {**SETTINGS, "seed": 1}, overwrite=True)
    kept = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert kept == {CONFIG, "environment.json", "notes.txt", f"{CHECKPOINT}{os.sep}notes.txt"}
    assert Run.open(run.path).config["seed"] == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_things_is_never_touched(tmp_path, overwrite):
    (tmp_path / MODEL).write_text("mine")
    with pytest.raises(DataError, match="no run of minidgm: nothing was touched"):
        Run.create(tmp_path, SETTINGS, overwrite)
    assert (tmp_path / MODEL).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_anothers_config_toml_does_not_make_a_run(tmp_path):
    (tmp_path / CONFIG).write_text("[tool]\na = 1\n")
    assert not is_run(tmp_path)
    with pytest.raises(DataError, match="nothing was touched"):
        Run.create(tmp_path, SETTINGS, overwrite=True)


def test_an_empty_folder_can_become_a_run(tmp_path):
    assert is_run(Run.create(tmp_path, SETTINGS).path)


def test_a_file_in_the_way_is_reported(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(DataError, match="is a file"):
        Run.create(tmp_path / "a", SETTINGS)
    with pytest.raises(DataError, match="cannot write to"):
        Run.create(tmp_path / "a" / "b", SETTINGS)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that even root cannot write")
def test_an_unwritable_folder_is_reported():
    with pytest.raises(DataError, match=r"cannot write to .*choose another folder with --out"):
        Run.create("/proc/minidgm", SETTINGS)


def test_what_is_no_run_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        Run.open(tmp_path / "a")
    with pytest.raises(DataError, match=r"no config\.toml"):
        Run.open(tmp_path)


def test_a_run_without_a_model_says_how_to_get_one(tmp_path):
    with pytest.raises(DataError, match="--resume"):
        Run.create(tmp_path, SETTINGS).model()


def test_a_damaged_json_file_is_reported(tmp_path):
    run = Run.create(tmp_path, SETTINGS)
    (run / "summary.json").write_text("{")
    with pytest.raises(DataError, match=r"summary\.json is damaged"):
        run.read_json("summary.json")


def test_the_environment_names_versions_and_neither_machine_nor_user():
    found = json.dumps(environment("numpy"))
    assert "numpy" in found
    for private in (os.uname().nodename, os.path.expanduser("~"), os.getcwd()):
        assert private not in found


def test_only_an_untrained_run_is_discarded(tmp_path):
    run = Run.create(tmp_path / "a", SETTINGS)
    run.discard_if_untrained()
    assert not run.path.exists()
    run = Run.create(tmp_path / "b", SETTINGS)
    (run / "metrics.jsonl").write_text('{"epoch": 1}\n')
    run.discard_if_untrained()
    assert run.records() == [{"epoch": 1}]
