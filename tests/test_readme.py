"""What the first pages promise: commands, snippets, versions, and an import that loads nothing heavy."""

import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minidgm

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ["pip install . && minidgm demo", 'pip install -e ".[test]" && pytest']
HEAVY = ("autograd", "cupy", "hypothesis", "matplotlib", "mpi4py", "pooch", "safetensors", "scipy", "tqdm")


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_a_code_block_of_its_own(command):
    assert f"\n```\n{command}\n```\n" in README


@pytest.mark.skipif(shutil.which("bash") is None, reason="the script is for bash")
def test_ci_finds_the_two_commands():
    done = subprocess.run(["bash", ".ci/run", "--list"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == COMMANDS


def test_snippets_run_in_order():
    snippets = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {"__name__": "readme"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for snippet in snippets[:-1]:
            exec(compile(snippet, "README.md", "exec"), names)
    exact, estimated = printed.getvalue().splitlines()
    assert -64 * 0.6932 < float(exact) < 0, "a trained model beats fair coins"
    assert "AIS" in estimated


def test_the_wrong_sign_of_the_last_snippet_is_found():
    (snippet,) = re.findall(r"```python\n(import numpy.*?)```", README, re.DOTALL)
    with pytest.raises(AssertionError, match=r"MyModel: free energy does not hold"):
        exec(compile(snippet, "README.md", "exec"), {"__name__": "readme", "minidgm": minidgm})
    right = snippet.replace("+ np.logaddexp", "- np.logaddexp")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(right, "README.md", "exec"), {"__name__": "readme", "minidgm": minidgm})
    assert "4 of 4 identities hold" in printed.getvalue()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_import_loads_nothing_heavy():
    code = "import sys, minidgm; minidgm.RBM; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())


def test_import_alone_does_not_even_load_numpy():
    code = "import sys, minidgm; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_version_is_the_same_everywhere():
    (cited,) = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    (newest,) = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[:1]
    assert minidgm.__version__ == cited == newest
    assert "version = attr: minidgm.__version__" in (ROOT / "setup.cfg").read_text()


def test_every_extra_is_documented():
    setup = (ROOT / "setup.cfg").read_text()
    section = setup.split("[options.extras_require]\n")[1].split("\n[")[0]
    page = (ROOT / "docs" / "install.rst").read_text()
    for extra in re.findall(r"^(\w+) =$", section, re.MULTILINE):
        assert f"``{extra}``" in page, extra
