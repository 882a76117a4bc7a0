"""How good a model is: partition functions, likelihoods and monitors, as numbers that say what they are."""

from minidgm.evaluation.ais import ais, ais_between, reverse_ais
from minidgm.evaluation.bound import importance_weighted, lower_bound
from minidgm.evaluation.bridge import acceptance_ratio, bridge_sampling
from minidgm.evaluation.estimate import KINDS, AnnealedEstimate, Estimate
from minidgm.evaluation.exact import can_sample_exactly, exact_samples, log_partition_exact
from minidgm.evaluation.frames import frame_log_likelihood
from minidgm.evaluation.gradient_moments import GradientMoments, gradient_moments, optimal_baseline
from minidgm.evaluation.likelihood import log_likelihood
from minidgm.evaluation.mercer import (
    GaussianKernel,
    MomentKernel,
    PolynomialKernel,
    RationalQuadraticKernel,
)
from minidgm.evaluation.mmd import mmd2, mmd2_between, mmd2_gradient, mmd2_linear
from minidgm.evaluation.monitor import free_energy_gap, pseudo_likelihood, reconstruction_error
from minidgm.evaluation.parzen import parzen
from minidgm.evaluation.path_toy import PathToy
from minidgm.evaluation.schedule import base_rate, linear_betas, published_betas
from minidgm.evaluation.toy import BernoulliToy

__all__ = [
    "KINDS",
    "AnnealedEstimate",
    "BernoulliToy",
    "Estimate",
    "GaussianKernel",
    "GradientMoments",
    "MomentKernel",
    "PathToy",
    "PolynomialKernel",
    "RationalQuadraticKernel",
    "acceptance_ratio",
    "ais",
    "ais_between",
    "base_rate",
    "bridge_sampling",
    "can_sample_exactly",
    "exact_samples",
    "frame_log_likelihood",
    "free_energy_gap",
    "gradient_moments",
    "importance_weighted",
    "linear_betas",
    "log_likelihood",
    "log_partition_exact",
    "lower_bound",
    "mmd2",
    "mmd2_between",
    "mmd2_gradient",
    "mmd2_linear",
    "optimal_baseline",
    "parzen",
    "pseudo_likelihood",
    "published_betas",
    "reconstruction_error",
    "reverse_ais",
]
