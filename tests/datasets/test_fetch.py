"""Where public files come from, and what is said when they do not."""

import gzip
import hashlib
import os
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidgm import datasets
from minidgm.datasets import fetch
from minidgm.errors import DataError
from tests.datasets.needs_data import needs_data

pooch = pytest.importorskip("pooch")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No MINIDGM_DATA, an empty cache, and a network that does not answer."""

    def retrieve(url, **options):
        raise ConnectionError("no route to host")

    monkeypatch.delenv("MINIDGM_DATA", raising=False)
    monkeypatch.setenv("MINIDGM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    return tmp_path


@pytest.fixture
def small(monkeypatch):
    """A public file of eleven bytes, and its compressed twin."""
    data = b"hello world"
    digest = hashlib.sha256(data).hexdigest()
    for name in ("toy/hello.txt", "toy/hello.gz"):
        entry = fetch.PublicFile(("https://a.example/x", "https://b.example/x"), digest, digest, len(data))
        monkeypatch.setitem(fetch.FILES, name, entry)
    return data


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "mnist/train-images-idx3-ubyte.gz"),
        ("shakespeare", "shakespeare/input.txt"),
        ("names", "names/names.txt"),
        ("jsb_chorales", "jsb/jsb-chorales-quarter.json"),
        ("uci_dna", "uci/dna.npz"),
    ],
)
def test_offline_and_absent_says_what_to_do(offline, name, file):
    with pytest.raises(DataError) as raised:
        datasets.get(name)
    message = str(raised.value)
    assert message.startswith(f"{file} is not on this machine: MINIDGM_DATA is not set")
    assert "ConnectionError: no route to host" in message
    assert f"Connect to the network, or set MINIDGM_DATA to a folder that holds {file}" in message


def test_a_folder_without_the_file_is_named(offline, monkeypatch):
    monkeypatch.setenv("MINIDGM_DATA", str(offline))
    with pytest.raises(DataError, match=f"it is not in MINIDGM_DATA={offline}"):
        datasets.names()


def test_without_pooch_the_message_says_so(offline, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError, match="pooch, which downloads, is not installed"):
        datasets.names()


def test_pooch_is_imported_for_downloads_only(small, monkeypatch, tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/hello.txt").write_bytes(small)
    monkeypatch.setenv("MINIDGM_DATA", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert fetch.contents("toy/hello.txt") == small


@pytest.mark.parametrize("stored", ["hello.gz", "hello"])
def test_a_local_file_may_be_compressed_or_not(small, monkeypatch, tmp_path, stored):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / stored).write_bytes(gzip.compress(small) if stored.endswith(".gz") else small)
    monkeypatch.setenv("MINIDGM_DATA", str(tmp_path))
    assert fetch.contents("toy/hello.gz") == small


def test_mirrors_are_tried_in_turn_with_the_checksum(small, offline, monkeypatch):
    asked = []

    def retrieve(url, known_hash, fname, path, downloader):
        asked.append((url, known_hash))
        if len(asked) == 1:
            raise TimeoutError("slow")
        path.mkdir(parents=True)
        (path / fname).write_bytes(small)
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert fetch.contents("toy/hello.txt") == small
    expected = f"sha256:{hashlib.sha256(small).hexdigest()}"
    assert asked == [("https://a.example/x", expected), ("https://b.example/x", expected)]
    assert (offline / "cache/toy/hello.txt").is_file()


def test_a_file_in_the_cache_needs_no_network(small, monkeypatch, tmp_path):
    monkeypatch.delenv("MINIDGM_DATA", raising=False)
    monkeypatch.setenv("MINIDGM_CACHE", str(tmp_path))
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/hello.txt").write_bytes(small)
    assert fetch.contents("toy/hello.txt") == small


@given(at=st.integers(0, 10), change=st.integers(1, 255), cut=st.integers(0, 11), extra=st.binary(max_size=3))
def test_any_damage_is_found(at, change, cut, extra):
    data = b"hello world"
    damaged = bytearray(data)
    damaged[at] ^= change
    damaged = bytes(damaged[:cut]) + extra
    if damaged == data:
        return
    digest = hashlib.sha256(data).hexdigest()
    with pytest.MonkeyPatch.context() as monkeypatch, tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("MINIDGM_DATA", folder)
        monkeypatch.setitem(fetch.FILES, "hello.txt", fetch.PublicFile(("u",), digest, digest, len(data)))
        path = os.path.join(folder, "hello.txt")
        with open(path, "wb") as file:
            file.write(damaged)
        with pytest.raises(DataError) as raised:
            fetch.contents("hello.txt")
    assert path in str(raised.value)
    assert "expected" in str(raised.value)


@given(cut=st.integers(0, 30))
def test_a_truncated_gzip_file_is_found(cut):
    data = b"hello world"
    digest = hashlib.sha256(data).hexdigest()
    packed = gzip.compress(data, mtime=0)
    with pytest.MonkeyPatch.context() as monkeypatch, tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("MINIDGM_DATA", folder)
        monkeypatch.setitem(fetch.FILES, "hello.gz", fetch.PublicFile(("u",), digest, digest, len(data)))
        with open(os.path.join(folder, "hello.gz"), "wb") as file:
            file.write(packed[: min(cut, len(packed) - 1)])
        with pytest.raises(DataError, match="fetch it again"):
            fetch.contents("hello.gz")


def test_a_bomb_is_not_unpacked(small, monkeypatch, tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/hello.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    monkeypatch.setenv("MINIDGM_DATA", str(tmp_path))
    with pytest.raises(DataError, match="holds more than 11 bytes; expected 11"):
        fetch.contents("toy/hello.gz")


@needs_data
@pytest.mark.parametrize("name", list(fetch.FILES))
def test_the_public_files_are_those_expected(name):
    assert len(fetch.contents(name)) == fetch.FILES[name].size


def test_every_public_file_has_addresses_and_checksums():
    for name, file in fetch.FILES.items():
        assert all(url.startswith("https://") for url in file.urls), name
        assert len(file.download) == len(file.content) == 64, name
        assert np.all([c in "0123456789abcdef" for c in file.download + file.content]), name
