"""Nets declared as lists, and kept as JSON."""

from __future__ import annotations

import json

import pytest

from minidgm import nn

LAYERS = [
    nn.Dense(3),
    nn.Tanh(),
    nn.LeakyRelu(0.3),
    nn.Residual([nn.Dense(3, bias=False), nn.Gelu()]),
    nn.WeightNorm(nn.Dense(4)),
    nn.Sequential([nn.Dense(2), nn.LayerNorm()]),
    nn.Reshape((1, 2)),
    nn.Conv2d(2, (3, 2), stride=2),
    nn.ConvTranspose2d(2, 3, output_padding=0),
    nn.MaxPool2d(2),
    nn.BatchNorm(0.2),
    nn.SelfAttention(2, causal=False),
    nn.GRU(3),
]


def test_names_and_tuples():
    assert nn.declare([("dense", 3), "tanh", ("LeakyRelu", 0.3)]) == LAYERS[:3]
    assert nn.declare("gelu") == [nn.Gelu()]
    assert nn.declare([("layer_norm",), ("conv2d", 4, 3)]) == [nn.LayerNorm(), nn.Conv2d(4, 3)]
    assert nn.declare(LAYERS) == LAYERS


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_through_json_and_back(layer):
    again = nn.declare(json.loads(json.dumps(nn.describe([layer]))))
    assert again == [layer]
    assert repr(again[0]) == repr(layer)


def test_two_equal_numbers_are_shown_as_one():
    assert repr(nn.Conv2d(16, 5, stride=2)) == "Conv2d(n_out=16, size=5, stride=2)"
    assert repr(nn.ConvTranspose2d(4, (3, 2))) == "ConvTranspose2d(n_out=4, size=(3, 2))"
    assert repr(nn.Upsample2d(2)) == "Upsample2d()"
    assert repr(nn.Reshape((2, 2))) == "Reshape(shape=(2, 2))"


def test_refusals():
    with pytest.raises(ValueError, match=r"unknown layer 'dens'.*did you mean 'Dense'"):
        nn.declare([("dens", 3)])
    with pytest.raises(TypeError, match="3 is no layer"):
        nn.declare([3])
    with pytest.raises(TypeError, match=r"Dense\(n_out"):
        nn.declare([["dense", {"units": 3}]])
    with pytest.raises(TypeError, match="missing 1 required"):
        nn.declare(["dense"])
