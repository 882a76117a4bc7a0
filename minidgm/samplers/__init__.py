"""Markov chains as small pure functions: ``init`` makes a State, ``step`` returns the next one and an Info.

| sampler | state | leaves invariant |
|---|---|---|
| `minidgm.samplers.gibbs` | GibbsState(v, h) | p(v, h) |
"""

from minidgm.samplers import gibbs
from minidgm.samplers.gibbs import GibbsInfo, GibbsState

__all__ = ["GibbsInfo", "GibbsState", "gibbs"]
