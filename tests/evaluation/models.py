"""Small models with parameters of order one, for the tests of this folder."""

from __future__ import annotations

from minidgm.backend import Generator, asarray
from minidgm.boltzmann.bm import BoltzmannMachine
from minidgm.boltzmann.rbm import RBM


def random_parameters(model, seed, scale=1.0):
    """Fill all parameters with normals of standard deviation ``scale``; returns the model."""
    noise = Generator(seed).normal((model.params.size,), dtype="float64")
    model.params.buffer[...] = asarray(scale * noise, model.backend, model.dtype)
    return model


def rbm(n_visible, n_hidden, visible="bernoulli", hidden="bernoulli", *, seed=0, scale=1.0, **more):
    """An RBM with random parameters, in float64 unless ``dtype`` says otherwise."""
    model = RBM(n_visible, n_hidden, visible=visible, hidden=hidden, **{"dtype": "float64", **more})
    return random_parameters(model, seed, scale)


def machine(n_visible, n_hidden, seed=0, scale=0.7, **more):
    """A Boltzmann machine with random parameters."""
    return random_parameters(BoltzmannMachine(n_visible, n_hidden, dtype="float64", **more), seed, scale)
