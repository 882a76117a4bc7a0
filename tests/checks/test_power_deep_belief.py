"""Wrong deep belief networks must die: each identity 17 has mutants that it kills."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import DBN, check_model
from minidgm.boltzmann import greedy
from minidgm.numerics import logsumexp
from minidgm.objectives import UpDown


class TopWithoutHiddenBias(DBN):
    def energy(self, v, h):
        return super().energy(v, h) + self.layers(h)[-1] @ self.params[f"b{self.depth}"]


class DownwardRecognition(DBN):
    def down(self, layer, x):
        """The recognition bias of the layer in place of the generative one."""
        if layer == 1:
            return super().down(layer, x)
        return self.hidden.distribution(x @ self.params[f"W{layer}"].T + self.params[f"r{layer - 1}"])

    def energy(self, v, h):
        below, above = [v, *self.layers(h)][-2:]
        top = self.top
        total = -(below @ self.params["r1"]) - above @ top.params["c"]
        total = total - ((below @ top.params["W"]) * above).sum(axis=1)
        return total - self.down(1, self.layers(h)[0]).log_prob(v)


class UnnormalizedDown(DBN):
    def energy(self, v, h):
        """Directed layers as if they were undirected: the log-partition of p(v | h_1) left out."""
        field = self.rbm(1).visible_field(self.layers(h)[0])
        return super().energy(v, h) - self.visible.cgf(field).sum(axis=-1)


class WeightsOfGeneration(DBN):
    def up(self, layer, x):
        if layer == self.depth:
            return super().up(layer, x)
        return self.hidden.distribution(x @ self.params[f"W{layer}"] + self.params[f"r{layer}"])


class RecognitionWithGenerativeBias(DBN):
    def pair_tables(self, layer, x, y):
        log_p, _ = super().pair_tables(layer, x, y)
        field = x @ self.params[f"R{layer}"] + self.params[f"b{layer}"]
        return log_p, field @ y.T - self.hidden.cgf(field).sum(axis=-1)[:, None]


class EntropySign(DBN):
    def elbo(self, v, log_partition=None, rng=None, n_samples=1):
        def expectation(log_p, log_q, message):
            return (np.exp(log_q) * (log_p + log_q + message)).sum(axis=1)

        return self.enumerate_layers(v, expectation) - self._log_partition(log_partition)


class BoundOfTheMixture(DBN):
    def elbo(self, v, log_partition=None, rng=None, n_samples=1):
        def mixture(log_p, log_q, message):
            return logsumexp(log_p + log_q + message, axis=1)

        return self.enumerate_layers(v, mixture) - self._log_partition(log_partition)


class TopCountedTwice(DBN):
    def log_weight(self, v, h):
        top = [v, *self.layers(h)][-2:]
        return super().log_weight(v, h) - self.up(self.depth, top[0]).log_prob(top[1])


class RecognitionGradientSign(DBN):
    def log_recognition_gradient(self, v, h, weights=None, out=None):
        out = super().log_recognition_gradient(v, h, weights, out)
        out.buffer *= -1.0
        return out


class RecognitionGradientOfOutputs(DBN):
    def log_recognition_gradient(self, v, h, weights=None, out=None):
        out = super().log_recognition_gradient(v, h, weights, out)
        out["R1"] = out["R1"].T
        return out


class RecognitionGradientUnweighted(DBN):
    def log_recognition_gradient(self, v, h, weights=None, out=None):
        return super().log_recognition_gradient(v, h, None, out)


class PlacedWithoutRecognition(DBN):
    def place(self, layer, rbm):
        before = {name: value.copy() for name, value in self.params.items() if name.startswith(("R", "r"))}
        super().place(layer, rbm)
        self.params.update(before)


class PlacedWithoutBias(DBN):
    def place(self, layer, rbm):
        before = self.params[f"b{layer - 1}"].copy()
        super().place(layer, rbm)
        self.params[f"b{layer - 1}"] = before


class GreedyMovesTheLayerBelow(DBN):
    def place(self, layer, rbm):
        super().place(layer, rbm)
        if layer == 2:
            self.params["R1"] = self.params["W2"].T


class EnergyGradientLeavesOutTheMean(DBN):
    def energy_gradient(self, v, h, weights=None, out=None):
        out = super().energy_gradient(v, h, weights, out)
        weights = np.ones(len(v)) if weights is None else weights
        out["b0"] = -(weights @ v)
        return out


class DescendsByMeans(DBN):
    def descend(self, x, rng, layer):
        states = super().descend(x, rng, layer)
        return [1.0 * (self.down(1, states[1]).mean > 0.5), *states[1:]] if layer else states


class DreamsOfAnotherLayer(DBN):
    def gibbs_step(self, v, h, rng):
        v, h = super().gibbs_step(v, h, rng)
        return self.visible_given_hidden(self.infer(v, rng)).sample(rng), h


MUTANTS = [
    (TopWithoutHiddenBias, "belief network's joint"),
    (DownwardRecognition, "belief network's joint"),
    (UnnormalizedDown, "belief network's joint"),
    (UnnormalizedDown, "hidden free energy"),
    (UnnormalizedDown, "exact likelihood"),
    (WeightsOfGeneration, "recognition gradient"),
    (RecognitionWithGenerativeBias, "recognition bound"),
    (EntropySign, "recognition bound"),
    (BoundOfTheMixture, "recognition bound"),
    (TopCountedTwice, "recognition bound"),
    (RecognitionGradientSign, "recognition gradient"),
    (RecognitionGradientOfOutputs, "recognition gradient"),
    (RecognitionGradientUnweighted, "recognition gradient"),
    (PlacedWithoutRecognition, "mirrored layer"),
    (GreedyMovesTheLayerBelow, "greedy steps raise the bound"),
    (PlacedWithoutBias, "greedy steps raise the bound"),
    (EnergyGradientLeavesOutTheMean, "weighted energy gradient"),
    (EnergyGradientLeavesOutTheMean, "likelihood gradient"),
    (DescendsByMeans, "samples follow the density"),
    (DreamsOfAnotherLayer, "Geweke's joint test"),
    (DreamsOfAnotherLayer, "Gibbs stationarity"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_wrong_network_dies(mutant, identity):
    report = check_model(mutant([2, 2, 2], dtype="float64"), [identity], max_examples=20, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


def test_untransposed_mirror_is_caught(monkeypatch):
    def crooked(dbn, layer, X, init):
        rbm = right(dbn, layer, X, init)
        if init == "transpose":
            rbm.params["W"] = rbm.params["W"].T.copy()
        return rbm

    right = greedy.start_layer
    monkeypatch.setattr(greedy, "start_layer", crooked)
    assert not check_model(DBN, "mirrored layer", raises=False).ok


class NoChains(UpDown):
    def _chains(self, model, below, rng):
        return 0.0 * below


class SleepSign(UpDown):
    def estimate(self, model, batch, rng, grads):
        metrics = super().estimate(model, batch, rng, grads)
        grads["R1"] *= -1.0
        return metrics


class TopSign(UpDown):
    def estimate(self, model, batch, rng, grads):
        metrics = super().estimate(model, batch, rng, grads)
        grads["W2"] *= -1.0
        return metrics


class SleepOverBatch(UpDown):
    """Weights of the dreams as if there were twice as many."""

    def estimate(self, model, batch, rng, grads):
        metrics = super().estimate(model, batch, rng, grads)
        grads["r1"] *= 0.5
        return metrics


@pytest.mark.parametrize("objective", [NoChains, SleepSign, TopSign, SleepOverBatch])
def test_wrong_up_down_dies(objective):
    report = check_model(DBN, "up-down gradient", raises=False, objectives={"UpDown": objective})
    assert not report.ok
