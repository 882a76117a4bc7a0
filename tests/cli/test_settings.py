"""Settings: complete, checked, and the same objects again from what was written."""

import numpy as np
import pytest

from minidgm.cli import settings, toml
from minidgm.cli.command import UsageError
from minidgm.errors import DataError

BARS = {"model": {"name": "RBM", "n_hidden": 3}, "data": {"name": "bars_and_stripes"}}


def with_table(table, **values):
    return settings.merge(BARS, {table: values})


def test_what_is_written_makes_the_same_settings_again(tmp_path):
    raw = settings.merge(
        BARS,
        {
            "seed": 3,
            "objective": {"name": "pcd", "n_chains": 7, "weight_decay": 0.01},
            "optimizer": {"name": "sgd", "learning_rate": {"name": "Cosine", "start": 0.1}, "momentum": 0.5},
        },
    )
    first = settings.Settings(raw)
    path = tmp_path / "config.toml"
    path.write_text(toml.write(first.config))
    again = settings.Settings(settings.from_file(path))
    assert again.config == first.config
    assert again.objective.config() == first.objective.config()
    assert again.optimizer.config() == first.optimizer.config()
    assert np.array_equal(again.model.params.buffer, first.model.params.buffer)


def test_defaults_are_recorded():
    config = settings.Settings(BARS).config
    assert config["model"]["visible"] == "bernoulli"
    assert config["optimizer"]["name"] == "Adam"
    assert config["optimizer"]["learning_rate"] > 0
    assert config["training"]["batch_size"] == 14
    assert config["objective"]["name"]
    assert config["seed"] == 0


def test_digits_become_bits_for_a_model_of_bits_and_stay_grey_for_gaussians():
    bits, table = settings.load_data({"name": "digits"}, "bernoulli")
    grey, _ = settings.load_data({"name": "digits"}, "gaussian")
    assert table["binarize"] == "threshold"
    assert set(np.unique(bits.train)) == {0.0, 1.0}
    assert len(np.unique(grey.train)) == 17


@pytest.mark.parametrize(
    ("raw", "nearest"),
    [
        (with_table("model", n_hiden=3), "model.n_hidden"),
        (with_table("data", name="digits", binarise="fixed"), "data.binarize"),
        (with_table("objective", name="CD", kk=3), "objective.k"),
        (with_table("optimizer", name="SGD", learning_rat=0.1), "optimizer.learning_rate"),
        (with_table("training", epoch=3), "training.epochs"),
        (with_table("objective", name="PersistentContrastDivergence"), "PersistentContrastiveDivergence"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(raw, nearest):
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'"):
        settings.Settings(raw)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[modle]\nname = 'RBM'\n", "did you mean 'model'"),
        ("model = 'RBM'\n", "expected a table"),
        ("[seed]\na = 1\n", "expected a value"),
    ],
)
def test_a_settings_file_of_another_form_is_refused(tmp_path, content, told):
    path = tmp_path / "s.toml"
    path.write_text(content)
    with pytest.raises(ValueError, match=told):
        settings.from_file(path)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"data": {"name": "digits"}}, "no model was named"),
        ({"model": {"name": "RBM"}}, "no data were named"),
        (with_table("model", n_visible=7), "n_visible = 7, but rows of bars_and_stripes have 9"),
        ({**BARS, "seed": -1}, "seed = -1"),
        ({**BARS, "seed": "one"}, "seed = 'one'"),
        (with_table("objective", k=3), r"\[objective\] has k but no name"),
        (with_table("training", epochs=-1), "epochs"),
        (with_table("optimizer", name="SGD", learning_rate={"name": "Cosin", "start": 1}), "Cosine"),
        (with_table("optimizer", name="SGD", learning_rate={"name": "Cosine", "begin": 1}), "begin"),
        (with_table("optimizer", name="SGD", learning_rate="fast"), "fast"),
    ],
)
def test_settings_that_mean_nothing_are_refused(raw, told):
    with pytest.raises((ValueError, TypeError), match=told):
        settings.Settings(raw)


def test_a_file_is_known_by_its_content(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.eye(30, dtype="float32"))
    _, table = settings.load_data({"file": str(path)})
    settings.load_data(table)
    np.save(path, 1.0 - np.eye(30, dtype="float32"))
    with pytest.raises(DataError, match="has changed since the run"):
        settings.load_data(table)


def test_images_of_a_file_become_rows(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((20, 4, 5), dtype="float32"))
    data, _ = settings.load_data({"file": str(tmp_path / "images.npy")})
    assert data.train.shape == (16, 20)


def test_spins_are_not_drawn_dynamically():
    with pytest.raises(DataError, match="takes spins"):
        settings.load_data({"name": "digits", "binarize": "dynamic"}, "spin")


def test_sets_of_sequences_are_refused(monkeypatch):
    from minidgm import datasets

    sequences = datasets.Dataset("songs", [np.zeros((3, 88))], [], [])
    monkeypatch.setattr("minidgm.datasets.names", lambda: sequences)
    with pytest.raises(DataError, match="songs is made of sequences"):
        settings.load_data({"name": "names"})


@pytest.mark.parametrize("pair", ["", "a", "model.", "model.=3", "=3", ".a=3"])
def test_assignments_of_another_form_are_refused(pair):
    with pytest.raises(UsageError, match=r"expected TABLE\.KEY=VALUE"):
        settings.assignments([pair])


def test_assignments_to_unknown_tables_are_refused():
    with pytest.raises(ValueError, match="did you mean 'optimizer'"):
        settings.assignments(["optimiser.momentum=3"])


def test_another_name_starts_its_table_afresh():
    base = {"optimizer": {"name": "SGD", "momentum": 0.9}}
    assert settings.merge(base, {"optimizer": {"name": "Adam"}}) == {"optimizer": {"name": "Adam"}}
    assert settings.merge(base, {"optimizer": {"name": "SGD", "clip": 1.0}})["optimizer"]["momentum"] == 0.9


def test_differences_name_the_keys_and_leave_the_epochs_free():
    old = settings.Settings(BARS).config
    new = settings.Settings(
        settings.merge(BARS, {"seed": 1, "training": {"epochs": 7, "batch_size": 5}})
    ).config
    assert settings.differences(old, old) == []
    found = " ".join(settings.differences(old, new))
    assert "seed (0 -> 1)" in found
    assert "training.batch_size (14 -> 5)" in found
    assert "epochs" not in found
