"""MNIST and Fashion-MNIST from their four IDX files, which `monge data get` downloads.

LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998
    [lecun1998]
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monge.data.datasets import FiniteDataset, from_parts
from monge.errors import MongeError


@dataclass(frozen=True)
class Remote:
    """Files to download and their sha256; the mirrors are tried in order."""

    files: dict[str, str]
    mirrors: tuple[str, ...]


_IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _remote(mirrors: tuple[str, ...], *digests: str) -> Remote:
    return Remote(dict(zip(_IDX, digests, strict=True)), mirrors)


REMOTES = {
    "mnist": _remote(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "fashion_mnist": _remote(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}


def read_idx(name: str, root: Path) -> FiniteDataset:
    """Read one of `REMOTES` with labels; the published test pictures are held out."""
    folder = root / name
    missing = [f for f in REMOTES[name].files if not (folder / f).is_file()]
    if missing:
        raise MongeError(
            f"data set '{name}' is not at {folder} ({missing[0]} is missing): run 'monge data get "
            f"{name}'"
        )
    train_x, train_y, test_x, test_y = (_read(folder / f) for f in REMOTES[name].files)
    return from_parts(name, (train_x, train_y), (test_x, test_y))


def _read(path: Path) -> np.ndarray:
    try:
        raw = gzip.decompress(path.read_bytes())
        shape = np.frombuffer(raw, ">i4", raw[3], 4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise MongeError(
            f"'{path}' is corrupt ({error}): delete it and run 'monge data get {path.parent.name}'"
        ) from error
