"""``minidgm check``: 0 when all identities hold, 1 when one does not, 2 for what cannot be checked."""

import pytest

from minidgm.registry import models

RIGHT = '''
import numpy as np

class Tiny:
    """Two bits that meet one."""

    def __init__(self):
        self.n_visible, self.n_hidden = 2, 1
        self.params = {"W": np.zeros((2, 1)), "b": np.zeros(2)}

    def energy(self, v, h):
        return -(v @ self.params["b"]) - ((v @ self.params["W"]) * h).sum(axis=-1)

    def free_energy(self, v):
        field = v @ self.params["W"]
        softplus = np.log1p(np.exp(-np.abs(field))) + np.maximum(field, 0)
        return -(v @ self.params["b"]) SIGN softplus.sum(axis=-1)
'''


@pytest.fixture
def model_file(tmp_path):
    def write(sign="-", more=""):
        path = tmp_path / "my_model.py"
        path.write_text(RIGHT.replace("SIGN", sign) + more)
        return path

    return write


def test_a_model_of_the_library_holds(minidgm):
    shown = minidgm("check", "RBM", "--identity", "free energy", "--max-examples", 5)
    assert shown.code == 0
    assert "1 of 1 identities hold" in shown.out
    assert "F(v) = -log sum_h exp(-E(v, h))" in shown.out


def test_json_is_all_there_is_on_stdout(minidgm):
    found = minidgm("check", "RBM", "--identity", "8", "--max-examples", 3, "--json").json
    assert found["ok"]
    assert {result["number"] for result in found["results"]} == {"8"}


def test_without_a_name_every_model_is_checked(minidgm):
    found = minidgm("check", "--identity", "save and load", "--max-examples", 1, "--json").json
    assert found["ok"]
    assert len(found["models"]) == len(models())


def test_a_users_class_holds(minidgm, model_file):
    shown = minidgm("check", f"{model_file()}:Tiny", "--identity", "free energy", "--max-examples", 5)
    assert shown.code == 0, shown.out


def test_a_users_wrong_sign_is_found(minidgm, model_file):
    shown = minidgm("check", f"{model_file('+')}:Tiny", "--max-examples", 5)
    assert shown.code == 1
    assert "fails" in shown.out
    assert "smallest failing example" in shown.out
    assert "likely cause" in shown.out
    found = minidgm("check", model_file("+"), "--max-examples", 5, "--json")
    assert found.code == 1
    assert not found.json["ok"]


@pytest.mark.parametrize(
    ("source", "name", "told"),
    [
        (None, "X", "no such file"),
        ("x = 1", "X", "has no class 'X'"),
        ("class Tinny: pass", "Tiny", "did you mean 'Tinny'"),
        ("def f(:", "X", "line 1: SyntaxError"),
        ("x = 1\nraise RuntimeError('boom')", "X", "line 2: RuntimeError: boom"),
        ("import no_such_module", "X", "no_such_module"),
        ("raise SystemExit(3)", "X", "exits when it is imported"),
        ("class X:\n    def __init__(self, a): pass", "X", "does not construct"),
        ("class X: pass", "X", "no parameters"),
        ("X = 3", "X", "X is no class"),
    ],
)
def test_what_cannot_be_checked_is_bad_input(minidgm, tmp_path, source, name, told):
    path = tmp_path / "their_model.py"
    if source is not None:
        path.write_text(source)
    shown = minidgm("check", f"{path}:{name}", "--max-examples", 2)
    assert shown.code == 2
    assert told in shown.error


def test_a_file_of_several_models_must_be_told_which(minidgm, model_file):
    path = model_file(more="\nclass Other(Tiny): pass\n")
    shown = minidgm("check", path)
    assert shown.code == 2
    assert "Tiny, Other" in shown.error


def test_the_model_of_a_run(minidgm, tmp_path):
    minidgm.train(tmp_path / "run")
    shown = minidgm("check", tmp_path / "run", "--identity", "free energy", "--max-examples", 2)
    assert shown.code == 0
    assert "RBM(n_visible=" in shown.out
    assert "float32: 1 of 1 identities hold" in shown.out


def test_float32_is_held_to_its_own_tolerance(minidgm):
    found = minidgm(
        "check", "RBM", "--identity", "free energy", "--dtype", "float32", "--max-examples", 3, "--json"
    ).json
    assert found["ok"]
    assert "float32" in found["model"]
