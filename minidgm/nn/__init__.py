"""Layers as pairs of passes, forward and backward, with their derivations; nets declared as short lists."""

from minidgm.nn import initializers, losses
from minidgm.nn.activations import Elu, Gelu, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh
from minidgm.nn.convolution import Conv1d, Conv2d, ConvTranspose2d
from minidgm.nn.dense import Dense
from minidgm.nn.layer import Layer
from minidgm.nn.network import Flatten, Network, Reshape, Residual, Sequential

__all__ = [
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "Elu",
    "Flatten",
    "Gelu",
    "Layer",
    "LeakyRelu",
    "Network",
    "Relu",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Silu",
    "Softplus",
    "Tanh",
    "initializers",
    "losses",
]
