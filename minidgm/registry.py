"""Names to objects: what the command line, the model files and the configurations can call by name.

Adding a model is one line in :data:`MODELS`. Nothing is imported until it is asked for::

    registry.models()["RBM"]            the class
    registry.models()["rmb"]            ValueError: unknown model 'rmb'; did you mean 'RBM'? ...
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from minidgm.errors import unknown

MODELS = {
    "BoltzmannMachine": "minidgm.boltzmann.bm",
    "ConvolutionalDBN": "minidgm.boltzmann.conv_dbn",
    "ConvolutionalRBM": "minidgm.boltzmann.conv_rbm",
    "ConditionalRBM": "minidgm.boltzmann.conditional_rbm",
    "DBM": "minidgm.boltzmann.dbm",
    "DBN": "minidgm.boltzmann.dbn",
    "DiscriminativeRBM": "minidgm.boltzmann.discriminative_rbm",
    "GatedRBM": "minidgm.boltzmann.gated_rbm",
    "GaussianRBM": "minidgm.boltzmann.gaussian_rbm",
    "Hopfield": "minidgm.boltzmann.hopfield",
    "HybridThirdOrderRBM": "minidgm.boltzmann.hybrid_third_order",
    "MeanCovarianceRBM": "minidgm.boltzmann.mcrbm",
    "MeanProductOfStudentT": "minidgm.boltzmann.mpot",
    "RNNRBM": "minidgm.boltzmann.rnn_rbm",
    "RBM": "minidgm.boltzmann.rbm",
    "SpikeAndSlabRBM": "minidgm.boltzmann.ssrbm",
    "Autoencoder": "minidgm.latent.autoencoder",
    "AffineGenerator": "minidgm.latent.generator",
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
    "KDE": "minidgm.classical.kde",
}

OBJECTIVES = {
    "ExactLikelihood": "minidgm.objectives",
    "ContrastiveDivergence": "minidgm.objectives",
    "ConditionalContrastiveDivergence": "minidgm.objectives",
    "ConditionalLikelihood": "minidgm.objectives",
    "PersistentContrastiveDivergence": "minidgm.objectives",
    "TemperedPersistent": "minidgm.objectives",
    "FastPersistent": "minidgm.objectives",
    "HybridPersistent": "minidgm.objectives",
    "OutputContrastiveDivergence": "minidgm.objectives",
    "DiscriminativeLikelihood": "minidgm.objectives",
    "HybridLikelihood": "minidgm.objectives",
    "PseudoLikelihood": "minidgm.objectives",
    "RatioMatching": "minidgm.objectives",
    "ScoreMatching": "minidgm.objectives",
    "DenoisingScoreMatching": "minidgm.objectives",
    "UpDown": "minidgm.objectives",
    "VariationalSML": "minidgm.objectives",
    "MultiPrediction": "minidgm.objectives",
    "MaximumMeanDiscrepancy": "minidgm.objectives",
    "MomentMatching": "minidgm.objectives",
    "WakeSleep": "minidgm.objectives",
    "ReweightedWakeSleep": "minidgm.objectives",
    "BidirectionalImportance": "minidgm.objectives",
    "Reinforce": "minidgm.objectives",
    "Vimco": "minidgm.objectives",
    "StraightThrough": "minidgm.objectives",
    "GumbelSoftmax": "minidgm.objectives",
    "Rebar": "minidgm.objectives",
    "Reparameterization": "minidgm.objectives",
    "ImportanceWeighted": "minidgm.objectives",
    "Reconstruction": "minidgm.objectives",
}

OPTIMIZERS = {
    "SGD": "minidgm.optim",
    "Momentum": "minidgm.optim",
    "Nesterov": "minidgm.optim",
    "Adam": "minidgm.optim",
    "AdamW": "minidgm.optim",
}

DATASETS = {
    "digits": "minidgm.datasets",
    "bars_and_stripes": "minidgm.datasets",
    "shifter": "minidgm.datasets",
    "two_moons": "minidgm.datasets",
    "rings": "minidgm.datasets",
    "eight_gaussians": "minidgm.datasets",
    "pinwheel": "minidgm.datasets",
    "spiral": "minidgm.datasets",
    "checkerboard": "minidgm.datasets",
    "mnist": "minidgm.datasets",
    "patches": "minidgm.datasets",
    "shakespeare": "minidgm.datasets",
    "names": "minidgm.datasets",
    "jsb_chorales": "minidgm.datasets",
    "uci_dna": "minidgm.datasets",
}

ALIASES = {
    "BM": "BoltzmannMachine",
    "SBN": "SigmoidBeliefNet",
    "BiHM": "BidirectionalHelmholtz",
    "RWS": "ReweightedWakeSleep",
    "mcRBM": "MeanCovarianceRBM",
    "mPoT": "MeanProductOfStudentT",
    "CD": "ContrastiveDivergence",
    "ConditionalCD": "ConditionalContrastiveDivergence",
    "PCD": "PersistentContrastiveDivergence",
    "SML": "PersistentContrastiveDivergence",
    "StochasticMaximumLikelihood": "PersistentContrastiveDivergence",
    "FPCD": "FastPersistent",
    "MMD": "MaximumMeanDiscrepancy",
    "IWAE": "ImportanceWeighted",
}


class Catalogue(Mapping[str, Any]):
    """Names of one kind of thing, each imported when it is looked up.

    Looking up ignores case and knows the usual abbreviations (``PCD``, ``BM``); listing shows the full
    names only.

    Parameters
    ----------
    kind : str
        What the names are, for error messages: ``"model"``.
    modules : mapping of str to str
        The module that holds each name.
    aliases : mapping of str to str, optional
        Other names.

    Raises
    ------
    ValueError
        When a name is looked up that the catalogue does not have; says the nearest and all known.

    Examples
    --------
    >>> optimizers()["adam"].__name__
    'Adam'
    >>> "adagrad" in optimizers()
    False
    """

    def __init__(self, kind: str, modules: Mapping[str, str], aliases: Mapping[str, str] | None = None):
        self.kind = kind
        self.modules = dict(modules)
        self.aliases = {alias: name for alias, name in (aliases or {}).items() if name in self.modules}
        names = {**{name: name for name in self.modules}, **self.aliases}
        self._by_case = {name.lower(): full for name, full in names.items()}

    def name(self, name: str) -> str:
        """Return the full name behind a name in any case, or an alias."""
        full = self._by_case.get(name.lower()) if isinstance(name, str) else None
        if full is None:
            raise unknown(self.kind, name, self.modules)
        return full

    def __getitem__(self, name: str) -> Any:
        full = self.name(name)
        return getattr(importlib.import_module(self.modules[full]), full)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_case

    def __iter__(self) -> Iterator[str]:
        return iter(self.modules)

    def __len__(self) -> int:
        return len(self.modules)

    def __repr__(self) -> str:
        return f"<{self.kind}s: {', '.join(self)}>"


def models() -> Catalogue:
    """Return the model classes by name.

    >>> models()["rbm"].__name__
    'RBM'
    """
    return Catalogue("model", MODELS, ALIASES)


def objectives() -> Catalogue:
    """Return the objectives (gradient estimators) by name.

    >>> objectives().name("pcd")
    'PersistentContrastiveDivergence'
    """
    return Catalogue("objective", OBJECTIVES, ALIASES)


def optimizers() -> Catalogue:
    """Return the optimizers by name."""
    return Catalogue("optimizer", OPTIMIZERS)


def datasets() -> Catalogue:
    """Return the functions that make a :class:`~minidgm.datasets.Dataset`, by name."""
    return Catalogue("data set", DATASETS)
