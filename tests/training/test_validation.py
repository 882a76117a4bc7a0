import numpy as np
import pytest

from minidgm import optim
from minidgm.boltzmann.rbm import RBM
from minidgm.errors import DataError
from minidgm.training import fit
from tests.training.toy import Point, Squares

DATA = (np.random.default_rng(0).random((40, 4)) < 0.4).astype("float32")


@pytest.mark.parametrize("home", ["numpy", "strict"])
def test_the_metrics_are_those_of_the_models_methods(home, tmp_path):
    model = RBM(4, 3, backend=home, seed=0)
    np.save(tmp_path / "v.npy", DATA[:10])
    history = fit(model, DATA, epochs=2, batch_size=10, validation=tmp_path / "v.npy")
    host = model.to("numpy")
    v = DATA[:10]
    expected = {
        "validation_reconstruction_error": ((v - host.reconstruct(v)) ** 2).sum(axis=1).mean(),
        "validation_pseudo_log_likelihood": host.pseudo_log_likelihood(v).mean(),
        "free_energy_gap": host.free_energy(v).mean() - host.free_energy(DATA).mean(),
    }
    for name, value in expected.items():
        assert len(history[name]) == 2
        np.testing.assert_allclose(history[name][-1], value, rtol=1e-4, atol=1e-5)


def test_what_a_model_cannot_measure_is_left_out():
    X = DATA.astype(float)[:, :3]
    history = fit(Point(), X, Squares(), optim.SGD(0.1), epochs=1, batch_size=10, validation=X)
    assert "validation_reconstruction_error" in history
    assert "free_energy_gap" not in history


@pytest.mark.parametrize("visible", ["gaussian", "rectified"])
def test_units_without_alternatives_have_no_pseudo_likelihood(visible):
    history = fit(RBM(4, 3, visible=visible, seed=0), DATA, "CD", epochs=1, batch_size=10, validation=DATA)
    assert "free_energy_gap" in history
    assert "validation_pseudo_log_likelihood" not in history


def test_measuring_does_not_disturb_the_training():
    plain, measured = RBM(4, 3, seed=0), RBM(4, 3, seed=0)
    fit(plain, DATA, epochs=2, batch_size=10)
    fit(measured, DATA, epochs=2, batch_size=10, validation=DATA)
    np.testing.assert_array_equal(plain.params.buffer, measured.params.buffer)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (DATA[:0], "no rows"),
        (DATA[0], "validation is a ndarray of shape"),
        (iter([DATA]), "expected an array"),
        (DATA[:, :2], r"validation has shape \(40, 2\)"),
        (DATA * np.nan, "validation holds NaN"),
    ],
)
def test_bad_validation_rows_are_refused(rows, words):
    with pytest.raises(DataError, match=words):
        fit(RBM(4, 3, seed=0), DATA, epochs=1, batch_size=10, validation=rows)
