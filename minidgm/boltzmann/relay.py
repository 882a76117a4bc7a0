"""One training seen as a part of another: what layer-wise training shows to callbacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minidgm.training.callbacks import Callback
from minidgm.training.history import History


class Relay(Callback):
    """Shows the training of one layer to callbacks as a training of the whole network.

    They see a `Stage`: its model is the network, its epochs and steps go on from the layers before.
    """

    def __init__(
        self, dbn: Any, layer: int, callbacks: Sequence[Any], before: Sequence[Mapping[str, Any]], total: int
    ):
        from minidgm.training.fit import as_callback

        self.dbn, self.layer, self.before, self.total = dbn, layer, before, total
        self.callbacks = [as_callback(callback) for callback in callbacks]
        self.every_step = any(_steps(callback) for callback in self.callbacks)
        last = before[-1] if before else {}
        self.offset = {name: last.get(name, 0) for name in ("epoch", "step", "seconds")}

    def on_start(self, training: Any) -> None:
        """A layer begins, or goes on."""
        self._call("on_start", training, [*self.before, *training.history.records])

    def on_epoch_end(self, training: Any) -> None:
        """Bring the network up to date, and count on."""
        self.dbn.place(self.layer, training.model)
        record = training.record
        record["layer"] = self.layer
        for name in ("epoch", "step"):
            record[name] += self.offset[name]
        self._call("on_epoch_end", training)

    def on_record(self, training: Any) -> None:
        """Seconds too go on from the layers before."""
        training.record["seconds"] += self.offset["seconds"]
        self._call("on_record", training)

    def on_stop(self, training: Any) -> None:
        """A layer is done."""
        self.dbn.place(self.layer, training.model)
        self._call("on_stop", training)

    def on_step_end(self, training: Any) -> None:
        """Only for callbacks that ask for it: the network is brought up to date every step."""
        if self.every_step:
            self.dbn.place(self.layer, training.model)
            self._call("on_step_end", training)

    def _call(self, hook: str, training: Any, records: Any = None) -> None:
        stage = Stage(self, training, records)
        for callback in self.callbacks:
            function = getattr(callback, hook, None)
            if function is not None:
                function(stage)

    def state(self) -> dict[str, Any]:
        """Return the states of the callbacks."""
        return {
            str(i): c.state() for i, c in enumerate(self.callbacks) if hasattr(c, "state") and c.state()
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put back the states of the callbacks."""
        for i, callback in enumerate(self.callbacks):
            if hasattr(callback, "set_state") and str(i) in state:
                callback.set_state(state[str(i)])


class Stage:
    """A `minidgm.training.loop.Training` of one layer, seen as one of the network."""

    def __init__(self, relay: Relay, training: Any, records: Any = None):
        self._training = training
        self.model = relay.dbn
        self.layer = relay.layer
        self.epoch = training.epoch + relay.offset["epoch"]
        self.step = training.step + relay.offset["step"]
        self.epochs = relay.total
        if records is not None:
            self.history = History(records)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._training, name)


def _steps(callback: Any) -> bool:
    """Whether a callback acts after every step."""
    return getattr(type(callback), "on_step_end", Callback.on_step_end) is not Callback.on_step_end


def layer_folder(checkpoint: Any, layer: int) -> Any:
    """The checkpoint folder of one layer."""
    from minidgm.training.checkpoint import Checkpoint

    if checkpoint is None:
        return None
    whole = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
    return Checkpoint(whole.folder / f"layer-{layer}", whole.every_epochs, whole.every_steps, whole.keep)
