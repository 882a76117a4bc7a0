"""Where the files of public data sets come from: MINIDGM_DATA, then the cache, then the network."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from minidgm.errors import DataError

_MNIST = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
_GITHUB = "https://raw.githubusercontent.com/"


@dataclass(frozen=True)
class PublicFile:
    """A file on the network: where, and the SHA256 of the download and of its uncompressed content."""

    urls: tuple[str, ...]
    download: str
    content: str
    size: int


def _plain(url: str, digest: str, size: int) -> PublicFile:
    return PublicFile((_GITHUB + url,), digest, digest, size)


def _mnist(name: str, download: str, content: str, size: int) -> PublicFile:
    return PublicFile(tuple(mirror + name for mirror in _MNIST), download, content, size)


FILES = {
    "mnist/train-images-idx3-ubyte.gz": _mnist(
        "train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        47_040_016,
    ),
    "mnist/train-labels-idx1-ubyte.gz": _mnist(
        "train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        60_008,
    ),
    "mnist/t10k-images-idx3-ubyte.gz": _mnist(
        "t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        7_840_016,
    ),
    "mnist/t10k-labels-idx1-ubyte.gz": _mnist(
        "t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        10_008,
    ),
    "shakespeare/input.txt": _plain(
        "karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        1_115_394,
    ),
    "names/names.txt": _plain(
        "karpathy/makemore/988aa59e4d8fefa526d06f3b453ad116258398d4/names.txt",
        "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
        228_145,
    ),
    "jsb/jsb-chorales-quarter.json": _plain(
        "czhuang/JSB-Chorales-dataset/master/jsb-chorales-quarter.json",
        "2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91",
        407_200,
    ),
    "uci/dna.npz": _plain(
        "mgermain/MADE/514849eb9451311c02049f9e2d9a17fac589996a/datasets/dna.npz",
        "df2d2e7ce1469edfead15e41024e108d64f1b4633cfecfc40ef7107cc22c895c",
        2_295_252,
    ),
}


def contents(name: str) -> bytes:
    """Return the uncompressed bytes of a public file, checked against its SHA256.

    Looked for in the folder that the environment variable MINIDGM_DATA names (laid out as the keys of FILES,
    compressed or not), then in pooch's cache, then on the network.

    Raises
    ------
    DataError
        If the file is nowhere to be had, or is not the file that was expected.
    """
    expected = FILES[name]
    path = _local(name)
    if path is None:
        path = _download(name, expected)
    try:
        data = _read(path, limit=expected.size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; delete it and fetch it again") from error
    if len(data) != expected.size:
        came = f"more than {expected.size:,}" if len(data) > expected.size else f"{len(data):,}"
        raise DataError(f"{path} holds {came} bytes; expected {expected.size:,}; fetch it again")
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected.content:
        raise DataError(
            f"{path} has SHA256 {digest}; expected {expected.content}: it is damaged or another file. "
            "Delete it and fetch it again (your own files go through datasets.load)"
        )
    return data


def _read(path: Path, limit: int) -> bytes:
    """Read at most ``limit`` uncompressed bytes."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return file.read(limit)


def _local(name: str) -> Path | None:
    folder = os.environ.get("MINIDGM_DATA")
    if not folder:
        return None
    path = Path(folder).expanduser() / name
    candidates = [path, path.with_suffix("")] if path.suffix == ".gz" else [path]
    return next((p for p in candidates if p.is_file()), None)


def _download(name: str, expected: PublicFile) -> Path:
    """Fetch into pooch's cache, or find it there already."""
    try:
        import pooch
    except ImportError as error:
        raise _absent(name, expected, "the package pooch, which downloads, is not installed") from error
    folder = Path(os.environ.get("MINIDGM_CACHE") or pooch.os_cache("minidgm")).expanduser()
    failures = []
    for url in expected.urls:
        try:
            return Path(
                pooch.retrieve(
                    url,
                    known_hash=f"sha256:{expected.download}",
                    fname=Path(name).name,
                    path=folder / Path(name).parent,
                    downloader=pooch.HTTPDownloader(timeout=30),
                )
            )
        except Exception as error:  # whatever the network, the disk or the checksum had to say
            failures.append(f"{url}: {type(error).__name__}: {error}")
    raise _absent(name, expected, "downloading it failed (" + "; ".join(failures) + ")")


def _absent(name: str, expected: PublicFile, why: str) -> DataError:
    folder = os.environ.get("MINIDGM_DATA")
    looked = f"it is not in MINIDGM_DATA={folder}" if folder else "MINIDGM_DATA is not set"
    return DataError(
        f"{name} is not on this machine: {looked}, and {why}. Connect to the network, "
        f"or set MINIDGM_DATA to a folder that holds {name} (from {expected.urls[0]})"
    )
