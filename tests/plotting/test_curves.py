"""Learning curves and series: which numbers, in which panel, under which label."""

import numpy as np
import pytest

from minidgm.checks.strict import xp as strict_xp
from minidgm.plotting import learning_curve, series

RECORDS = [
    {
        "epoch": i,
        "step": 10 * i,
        "train_log_likelihood": -30.0 + i,
        "validation_log_likelihood": -31.0 + i,
        "reconstruction_error": 5.0 / i,
        "seconds": 0.5 * i,
        "note": "text",
        "kept": True,
    }
    for i in range(1, 6)
]


class History:
    records = RECORDS


def drawn(axes):
    return {line.get_label(): np.asarray(line.get_xydata()) for line in axes.lines}


@pytest.mark.parametrize("history", [RECORDS, History()])
def test_training_and_validation_share_a_panel(history):
    figure = learning_curve(history, title="RBM")
    likelihood, error = figure.axes
    assert likelihood.get_ylabel() == "log-likelihood (nats)"
    assert error.get_ylabel() == "reconstruction error"
    lines = drawn(likelihood)
    assert list(lines) == ["train", "validation"]
    assert lines["train"].tolist() == [[i, -30 + i] for i in range(1, 6)]
    assert [text.get_text() for text in likelihood.get_legend().get_texts()] == ["train", "validation"]
    assert error.get_legend() is None
    assert figure.get_suptitle() == "RBM"


def test_metrics_axis_and_units_can_be_chosen():
    (axes,) = learning_curve(
        RECORDS, metrics=["reconstruction_error"], x="step", units={"reconstruction_error": "bits"}
    ).axes
    assert axes.get_xlabel() == "step"
    assert axes.get_ylabel() == "reconstruction error (bits)"
    ((points),) = drawn(axes).values()
    assert points[:, 0].tolist() == [10, 20, 30, 40, 50]


def test_times_are_shown_when_asked_for_and_parts_alone_keep_their_name():
    time, likelihood = learning_curve(RECORDS, metrics=["seconds", "validation_log_likelihood"]).axes
    assert time.get_ylabel() == "time (s)"
    assert likelihood.get_ylabel() == "validation log-likelihood (nats)"


def test_metrics_measured_now_and_then_are_drawn_where_they_are():
    records = [{"epoch": i, "loss": 1.0 / i} | ({"ais": -float(i)} if i % 2 else {}) for i in range(1, 6)]
    loss, ais = learning_curve(records).axes
    assert len(drawn(loss).popitem()[1]) == 5
    assert drawn(ais).popitem()[1].tolist() == [[1, -1], [3, -3], [5, -5]]


def test_one_record_is_a_point():
    (axes,) = learning_curve([{"epoch": 1, "loss": 2.0}]).axes
    assert axes.lines[0].get_marker() == "o"


def test_records_without_epochs_are_counted():
    (axes,) = learning_curve([{"loss": 2.0}, {"loss": 1.0}]).axes
    assert drawn(axes).popitem()[1].tolist() == [[1, 2], [2, 1]]


@pytest.mark.parametrize(
    ("records", "metrics", "message"),
    [
        (RECORDS, ["los"], "no metric 'los' in the records; there are train_log_likelihood"),
        ([{"epoch": 1}], None, "no metric at all in the records; there are none"),
        ([], None, "no metric at all"),
    ],
)
def test_missing_metrics_are_named(records, metrics, message):
    with pytest.raises(ValueError, match=message):
        learning_curve(records, metrics=metrics)


def test_series_with_bands_and_references():
    x = np.array([1.0, 10.0, 100.0])
    figure = series(
        x,
        {"AIS": x, "reverse AIS": strict_xp.asarray(x + 1)},
        "temperatures",
        "log Z (nats)",
        "log Z",
        bands={"AIS": (x - 1, x + 1)},
        references={"exact": 50},
        log_x=True,
    )
    (axes,) = figure.axes
    lines = drawn(axes)
    assert list(lines) == ["AIS", "reverse AIS", "exact"]
    assert lines["reverse AIS"][:, 1].tolist() == [2, 11, 101]
    assert set(lines["exact"][:, 1]) == {50}
    assert axes.get_xscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("temperatures", "log Z (nats)")
    assert axes.collections[0].get_paths()[0].vertices[:, 1].max() == 101


def test_a_curve_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"curve 'a' came as \(3,\); expected \(2,\) like x"):
        series(np.arange(2), {"a": np.arange(3)})
