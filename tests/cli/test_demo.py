"""The demo, shortened: every file, every table, a report that needs nothing from outside."""

import html
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import minidgm as package
from minidgm import datasets
from minidgm.cli import demo, main
from minidgm.cli.runs import Run

FILES = {
    "model.safetensors",
    "metrics.jsonl",
    "config.toml",
    "environment.json",
    "evaluation.json",
    "checks.json",
    "learning_curve.png",
    "samples.png",
    "filters.png",
    "report.html",
}


@pytest.fixture(scope="module")
def shortened():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "QUICK", 100)
        patch.setattr(demo, "EXAMPLES_PER_IDENTITY", 1)
        patch.setattr(demo, "SWEEPS", 10)
        yield


@pytest.fixture(scope="module")
def result(tmp_path_factory, shortened):
    import contextlib
    import io

    out = tmp_path_factory.mktemp("demo") / "runs" / "demo"
    with contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.redirect_stderr(io.StringIO()):
        code = main(["demo", "--quick", "--out", str(out)])
    return code, out, stdout.getvalue()


def test_it_succeeds_and_writes_everything(result):
    code, out, _ = result
    assert code == 0
    assert FILES <= {path.name for path in out.iterdir()}


def test_it_prints_exact_figures_beside_estimates_and_the_identities(result):
    _, _, shown = result
    for words in ("enumeration", "reverse AIS", "log pseudo-likelihood", "free-energy gap", "uniform"):
        assert words in shown
    assert "F(v) = -log sum_h exp(-E(v, h))" in shown
    assert "worst error" in shown
    assert "holds" in shown


def test_the_figures_are_those_of_the_model_it_saved(result):
    _, out, shown = result
    model = package.load(out / "model.safetensors")
    data = datasets.digits(binarize="threshold")
    exact = float(model.log_prob(data.test).mean())
    figures = json.loads((out / "evaluation.json").read_text())["figures"]
    found = {
        f["part"]: f["value"]
        for f in figures
        if f["quantity"] == "log-likelihood" and f["method"] == "enumeration"
    }
    assert found["test"] == pytest.approx(exact, abs=1e-3)
    assert f"{found['test']:.3f}" in shown
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"\N{MINUS SIGN}{-found['test']:.3f}" in page


def test_the_headline_is_computed(result):
    _, out, _ = result
    figures = json.loads((out / "evaluation.json").read_text())["figures"]
    found = {(f["quantity"], f["method"], f["part"]): f["value"] for f in figures}
    exact = found["log-likelihood", "enumeration", "test"]
    ratio = math.exp(exact - found["baseline log-likelihood", "independent bits", "test"])
    error = found["log Z", "AIS", None] - found["log Z", "enumeration", None]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"<b>{f'{ratio:,.0f}' if ratio >= 10 else f'{ratio:.2f}'} times</b>" in page
    assert f"<b>{abs(error):.3f}</b>" in page
    assert f"{error:+.3f}".replace("-", "\N{MINUS SIGN}") in page


def test_the_report_is_well_formed_and_needs_nothing_from_outside(result):
    page = (result[1] / "report.html").read_text(encoding="utf-8")

    class Reader(HTMLParser):
        void = {"meta", "img", "line", "polyline", "br", "link", "input"}

        def __init__(self):
            super().__init__()
            self.open, self.sources = [], []

        def handle_starttag(self, tag, attributes):
            if tag not in self.void:
                self.open.append(tag)
            self.sources += [value for name, value in attributes if name in ("src", "href", "srcset", "data")]

        def handle_startendtag(self, tag, attributes):
            assert tag in self.void

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert len(reader.sources) >= 7
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)
    assert "<script" not in page
    assert "@import" not in page
    assert not re.search(r"url\(", page)
    assert "prefers-color-scheme: dark" in page


def test_the_report_holds_the_identities_and_the_configuration(result):
    _, out, _ = result
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    checks = json.loads((out / "checks.json").read_text())
    assert all(row["name"] in page for row in checks["results"])
    assert "n_chains = 500" in page
    assert "minidgm train --config" in page


def test_a_run_is_repeated_from_the_demos_configuration(result, minidgm, tmp_path):
    shown = minidgm("train", "--config", result[1] / "config.toml", "--out", tmp_path / "again", "--quiet")
    assert shown.code == 0
    a, b = (package.load(folder / "model.safetensors") for folder in (result[1], tmp_path / "again"))
    assert np.array_equal(a.params.buffer, b.params.buffer)
    assert Run.open(tmp_path / "again").config["command"] == "train"


def test_a_demo_replaces_a_demo_and_nothing_else(tmp_path):
    Run.create(tmp_path / "a", {"command": "demo"})
    Run.create(tmp_path / "b", {"command": "train"})
    assert demo.is_demo(tmp_path / "a")
    assert not demo.is_demo(tmp_path / "b")
    assert not demo.is_demo(tmp_path)


def test_a_trained_run_is_not_replaced(minidgm, tmp_path):
    minidgm.train(tmp_path / "run")
    shown = minidgm("demo", "--quick", "--out", tmp_path / "run")
    assert shown.code == 2
    assert "already holds a run" in shown.error


def test_another_backend_is_refused_with_the_nearest(minidgm, tmp_path):
    shown = minidgm("demo", "--backend", "cuda", "--out", tmp_path / "run")
    assert shown.code == 2
    assert not (tmp_path / "run").exists()


def test_an_identity_that_fails_fails_the_demo(minidgm, tmp_path, monkeypatch):
    class Failed:
        ok = False

    monkeypatch.setattr(demo, "demonstrate", lambda args: {"checks": Failed(), "folder": tmp_path})
    monkeypatch.setattr(demo, "publish", lambda results: None)
    monkeypatch.setattr(demo, "summary", lambda results: {"ok": results["checks"].ok})
    shown = minidgm("demo", "--json")
    assert shown.code == 1
    assert not shown.json["ok"]


def test_an_interrupted_demo_says_so(minidgm, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("minidgm.training.fit", interrupt)
    shown = minidgm("demo", "--quick", "--out", tmp_path / "run")
    assert shown.code == 130
    assert "start again" in shown.err
    assert demo.is_demo(tmp_path / "run")
