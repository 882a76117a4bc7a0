"""Passes shared among cores: the same bits, every element once, errors and contexts carried over."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from minidgm import optim
from minidgm.optim import base, cores
from minidgm.parameters import Parameters


@pytest.mark.parametrize("size", [0, 1, 2, 7, 64])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_every_element_is_worked_on_once(size, n):
    seen, threads = np.zeros(size), {}

    def work(i, part):
        seen[part] += 1.0
        threads[i] = threading.get_ident()

    cores.share(work, size, n)
    np.testing.assert_array_equal(seen, 1.0)
    assert len(threads) <= n
    assert (threading.get_ident() in threads.values()) == bool(size)
    assert len(set(threads.values())) > 1 or min(n, size) < 2


OPTIMIZERS = [optim.Adam(0.1), optim.AdamW(0.1, clip=3.0), optim.Nesterov(0.1, weight_decay=0.1)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_do_not_depend_on_the_cores(optimizer, dtype, monkeypatch):
    def trained(n, long):
        monkeypatch.setattr(cores, "available", lambda: n)
        monkeypatch.setattr(cores, "LONG", long)
        monkeypatch.setattr(base, "SHARED", 100)
        rng = np.random.default_rng(0)
        theta = Parameters({"W": (37, 20), "b": (20,), "V": (20, 9)}, dtype=dtype)
        grads = theta.like()
        optimizer.init(theta)
        for _ in range(3):
            grads.buffer[...] = rng.normal(size=theta.size)
            kept = grads.buffer.copy()
            optimizer.step(theta, grads)
            np.testing.assert_array_equal(grads.buffer, kept)
        return theta.buffer

    one = trained(1, 10**9)
    for n in (2, 3):
        np.testing.assert_array_equal(trained(n, 64), one)


def test_each_core_has_scratch_of_its_own(monkeypatch):
    monkeypatch.setattr(cores, "available", lambda: 3)
    monkeypatch.setattr(cores, "LONG", 1)
    theta, optimizer, seen = Parameters({"W": (10,)}), optim.Adam(), []
    optimizer.init(theta)
    optimizer._host_update = lambda p, g, *rest: seen.append((p, rest[-1]))
    optimizer.step(theta, theta.like())
    assert sorted(p.size for p, _ in seen) == [2, 4, 4]
    for i, (p, t) in enumerate(seen):
        assert t.size >= p.size
        assert not any(np.shares_memory(t, other) for _, other in seen[:i])


def test_warnings_are_silent_where_they_are_for_the_caller():
    x = np.full(6, 1e300)
    with np.errstate(over="ignore"):
        cores.share(lambda i, part: square(x[part]), 6, 3)
    assert np.isinf(x).all()


def square(x):
    np.multiply(x, x, out=x)


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_errors_of_a_part_reach_the_caller_when_all_are_done(bad):
    done = []

    def work(i, part):
        if i == bad:
            raise ValueError(f"part {i}")
        done.append(i)

    with pytest.raises(ValueError, match=f"part {bad}"):
        cores.share(work, 9, 3)
    assert sorted(done) == sorted({0, 1, 2} - {bad})


def test_the_environment_limits_cores(monkeypatch):
    for name in cores.LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert cores.available() == cores.MOST
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cores.available() == 3
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert cores.available() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")  # a list for nested regions: not ours to read
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "0")
    assert cores.available() == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_its_own_threads():
    x = np.ones(6)
    cores.share(lambda i, part: square(x[part]), 6, 3)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that waits for threads it does not have
        cores.share(lambda i, part: square(x[part]), 6, 3)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
