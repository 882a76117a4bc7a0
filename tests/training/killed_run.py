"""A training that ends itself, or is ended, without warning: run as a script by test_checkpoint.py.

usage: killed_run.py FOLDER MODE [N]

MODE   none      train to the end
       step      SIGKILL after step N
       write     SIGKILL in the middle of the N-th write of a file
       fsync     SIGKILL after the N-th file is written, before it is made durable
       rename    SIGKILL after the N-th file is durable, before it gets its name
       renamed   SIGKILL after the N-th file has its name, before older ones are removed
       slow      sleep a little after every step, to be killed from outside
"""

import os
import signal
import sys
import time

import numpy as np

from minidgm.boltzmann.rbm import RBM
from minidgm.datasets import Resampled
from minidgm.objectives import PersistentContrastiveDivergence
from minidgm.optim import Adam, Linear
from minidgm.training import Callback, Checkpoint, EarlyStopping, fit


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_call(n, before=None, after=None):
    """Wrap an operating-system call: die instead of its n-th use, or right after it."""
    uses = 0

    def wrap(call):
        def wrapped(*arguments):
            nonlocal uses
            uses += 1
            if uses == n and before is not None:
                before(*arguments)
                die()
            result = call(*arguments)
            if uses == n and after is not None:
                die()
            return result

        return wrapped

    return wrap


class AtStep(Callback):
    def __init__(self, action):
        self.action = action

    def on_step_end(self, training):
        self.action(training.step)


def run(folder, mode, n):
    write, nothing = os.write, lambda *arguments: None
    callbacks = [EarlyStopping("validation_reconstruction_error", 50, restore_best=True)]
    if mode == "step":
        callbacks.append(AtStep(lambda step: die() if step == n else None))
    elif mode == "write":
        os.write = die_at_call(n, before=lambda fd, part: write(fd, bytes(part)[: len(part) // 2]))(os.write)
    elif mode == "fsync":
        os.fsync = die_at_call(2 * n - 1, before=nothing)(os.fsync)  # a file, then its folder
    elif mode == "rename":
        os.replace = die_at_call(n, before=nothing)(os.replace)
    elif mode == "renamed":
        os.replace = die_at_call(n, after=True)(os.replace)
    elif mode == "slow":
        callbacks.append(AtStep(lambda step: time.sleep(0.02)))
    grey = np.random.default_rng(0).random((50, 12), dtype=np.float32)
    model = RBM(12, 5, centered=True, seed=0)
    history = fit(
        model,
        Resampled(grey, seed=1),
        PersistentContrastiveDivergence(k=1, n_chains=7),
        Adam(Linear(0.05)),
        epochs=4,
        batch_size=9,
        validation=np.round(grey[:10]),
        callbacks=callbacks,
        checkpoint=Checkpoint(folder, every_steps=4),
        resume=True,
    )
    records = [{k: v for k, v in record.items() if k != "seconds"} for record in history.records]
    sys.stdout.write(f"{model.params.buffer.tobytes().hex()} {records} {history.stopped}")


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
