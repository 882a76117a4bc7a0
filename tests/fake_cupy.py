"""A fake cupy for the parts that need CUDA: a runtime whose answers tests set, and streams that copy late."""

from __future__ import annotations

import types

import numpy as np


class Array(np.ndarray):
    """A device array that receives what the host set only when the stream gets there."""

    def set(self, host, stream):
        stream.queue.append(lambda: np.copyto(self, host))


class Stream:
    """A queue of work, done as late as possible: when the host waits for it, or another stream needs it."""

    def __init__(self, cuda, non_blocking=False):
        self.cuda, self.queue, self.n_done, self.synchronized = cuda, [], 0, 0

    def run(self, position=None):
        position = len(self.queue) if position is None else position
        while self.n_done < position:
            self.n_done += 1
            self.queue[self.n_done - 1]()

    def record(self):
        event = Event(self.cuda)
        event.record(self)
        return event

    def wait_event(self, event):
        stream, position = event.stream, event.position
        self.queue.append(lambda: stream.run(position))

    def synchronize(self):
        self.synchronized += 1
        self.run()


class Event:
    """A point in a stream."""

    def __init__(self, cuda, disable_timing=False):
        self.cuda, self.stream, self.position = cuda, None, 0

    def record(self, stream):
        self.stream, self.position = stream, len(stream.queue)

    def synchronize(self):
        if self.stream is not None and self.stream.n_done < self.position:
            self.cuda.host_waits += 1
            self.stream.run(self.position)


class CUDARuntimeError(RuntimeError):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Runtime:
    CUDARuntimeError = CUDARuntimeError
    error, devices, driver, asked = None, 1, 13000, 0

    def getDeviceCount(self):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.devices

    def runtimeGetVersion(self):
        return 13000

    def driverGetVersion(self):
        if self.driver is None:
            raise CUDARuntimeError(999, "unknown")
        return self.driver


class Pinned(bytearray):
    def size(self):
        return len(self)


class Cuda:
    def __init__(self):
        self.runtime = Runtime()
        self.pinned = self.host_waits = 0
        self.current = Stream(self)

    def Stream(self, non_blocking=False):
        return Stream(self, non_blocking)

    def Event(self, disable_timing=False):
        return Event(self, disable_timing)

    def get_current_stream(self):
        return self.current

    def alloc_pinned_memory(self, n_bytes):
        self.pinned += 1
        return Pinned(n_bytes)


class FakeCupy(types.ModuleType):
    """Install as ``sys.modules["cupy"]``."""

    __version__ = "14.2.0"
    ndarray = Array

    def __init__(self, name):
        super().__init__(name)
        self.cuda = Cuda()
        self.freed = []

    def empty(self, shape, dtype):
        """Allocate, out of freed memory where there is some: the host does not know who still uses it."""
        if self.freed:
            return self.freed.pop()
        return np.full(shape, np.nan, dtype).view(Array)

    def asarray(self, x, dtype=None):
        return x if dtype is None else x.astype(dtype)
