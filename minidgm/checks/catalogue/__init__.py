"""The library's identities, registered when this package is imported."""

from minidgm.checks.catalogue import (  # noqa: F401
    annealing,
    centering,
    common,
    deep_belief,
    energy,
    estimators,
    gradients,
    kernels,
    matching,
    sequences,
)
