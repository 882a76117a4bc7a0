import numpy as np
import pytest

from minidgm import RBM
from minidgm.checks import oracle


class Quadratic:
    def __init__(self, dtype="float64"):
        self.params = {"a": np.array([1.0, 2.0], dtype=dtype), "B": np.eye(2, dtype=dtype)}

    def value(self):
        a, B = self.params["a"], self.params["B"]
        return (a @ B) @ a


class Hidden(Quadratic):
    """Leaves autograd's namespace: a plain array is all that `np.asarray` keeps of a traced one."""

    def value(self):
        a = np.asarray([float(x) for x in self.params["a"]])
        return a @ self.params["B"] @ a


class Aliased(Quadratic):
    """Computes with an alias, so that replacing `params` changes nothing."""

    def __init__(self):
        super().__init__()
        self.alias = self.params["a"]

    def value(self):
        return (self.alias**2).sum() + 0.0 * self.params["B"].sum()


def test_autograd_of_a_density():
    found = oracle.gradient(Quadratic(), lambda m: m.value())
    assert found.method == "autograd"
    assert found.tolerance is None
    assert found["a"] == pytest.approx([2.0, 4.0])
    assert found["B"] == pytest.approx(np.outer([1, 2], [1, 2]))


@pytest.mark.parametrize("model", [Hidden, Aliased])
def test_what_cannot_be_traced_is_differenced(model):
    found = oracle.gradient(model(), lambda m: m.value())
    assert found.method == "central differences"
    assert found.tolerance > 0
    assert found["a"] == pytest.approx([2.0, 4.0], abs=1e-8)


class Steep(Quadratic):
    """Adds 1e3 cos(200 a_0): no polynomial over the guard's first step. ``scale`` spoils the traced value."""

    scale = 1.0

    def value(self):
        import autograd.numpy as anp

        a = self.params["a"]
        slope = self.scale if not isinstance(a, np.ndarray) else 1.0
        return slope * 1e3 * anp.cos(200.0 * a[0]) + super().value()


class SteepAndWrong(Steep):
    scale = 1.001


def test_a_steep_function_is_guarded_at_a_smaller_step():
    right = -2e5 * np.sin(200.0) + 2.0
    model = Steep()
    direction = {"a": np.array([1.0, 0.0]), "B": np.zeros((2, 2))}
    found = [oracle.directional(model, lambda m: m.value(), direction, step) for step in oracle.STEPS]
    errors = [abs(slope / right - 1) for slope in found]
    assert errors[0] > 5 * oracle.AGREEMENT
    assert errors[1] < 0.1 * oracle.AGREEMENT
    found = oracle.gradient(model, lambda m: m.value())
    assert found.method == "autograd"
    assert found["a"][0] == pytest.approx(right, rel=1e-12)


def test_a_wrong_trace_fails_at_every_step():
    assert oracle.gradient(SteepAndWrong(), lambda m: m.value()).method == "central differences"


def test_float32_parameters_are_lifted():
    model = Quadratic("float32")
    found = oracle.gradient(model, lambda m: m.value())
    assert found["a"].dtype == np.float64
    assert model.params["a"].dtype == np.float32


def test_the_model_stays_as_it_is():
    model = RBM(3, 2, seed=0)
    before = model.params.buffer.copy()
    oracle.gradient(model, lambda m: m.energy(np.ones((1, 3)), np.ones((1, 2))).sum())
    assert (model.params.buffer == before).all()


def test_directional_is_exact_on_quartics():
    class Quartic:
        def __init__(self):
            self.t = np.array([0.5])

    found = oracle.directional(Quartic(), lambda m: (m.t**4).sum(), {"t": np.array([2.0])})
    assert found == pytest.approx(2.0 * 4 * 0.5**3, rel=1e-10)
    assert oracle.directional(Quartic(), lambda m: m.t.sum(), {"t": np.zeros(1)}) == 0.0


def test_only_finite_scalars():
    with pytest.raises(ValueError, match="finite scalar"):
        oracle.gradient(Quadratic(), lambda m: m.params["a"])
    with pytest.raises(ValueError, match="finite scalar"):
        oracle.gradient(Quadratic(), lambda m: m.value() * np.inf)


def test_derivative_in_the_input():
    assert oracle.derivative(lambda x: (x * x).sum(), [1.0, 2.0]).tolist() == [2.0, 4.0]
