import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.backend import asarray
from minidgm.checks.strict import count_host_reads
from minidgm.training.history import History, Meter

steps = st.lists(st.tuples(st.integers(1, 50), st.floats(-10, 10)), min_size=1, max_size=20)


@given(steps, st.integers(1, 7), st.integers(0, 20), st.sampled_from(["numpy", "strict"]))
def test_means_are_those_of_the_rows_wherever_the_values_live(steps, fold, cut, home):
    meter = Meter()
    meter.FOLD = fold
    with count_host_reads() as reads:
        for n, value in steps[:cut]:
            meter.add(n, {"a": asarray(np.array(value), home), "b": 2.0})
    assert reads.count == 0
    resumed = Meter()
    resumed.set_state(meter.state())
    for n, value in steps[cut:]:
        resumed.add(n, {"a": asarray(np.array(value), home), "b": 2.0})
    weights, values = np.array(steps).T
    means = resumed.means()
    np.testing.assert_allclose(means["a"], (weights * values).sum() / weights.sum(), atol=1e-12)
    assert means["b"] == pytest.approx(2.0)
    np.testing.assert_array_equal(resumed.series("a"), values)


def test_a_metric_may_be_missing_at_some_steps():
    meter = Meter()
    meter.add(10, {"a": 1.0})
    meter.add(30, {"a": 2.0, "swaps": 0.5})
    assert meter.means() == {"a": 1.75, "swaps": 0.5}
    assert Meter().means() == {}


def test_history_lists_a_metric_over_epochs():
    history = History([{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0, "extra": 1.0, "seconds": 4.0}])
    assert history["loss"] == [3.0, 2.0]
    assert history["extra"] == [1.0]
    assert history.names == ["epoch", "loss", "extra", "seconds"]
    assert (len(history), history.seconds, "loss" in history, "los" in history) == (2, 4.0, True, False)
    with pytest.raises(KeyError, match="did you mean 'loss'"):
        history["los"]
    assert History()["anything"] == []
