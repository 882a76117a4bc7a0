"""The library's identities, registered when this package is imported."""

from minidgm.checks.catalogue import annealing, centering, common, energy, gradients, kernels  # noqa: F401
