"""Machines with labels and of pairs, from the command line: labels come with the data, errors are printed."""

import json

import pytest

from minidgm import datasets, load


def figures(folder):
    found = json.loads((folder / "evaluation.json").read_text())["figures"]
    return {(f["quantity"], f["part"]): f for f in found}


def likelihoods(folder):
    """Kinds of the log-likelihoods that were measured."""
    found = json.loads((folder / "evaluation.json").read_text())["figures"]
    return {f["kind"] for f in found if f["quantity"] == "log-likelihood"}


def test_a_machine_with_labels_is_trained_measured_and_sampled(minidgm, tmp_path):
    run = tmp_path / "run"
    out = minidgm(
        *("train", "DiscriminativeRBM", "--data", "digits", "--n-hidden", "8", "--epochs", "2"),
        *("--out", str(run), "--quiet", "--json"),
    ).json
    assert out["model"] == "DiscriminativeRBM(n_visible=64, n_hidden=8, n_classes=10, visible='bernoulli')"
    assert 0.0 <= out["last"]["validation_error"] <= 1.0
    page = minidgm("evaluate", str(run), "--n-chains", "5", "--n-temperatures", "5").out
    assert "classification error" in page
    found = figures(run)
    assert 0.0 < found["classification error", "test"]["value"] < 1.0
    assert found["classification error", "test"]["kind"] == "exact"
    assert ("log-likelihood", "test") in found
    minidgm("sample", str(run), "--n", "4", "--steps", "2")
    assert (run / "samples.png").exists()


def test_a_data_set_without_labels_is_refused(minidgm, tmp_path):
    import numpy as np

    np.save(tmp_path / "rows.npy", np.eye(4))
    done = minidgm(
        *("train", "DiscriminativeRBM", "--data", str(tmp_path / "rows.npy"), "--out", str(tmp_path / "run"))
    )
    assert "has no labels" in done.error


def test_pairs_of_a_data_set_train_a_gated_machine(minidgm, tmp_path):
    run = tmp_path / "run"
    out = minidgm(
        *("train", "GatedRBM", "--data", "shifter", "--set", "data.labelled=false", "--set", "data.n_bits=4"),
        *("--n-hidden", "3", "--epochs", "1", "--batch-size", "8", "--out", str(run), "--quiet", "--json"),
    ).json
    assert out["model"] == "GatedRBM(n_input=4, n_output=4, n_hidden=3, n_factors=None)"
    page = minidgm("evaluate", run, "--n-chains", 5, "--n-temperatures", 5).out
    assert "log-likelihood of y given x" in page
    found, model = figures(run), load(run / "model.safetensors")
    pairs = datasets.shifter(n_bits=4, labelled=False).train
    expected = float(model.conditional_log_prob(pairs[:, :4], pairs[:, 4:]).mean())
    assert found["log-likelihood of y given x", "train"]["value"] == pytest.approx(expected)
    assert found["log-likelihood of y given x", "train"]["kind"] == "exact"
    assert "exact" in likelihoods(run)


def test_class_relevant_units_have_an_exact_likelihood_where_they_are_few(minidgm, tmp_path):
    run = tmp_path / "run"
    minidgm(
        *("train", "HybridThirdOrderRBM", "--data", "digits", "--n-hidden", 4, "--epochs", 1),
        *("--out", run, "--quiet"),
    )
    minidgm("evaluate", run, "--n-chains", 5, "--n-temperatures", 5)
    assert "exact" in likelihoods(run)
    minidgm("evaluate", str(run), "--n-chains", "5", "--n-temperatures", "5")
    assert ("log-likelihood", "train") in figures(run)
