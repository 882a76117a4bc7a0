"""A user's files: round trips, and files that are damaged, foreign or hostile."""

import gzip
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minidgm.datasets.files import parse_idx, parse_npy, parse_npz, read
from minidgm.errors import DataError

arrays = hnp.arrays(
    st.sampled_from([np.uint8, np.int32, np.float32, np.float64]),
    hnp.array_shapes(max_dims=3, max_side=5),
    elements=st.integers(0, 100),
)
reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def idx(array):
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def header_of(shape, descr="<f8"):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def array_or_clear_error(path, **options):
    """Read the file; nothing but a DataError that names it may come instead."""
    message = str(path)
    try:
        return read(path, **options)
    except DataError as error:
        message = str(error)
    assert str(path) in message
    return {}


class Exploit:
    """Unpickling one of these would create a file."""

    def __reduce__(self):
        return open, ("pickled-code-ran", "w")


@reuse
@given(array=arrays)
def test_round_trips(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", x=array, y=array + 1)
    (tmp_path / "a.idx").write_bytes(idx(array))
    (tmp_path / "a-idx3-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    scipy.io.savemat(tmp_path / "a.mat", {"x": array})
    for name in ("a.npy", "a.idx", "a-idx3-ubyte.gz"):
        loaded = read(tmp_path / name)["data"]
        assert np.array_equal(loaded, array)
        assert loaded.dtype == array.dtype
    loaded = read(tmp_path / "a.npz")
    assert list(loaded) == ["x", "y"]
    assert np.array_equal(loaded["y"], array + 1)
    assert np.array_equal(read(tmp_path / "a.mat")["x"], np.atleast_2d(array))


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_tables_with_and_without_names(tmp_path, separator, ending):
    path = tmp_path / "a.csv"
    lines = [separator.join(row) for row in (["1", "2.5", "-3e2"], ["4", "5", "6"])]
    path.write_bytes((ending.join(lines) + ending).encode())
    assert read(path)["data"].tolist() == [[1, 2.5, -300], [4, 5, 6]]
    path.write_bytes(("# a comment" + ending + ending + ending.join(lines)).encode())
    assert read(path)["data"].tolist() == [[1, 2.5, -300], [4, 5, 6]]
    path.write_bytes(b"\xef\xbb\xbf" + ending.join([separator.join(["a", '"b"', "c"]), *lines]).encode())
    table = read(path)
    assert list(table) == ["a", "b", "c"]
    assert table["b"].tolist() == [2.5, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("\n\n", "cannot be read"),
        ("a,b\n", "cannot be read"),
        ("1,2\n3\n", "cannot be read"),
        ("1,2\n3,x\n", "could not convert string 'x' to float64 at row 1, column 2"),
        ("a,a\n1,2\n", "is not numbers, and its names repeat"),
        ("a,b\n1,2,3\n", "cells under a first line of 2"),
    ],
)
def test_tables_that_are_none(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_a_mapped_file_stays_on_disk(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(3))
    assert isinstance(read(tmp_path / "a.npy", mmap=True)["data"], np.memmap)
    np.savez(tmp_path / "a.npz", x=np.eye(3))
    with pytest.raises(DataError, match=r"only .npy files can be mapped"):
        read(tmp_path / "a.npz", mmap=True)


def test_sparse_matlab_matrices_become_dense(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": scipy.sparse.csc_matrix(np.eye(3))})
    assert read(tmp_path / "a.mat")["x"].tolist() == np.eye(3).tolist()


@pytest.mark.parametrize("start", [b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3 MAT-file, Platform"])
def test_new_matlab_files_say_how_to_save(tmp_path, start):
    (tmp_path / "a.mat").write_bytes(start + bytes(600))
    with pytest.raises(DataError, match=r"save it with save\(..., '-v7'\)"):
        read(tmp_path / "a.mat")


def test_matlab_cells_are_refused(tmp_path):
    cell = np.empty(2, dtype=object)
    cell[:] = [np.eye(2), "text"]
    scipy.io.savemat(tmp_path / "a.mat", {"x": cell})
    with pytest.raises(DataError, match="'x' holds object; expected plain numbers"):
        read(tmp_path / "a.mat")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("mmap", [False, True])
def test_pickles_never_run(tmp_path, monkeypatch, suffix, mmap):
    if mmap and suffix == ".npz":
        return
    monkeypatch.chdir(tmp_path)
    objects = np.array([Exploit()], dtype=object)
    path = tmp_path / f"a{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, objects, allow_pickle=True)
    with pytest.raises(DataError, match="holds Python objects; expected plain numbers"):
        read(path, mmap=mmap)
    path.write_bytes(pickle.dumps(Exploit()))
    with pytest.raises(DataError, match="cannot be read"):
        read(path, mmap=mmap)
    assert not (tmp_path / "pickled-code-ran").exists()


@pytest.mark.parametrize("shape", [(10**15,), (10**9, 10**9), (-1,), (2**62, 4, 0)])
@pytest.mark.parametrize("mmap", [False, True])
def test_a_header_is_believed_only_as_far_as_there_are_bytes(tmp_path, shape, mmap):
    path = tmp_path / "a.npy"
    path.write_bytes(header_of(shape) + bytes(64))
    array = array_or_clear_error(path, mmap=mmap).get("data", np.empty(0))
    assert array.size == 0


def test_a_member_larger_than_it_says_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header_of((10**12,)) + bytes(8))
    with pytest.raises(DataError, match=r"x.npy.* holds 8 bytes of values"):
        read(path)


@reuse
@given(
    data=st.binary(max_size=300), suffix=st.sampled_from([".npy", ".npz", ".csv", ".mat", ".idx", ".idx.gz"])
)
@example(data=b"\x93NUMPY", suffix=".npy")
@example(data=b"PK\x03\x04", suffix=".npz")
@example(data=b"\x1f\x8b\x08", suffix=".idx.gz")
def test_arbitrary_bytes_are_an_array_or_a_clear_error(tmp_path, data, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    assert all(isinstance(array, np.ndarray) for array in array_or_clear_error(path).values())


@pytest.mark.parametrize("kind", ["npy", "npz", "mat", "idx", "idx.gz"])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_one_changed_byte_or_a_cut_is_an_array_or_a_clear_error(tmp_path, kind, data):
    whole = tmp_path / f"whole.{kind}"
    X = np.arange(12.0).reshape(3, 4)
    if kind == "npy":
        whole.write_bytes(npy(X))
    elif kind == "npz":
        np.savez_compressed(whole, x=X)
    elif kind == "mat":
        scipy.io.savemat(whole, {"x": X}, do_compression=True)
    else:
        whole.write_bytes(gzip.compress(idx(X)) if kind.endswith("gz") else idx(X))
    original = whole.read_bytes()
    damaged = bytearray(original[: data.draw(st.integers(0, len(original)), label="cut")])
    if damaged:
        at = data.draw(st.integers(0, len(damaged) - 1), label="at")
        damaged[at] = data.draw(st.integers(0, 255), label="byte")
    path = tmp_path / f"damaged.{kind}"
    path.write_bytes(bytes(damaged))
    array_or_clear_error(path)


@given(array=arrays, cut=st.integers(1, 200))
def test_a_truncated_array_is_never_taken_for_a_whole_one(array, cut):
    for data, parse in ((npy(array), parse_npy), (idx(array), parse_idx)):
        with pytest.raises((DataError, ValueError, EOFError)):
            parse(data[: max(0, len(data) - cut)], "cut")


def test_members_that_are_no_arrays_are_passed_over():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("readme.txt", "hello")
        archive.writestr("x.npy", npy(np.eye(2)))
    assert list(parse_npz(stream.getvalue(), "archive")) == ["x"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "starts with nothing; expected an IDX header"),
        (b"\x01\x00\x08\x01", "starts with 01 00 08 01"),
        (b"\x00\x00\x0a\x01", "starts with 00 00 0a 01"),
        (b"\x00\x00\x08\x00", "cut off inside its IDX header of 0 axes"),
        (b"\x00\x00\x08\x02\x00\x00", r"cut off inside its IDX header of 2 axes \(6 bytes\)"),
        (
            b"\x00\x00\x08\x01\xff\xff\xff\xff\x00",
            r"holds 1 bytes of values; \(4294967295,\) asks for 4294967295",
        ),
        (b"\x00\x00\x08\x01\x00\x00\x00\x01\x00\x00", "holds 2 bytes of values"),
    ],
)
def test_idx_errors_say_what_came(data, message):
    with pytest.raises(DataError, match=message):
        parse_idx(data, "x.idx")


def test_a_missing_file_names_its_neighbor(tmp_path):
    (tmp_path / "digits.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"no such file; did you mean 'digits.npy'\?"):
        read(tmp_path / "digit.npy")


@pytest.mark.parametrize("name", ["a.pkl", "a.pt", "a", "a.h5", "a.gz"])
def test_other_kinds_are_refused_with_the_list(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"expected one of .npy, .npz"):
        read(tmp_path / name)
