"""Parameters that no gradient moves: declared by layers, known to models, left alone by optimizers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from minidgm import VAE, DifferentiableGenerator, DiscreteVAE, nn, optim
from minidgm.parameters import Parameters

NORMED = [("dense", 3), ("batch_norm",), ("residual", {"inner": ["sequential", {"layers": ["batch_norm"]}]})]
SPECTRAL = [nn.SpectralNorm(nn.Dense(4))]
MEANS = ("1/mean", "1/variance", "2/0/mean", "2/0/variance")


def test_nets_collect_what_their_layers_fix():
    assert nn.Network(NORMED, (2,)).fixed == MEANS
    assert nn.Network(SPECTRAL, (2,)).fixed == ("0/u",)
    assert nn.Network([nn.WeightNorm(nn.Dense(4)), "tanh"], (2,)).fixed == ()


@pytest.mark.parametrize("layer", [nn.BatchNorm(), nn.SpectralNorm(nn.Dense(4))], ids=repr)
def test_what_is_fixed_has_no_gradient(layer):
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=shape) for name, shape in layer.parameter_shapes((3,)).items()}
    params = {name: np.abs(value) for name, value in params.items()}
    y, cache = layer.forward(params, rng.normal(size=(5, 3)), training=True)
    _, grads = layer.backward(rng.normal(size=y.shape), cache)
    assert {name for name, value in grads.items() if not value.any()} == set(layer.fixed)


def models():
    encoder = [*NORMED, ("dense", 4)]
    yield VAE(encoder, [("dense", 4)], 2, seed=0), [f"encoder/{name}" for name in MEANS]
    yield DiscreteVAE([*SPECTRAL, ("dense", 2)], [("dense", 4)], 2, seed=0), ["encoder/0/u"]
    generator = DifferentiableGenerator(4, 2, [*NORMED, ("dense", 4)], seed=0)
    yield generator, [f"generator/{name}" for name in MEANS]


@pytest.mark.parametrize(("model", "names"), list(models()), ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("make", [optim.AdamW, optim.Adam, optim.SGD])
def test_steps_leave_fixed_parameters_where_they_are(model, names, make):
    assert sorted(model.params.fixed) == sorted(names)
    params, optimizer = model.params.copy(), make(0.1, weight_decay=0.5)
    optimizer.init(params)
    for _ in range(3):
        optimizer.step(params, params.like())
    for name in params:
        if name in names:
            np.testing.assert_array_equal(params[name], model.params[name])
        elif params[name].ndim > 1 and model.params[name].any():
            assert (params[name] != model.params[name]).any()


def test_asking_to_decay_one_is_refused():
    model = next(models())[0]
    with pytest.raises(ValueError, match="'encoder/1/mean', which is not learned"):
        optim.AdamW(0.1, weight_decay=0.5, decayed=["encoder/1/mean"]).init(model.params)


def test_matrices_that_are_fixed_do_not_decay():
    params = Parameters({"W": (2, 2), "table": (2, 2)}, fixed=["table"])
    params.buffer[...] = 1.0
    optimizer = optim.AdamW(0.1, weight_decay=0.5)
    optimizer.init(params)
    optimizer.step(params, params.like())
    assert params["table"].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert (params["W"] < 1.0).all()


def test_copies_know_what_is_fixed():
    params = Parameters({"W": (2,), "mean": (2,)}, fixed=["mean"])
    twins = (params.copy(), params.like(), params.to(dtype="float64"), copy.deepcopy(params))
    for twin in (*twins, pickle.loads(pickle.dumps(params))):
        assert twin.fixed == ("mean",)
    with pytest.raises(KeyError, match="fixed names 'maen', which is no parameter"):
        Parameters({"mean": (2,)}, fixed=["maen"])
