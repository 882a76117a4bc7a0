"""The command on generators: train, sample from noise, measure samples, or densities where there are any."""

from __future__ import annotations

import numpy as np


def trained(minidgm, run, model, *more):
    assert minidgm("train", model, "--epochs", 2, "--out", run, "--quiet", *more).code == 0
    figures = minidgm("evaluate", run, "--json").json["figures"]
    return {(f["quantity"], f["method"], f["part"]): f for f in figures}


def test_a_generative_moment_matching_network(minidgm, tmp_path):
    run = tmp_path / "run"
    small = ("--set", "model.hidden=[8]", "--set", "model.n_latent=2", "--objective", "MMD")
    found = trained(minidgm, run, "GMMN", "--data", "digits", *small)
    window = found["log-likelihood", "Parzen window", "test"]
    assert window["kind"] == "estimate"
    assert window["value"] < found["the same of training rows", "Parzen window", "test"]["value"]
    assert found["squared MMD", "U-statistic", "test"]["value"] > 0.0
    assert minidgm("sample", run, "--n", 5, "--out", run / "x.npy").code == 0
    x = np.load(run / "x.npy")
    assert x.shape == (5, 64)
    assert ((x >= 0.0) & (x <= 1.0)).all()


def test_an_invertible_generator_is_measured_exactly(minidgm, tmp_path):
    found = trained(minidgm, tmp_path / "run", "AffineGenerator", "--data", "two_moons")
    assert found["log-likelihood", "change of variables", "test"]["kind"] == "exact"
