"""Objectives: explicit gradient estimators, one a file, each a choice of configurations and weights.

| objective | configurations | weights |
|---|---|---|
| `ExactLikelihood` | data; every state | 1/n; -p(state) |
| `ContrastiveDivergence` | data; k sweeps from the data | 1/n; -1/n |
| `PersistentContrastiveDivergence` | data; chains that persist | 1/n; -1/m |
| `TemperedPersistent` | data; chains at beta = 1 of a tempered ladder | 1/n; -1/m |
| `FastPersistent` | data; chains of the model plus fast weights | 1/n; -1/m |
| `HybridPersistent` | data; chains that persist, moved by HMC | 1/n; -1/m |
| `VariationalSML` | data with mean-field means; even/odd chains that persist | 1/n; -1/m |
| `MultiPrediction` | data with random missing blocks (unrolled mean field) | |
| `PseudoLikelihood` | data; every alternative of every unit | sum of p_a/n; -p_a/n |
| `ConditionalContrastiveDivergence` | frames; k sweeps from each, given its past | 1/n; -1/n |
| `ConditionalLikelihood` | frames; every state given each past | 1/n; -p(state)/n |
| `OutputContrastiveDivergence` | pairs (x, y); k sweeps of y from the data, x held | 1/n; -1/n |
| `DiscriminativeLikelihood` | data with every label k | (1[k = y] - p_k)/n |
| `HybridLikelihood` | data with every label k; chains | see its page; -(alpha t + beta (1 - t))/n |
| `RatioMatching` | data; every flip of every unit | sum of 2q^2(1-q)/n; -2q^2(1-q)/n |
| `ScoreMatching` | data (pathwise) | |
| `DenoisingScoreMatching` | noisy data (pathwise) | |
| `Reparameterization` | paths z = mu + sigma eps (pathwise) | 1/(n k) |
| `ImportanceWeighted` | the same (pathwise) | normalized importance weights / n |
| `Reconstruction` | data, corrupted data (back-propagation) | 1/n |
| `UpDown` | data with drawn hidden states; chains at the top; dreams | 1/n; -1/m; -1/m |
| `WakeSleep` | x with z ~ q for log p; dreams for log q | -1/n; -1/m |
| `ReweightedWakeSleep` | x with k draws z ~ q for log p and log q; dreams for log q | -w/n; -1/m |
| `BidirectionalImportance` | x with k draws z ~ q for log p and log q | -sqrt(w)/n |
| `Reinforce` | x with k draws z ~ q for log p; the same for log q | -1/(nk); -(log w - b)/(nk) |
| `StraightThrough`, `GumbelSoftmax`, `Rebar` | x with k draws z ~ q, or relaxed ones (pathwise) | |
| `Vimco` | x with k draws z ~ q for log p; the same for log q | see its page |
| `MaximumMeanDiscrepancy` | generated rows; data (pathwise) | |
| `MomentMatching` | generated rows; data (pathwise) | |

``gradient(model, batch, rng) -> (grads, metrics)``: see `minidgm.objectives.base`.
"""

from __future__ import annotations

from typing import Any

from minidgm.objectives.base import Objective
from minidgm.objectives.bidirectional import BidirectionalImportance
from minidgm.objectives.conditional import ConditionalContrastiveDivergence, ConditionalLikelihood
from minidgm.objectives.contrastive_divergence import ContrastiveDivergence
from minidgm.objectives.denoising_score_matching import DenoisingScoreMatching
from minidgm.objectives.discriminative import DiscriminativeLikelihood
from minidgm.objectives.exact_likelihood import ExactLikelihood
from minidgm.objectives.fast_persistent import FastPersistent
from minidgm.objectives.gumbel_softmax import GumbelSoftmax
from minidgm.objectives.hybrid import HybridPersistent
from minidgm.objectives.hybrid_likelihood import HybridLikelihood
from minidgm.objectives.importance_weighted import ImportanceWeighted
from minidgm.objectives.mean_discrepancy import MaximumMeanDiscrepancy
from minidgm.objectives.moment_matching import MomentMatching
from minidgm.objectives.multi_prediction import MultiPrediction
from minidgm.objectives.output_divergence import OutputContrastiveDivergence
from minidgm.objectives.persistent import PersistentContrastiveDivergence, StochasticMaximumLikelihood
from minidgm.objectives.pseudo_likelihood import PseudoLikelihood
from minidgm.objectives.ratio_matching import RatioMatching
from minidgm.objectives.rebar import Rebar
from minidgm.objectives.reconstruction import Reconstruction
from minidgm.objectives.reinforce import Reinforce
from minidgm.objectives.reparameterization import Reparameterization
from minidgm.objectives.score_matching import ScoreMatching
from minidgm.objectives.straight_through import StraightThrough
from minidgm.objectives.tempered import TemperedPersistent
from minidgm.objectives.up_down import UpDown
from minidgm.objectives.variational import VariationalSML
from minidgm.objectives.vimco import Vimco
from minidgm.objectives.wake_sleep import ReweightedWakeSleep, WakeSleep

ALL: tuple[type[Objective], ...] = (
    ExactLikelihood,
    ContrastiveDivergence,
    ConditionalContrastiveDivergence,
    ConditionalLikelihood,
    PersistentContrastiveDivergence,
    TemperedPersistent,
    FastPersistent,
    HybridPersistent,
    OutputContrastiveDivergence,
    DiscriminativeLikelihood,
    HybridLikelihood,
    PseudoLikelihood,
    RatioMatching,
    ScoreMatching,
    DenoisingScoreMatching,
    UpDown,
    VariationalSML,
    MultiPrediction,
    MaximumMeanDiscrepancy,
    MomentMatching,
    Reparameterization,
    ImportanceWeighted,
    Reconstruction,
    WakeSleep,
    ReweightedWakeSleep,
    BidirectionalImportance,
    Reinforce,
    Vimco,
    StraightThrough,
    GumbelSoftmax,
    Rebar,
)

__all__ = [
    "BidirectionalImportance",
    "ConditionalContrastiveDivergence",
    "ConditionalLikelihood",
    "ContrastiveDivergence",
    "DenoisingScoreMatching",
    "DiscriminativeLikelihood",
    "ExactLikelihood",
    "FastPersistent",
    "GumbelSoftmax",
    "HybridLikelihood",
    "HybridPersistent",
    "ImportanceWeighted",
    "MaximumMeanDiscrepancy",
    "MomentMatching",
    "MultiPrediction",
    "Objective",
    "OutputContrastiveDivergence",
    "PersistentContrastiveDivergence",
    "PseudoLikelihood",
    "RatioMatching",
    "Rebar",
    "Reconstruction",
    "Reinforce",
    "Reparameterization",
    "ReweightedWakeSleep",
    "ScoreMatching",
    "StochasticMaximumLikelihood",
    "StraightThrough",
    "TemperedPersistent",
    "UpDown",
    "VariationalSML",
    "Vimco",
    "WakeSleep",
    "fitting",
]


def fitting(model: Any) -> list[str]:
    """Names of the objectives that a model's methods and units allow.

    >>> from minidgm import RBM
    >>> "ScoreMatching" in fitting(RBM(3, 2)), "ScoreMatching" in fitting(RBM(3, 2, visible="gaussian"))
    (False, True)
    """
    return [objective.__name__ for objective in ALL if objective.obstacle(model) is None]
