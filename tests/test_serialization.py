import errno
import json
import os
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as encode

import minidgm
from minidgm.backend import to_numpy
from minidgm.boltzmann.bm import BoltzmannMachine
from minidgm.boltzmann.rbm import RBM
from minidgm.errors import ModelFileError
from minidgm.model import Model
from minidgm.parameters import Parameters
from minidgm.serialization import load, read_tensors, write_atomically, write_tensors

MODELS = [
    RBM(4, 3, seed=0),
    RBM(4, 3, visible="gaussian", centered=True, dtype="float64", seed=1),
    RBM(6, 4, visible="softmax(3)", hidden="rectified", seed=2),
    BoltzmannMachine(3, 2, seed=3),
]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "rbm.safetensors"
    MODELS[0].save(path)
    return path


@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize("home", ["numpy", "strict"])
def test_a_model_comes_back_to_the_same_bits(model, home, tmp_path):
    path = tmp_path / "model.safetensors"
    model.to(home).save(str(path))
    back = minidgm.load(path, backend=home)
    assert type(back) is type(model)
    assert back.config() == model.config()
    assert (back.backend, back.dtype) == (home, model.dtype)
    assert to_numpy(back.params.buffer).tobytes() == model.params.buffer.tobytes()
    assert load(path, dtype="float64").dtype == "float64"
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_saving_again_replaces_the_file_as_a_whole(tmp_path):
    path = tmp_path / "model.safetensors"
    for seed in (0, 1):
        RBM(4, 3, seed=seed).save(path)
    np.testing.assert_array_equal(load(path).params["W"], RBM(4, 3, seed=1).params["W"])


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "open"])
def test_a_write_that_fails_leaves_what_was_there(call, good, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(good.read_bytes())

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match=r"could not write .*No space left.*unchanged"):
            RBM(4, 3, seed=1).save(path)
    assert path.read_bytes() == good.read_bytes()
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    system = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, part: system(descriptor, part[:3]))
    write_atomically(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_paths_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder, expected a file name such as model\.safetensors"):
        MODELS[0].save(tmp_path)
    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        MODELS[0].save(tmp_path / "no" / "model.safetensors")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError):
        MODELS[0].save(tmp_path / "file" / "model.safetensors")


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    MODELS[0].save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "target").n_hidden == 3


def test_nan_is_neither_saved_nor_loaded(tmp_path, good):
    model = RBM(4, 3, seed=0)
    model.params["b"][1] = np.nan
    with pytest.raises(ValueError, match="'b' holds NaN: nothing was written"):
        model.save(tmp_path / "model")
    assert not os.listdir(tmp_path)
    tensors, metadata = read_tensors(good)
    tensors["b"][0] = np.nan
    write_tensors(tmp_path / "model", tensors, metadata)
    with pytest.raises(ModelFileError, match="'b' holds NaN"):
        load(tmp_path / "model")


class Own(Model):
    def __init__(self, n=2, *, backend="numpy", dtype="float32", seed=None):
        super().__init__(backend=backend, dtype=dtype, seed=seed)
        self.n = n
        self.params = Parameters({"b": (n,)}, backend, dtype)

    def config(self):
        return {"n": self.n}


def test_a_class_of_the_user_is_loaded_by_itself_only(tmp_path, good):
    Own(3).save(tmp_path / "own")
    with pytest.raises(
        ModelFileError, match=r"'Own', which is none of minidgm's models \(BoltzmannMachine, .*RBM"
    ):
        load(tmp_path / "own")
    assert Own.load(tmp_path / "own").n == 3
    with pytest.raises(ModelFileError, match="holds a 'RBM', expected 'Own'"):
        Own.load(good)
    with pytest.raises(ModelFileError, match="holds a 'RBM', expected 'BoltzmannMachine'"):
        BoltzmannMachine.load(good)


def test_a_configuration_must_be_json(tmp_path):
    model = Own()
    model.config = lambda: {"n": {1, 2}}
    with pytest.raises(TypeError, match=r"Own\.config\(\) must hold JSON values"):
        model.save(tmp_path / "own")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(ModelFileError, match="is a folder"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "pt"}, "is 'pt', expected 'minidgm model'"),
        ({"format": None}, "without a format"),
        ({"version": "2"}, r"format version 2, this minidgm reads up to 1: upgrade"),
        ({"version": "one"}, "expected a number"),
        ({"version": "-1"}, "expected a number"),
        ({"version": "²"}, "expected a number"),
        ({"version": "9" * 5000}, "expected a number"),
        ({"version": None}, "expected a number"),
        ({"model": "os.system"}, "none of minidgm's models"),
        ({"model": "rbm"}, "none of minidgm's models"),
        ({"model": "BoltzmannMachine"}, "does not configure a BoltzmannMachine|holds arrays"),
        ({"model": None}, "none of minidgm's models"),
        ({"config": None}, "does not configure"),
        ({"config": "{"}, "does not configure"),
        ({"config": "[1]"}, "does not configure"),
        ({"config": "[" * 100_000}, "does not configure"),
        ({"config": '{"n_visible": ' + "9" * 10_000 + "}"}, "does not configure"),
        ({"config": '{"n_visible": 4, "n_hidden": 3, "backend": "cupy"}'}, "dictionary of structure"),
        ({"config": '{"n_visible": 4, "n_hidden": 3, "surprise": 1}'}, "surprise"),
        ({"config": '{"n_visible": 4, "n_hidden": 2}'}, r"holds arrays .*the model needs"),
        (
            {"config": '{"n_visible": 4, "n_hidden": 3, "visible": "gaussian"}'},
            "does not configure|holds arrays",
        ),
        ({"config": '{"n_visible": 1000000, "n_hidden": 1000000}'}, "at most 19 are allowed"),
        ({"config": '{"n_visible": -4, "n_hidden": 3}'}, "n_visible must be an integer of at least 1"),
        ({"config": '{"n_visible": 4.5, "n_hidden": 3}'}, "does not configure"),
        ({"config": '{"n_visible": [4], "n_hidden": {"a": 3}}'}, "does not configure"),
        ({"config": '{"n_visible": 4, "n_hidden": 3, "visible": ["softmax(3)"]}'}, "does not configure"),
        (
            {"config": '{"n_visible": 4, "n_hidden": 3, "visible": "softmax(99999999999)"}'},
            "does not configure",
        ),
        ({"dtype": "float16"}, "float16"),
        ({"dtype": "float64"}, "is float32, the header says float64"),
        ({"dtype": None}, "does not configure"),
    ],
)
def test_hostile_headers_are_refused(change, words, good, tmp_path):
    tensors, metadata = read_tensors(good)
    metadata = {k: v for k, v in {**metadata, **change}.items() if v is not None}
    write_tensors(tmp_path / "model", tensors, metadata)
    with pytest.raises(ModelFileError, match=words):
        load(tmp_path / "model")


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("W"),
        lambda tensors: tensors.update(extra=np.zeros(2, np.float32)),
        lambda tensors: tensors.update(W=tensors["W"].T),
        lambda tensors: tensors.update(b=tensors["b"].astype(np.int32)),
        lambda tensors: tensors.clear(),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, good, tmp_path):
    tensors, metadata = read_tensors(good)
    change(tensors)
    write_tensors(tmp_path / "model", tensors, metadata)
    with pytest.raises(ModelFileError):
        load(tmp_path / "model")


def with_header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        b"\xff" * 8,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 100) + b"{}",
        struct.pack("<Q", 2**40) + b" " * 100,
        with_header(b""),
        with_header(b"[]"),
        with_header(b"{}"),
        with_header(b"[" * 100_000),
        with_header(b'{"a":' * 50_000),
        with_header(b'{"__metadata__": 3}'),
        with_header({"__metadata__": {"format": 3}}),
        with_header({"W": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"W": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"W": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}, b"1234"),
        with_header({"W": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        with_header({"W": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"W": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"W": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"W": {"dtype": "F32", "shape": [1] * 1000, "data_offsets": [0, 4]}}, b"1234"),
        with_header({"\ud800".encode("utf-8", "surrogatepass").decode("latin-1"): 1}),
        b"\x80\x04\x95cposix\nsystem\n.",
        b"PK\x03\x04" + bytes(100),
    ],
    ids=lambda content: repr(content[:24]),
)
def test_files_that_are_none_are_refused(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ModelFileError):
        load(tmp_path / "file")


def test_a_long_header_is_not_read(good, monkeypatch):
    monkeypatch.setattr("minidgm.serialization.MAX_HEADER", 100)
    with pytest.raises(ModelFileError, match="truncated, corrupted or foreign"):
        load(good)


def test_every_truncation_is_refused(good, tmp_path):
    whole = good.read_bytes()
    for length in [*range(40), *range(40, len(whole), 7), len(whole) - 1]:
        (tmp_path / "file").write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            load(tmp_path / "file")


def survives(content, folder):
    """Load bytes as a model: a model or a ModelFileError, nothing else."""
    path = folder / "fuzzed"
    path.write_bytes(content)
    try:
        model = load(path)
    except ModelFileError:
        return
    assert isinstance(model, RBM | BoltzmannMachine)


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_refused(tmp_path_factory, content, framed):
    survives(with_header(content) if framed else content, tmp_path_factory.getbasetemp())


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_flipped_bytes_are_refused_or_harmless(tmp_path_factory, good, flips, in_header):
    content = bytearray(good.read_bytes())
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for position, value in flips:
        content[position % (header if in_header else len(content))] = value
    survives(bytes(content), tmp_path_factory.getbasetemp())


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from(["n_visible", "n_hidden", "visible", "hidden", "centered", "x"]),
        values | st.sampled_from([3, 4, "gaussian", "softmax(2)", "rectified", 10**30]),
        max_size=5,
    ),
    st.sampled_from(["RBM", "BoltzmannMachine"]),
)
@example({"n_visible": True, "n_hidden": 3}, "RBM")
def test_any_configuration_is_refused_or_builds_a_model(tmp_path_factory, good, config, name):
    tensors, metadata = read_tensors(good)
    content = encode(tensors, {**metadata, "model": name, "config": json.dumps(config)})
    survives(content, tmp_path_factory.getbasetemp())


def test_arrays_are_written_in_their_order_whatever_their_memory(tmp_path):
    W = np.arange(6.0).reshape(2, 3)
    tensors = {
        "T": W.T,
        "F": np.asfortranarray(W),
        "S": W[:, ::2],
        "zero": np.array(3),
        "none": np.zeros((0, 2)),
    }
    write_tensors(tmp_path / "file", tensors, {})
    back, _ = read_tensors(tmp_path / "file")
    for name, value in tensors.items():
        np.testing.assert_array_equal(back[name], value)
        assert back[name].shape == value.shape


def test_loading_neither_unpickles_nor_evaluates(good, monkeypatch):
    for name in ("pickle.loads", "pickle.load", "builtins.eval"):
        monkeypatch.setattr(name, None)
    assert load(good).n_visible == 4
