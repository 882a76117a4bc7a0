import pytest

from minidgm.checks import Identity, identities, identity
from minidgm.checks.registry import forget, select
from minidgm.checks.subject import Subject


@pytest.fixture
def registered():
    @identity(name="zero is zero", equation="0 = 0", requires="energy", number="99x")
    def zero(case):
        return 0.0, 0.0

    yield zero
    forget("zero is zero")


def test_registers_and_leaves_the_function_alone(registered):
    assert registered(None) == (0.0, 0.0)
    found = next(i for i in identities() if i.name == "zero is zero")
    assert isinstance(found, Identity)
    assert found.requires == ("energy",)


def test_catalogue_is_ordered_by_number(registered):
    numbers = [int(i.number.rstrip("abcdx")) for i in identities() if i.number]
    assert numbers == sorted(numbers)


def test_a_taken_name_is_refused(registered):
    with pytest.raises(ValueError, match="choose another"):

        @identity(name="zero is zero", equation="1 = 0")
        def other(case):
            return 1.0, 0.0


def test_select_by_name_number_and_object():
    by_number = select("11")
    assert {i.number for i in by_number} >= {"11", "11a", "11b"}
    assert [i.name for i in select(["free energy"])] == ["free energy"]
    assert select(8) == select("8")
    assert select(by_number[0]) == [by_number[0]]
    assert len(select(["8", "free energy"])) == len(select("8"))
    assert select(None) == identities()


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'free energy'"):
        select("free enrgy")


def test_reasons_not_to_apply():
    class OnlyEnergy:
        def __init__(self):
            import numpy as np

            self.b, self.n_visible = np.zeros(2), 2

        def energy(self, v):
            return -(v @ self.b)

    subject = Subject(OnlyEnergy)
    (free_energy,) = select("free energy")
    assert free_energy.reason_not_applicable(subject) == "needs free_energy"
