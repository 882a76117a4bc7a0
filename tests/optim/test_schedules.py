import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm.optim import Constant, Cosine, Linear, Step, Warmup, schedules

rates = st.floats(0, 10)
lengths = st.integers(1, 1000)
every_schedule = st.one_of(
    st.builds(Constant, rates),
    st.builds(Linear, rates, rates, lengths),
    st.builds(Cosine, rates, rates, lengths),
    st.builds(Step, rates, st.floats(0, 1), lengths),
    st.builds(Warmup, lengths, st.builds(Linear, rates, rates, lengths)),
)


@given(rates, rates, lengths)
def test_ramps_start_and_end_where_told_and_stay_between(start, stop, steps):
    for ramp in (Linear(start, stop, steps), Cosine(start, stop, steps)):
        assert math.isclose(ramp(0), start, abs_tol=1e-12)
        assert math.isclose(ramp(steps), stop, abs_tol=1e-12)
        assert ramp(steps + 7) == ramp(steps)
        path = [ramp(t) for t in range(steps + 1)]
        assert sorted(path, reverse=start > stop) == pytest.approx(path, abs=1e-12)
        # Both are antisymmetric about the middle: f(t) + f(T - t) = start + stop.
        assert ramp(steps // 3) + ramp(steps - steps // 3) == pytest.approx(start + stop, abs=1e-9)


def test_the_cosine_is_flat_at_its_ends_and_the_line_is_not():
    assert Cosine(1.0, 0.0, 1000)(1) == pytest.approx(1 - (math.pi / 1000) ** 2 / 4, abs=1e-9)
    assert Linear(1.0, 0.0, 1000)(1) == pytest.approx(1 - 1e-3)


def test_step_drops_after_every_stretch():
    assert [Step(8.0, 0.5, every=3)(t) for t in range(7)] == [8, 8, 8, 4, 4, 4, 2]


def test_warmup_rises_to_the_first_rate_and_then_follows():
    warm = Warmup(4, Linear(2.0, 0.0, 10))
    assert [warm(t) for t in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert [warm(4 + t) for t in range(12)] == [Linear(2.0, 0.0, 10)(t) for t in range(12)]
    assert Warmup(2, 0.1)(50) == 0.1


@given(every_schedule)
def test_config_is_json_that_rebuilds_the_schedule(schedule):
    assert schedules.from_config(schedule.config()) == schedule


def test_an_open_length_is_the_training():
    assert Linear(1.0).over(10) == Linear(1.0, steps=10)
    assert Linear(1.0, steps=3).over(10) == Linear(1.0, steps=3)
    assert Warmup(4, Cosine(1.0)).over(10) == Warmup(4, Cosine(1.0, steps=6))
    assert Constant(1.0).over(None) == Constant(1.0)
    with pytest.raises(ValueError, match="known length"):
        Linear(1.0).over(None)
    with pytest.raises(ValueError, match="pass steps="):
        Cosine(1.0)(0)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Constant(-0.1), ValueError, r"rate must be in \[0, inf\), got -0.1"),
        (lambda: Linear(float("nan")), ValueError, "nan"),
        (lambda: Cosine(1.0, -1.0), ValueError, "stop"),
        (lambda: Step(1.0, every=0), ValueError, "every must be an integer of at least 1"),
        (lambda: Step("fast"), TypeError, "'fast'"),
        (lambda: Warmup(0, 0.1), ValueError, "warmup_steps"),
        (lambda: Linear(1.0, steps=2.5), TypeError, "steps must be an integer"),
        (lambda: schedules.from_config({"name": "Cosin"}), ValueError, "did you mean 'Cosine'"),
    ],
)
def test_impossible_schedules_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
