"""Wrong deep Boltzmann machines must die: each identity 18 has mutants that it kills."""

from __future__ import annotations

import pytest

from minidgm import DBM, check_model
from minidgm.boltzmann import dbm_pretraining
from minidgm.boltzmann.bm import MeanField
from minidgm.objectives import MultiPrediction, VariationalSML

DEEP = {"sizes": [2, 1, 2, 1]}
SQUARE = {"sizes": [2, 2, 2]}
CONDITIONALS, FIXED_POINT = "layers given their neighbors", "mean field's fixed point"
BOUND, ALTERNATE = "variational bound", "alternate layers summed out"
LEARNING, STACKING = "variational SML at the model", "stacking doubled machines"
CENTERED, PREDICTION = "centered layers", "multi-prediction gradient"


class OnlyFromBelow(DBM):
    def field(self, layer, states):
        """A deep belief network's habit: what comes from above is left out of the middle layers."""
        total = super().field(layer, states)
        if 0 < layer < self.depth:
            total = total - states[layer + 1] @ self.params[f"W{layer + 1}"].T
        return total


class Transposed(DBM):
    def field(self, layer, states):
        if layer < self.depth:
            return super().field(layer, states)
        return self.params[f"b{layer}"] + states[layer - 1] @ self.params[f"W{layer}"].T


class Doubled(DBM):
    """Weights of pretraining kept doubled where they should be halved."""

    def field(self, layer, states):
        total = super().field(layer, states)
        return total + states[layer - 1] @ self.params[f"W{layer}"] if layer == 1 else total


class StaleMeans(DBM):
    def _ascend(self, states, known, tolerance, max_iterations):
        for _ in range(min(max_iterations, 50)):
            states = [states[0], *(self.layer_given_others(i, states).mean for i in range(1, len(states)))]
        return states, max_iterations, self.xp.zeros(len(states[0]))


class SentUpward(DBM):
    def mean_field(self, v, tolerance=1e-6, max_iterations=500, init=None):
        zero = self.xp.zeros(len(v), dtype=v.dtype)
        return MeanField(self.xp.concatenate(self.upward(v), axis=1), 1, zero, 1e-6)


class EntropySign(DBM):
    def variational_free_energy(self, v, mean=None):
        mu = self.mean_field(v).mean if mean is None else mean
        return 2.0 * self.energy(v, mu) - super().variational_free_energy(v, mu)


class WithoutPartition(DBM):
    def elbo(self, v, log_partition=None):
        return super().elbo(v, 0.0)


class BiasTwice(DBM):
    def alternate_log_mass(self, kept):
        free = {layer: x for layer, x in kept.items() if layer == 1}
        return super().alternate_log_mass(kept) + sum(x @ self.params["b1"] for x in free.values())


class OffsetOfTheLayerBelow(DBM):
    def center_gradient(self, grads, mu, lam):
        return super().center_gradient(grads, mu, self.xp.roll(lam, 1))


class UncentredBiases(DBM):
    def center_gradient(self, grads, mu, lam):
        kept = {name: grads[name].copy() for name in grads if name.startswith("b")}
        super().center_gradient(grads, mu, lam)
        for name, value in kept.items():
            grads[name][...] = value
        return grads


MODELS = [
    (OnlyFromBelow, {}, CONDITIONALS),
    (OnlyFromBelow, DEEP, FIXED_POINT),
    (OnlyFromBelow, {}, "Gibbs stationarity"),
    (Transposed, SQUARE, CONDITIONALS),
    (Doubled, {}, CONDITIONALS),
    (Doubled, {}, "annealed importance weights"),
    (StaleMeans, {}, FIXED_POINT),
    (SentUpward, {}, FIXED_POINT),
    (EntropySign, {}, BOUND),
    (WithoutPartition, {}, BOUND),
    (BiasTwice, {}, ALTERNATE),
    (BiasTwice, {}, "exact likelihood"),
    (OffsetOfTheLayerBelow, {}, CENTERED),
    (UncentredBiases, {}, CENTERED),
]


@pytest.mark.parametrize(
    ("mutant", "structure", "identity"), MODELS, ids=lambda x: getattr(x, "__name__", None)
)
def test_wrong_machine_dies(mutant, structure, identity):
    model = mutant(**({"sizes": [3, 2, 1]} | structure), dtype="float64")
    report = check_model(model, [identity], max_examples=10, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


class OverTheBatch(VariationalSML):
    def estimate(self, model, batch, rng, grads):
        metrics = super().estimate(model, batch, rng, grads)
        grads.buffer[...] *= len(batch)
        return metrics


class MeansOfBothParities(VariationalSML):
    """Rao-Blackwell where it does not hold: all layers by their means."""

    def _in_place(self, model, batch, rng, grads):
        self._plain(model, batch, rng, grads)

    def _plain(self, model, batch, rng, grads):
        super()._plain(model, batch, rng, grads)
        x = [self._state["v"], *model.layers(self._state["h"])]
        means = [model.layer_given_others(i, x).mean for i in range(len(x))]
        n = len(batch)
        both = [
            model.xp.concatenate(pair)
            for pair in zip(means, [batch, *model.layers(self._data_means)], strict=True)
        ]
        weights = model.xp.concatenate(
            [model.xp.full(self.n_chains, -1.0 / self.n_chains), model.xp.full(n, 1.0 / n)]
        )
        model.layer_gradient(both, weights, grads)


class StartHeldConstant(MultiPrediction):
    """Back-propagation that stops before the first sweep: what the start owes to the biases is left out."""

    def _backward(self, model, v, known, tape, grads):
        tape = [({}, [0.0 * x + 0.5 for x in tape[0][1]]), *tape[1:]]
        super()._backward(model, v, known, tape, grads)


class WithoutMasks(MultiPrediction):
    def _backward(self, model, v, known, tape, grads):
        super()._backward(model, v, 0.0 * known, tape, grads)


@pytest.mark.parametrize(
    ("name", "mutant", "identity"),
    [
        ("VariationalSML", OverTheBatch, LEARNING),
        ("VariationalSML", MeansOfBothParities, LEARNING),
        ("MultiPrediction", StartHeldConstant, PREDICTION),
        ("MultiPrediction", WithoutMasks, PREDICTION),
    ],
)
def test_wrong_estimator_dies(name, mutant, identity):
    model = DBM([2, 2, 1], dtype="float64")
    assert not check_model(model, identity, max_examples=5, raises=False, objectives={name: mutant}).ok


@pytest.mark.parametrize("wrong", ["not halved", "one bias"])
def test_wrong_stacking_dies(monkeypatch, wrong):
    def compose(dbm, machines):
        right(dbm, machines)
        if wrong == "one bias":
            dbm.params["b1"][...] = machines[0].params["c"]
        else:
            dbm.params["W2"][...] = machines[1].params["W"]
        return dbm

    right = dbm_pretraining.compose
    monkeypatch.setattr(dbm_pretraining, "compose", compose)
    assert not check_model(DBM([2, 1, 2, 1], dtype="float64"), STACKING, max_examples=10, raises=False).ok
