"""Markov chains as small pure functions: ``init`` makes a State, ``step`` returns the next one and an Info.

| sampler | state | leaves invariant |
|---|---|---|
| `minidgm.samplers.gibbs` | GibbsState(v, h) | p(v, h) |
| `minidgm.samplers.hmc` | HMCState(v, step_size) | exp(-F(v)), at a fixed step size |
| `minidgm.samplers.tempering` | TemperingState(v, h) | the product of all tempered p(v, h) |
"""

from minidgm.samplers import gibbs, hmc, tempering
from minidgm.samplers.gibbs import GibbsInfo, GibbsState
from minidgm.samplers.hmc import HMCInfo, HMCState
from minidgm.samplers.tempering import TemperingInfo, TemperingState

__all__ = [
    "GibbsInfo",
    "GibbsState",
    "HMCInfo",
    "HMCState",
    "TemperingInfo",
    "TemperingState",
    "gibbs",
    "hmc",
    "tempering",
]
