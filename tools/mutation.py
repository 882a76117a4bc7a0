"""Mutate the math and see that a test dies: `python tools/mutation.py [GROUP ...] [--jobs 2] [--folder DIR]`.

Runs mutmut (`pip install mutmut`) on a copy of the checkout, one group of modules at a time, each against the
tests that are meant to catch its mistakes. Prints a score a group and every survivor that
`tools/equivalent_mutants.toml` does not list with a reason; exits with 1 where a score is below 95 %.

Not mutated: error messages, the choice of the namespace (``get_xp``, branches on a backend's name) and calls
of CUDA kernels, which need a GPU. With ``--folder`` the copy stays there: a second run goes on where the
first one stopped, `mutmut show NAME` works inside it, and ``--report`` only reads what is there.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = ROOT / "tools" / "equivalent_mutants.toml"
PASS_MARK = 0.95


def tests(folder: str, *names: str) -> list[str]:
    return [f"tests/{folder}/test_{name}.py" for name in names]


ESTIMATORS = ("ais", "annealing", "path", "fused", "schedule")
OBJECTIVES = (
    *("base", "two_phase", "contrastive_divergence", "persistent", "tempered", "fast_persistent"),
    *("exact_likelihood", "alternatives", "pseudo_likelihood", "ratio_matching"),
    *("score_matching", "denoising_score_matching"),
)
GROUPS: dict[str, tuple[list[str], list[str]]] = {
    "numerics": (
        ["minidgm/numerics.py"],
        ["tests/test_numerics.py", "tests/distributions", *tests("boltzmann", "units", "unit_edges", "rbm")],
    ),
    "units": (
        ["minidgm/boltzmann/units.py"],
        [*tests("boltzmann", "units", "unit_edges", "rbm", "rbm_edges"), "tests/distributions"],
    ),
    "rbm": (
        ["minidgm/boltzmann/rbm.py"],
        [*tests("boltzmann", "rbm", "rbm_edges", "units"), "tests/objectives/test_score_matching.py"],
    ),
    "bm": (
        ["minidgm/boltzmann/bm.py"],
        tests("boltzmann", "bm", "bm_edges"),
    ),
    "objectives": (
        ["minidgm/workspace.py", *(f"minidgm/objectives/{name}.py" for name in OBJECTIVES)],
        [
            *tests("objectives", "base", "objective_edges", "two_phase", "contrastive_divergence"),
            *tests("objectives", "persistent", "tempered", "fast_persistent", "exact_likelihood"),
            *tests("objectives", "alternatives", "score_matching"),
        ],
    ),
    "ais": (
        [f"minidgm/evaluation/{name}.py" for name in ESTIMATORS],
        tests("evaluation", *ESTIMATORS, "estimator_edges", "bridge"),
    ),
}
CONFIGURATION = """
[mutmut]
source_paths =
    minidgm
only_mutate =
{modules}
do_not_mutate_patterns =
    get_xp\\(
    get_backend\\(
    "(cupy|autograd[.]numpy)"
    \\bfused\\(
    ^\\s*raise\\b
    ^\\s*expected =
    ^\\s*(equations|reference)\\b
also_copy =
{files}
pytest_add_cli_args =
    -n0
    -q
    -p
    no:cacheprovider
pytest_add_cli_args_test_selection =
{tests}
timeout_constant = 5.0
timeout_multiplier = 4.0
"""
RESULT = re.compile(r"^\s*(\S+): (.+?)\s*$")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--folder", type=Path, help="keep the copies here and go on from them")
    parser.add_argument("--report", action="store_true", help="only read the results in --folder")
    options = parser.parse_args(arguments)
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"unknown group {', '.join(sorted(unknown))}; known: {', '.join(GROUPS)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        scores = []
        for group in options.groups or GROUPS:
            if not options.report:
                prepare(folder / group, group)
                run(["run", "--max-children", str(options.jobs)], folder / group)
            scores.append(report(folder / group, group))
    return 0 if min(scores) >= PASS_MARK else 1


def prepare(folder: Path, group: str) -> None:
    """Copy the checkout's files and add mutmut's section to setup.cfg."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    files = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != (ROOT / name).read_bytes():
            shutil.copy2(ROOT / name, target)
    modules, tests = GROUPS[group]
    others = sorted(
        {name.split("/")[0] for name in files} - {"minidgm", "tests", "setup.cfg", "pyproject.toml"}
    )
    section = CONFIGURATION.format(
        **{key: indent(v) for key, v in (("modules", modules), ("tests", tests), ("files", others))}
    )
    (folder / "setup.cfg").write_text((ROOT / "setup.cfg").read_text() + section)


def indent(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def run(command: list[str], folder: Path, quiet: bool = False) -> str:
    """Run mutmut in a folder and return what it printed."""
    found = subprocess.run(
        [sys.executable, "-m", "mutmut", *command],
        cwd=folder,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
        check=False,
    )
    if found.returncode and not quiet:
        raise SystemExit(f"mutmut {' '.join(command)} failed in {folder} (is it installed?)")
    return found.stdout or ""


def report(folder: Path, group: str) -> float:
    """Print the score of a group and its unexplained survivors; return the score."""
    lines = run(["results", "--all", "true"], folder, quiet=True).splitlines()
    results = dict(match.groups() for line in lines if (match := RESULT.match(line)))
    alive = sorted(
        name for name, verdict in results.items() if verdict in ("survived", "no tests", "suspicious")
    )
    pending, late = (sum(v == kind for v in results.values()) for kind in ("not checked", "timeout"))
    modules = {name.rpartition("__mutmut_")[0].rpartition(".")[0] for name in alive}
    found = {module: functions(folder, module) for module in modules}
    changes = [change(found[name.rpartition("__mutmut_")[0].rpartition(".")[0]], name) for name in alive]
    listed = tomllib.loads(EQUIVALENT.read_text())["equivalent"] if EQUIVALENT.exists() else []
    known = {(entry["where"], entry["was"], entry["now"]) for entry in listed}
    unexplained = [(n, c) for n, c in zip(alive, changes, strict=True) if (place(n), *c) not in known]
    tested = len(results) - pending - (len(alive) - len(unexplained))
    score = 1.0 - len(unexplained) / max(tested, 1)
    print(
        f"\n{group}: {score:.1%} of {tested} mutants die ({len(alive) - len(unexplained)} more are equivalent"
        + (f", {late} of the deaths are timeouts" if late else "")
        + (f", {pending} not run" if pending else "")
        + ")"
    )
    for name, (was, now) in unexplained:
        print(f"  {place(name)} ({results[name]}, {name})\n    - {was}\n    + {now}")
    return score


def place(name: str) -> str:
    """Function that a mutant's name belongs to.

    >>> place("minidgm.boltzmann.units.xǁSoftmaxǁstates__mutmut_5")
    'minidgm.boltzmann.units.Softmax.states'
    """
    module, _, function = name.rpartition("__mutmut_")[0].rpartition(".")
    function = function[2:].replace("ǁ", ".") if function.startswith("xǁ") else function.removeprefix("x_")
    return f"{module}.{function}"


def functions(folder: Path, module: str) -> dict[str, list[str]]:
    """Lines of every function and method in the file that holds a module's mutants, by name."""
    text = (folder / "mutants" / Path(*module.split("."))).with_suffix(".py").read_text()
    lines = text.splitlines()
    return {
        node.name: lines[node.lineno - 1 : node.end_lineno]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }


def change(found: dict[str, list[str]], name: str) -> tuple[str, str]:
    """What a mutant changed: the lines before and after."""
    function, _, number = name.rpartition("__mutmut_")
    function = function.rpartition(".")[2]
    pair = (found[f"{function}__mutmut_{of}"] for of in ("orig", number))
    original, mutant = ([re.sub(rf"{function}__mutmut_\w+", function, line) for line in x] for x in pair)
    diff = list(difflib.unified_diff(original, mutant, n=0, lineterm=""))[2:]
    was, now = ([line[1:].strip() for line in diff if line.startswith(sign)] for sign in "-+")
    return " ".join(was), " ".join(now)


if __name__ == "__main__":
    sys.exit(main())
