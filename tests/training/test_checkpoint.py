import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minidgm import optim
from minidgm.backend import to_numpy
from minidgm.boltzmann.rbm import RBM
from minidgm.errors import CheckpointError, DivergenceError
from minidgm.training import Callback, Checkpoint, JSONLines, fit
from minidgm.training.checkpoint import differences
from tests.training.test_fit import Explodes
from tests.training.toy import Point, Squares

ROOT = Path(__file__).parents[2]
X = np.random.default_rng(0).standard_normal((10, 3))


def command(folder, *mode):
    return [sys.executable, str(Path(__file__).with_name("killed_run.py")), str(folder), *map(str, mode)]


def execute(folder, *mode):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command(folder, *mode), env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    done = execute(tmp_path_factory.mktemp("whole"), "none")
    assert done.returncode == 0, done.stderr
    return done.stdout


# 24 steps: 4 epochs of 6; a checkpoint after every epoch and at steps 4, 8, 16, 20 (12 and 24 end an epoch).
@pytest.mark.parametrize(
    "kills",
    [
        [("step", 2)],  # before any checkpoint
        [("step", 5), ("step", 11), ("step", 17)],  # in the middle of an epoch, three times
        [("step", 12)],  # between the last step of an epoch and its checkpoint
        [("write", 1), ("write", 3)],  # the first checkpoint is half written, then a later one
        [("fsync", 2)],
        [("rename", 1), ("rename", 4)],
        [("renamed", 5)],
    ],
    ids=lambda kills: "-".join(f"{mode}{n}" for mode, n in kills),
)
def test_a_killed_run_resumes_to_the_same_bits(kills, tmp_path, uninterrupted):
    folder = tmp_path / "checkpoints"
    for kill in kills:
        assert execute(folder, *kill).returncode == -signal.SIGKILL
        unfinished = [path for path in folder.glob(".*") if path.name.endswith(".tmp")]
        assert len(unfinished) == (kill[0] in ("write", "fsync", "rename"))
    done = execute(folder, "none")
    assert done.returncode == 0, done.stderr
    assert done.stdout == uninterrupted
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
    assert len(os.listdir(folder)) == 2


def test_a_run_killed_from_outside_resumes_to_the_same_bits(tmp_path, uninterrupted):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command(tmp_path, "slow"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("step-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert execute(tmp_path, "none").stdout == uninterrupted


class Interrupt(Callback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, training):
        if training.step == self.step:
            raise KeyboardInterrupt


def point_run(folder, home, optimizer, step=None, **settings):
    model = Point(backend=home)
    run = {"epochs": 3, "batch_size": 4, "checkpoint": folder, "resume": True, **settings}
    try:
        history = fit(model, X, Squares(0.1), optimizer, callbacks=[Interrupt(step)], **run)
    except KeyboardInterrupt:
        return None
    return to_numpy(model.params.buffer).tobytes(), history["loss"]


@settings(max_examples=15)
@example(optim.SGD(0.1), "numpy", [5, 6], 1)  # twice in the middle of the same epoch, not the first
@given(
    st.sampled_from([optim.SGD(0.1), optim.Momentum(optim.Step(0.1, 0.5, 2)), optim.Adam(0.1)]),
    st.sampled_from(["numpy", "strict"]),
    st.lists(st.integers(1, 9), max_size=3),
    st.sampled_from([None, 1, 2, 4]),
)
def test_any_optimizer_resumes_from_any_step(tmp_path_factory, optimizer, home, interruptions, every_steps):
    folder = tmp_path_factory.mktemp("run")
    checkpoint = Checkpoint(folder / "a", every_steps=every_steps)
    for step in interruptions:
        point_run(checkpoint, home, optimizer, step)
    expected = point_run(folder / "b", home, optimizer)
    assert point_run(checkpoint, home, optimizer) == expected
    shutil.rmtree(folder)


def test_a_finished_run_can_be_read_again_and_extended(tmp_path):
    short = point_run(tmp_path / "a", "numpy", optim.SGD(0.1), epochs=2)
    assert point_run(tmp_path / "a", "numpy", optim.SGD(0.1), epochs=2) == short
    longer = point_run(tmp_path / "a", "numpy", optim.SGD(0.1), epochs=4)
    assert longer == point_run(tmp_path / "b", "numpy", optim.SGD(0.1), epochs=4)


def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    def stop(training):
        if training.epoch == 2:
            training.stop("enough")

    for _ in range(2):
        history = fit(Point(), X, batch_size=5, callbacks=[stop], checkpoint=tmp_path, resume=True)
        assert (len(history), history.stopped) == (2, "enough")


def test_json_lines_of_epochs_after_the_checkpoint_are_not_repeated(tmp_path):
    def run(step):
        with_lines = [JSONLines(tmp_path / "m.jsonl"), Interrupt(step)]
        checkpoint = Checkpoint(tmp_path / "c", every_epochs=2)
        return fit(
            Point(), X, epochs=4, batch_size=5, callbacks=with_lines, checkpoint=checkpoint, resume=True
        )

    with pytest.raises(KeyboardInterrupt):
        run(7)  # in epoch 4, after the checkpoint of epoch 2
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == 3
    run(None)
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [f'{{"epoch": {epoch}' for epoch in (1, 2, 3, 4)]


def test_resume_on_an_empty_folder_starts_afresh(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    fit(Point(), X, epochs=1, batch_size=5, checkpoint=tmp_path, resume=True)
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "step-000000002.safetensors"]


def test_a_used_folder_needs_resume(tmp_path):
    fit(Point(), X, epochs=1, batch_size=5, checkpoint=tmp_path)
    before = (tmp_path / "step-000000002.safetensors").read_bytes()
    model = Point()
    with pytest.raises(CheckpointError, match="pass resume=True to continue that run, or another folder"):
        fit(model, X, epochs=1, batch_size=5, checkpoint=tmp_path)
    assert (tmp_path / "step-000000002.safetensors").read_bytes() == before
    assert not model.params.buffer.any()


def test_a_checkpoint_of_another_run_is_refused_with_every_difference(tmp_path):
    def run(n_hidden=3, batch_size=5, optimizer=None, **settings):
        model = RBM(3, n_hidden, seed=0)
        data = (X > 0).astype("float32")
        optimizer = optimizer or optim.SGD(0.1)
        settings = {"epochs": 1, "batch_size": batch_size, "checkpoint": tmp_path, "resume": True, **settings}
        return fit(model, data, "CD", optimizer, **settings)

    run()
    with pytest.raises(CheckpointError, match=r"model\.n_hidden was 3, is 4; batch_size was 5, is 2"):
        run(n_hidden=4, batch_size=2)
    with pytest.raises(CheckpointError, match=r"optimizer\.learning_rate was 0\.1, is 0\.2"):
        run(optimizer=optim.SGD(0.2))
    with pytest.raises(CheckpointError, match=r"optimizer\.name was 'SGD', is 'Adam'"):
        run(optimizer=optim.Adam(0.1))
    with pytest.raises(CheckpointError, match="seed was 0, is 1"):
        run(seed=1)
    run(epochs=2)


def test_a_schedule_over_the_whole_training_binds_the_number_of_epochs(tmp_path):
    def run(epochs):
        return fit(
            Point(),
            X,
            None,
            optim.SGD(optim.Cosine(0.1)),
            epochs=epochs,
            batch_size=5,
            checkpoint=tmp_path,
            resume=True,
        )

    run(1)
    with pytest.raises(CheckpointError, match="schedule was 2, is 4"):
        run(2)


def test_the_newest_are_kept(tmp_path):
    checkpoint = Checkpoint(tmp_path, keep=3)
    fit(Point(), X, epochs=5, batch_size=5, checkpoint=checkpoint)
    assert [path.name[5:14] for path in checkpoint.files()] == ["000000006", "000000008", "000000010"]


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path):
    expected = point_run(tmp_path / "whole", "numpy", optim.Adam(0.1))
    point_run(tmp_path / "c", "numpy", optim.Adam(0.1), epochs=2)
    older, newest = Checkpoint(tmp_path / "c").files()
    newest.write_bytes(newest.read_bytes()[:-5])
    with pytest.warns(UserWarning, match=f"resuming from {older.name}: .*{newest.name}.*truncated"):
        assert point_run(tmp_path / "c", "numpy", optim.Adam(0.1)) == expected
    for path in Checkpoint(tmp_path / "c").files():
        path.write_bytes(b"\x00" * 20)
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be read"):
        point_run(tmp_path / "c", "numpy", optim.Adam(0.1))


def test_a_model_file_is_no_checkpoint(tmp_path):
    RBM(3, 2, seed=0).save(tmp_path / "step-000000001.safetensors")
    with pytest.raises(CheckpointError, match="'minidgm model' version '1', expected 'minidgm checkpoint'"):
        fit(Point(), X, batch_size=5, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "open"])
def test_a_full_disk_leaves_the_last_checkpoint(call, tmp_path, monkeypatch):
    expected = point_run(tmp_path / "whole", "numpy", optim.SGD(0.1))
    point_run(tmp_path / "c", "numpy", optim.SGD(0.1), epochs=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    with monkeypatch.context() as patch:
        system = getattr(os, call)

        def full(*arguments, **keywords):
            if call != "open" or "step-" in str(arguments[0]):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return system(*arguments, **keywords)

        patch.setattr(os, call, full)
        with pytest.raises(OSError, match=r"could not write .*No space left.*unchanged"):
            point_run(tmp_path / "c", "numpy", optim.SGD(0.1))
    assert {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()} == before
    assert point_run(tmp_path / "c", "numpy", optim.SGD(0.1)) == expected


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "c").write_text("mine")
    with pytest.raises(CheckpointError, match="is a file, expected a folder"):
        fit(Point(), X, batch_size=5, checkpoint=tmp_path / "c")
    assert (tmp_path / "c").read_text() == "mine"


@pytest.mark.parametrize("kind", ["below a file", "not writable"])
def test_a_folder_that_cannot_be_written_ends_the_training_before_it_begins(kind, tmp_path, monkeypatch):
    folder = tmp_path / "file" / "c" if kind == "below a file" else tmp_path
    (tmp_path / "file").write_text("mine")
    if kind == "not writable":
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    model = Point()
    with pytest.raises(
        OSError, match=r"checkpoints cannot be written to .*: (Not a directory|Permission denied)"
    ):
        fit(model, X, batch_size=5, checkpoint=folder)
    assert not model.params.buffer.any()


@pytest.mark.parametrize("home", ["numpy", "strict"])
@pytest.mark.parametrize("every_steps", [None, 1])
def test_divergence_leaves_the_last_good_checkpoint(home, every_steps, tmp_path):
    checkpoint = Checkpoint(tmp_path, every_steps=every_steps)
    with pytest.raises(DivergenceError, match=r"the last good checkpoint is .*step-00000000"):
        fit(
            Point(backend=home),
            X,
            Explodes(5, np.nan),
            optim.SGD(0.1),
            epochs=3,
            batch_size=5,
            checkpoint=checkpoint,
        )
    contents = checkpoint.latest()
    assert contents["step"] == 4
    assert all(np.isfinite(value).all() for value in contents["params"].values())


def test_differences_name_what_came_and_went():
    assert differences({"a": 1, "b": {"c": 2}}, {"b": {"c": 2, "d": 3}}) == [
        "a was 1, is absent",
        "b.d was absent, is 3",
    ]
    assert differences({"a": [1, 2]}, {"a": [1, 2]}) == []
