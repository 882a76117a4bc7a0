"""``minidgm sample``."""

import numpy as np
import pytest


@pytest.fixture
def run(minidgm, tmp_path):
    minidgm.train(tmp_path / "run")
    return tmp_path / "run"


def test_samples_are_a_picture_for_images(minidgm, run):
    shown = minidgm("sample", run, "--steps", 5)
    assert shown.code == 0
    assert (run / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_samples_of_a_seed_are_the_same(minidgm, run, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        shown = minidgm(
            "sample", run, "--n", 7, "--steps", 5, "--seed", seed, "--out", tmp_path / f"{name}.npy", "--json"
        )
        assert shown.json["shape"] == [7, 9]
    a, b, c = (np.load(tmp_path / f"{name}.npy") for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert set(np.unique(a)) <= {0.0, 1.0}


def test_means_and_tables(minidgm, run, tmp_path):
    assert minidgm("sample", run, "--mean", "--n", 3, "--steps", 2, "--out", tmp_path / "m.csv").code == 0
    means = np.loadtxt(tmp_path / "m.csv", delimiter=",")
    assert means.shape == (3, 9)
    assert np.all((means > 0) & (means < 1))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--out", "a.jpg"], ".npy, .csv or .png"),
        (["--n", 0], "n must be an integer of at least 1"),
        (["--steps", -1], "steps must be an integer of at least 0"),
        (["--shape", 2, 4, "--out", "a.png"], "8 pixels, a sample 9"),
        (["--out", "none/a.npy"], "No such file"),
        (["--backend", "cuppy"], "did you mean 'cupy'"),
    ],
)
def test_bad_input(minidgm, run, tmp_path, monkeypatch, more, told):
    monkeypatch.chdir(tmp_path)
    shown = minidgm("sample", run, *more)
    assert shown.code == 2
    assert told in shown.error


def test_a_file_in_the_way_is_kept(minidgm, run, tmp_path):
    (tmp_path / "a.npy").write_text("mine")
    assert minidgm("sample", run, "--out", tmp_path / "a.npy").code == 2
    assert (tmp_path / "a.npy").read_text() == "mine"
    assert minidgm("sample", run, "--steps", 1, "--out", tmp_path / "a.npy", "--overwrite").code == 0


def test_what_is_no_run(minidgm, tmp_path):
    assert "is not a run" in minidgm("sample", tmp_path).error
