"""Layers as pairs of passes, forward and backward, with their derivations; nets declared as short lists."""

from minidgm.nn import initializers, losses
from minidgm.nn.activations import Elu, Gelu, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh
from minidgm.nn.attention import SelfAttention
from minidgm.nn.convolution import Conv2d, ConvTranspose2d
from minidgm.nn.declare import declare, describe
from minidgm.nn.dense import Dense
from minidgm.nn.embedding import Embedding
from minidgm.nn.layer import Layer
from minidgm.nn.network import Network, Residual, Sequential
from minidgm.nn.noise import Dropout
from minidgm.nn.normalization import BatchNorm, GroupNorm, LayerNorm
from minidgm.nn.pooling import AveragePool2d, MaxPool2d, MaxUnpool2d, Upsample2d
from minidgm.nn.recurrent import GRU, LSTM, Recurrent
from minidgm.nn.reparametrized import SpectralNorm, WeightNorm
from minidgm.nn.sequence_convolution import Conv1d, ConvTranspose1d
from minidgm.nn.shapes import Flatten, Reshape, Transpose
from minidgm.nn.triangular import Triangular
from minidgm.nn.variance import SharedVariance

__all__ = [
    "GRU",
    "LSTM",
    "AveragePool2d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Dense",
    "Dropout",
    "Elu",
    "Embedding",
    "Flatten",
    "Gelu",
    "GroupNorm",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "MaxPool2d",
    "MaxUnpool2d",
    "Network",
    "Recurrent",
    "Relu",
    "Reshape",
    "Residual",
    "SelfAttention",
    "Sequential",
    "SharedVariance",
    "Sigmoid",
    "Silu",
    "Softplus",
    "SpectralNorm",
    "Tanh",
    "Transpose",
    "Triangular",
    "Upsample2d",
    "WeightNorm",
    "declare",
    "describe",
    "initializers",
    "losses",
]
