"""Fixtures of the whole suite: ``backend``, ``xp`` and ``rng``, and the option ``--backend``.

A test that takes ``backend`` (or ``xp``, ``rng``) runs on numpy and on the strict fake device;
``--backend numpy|strict|cupy`` forces one. Without a CUDA device the cupy cases are skipped, with the reason.
"""

from __future__ import annotations

import os

import hypothesis
import pytest

from minidgm.backend import BACKENDS, Generator, namespace
from minidgm.errors import BackendError

# Scripts that make the committed data: run by hand, some where CuPy is installed.
collect_ignore = ["data"]

# Examples are a function of the test alone, so that a run can be repeated; `explore` looks further.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_configure(config):
    # The workers inherit these before they load NumPy: one BLAS thread each, or they spin for each other.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def pytest_addoption(parser):
    parser.addoption("--backend", choices=BACKENDS, help="run the tests that take a backend on this one only")


def pytest_generate_tests(metafunc):
    by_hand = any("backend" in str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize"))
    if "backend" in metafunc.fixturenames and not by_hand:
        forced = metafunc.config.getoption("--backend")
        names = [forced] if forced else ["numpy", "strict"]
        metafunc.parametrize("backend", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def backend(request):
    """Name of a backend that this machine has."""
    try:
        namespace(request.param)
    except BackendError as error:
        pytest.skip(str(error))
    return request.param


@pytest.fixture(scope="session")
def xp(backend):
    """Array namespace of the backend."""
    return namespace(backend)


@pytest.fixture
def rng(backend):
    """Generator with a fixed seed; a hypothesis test makes its own from a drawn seed."""
    return Generator(20260101, backend)
