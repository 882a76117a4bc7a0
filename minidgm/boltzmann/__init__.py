"""The Boltzmann family: energies over visible and hidden units."""

from minidgm.boltzmann.bm import BoltzmannMachine
from minidgm.boltzmann.dbm import DBM
from minidgm.boltzmann.dbn import DBN
from minidgm.boltzmann.rbm import RBM

__all__ = ["DBM", "DBN", "RBM", "BoltzmannMachine"]
