"""Pairs of nets: their shapes mirror each other, and what does not halve is refused."""

from __future__ import annotations

import json

import pytest

from minidgm.latent import nets
from minidgm.nn import Network


@pytest.mark.parametrize("outputs", [1, 2])
def test_convolutional_pairs_come_back_to_the_image(outputs):
    encoder, decoder = nets.convolutional((3, 8, 12), 5, (4, 6), outputs=outputs)
    assert Network(encoder, (3 * 8 * 12,)).shape == (10,)
    assert Network(decoder, (5,)).shape == (outputs * 3 * 8 * 12,)
    assert nets.convolutional((8, 8), 2)[0][0] == ("reshape", (1, 8, 8))


@pytest.mark.parametrize(("image", "size"), [((1, 10, 8), 4), ((1, 8, 6), 4), ((1, 8, 8), 3)])
def test_images_that_do_not_halve(image, size):
    with pytest.raises(ValueError, match="must be multiples of 4"):
        nets.convolutional(image, 2, (4, 6), size)


def test_layers_are_kept_as_what_differs_from_the_defaults():
    net = Network([("dense", 3), "tanh", ("leaky_relu", 0.2), ("dense", 2, False)], (4,))
    plain = nets.plain(net)
    assert plain[0] == ["Dense", {"n_out": 3}]
    assert plain[1] == "Tanh"
    assert Network(json.loads(json.dumps(plain)), (4,)).layers == net.layers


def test_dense_pairs_mirror_each_other():
    encoder, decoder = nets.dense(9, 2, [7, 5], "relu", codes=1, outputs=2)
    assert [item for item in encoder if item != "relu"] == [("dense", 7), ("dense", 5), ("dense", 2)]
    assert [item for item in decoder if item != "relu"] == [("dense", 5), ("dense", 7), ("dense", 18)]


def test_layers_of_codes_have_widths_each():
    with pytest.raises(ValueError, match=r"has widths for 1 nets; expected 2"):
        nets.layered(4, (2, 1), [(3,)])
