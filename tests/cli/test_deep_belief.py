"""A deep belief network from the command line: trained by layers, resumed, evaluated by bounds."""

import minidgm as package


def arguments(folder):
    sizes = "model.sizes=[64, 12, 8]"
    return ["train", "DBN", "--data", "digits", "--set", sizes, "--out", folder, "--quiet"]


def test_train_evaluate_sample_resume(minidgm, tmp_path):
    run = tmp_path / "run"
    assert minidgm(*arguments(run), "--epochs", 2).code == 0
    assert sorted(path.name for path in (run / "checkpoint").iterdir()) == ["layer-1", "layer-2"]
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 4
    before = package.load(run / "model.safetensors")
    assert before.sizes == (64, 12, 8)
    assert minidgm("train", "--out", run, "--resume", "--quiet").code == 0
    assert (package.load(run / "model.safetensors").params.buffer == before.params.buffer).all()

    figures = minidgm("evaluate", run, "--n-temperatures", 20, "--json").json["figures"]
    found = {(f["quantity"], f["method"], f["part"]): f for f in figures}
    assert found["log Z", "enumeration", None]["kind"] == "exact"
    bound = found["lower bound", "enumeration", "test"]
    weighted = found["log-likelihood", "enumeration", "test"]
    assert bound["kind"] == weighted["kind"] == "lower bound"
    assert bound["value"] < weighted["value"]
    assert found["lower bound", "AIS", "test"]["kind"] == "estimate"
    assert minidgm("sample", run).code == 0


def test_a_run_is_replaced_whole(minidgm, tmp_path):
    run = tmp_path / "run"
    minidgm(*arguments(run), "--epochs", 1)
    assert minidgm(*arguments(run), "--epochs", 1, "--objective", "UpDown", "--overwrite").code == 0
    assert not any((run / "checkpoint").glob("layer-*"))
    assert any((run / "checkpoint").glob("step-*"))


def test_sizes_must_begin_with_the_data(minidgm, tmp_path):
    sizes = "model.sizes=[60, 12]"
    shown = minidgm("train", "DBN", "--data", "digits", "--set", sizes, "--out", tmp_path / "run")
    assert shown.code != 0
    assert "rows of digits have 64" in shown.err
