"""The library's identities, registered when this package is imported."""

from minidgm.checks.catalogue import (  # noqa: F401
    annealing,
    centering,
    common,
    convolutional,
    covariance,
    deep_belief,
    deep_boltzmann,
    deep_boltzmann_learning,
    energy,
    estimators,
    gated,
    frames,
    gradients,
    hopfield,
    kernels,
    matching,
    real_valued,
    sequences,
    supervised,
    variational,
)
