"""The library's identities, registered in the order of their numbers when this package is imported."""

from minidgm.checks.catalogue import energy, gradients  # noqa: F401
