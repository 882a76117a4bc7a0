"""Help, exit codes and errors that every subcommand shares."""

import errno
import os
import subprocess
import sys

import pytest

from minidgm.cli import command
from minidgm.errors import BackendError, DataError, DivergenceError, IdentityError


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False, **options
    )


def test_without_arguments_it_explains_itself(minidgm):
    shown = minidgm()
    assert shown.code == 0
    assert all(name in shown.out for name in command.COMMANDS)


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_has_help_with_an_example_and_its_exit_codes(minidgm, name):
    shown = minidgm(name, "--help")
    assert shown.code == 0
    assert f"minidgm {name}" in shown.out.split("examples:")[1]
    assert "130  interrupted" in shown.out


def test_version(minidgm):
    from minidgm import __version__

    assert minidgm("--version") == (0, f"minidgm {__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["chekc"], "did you mean 'check'"),
        (["--frob"], "unknown option '--frob'"),
        (["list", "--jsn"], "did you mean '--json'"),
        (["list", "modles"], "invalid choice: 'modles'"),
        (["info"], "required: MODEL"),
        (["info", "RBM", "more"], "unknown argument 'more'"),
        (["info", "RMB"], "did you mean 'RBM'"),
        (["train", "RBM", "--epoch", "3", "--out", "x"], "did you mean '--epochs'"),
        (["train", "RBM", "--epochs", "ten", "--out", "x"], "invalid int value: 'ten'"),
        (["train", "RBM"], "required: --out"),
        ([""], "unknown command ''"),
        (["\x00", "\udcff"], "unknown command"),
        (["check", "--max-examples", "0"], "max_examples must be at least 1"),
        (["check", "--identity", "free enrgy"], "did you mean 'free energy'"),
    ],
)
def test_bad_arguments_give_one_line_and_exit_code_2(minidgm, argv, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = minidgm(*argv)
    assert shown.code == 2
    assert shown.out == ""
    assert told in shown.error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("bad rows"), 2),
        (TypeError("bad type"), 2),
        (KeyError("no metric 'x'"), 2),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.npy"), 2),
        (PermissionError(errno.EACCES, "Permission denied", "x.npy"), 1),
        (OSError(errno.ENOSPC, "No space left on device", "runs/a"), 1),
        (DivergenceError("diverged at step 3"), 1),
        (BackendError("no device"), 1),
        (IdentityError("does not hold"), 1),
        (MemoryError("too large"), 1),
        (AttributeError("a bug"), 1),
    ],
)
def test_every_error_ends_in_one_line_and_its_exit_code(minidgm, monkeypatch, error, code):
    from minidgm.cli import list as listing

    def fail(args):
        raise error

    monkeypatch.setattr(listing, "run", fail)
    shown = minidgm("list")
    assert shown.code == code
    assert len(shown.err.strip().splitlines()) == 1
    assert str(error.args[-1] if not isinstance(error, OSError) else error.strerror) in shown.error
    with pytest.raises(type(error)):
        minidgm("list", "--debug")


def test_a_full_disk_says_what_to_do(minidgm):
    assert "free some space" in command.explain(OSError(errno.ENOSPC, "No space left on device", "a"))[1]


def test_an_interrupt_is_130_and_says_how_to_go_on(minidgm, monkeypatch):
    from minidgm.cli import list as listing

    def interrupt(args):
        raise KeyboardInterrupt("continue with --resume")

    monkeypatch.setattr(listing, "run", interrupt)
    shown = minidgm("list")
    assert shown.code == 130
    assert "continue with --resume" in shown.err


def test_python_dash_m_returns_the_exit_code():
    shown = python("-m", "minidgm", "info", "nothing")
    assert shown.returncode == 2
    assert shown.stderr.startswith("minidgm: error: unknown model 'nothing'")


def test_a_closed_pipe_is_no_error():
    program = f"{sys.executable} -m minidgm list --json | head -c 1"
    shown = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "")


def test_a_terminal_without_unicode_gets_question_marks_and_no_error():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = python("-m", "minidgm", "list", "models", env=environment)
    assert shown.returncode == 0
    assert "RBM" in shown.stdout


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from minidgm.cli import main; main(['train', '--help']); "
        "heavy = {'matplotlib', 'hypothesis', 'autograd', 'cupy', 'pooch', 'tqdm'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "[]"
