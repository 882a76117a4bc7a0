"""Markov chains as small pure functions: ``init`` makes a State, ``step`` returns the next one and an Info.

| sampler | state | leaves invariant |
|---|---|---|
| `minidgm.samplers.gibbs` | GibbsState(v, h) | p(v, h) |
| `minidgm.samplers.tempering` | TemperingState(v, h) | the product of all tempered p(v, h) |
"""

from minidgm.samplers import gibbs, tempering
from minidgm.samplers.gibbs import GibbsInfo, GibbsState
from minidgm.samplers.tempering import TemperingInfo, TemperingState

__all__ = ["GibbsInfo", "GibbsState", "TemperingInfo", "TemperingState", "gibbs", "tempering"]
