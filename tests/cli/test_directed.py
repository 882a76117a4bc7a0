"""The command on directed models: train, sample from the top down, measure bounds."""

from __future__ import annotations

import numpy as np


def trained(minidgm, run, model, *more):
    assert minidgm("train", model, "--epochs", 1, "--out", run, "--quiet", *more).code == 0
    figures = minidgm("evaluate", run, "--json").json["figures"]
    return {(f["quantity"], f["method"], f["part"]): f for f in figures}


def test_a_variational_autoencoder(minidgm, tmp_path):
    run, small = tmp_path / "run", ("--set", "model.n_latent=2")
    found = trained(minidgm, run, "VAE", "--data", "bars_and_stripes", *small)
    weighted = found["log-likelihood", "recognition net", "train"]
    assert weighted["kind"] == "lower bound"
    assert found["lower bound", "recognition net", "train"]["value"] < weighted["value"]
    for more in ([], ["--mean"]):
        out = run / "v.npy"
        assert minidgm("sample", run, "--n", 5, "--out", out, "--overwrite", *more).code == 0
        v = np.load(out)
        assert v.shape == (5, 9)
        assert np.isin(v, (0, 1)).all() == (not more)


def test_several_layers_of_codes(minidgm, tmp_path):
    run, small = tmp_path / "run", ("--set", "model.n_codes=[3, 2]")
    found = trained(minidgm, run, "HierarchicalVAE", "--data", "bars_and_stripes", *small)
    weighted = found["log-likelihood", "recognition net", "train"]
    assert found["lower bound", "recognition net", "train"]["value"] < weighted["value"]
    assert minidgm("info", "HierarchicalVAE").code == 0
    out = run / "v.npy"
    assert minidgm("sample", run, "--n", 5, "--out", out).code == 0
    assert np.isin(np.load(out), (0, 1)).all()


def test_discrete_codes_are_summed_out(minidgm, tmp_path):
    run, small = tmp_path / "run", ("--set", "model.n_latent=6", "--set", "model.latent=softmax(3)")
    found = trained(minidgm, run, "DiscreteVAE", "--data", "bars_and_stripes", *small)
    assert found["log-likelihood", "codes summed out", "train"]["kind"] == "exact"
    assert minidgm("sample", run, "--n", 5, "--out", run / "v.npy").code == 0
    more = ("--objective", "Reparameterization", "--out", tmp_path / "other")
    refused = minidgm("train", "DiscreteVAE", "--data", "bars_and_stripes", *more)
    assert refused.code != 0
    assert "Objectives that fit: " in refused.error


def test_codes_of_another_family(minidgm, tmp_path):
    run, small = tmp_path / "run", ("--set", "model.n_latent=2", "--set", "model.family=gamma(0.5)")
    found = trained(minidgm, run, "FamilyVAE", "--data", "bars_and_stripes", *small)
    weighted = found["log-likelihood", "recognition net", "train"]
    assert found["lower bound", "recognition net", "train"]["value"] < weighted["value"]
    assert minidgm("sample", run, "--n", 5, "--out", run / "v.npy").code == 0


def test_a_linear_one_is_measured_exactly(minidgm, tmp_path):
    small = ("--set", "model.n_latent=1")
    found = trained(minidgm, tmp_path / "run", "LinearGaussianVAE", "--data", "two_moons", *small)
    assert found["log-likelihood", "codes summed out", "test"]["kind"] == "exact"


def test_grey_levels_have_likelihoods_of_their_own(minidgm, tmp_path):
    run, small = tmp_path / "run", ("--set", "model.n_latent=2", "--set", "model.levels=17")
    family = ("--set", "model.likelihood=discretized_logistic")
    found = trained(minidgm, run, "VAE", "--data", "digits", *small, *family)
    assert found["log-likelihood", "recognition net", "test"]["kind"] == "lower bound"
    assert not any(quantity.startswith("baseline") for quantity, _, _ in found)
    assert "threshold" not in (run / "config.toml").read_text()


def test_baselines_explain_what_the_model_explains(minidgm, tmp_path):
    small = ("--set", "model.n_latent=2")
    found = trained(minidgm, tmp_path / "run", "ConditionalVAE", "--data", "digits", *small)
    uniform = found["baseline log-likelihood", "uniform", "test"]["value"]
    np.testing.assert_allclose(uniform, 64 * np.log(0.5), rtol=1e-12)  # labels are given


def test_no_probabilities_stand_beside_a_density(minidgm, tmp_path):
    small = ("--set", "model.n_latent=2", "--binarize", "threshold")
    found = trained(minidgm, tmp_path / "run", "LinearGaussianVAE", "--data", "digits", *small)
    assert ("log-likelihood", "codes summed out", "test") in found
    assert not any(quantity.startswith("baseline") for quantity, _, _ in found)


def test_an_autoencoder_is_no_distribution(minidgm, tmp_path):
    found = trained(minidgm, tmp_path / "run", "Autoencoder", "--data", "bars_and_stripes")
    assert ("reconstruction error", "mean field", "train") in found
    shown = minidgm("sample", tmp_path / "run")
    assert shown.code != 0
    assert "is no distribution" in shown.error
