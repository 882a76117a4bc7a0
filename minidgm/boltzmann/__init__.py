"""The Boltzmann family: energies over visible and hidden units."""

from minidgm.boltzmann.bm import BoltzmannMachine
from minidgm.boltzmann.dbn import DBN
from minidgm.boltzmann.rbm import RBM

__all__ = ["DBN", "RBM", "BoltzmannMachine"]
