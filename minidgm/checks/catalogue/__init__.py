"""The library's identities, registered when this package is imported."""

from minidgm.checks.catalogue import (  # noqa: F401
    annealing,
    centering,
    common,
    covariance,
    convolutional,
    covariance,
    deep_belief,
    energy,
    estimators,
    gated,
    gradients,
    hopfield,
    kernels,
    matching,
    real_valued,
    frames,
    sequences,
    supervised,
)
