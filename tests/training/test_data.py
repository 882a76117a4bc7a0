import numpy as np
import pytest

from minidgm import optim
from minidgm.backend import asarray
from minidgm.boltzmann.rbm import RBM
from minidgm.datasets import Dataset, Resampled
from minidgm.errors import DataError
from minidgm.training import data, fit
from tests.training.toy import Point, Squares


def rows(n, d=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def trained(X, **settings):
    model, objective = Point(), Squares()
    settings = {"epochs": 3, "batch_size": 4, **settings}
    history = fit(model, X, objective, optim.SGD(0.1), **settings)
    return model.params.buffer.copy(), objective, history


class Lazy:
    """Rows on demand, in increasing order only, as an HDF5 file gives them."""

    def __init__(self, X):
        self._X, self.shape, self.dtype = X, X.shape, X.dtype

    def __getitem__(self, index):
        assert (np.diff(index) > 0).all()
        return self._X[index]


def test_every_home_of_the_same_rows_trains_to_the_same_parameters(tmp_path):
    X = rows(10)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "F.npy", np.asfortranarray(X))
    expected, _, _ = trained(X)
    np.testing.assert_array_equal(trained(X.tolist())[0], expected)
    np.testing.assert_array_equal(trained(np.asfortranarray(X))[0], expected)
    for lazy in (
        tmp_path / "X.npy",
        str(tmp_path / "F.npy"),
        np.load(tmp_path / "X.npy", mmap_mode="r"),
        Lazy(X),
    ):
        np.testing.assert_allclose(trained(lazy)[0], expected, rtol=1e-13)  # rows sorted within a batch


def test_batches_that_come_ready_are_taken_as_they_come():
    X = rows(10)
    batches = [X[:4], X[4:8], X[8:]]

    def fresh():
        return iter(batches)

    class Loader:
        def __iter__(self):
            return iter(batches)

    expected, objective, history = trained(batches)
    assert [len(b) for b in objective.seen] == [4, 4, 2] * 3
    np.testing.assert_array_equal(np.concatenate(objective.seen[3:6]), X)
    np.testing.assert_allclose(history["first"], X[:, 0].mean())
    for stream in (fresh, Loader(), tuple(batches)):
        np.testing.assert_array_equal(trained(stream)[0], expected)


def test_an_iterator_that_is_walked_once_gives_one_epoch_and_says_so():
    X = rows(8)
    _, objective, history = trained((X[i : i + 4] for i in (0, 4)), epochs=5)
    assert len(objective.seen) == 2
    assert len(history) == 1
    assert "pass a callable" in history.stopped


def test_the_data_are_neither_copied_nor_written():
    X = rows(10)
    X.setflags(write=False)
    _, objective, _ = trained(X, batch_size=10)
    assert all(np.shares_memory(batch, X) for batch in objective.seen)
    loaded = data.source(X, Point(), 4)
    assert loaded.X is X


def test_rows_that_are_resampled_are_drawn_anew_and_restored():
    X = Resampled(np.full((10, 3), 0.5, dtype="float32"), seed=3)
    _, objective, _ = trained(X)
    seen = np.concatenate(objective.seen)
    assert set(np.unique(seen)) == {0.0, 1.0}
    loaded = data.source(X, Point(), 4)
    batches = loaded.epoch(_shuffle())
    next(batches)
    state = loaded.state()
    following = np.array(next(batches))
    loaded.set_state(state)
    np.testing.assert_array_equal(next(loaded.epoch(_shuffle(), start=1)), following)


def test_the_state_is_that_of_the_batch_handed_out_however_far_ahead_rows_are_taken(monkeypatch):
    def eager(batches, backend, dtype):
        return iter(list(batches))

    X = Resampled(np.full((10, 3), 0.5, dtype="float32"), seed=3)
    plain = data.source(X, Point(), 4)
    states = [plain.state() for _ in plain.epoch(_shuffle())]
    X.set_state({"seed": 3, "presentations": 0})
    monkeypatch.setattr(data, "prefetch", eager)
    assert [plain.state() for _ in plain.epoch(_shuffle())] == states
    assert len({str(state) for state in states}) == 3


def _shuffle():
    from minidgm.backend import Generator

    return Generator(0)


def test_a_stream_continues_from_the_middle():
    X = rows(12)
    stream = data.source(lambda: iter(X.reshape(3, 4, 3)), Point(), 1)
    np.testing.assert_array_equal(np.concatenate(list(stream.epoch(_shuffle(), start=1))), X[4:])
    with pytest.raises(DataError, match="ended after 3 batches"):
        list(stream.epoch(_shuffle(), start=4))


def test_host_batches_move_to_the_device_and_are_checked_on_the_host():
    X = rows(6)
    model = Point(backend="strict")
    for loaded in (data.source(X, model, 2), data.source([X[:3], X[3:]], model, 2)):
        assert {type(batch).__name__ for batch in loaded.epoch(_shuffle())} == {"StrictArray"}
    with pytest.raises(TypeError, match="X is a strict array, the model lives on numpy"):
        data.source(asarray(X, "strict"), Point(), 2)
    with pytest.raises(DataError, match="NaN"):
        data.source(asarray(X * np.nan, "strict"), model, 2)


NAN = rows(10)
NAN[7, 2] = np.nan


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (NAN, DataError, r"X holds NaN or infinity \(row 7, column 2\)"),
        (np.where(np.isnan(NAN), np.inf, NAN), DataError, "row 7, column 2"),
        (rows(10, 4), DataError, r"X has shape \(10, 4\); expected \[n, 3\]"),
        (rows(10)[0], DataError, r"X\[None, :\]"),
        (rows(12).reshape(2, 2, 9), DataError, "rows"),
        (np.zeros((0, 3)), DataError, r"X has no rows: its shape is \(0, 3\)"),
        (np.full((10, 3), "a"), DataError, "dtype <U1"),
        (np.full((10, 3), None), DataError, "dtype object"),
        (rows(10) + 1j, DataError, "dtype complex128"),
        ([[1.0, 2.0, 3.0], [1.0]], DataError, "does not form a matrix"),
        ([], DataError, r"shape \(0,\)"),
        (3.0, TypeError, "X is a float"),
        (None, TypeError, "X is a NoneType"),
        ("data.csv", DataError, "minidgm.datasets loads"),
        (iter([]), DataError, "the stream of batches is empty"),
        (iter([NAN]), DataError, "batch 0 holds NaN"),
        (iter([rows(4), rows(4, 2)]), DataError, r"batch 1 has shape \(4, 2\)"),
        (iter([rows(4), rows(0)]), DataError, "batch 1 has no rows"),
        (iter([("x", "y")]), DataError, "batch 0"),
        (Lazy(NAN), DataError, "a batch of X holds NaN"),
        (Dataset("toy", rows(4), rows(4), rows(4)), TypeError, r"data\.train"),
    ],
)
def test_bad_data_are_refused(X, error, words):
    with pytest.raises(error, match=words):
        fit(Point(), X, optimizer=optim.SGD(0.1), epochs=1, batch_size=4)


def test_values_outside_the_domain_are_refused_before_the_first_step():
    model = RBM(3, 2, seed=0)
    before = model.params.buffer.copy()
    with pytest.raises(DataError):
        fit(model, 255 * (rows(10) > 0), epochs=1, batch_size=4)
    np.testing.assert_array_equal(model.params.buffer, before)


def test_a_long_array_is_checked_block_by_block_to_its_end(monkeypatch):
    monkeypatch.setattr(data, "SCAN", 9)
    X = rows(10)
    X[8, 1] = np.nan
    with pytest.raises(DataError, match=r"X\[6:9\] holds NaN or infinity \(row 2, column 1\)"):
        fit(Point(), X, epochs=1, batch_size=4)


def test_files_that_are_no_arrays_are_refused(tmp_path):
    path = tmp_path / "X.npy"
    with pytest.raises(FileNotFoundError):
        fit(Point(), path)
    for content in (b"", b"not an array", b"\x93NUMPY\x01\x00"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            fit(Point(), path)
    np.save(path, np.array([[{}, 1, 2]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        fit(Point(), path)


def test_the_subsample_is_spread_and_never_longer_than_asked():
    for n in range(1, 30):
        for most in range(1, 12):
            some = data.spread(np.arange(n)[:, None], most).ravel()
            assert 1 <= len(some) <= most
            assert some[0] == 0
