"""minidgm: deep generative models as pages of explicit array math, every identity machine-checked.

>>> import minidgm
>>> rbm = minidgm.RBM(n_visible=4, n_hidden=2, seed=0)
>>> rbm.params["W"].shape
(4, 2)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "RBM": "minidgm.boltzmann.rbm",
    "GaussianRBM": "minidgm.boltzmann.gaussian_rbm",
    "SpikeAndSlabRBM": "minidgm.boltzmann.ssrbm",
    "Hopfield": "minidgm.boltzmann.hopfield",
    "SigmoidClassifier": "minidgm.boltzmann.classifier",
    "BoltzmannMachine": "minidgm.boltzmann.bm",
    "ConvolutionalDBN": "minidgm.boltzmann.conv_dbn",
    "ConvolutionalRBM": "minidgm.boltzmann.conv_rbm",
    "ConditionalRBM": "minidgm.boltzmann.conditional_rbm",
    "DBM": "minidgm.boltzmann.dbm",
    "DBN": "minidgm.boltzmann.dbn",
    "MeanCovarianceRBM": "minidgm.boltzmann.mcrbm",
    "MeanProductOfStudentT": "minidgm.boltzmann.mpot",
    "RNNRBM": "minidgm.boltzmann.rnn_rbm",
    "DiscriminativeRBM": "minidgm.boltzmann.discriminative_rbm",
    "GatedRBM": "minidgm.boltzmann.gated_rbm",
    "HybridThirdOrderRBM": "minidgm.boltzmann.hybrid_third_order",
    "Autoencoder": "minidgm.latent.autoencoder",
    "AffineGenerator": "minidgm.latent.generator",
    "CodeGMMN": "minidgm.latent.gmmn",
    "DifferentiableGenerator": "minidgm.latent.generator",
    "GMMN": "minidgm.latent.gmmn",
    "ConditionalVAE": "minidgm.latent.conditional_vae",
    "DiscreteVAE": "minidgm.latent.discrete_vae",
    "FamilyVAE": "minidgm.latent.family_vae",
    "HierarchicalVAE": "minidgm.latent.hierarchical_vae",
    "LinearGaussianVAE": "minidgm.latent.linear_gaussian",
    "VAE": "minidgm.latent.vae",
    "SigmoidBeliefNet": "minidgm.latent.sbn",
    "HelmholtzMachine": "minidgm.latent.helmholtz",
    "BidirectionalHelmholtz": "minidgm.latent.bidirectional_helmholtz",
    "Generator": "minidgm.random",
    "Estimate": "minidgm.evaluation",
    "IntractableError": "minidgm.errors",
    "KDE": "minidgm.classical.kde",
    "ParzenWindow": "minidgm.classical.kde",
    "check_model": "minidgm.checks",
    "fit": "minidgm.training",
    "load": "minidgm.serialization",
}
_MODULES = (
    "backend", "boltzmann", "checks", "classical", "datasets", "distributions", "errors", "evaluation",
    "kernels", "latent", "nn", "numerics", "objectives", "optim", "parameters", "plotting", "samplers",
    "serialization", "training",
)  # fmt: skip

__all__ = ["__version__", *_LAZY, *_MODULES]


def __getattr__(name: str) -> Any:
    """Import on first use: `import minidgm` stays fast, heavy libraries load only when needed."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"minidgm.{name}")
    raise AttributeError(f"module 'minidgm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
