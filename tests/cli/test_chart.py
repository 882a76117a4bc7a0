"""Charts: well-formed SVG, points inside the frame, labels apart."""

import itertools
import math
import re
import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from minidgm.cli import chart

VALUES = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


@given(st.lists(VALUES, min_size=1, max_size=20), st.text("<>&\"'ab", max_size=5))
def test_every_point_lies_inside_the_frame(ys, name):
    svg = chart.line_chart({name: list(enumerate(ys, 1))}, "epoch <&>", "y", {"reference": 0.0})
    root = ElementTree.fromstring(svg)
    (line,) = root.iter("polyline")
    for point in line.get("points").split():
        x, y = map(float, point.split(","))
        assert chart.LEFT <= x <= chart.WIDTH - chart.RIGHT
        assert chart.TOP <= y <= chart.HEIGHT - chart.BOTTOM


@given(VALUES, VALUES)
def test_ticks_are_few_round_and_enclose(a, b):
    low, high = min(a, b), max(a, b)
    found = chart.ticks(low, high)
    assert 1 <= len(found) <= 8
    assert found == sorted(found)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert found[0] <= low + slack
    assert found[-1] >= high - slack


def test_labels_do_not_cover_each_other():
    places = [at for at, _, _ in chart.spread_out([(10.0, "a", ""), (11.0, "b", ""), (60.0, "c", "")])]
    assert all(b - a >= 16 for a, b in itertools.pairwise(places))


def test_higher_values_are_drawn_higher():
    svg = chart.line_chart({"a": [(1, -3.0), (2, -1.0)]}, "epoch", "nats")
    first, second = re.search(r'points="([^"]+)"', svg).group(1).split()
    assert float(second.split(",")[1]) < float(first.split(",")[1])


def test_values_that_are_not_finite_are_left_out():
    svg = chart.line_chart({"a": [(1, 1.0), (2, math.nan), (3, 2.0)]}, "epoch", "y")
    assert "nan" not in svg
