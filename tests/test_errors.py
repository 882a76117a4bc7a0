"""Messages name the nearest known thing."""

import pytest

from minidgm import errors


@pytest.mark.parametrize(("name", "hint"), [("Gausian", "'Gaussian'"), ("softmx", "'softmax'")])
def test_nearest_keeps_the_known_spelling(name, hint):
    assert hint in errors.nearest(name, ["Gaussian", "softmax"])


def test_nothing_near():
    assert errors.nearest("zzz", ["Gaussian"]) == ""
    assert str(errors.unknown("unit", "zzz", ["a", "b"])) == "unknown unit 'zzz'; known: a, b."


def test_unknown_with_a_hint():
    message = str(errors.unknown("unit", "spinn", ["spin", "rectified"]))
    assert message == "unknown unit 'spinn'; did you mean 'spin'? Known: spin, rectified."


def test_identity_error_carries_its_report():
    assert errors.IdentityError("no", report=3).report == 3
    assert issubclass(errors.IdentityError, AssertionError)
