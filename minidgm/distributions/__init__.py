"""Factorial distributions: what a conditional of a model returns.

The event is the last axis: ``log_prob`` and ``entropy`` sum over it, so that for parameters of shape
[n, d] they return [n]. Everything is in nats. Each family is an exponential family
``p(x) = exp(log_base(x) + x . field - cgf(field))`` (Wainwright and Jordan 2008, section 3), hence
``entropy = cgf - field . mean - E log_base`` and ``KL(p, q) = (field_p - field_q) . mean_p - cgf_p + cgf_q``.

| class | support | field | mean | variance |
|---|---|---|---|---|
| Bernoulli | {0, 1} | logit | sigmoid(x) | mean (1 - mean) |
| Spin | {-1, 1} | x | tanh(x) | 1 - mean^2 |
| Normal | reals | precision * mean | x / precision | 1 / precision |
| Categorical | one-hot groups of k | logits | softmax(x) | mean (1 - mean) |
| AtMostOne | groups of k bits, at most one on | logits | softmax(x, 0) | mean (1 - mean) |
| Rectified | [0, inf) | x | x + phi(x) / Phi(x) | see `rectified_moments` |

Besides these: `Gamma` (shape and rate), `MultivariateNormal` (a precision matrix a row), `Blocks` (several of
them side by side), and `Enumerated` (a table over all states). `PathNormal`, `PathFullNormal`, `PathLogistic`
and `PathGamma` are given by the numbers that a net puts out, and their draws have derivatives in them.
"""

from minidgm.distributions.at_most_one import AtMostOne
from minidgm.distributions.base import Distribution
from minidgm.distributions.binary import Bernoulli, Spin
from minidgm.distributions.blocks import Blocks
from minidgm.distributions.categorical import Categorical
from minidgm.distributions.enumerated import Enumerated
from minidgm.distributions.gamma import Gamma
from minidgm.distributions.multivariate import MultivariateNormal
from minidgm.distributions.normal import Normal
from minidgm.distributions.path_full_normal import PathFullNormal
from minidgm.distributions.path_gamma import PathGamma
from minidgm.distributions.pathwise import PathDistribution, PathLogistic, PathNormal
from minidgm.distributions.rectified import Rectified, rectified_moments

__all__ = [
    "AtMostOne",
    "Bernoulli",
    "Blocks",
    "Categorical",
    "Distribution",
    "Enumerated",
    "Gamma",
    "MultivariateNormal",
    "Normal",
    "PathDistribution",
    "PathFullNormal",
    "PathGamma",
    "PathLogistic",
    "PathNormal",
    "Rectified",
    "Spin",
    "rectified_moments",
]
