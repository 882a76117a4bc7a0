import numpy as np

from minidgm import optim
from minidgm.training import fit
from minidgm.training.progress import Progress
from tests.training.toy import Point, Squares

X = np.random.default_rng(0).standard_normal((12, 3))


def test_the_bar_shows_epochs_steps_and_metrics(capsys, monkeypatch):
    monkeypatch.setattr(Progress, "INTERVAL", 0.0)
    fit(Point(), X, Squares(), optim.SGD(0.1), epochs=2, batch_size=4, validation=X, progress=True)
    shown = capsys.readouterr().err
    assert "epoch 2/2" in shown
    assert "6/6" in shown
    assert "loss=" in shown
    assert "val_reconstruction_error=" in shown
    fit(Point(), X, Squares(), optim.SGD(0.1), epochs=1, batch_size=4)
    assert capsys.readouterr() == ("", "")


def test_batches_of_unknown_number_have_a_bar_without_an_end(capsys):
    fit(Point(), lambda: iter([X]), Squares(), optim.SGD(0.1), epochs=2, progress=True)
    assert "2step" in capsys.readouterr().err
