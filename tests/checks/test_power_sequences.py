"""Wrong models of sequences must die: each mutant has one mistake, and the named identity finds it."""

import numpy as np
import pytest

from minidgm import RNNRBM, ConditionalRBM
from minidgm.boltzmann.rnn_rbm import Past
from minidgm.checks import check_model
from minidgm.evaluation.frames import anneal_frames
from minidgm.objectives import ConditionalContrastiveDivergence, ConditionalLikelihood


class ContextMovesNoVisibleBias(ConditionalRBM):
    def biases(self, y=None):
        return self.params["b"], super().biases(y)[1]


class ContextNewestFirst(ConditionalRBM):
    def split(self, x):
        v, y = super().split(x)
        if y is None:
            return v, y
        return v, y.reshape(y.shape[0], self.n_context, -1)[:, ::-1].reshape(y.shape)


class AutoregressionWithoutGradient(ConditionalRBM):
    def pull_back(self, frames, gradient, out=None, truncation=None):
        out = super().pull_back(frames, gradient, out)
        out["A"][...] = 0.0
        return out


class GivenForgetsTheContext(ConditionalRBM):
    def given(self, y=None):
        return super().given()


class FirstStateOfZero(RNNRBM):
    def states(self, v):
        return RNNRBM.states(self.with_params({**self.params, "u0": 0.0 * self.params["u0"]}), v)


class StateSeesItsOwnFrame(RNNRBM):
    def states(self, v):
        after = super().states(self.xp.concatenate([v, v[-1:]]))
        return after[1:]


class StateWithoutBias(RNNRBM):
    def states(self, v):
        return RNNRBM.states(self.with_params({**self.params, "d": 0.0 * self.params["d"]}), v)


class SlopeLeftOut(RNNRBM):
    def pull_back(self, frames, gradient, out=None, truncation=None):
        flat = frames._replace(past=Past(frames.past.v, 0.0 * frames.past.u))
        right = super().pull_back(frames, gradient, None, truncation)
        right["F"][...] = super().pull_back(flat, gradient, None, truncation)["F"]
        return right


class RecurrenceTransposed(RNNRBM):
    def pull_back(self, frames, gradient, out=None, truncation=None):
        turned = self.with_params({**self.params, "R": self.params["R"].T})
        return RNNRBM.pull_back(turned, frames, gradient, out, truncation)


class FirstStateWithoutGradient(RNNRBM):
    def pull_back(self, frames, gradient, out=None, truncation=None):
        out = super().pull_back(frames, gradient, out, truncation)
        out["u0"][...] = 0.0
        return out


class NeverTruncates(RNNRBM):
    def pull_back(self, frames, gradient, out=None, truncation=None):
        return super().pull_back(frames, gradient, out)


class TruncatesOneFrameLate(RNNRBM):
    def pull_back(self, frames, gradient, out=None, truncation=None):
        return super().pull_back(frames, gradient, out, None if truncation is None else truncation + 1)


class PaddingCounts(RNNRBM):
    def frames(self, batch):
        found = super().frames(batch)
        return found._replace(weights=0.0 * found.weights + 1.0)


class OnePartitionFunction(RNNRBM):
    def frame_blocks(self, X):
        for v, rbms in super().frame_blocks(X):
            rbms.log_prob = lambda v, rbms=rbms: -rbms.free_energy(v) - rbms.log_partition()[0]
            yield v, rbms


class WindowsOverTheEnd(ConditionalRBM):
    def frame_blocks(self, X):
        return super().frame_blocks([self.xp.concatenate(X)])


class LooksAhead(RNNRBM):
    def frame_blocks(self, X):
        for x in X:
            yield x, self.rbms(self.states(x[::-1][:, None])[::-1, 0])


class WritesItsPast(RNNRBM):
    def pull_back(self, frames, gradient, out=None, truncation=None):
        found = super().pull_back(frames, gradient, out, truncation)
        gradient.b[...] *= 2.0
        return found


class BatchIsScaled(ConditionalRBM):
    def frames(self, batch):
        found = super().frames(batch)
        batch += 1.0
        return found


class OverflowingPartition(ConditionalRBM):
    def frame_blocks(self, X):
        for v, rbms in super().frame_blocks(X):
            log_z = np.log(np.exp(rbms.log_partition()))
            rbms.log_prob = lambda v, rbms=rbms, log_z=log_z: -rbms.free_energy(v) - log_z
            yield v, rbms


class ChainOfAnotherPast(RNNRBM):
    def frame_blocks(self, X):
        for v, rbms in super().frame_blocks(X):
            rbms.b = self.xp.roll(rbms.b, 1, axis=0)
            yield v, rbms


MUTANTS = [
    (WindowsOverTheEnd, "sequences are independent"),
    (LooksAhead, "sequences are independent"),
    (WritesItsPast, "methods of sequences are pure"),
    (BatchIsScaled, "methods of sequences are pure"),
    (OverflowingPartition, "sequences in other precisions"),
    (ChainOfAnotherPast, "chains of frames stay"),
    (ContextMovesNoVisibleBias, "fixed history"),
    (ContextMovesNoVisibleBias, "contrastive divergence of sequences"),
    (ContextNewestFirst, "fixed history"),
    (AutoregressionWithoutGradient, "gradient through the past"),
    (AutoregressionWithoutGradient, "likelihood of sequences"),
    (GivenForgetsTheContext, "fixed history"),
    (FirstStateOfZero, "product over frames"),
    (StateSeesItsOwnFrame, "product over frames"),
    (StateSeesItsOwnFrame, "likelihood of sequences"),
    (StateWithoutBias, "product over frames"),
    (SlopeLeftOut, "gradient through the past"),
    (RecurrenceTransposed, "gradient through the past"),
    (FirstStateWithoutGradient, "gradient through the past"),
    (NeverTruncates, "gradient through the past"),
    (TruncatesOneFrameLate, "gradient through the past"),
    (PaddingCounts, "likelihood of sequences"),
    (PaddingCounts, "product over frames"),
    (OnePartitionFunction, "product over frames"),
]


@pytest.mark.parametrize(("mutant", "identity"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_wrong_model_dies(mutant, identity):
    report = check_model(mutant.small(dtype="float64"), [identity], max_examples=20, raises=False)
    assert not report.ok
    assert identity in report.failures[0].message


class OneSweepMore(ConditionalContrastiveDivergence):
    def __init__(self, k=1, **options):
        super().__init__(k=k + 1, **options)


class ChainsUnderTheFirstPast(ConditionalContrastiveDivergence):
    def _frames(self, model, batch):
        frames, w = super()._frames(model, batch)
        rbms = frames.rbms
        if rbms.b.ndim == 2 and len(rbms.b) > 1:
            rbms.b = rbms.b[:1] + 0.0 * rbms.b
        return frames, w


class SumOverFrames(ConditionalLikelihood):
    def _frames(self, model, batch):
        frames, _ = super()._frames(model, batch)
        return frames, frames.weights


@pytest.mark.parametrize(
    ("name", "objective", "identity"),
    [
        ("ConditionalContrastiveDivergence", OneSweepMore, "contrastive divergence of sequences"),
        ("ConditionalContrastiveDivergence", ChainsUnderTheFirstPast, "contrastive divergence of sequences"),
        ("ConditionalLikelihood", SumOverFrames, "likelihood of sequences"),
    ],
)
def test_wrong_objective_dies(name, objective, identity):
    model = RNNRBM.small(dtype="float64")
    report = check_model(model, [identity], max_examples=4, raises=False, objectives={name: objective})
    assert not report.ok


def test_a_wrong_path_dies(monkeypatch):
    """The annealing stops before the target."""

    def short(rbms, n, n_chains, betas, rng):
        return anneal_frames(rbms, n, n_chains, betas[:-1], rng)

    monkeypatch.setattr("minidgm.checks.catalogue.frames.anneal_frames", short)
    assert not check_model(RNNRBM, ["annealed frames"], max_examples=4, raises=False).ok


SERVICE = [
    "sequences are independent",
    "methods of sequences are pure",
    "sequences in other precisions",
    "chains of frames stay",
    "annealed frames",
]


@pytest.mark.parametrize("model", [ConditionalRBM, RNNRBM])
def test_right_models_hold(model):
    report = check_model(model, ["24", *SERVICE], max_examples=6)
    assert report.ok
    assert len(report.results) == 4 + len(SERVICE)


@pytest.mark.parametrize("model", [ConditionalRBM, RNNRBM])
@pytest.mark.parametrize("visible", ["gaussian", "softmax(2)", "spin"])
def test_other_units_hold(model, visible):
    assert check_model(model.small(model(4, 2, 2, visible), dtype="float64"), ["24"], max_examples=4).ok
