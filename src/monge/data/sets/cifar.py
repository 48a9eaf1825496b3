"""CIFAR-10 from its binary version, and a subset of 5,000 pictures.

The files are not downloaded: the user provides them.

    Krizhevsky, "Learning multiple layers of features from tiny images", University of Toronto 2009

A record of the binary version is one byte for the label, followed by 1,024 bytes each of red, green
and blue, row by row.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from monge.data.datasets import FiniteDataset, Part, from_parts
from monge.errors import MongeError

CIFARS = {
    "cifar10": "60,000 color pictures of 32×32 pixels in 10 classes",
    "cifar10_subset": "5,000 pictures of CIFAR-10",
}
_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_RECORDS, _RECORD = 10_000, 1 + 3 * 32 * 32  # records in a file, bytes in a record
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def locate(name: str, root: Path) -> Path | None:
    """Return the path of the data set below the data root, or None."""
    if name == "cifar10_subset":
        file = root / "cifar10_subset" / "cifar10_5k.npz"
        return file if file.is_file() else None
    for folder in _folders(root, "bin"):
        if all((folder / file).is_file() for file in _FILES):
            return folder
    return None


def instructions(name: str, root: Path) -> str:
    """Return a sentence that says which files are expected where."""
    if name == "cifar10_subset":
        arrays = "x_train (n, 32, 32, 3) uint8, y_train, x_test and y_test"
        return f"put {root / 'cifar10_subset' / 'cifar10_5k.npz'} there, with the arrays {arrays}"
    archive = "cifar-10-binary.tar.gz (https://www.cs.toronto.edu/~kriz/cifar.html)"
    return (
        f"unpack {archive} in {root}, or put its {_FILES[0]} to {_FILES[4]} and {_FILES[5]} in "
        f"{root / 'cifar10'}"
    )


def read_cifar(name: str, root: Path) -> FiniteDataset:
    """Read ``"cifar10"`` or ``"cifar10_subset"``; the published test pictures are held out."""
    path = locate(name, root)
    if path is None:
        pickled = next((f for f in _folders(root, "py") if (f / "data_batch_1").is_file()), None)
        if name == "cifar10" and pickled is not None:
            raise MongeError(
                f"{pickled} is CIFAR-10's python version, and monge loads no pickles: "
                f"{instructions(name, root)}"
            )
        raise MongeError(f"data set '{name}' is not on this machine: {instructions(name, root)}")
    return from_parts(
        name, *(_read_subset(path) if name == "cifar10_subset" else _read_binary(path))
    )


def _folders(root: Path, version: str) -> tuple[Path, ...]:
    unpacked = f"cifar-10-batches-{version}"
    return root / "cifar10", root / unpacked, root / "cifar10" / unpacked


def _read_binary(folder: Path) -> tuple[Part, Part]:
    *train, test = (_read_records(folder / file) for file in _FILES)
    x, y = (np.concatenate(parts) for parts in zip(*train, strict=True))
    return (x, y), test


def _read_records(path: Path) -> Part:
    size, expected = path.stat().st_size, _RECORDS * _RECORD
    if size != expected:
        raise MongeError(
            f"'{path}' is corrupt: it has {size:,} bytes, not {expected:,}; unpack it from the "
            "archive again"
        )
    records = np.fromfile(path, np.uint8).reshape(_RECORDS, _RECORD)
    labels = records[:, 0]
    if labels.max() > 9:
        raise MongeError(
            f"'{path}' is corrupt: it holds the label {labels.max()}, and CIFAR-10 has 0 to 9"
        )
    return records[:, 1:].reshape(-1, 3, 32, 32), labels


def _read_subset(path: Path) -> tuple[Part, Part]:
    try:
        with np.load(path, allow_pickle=False) as content:
            train_x, train_y, test_x, test_y = (content[key] for key in _ARRAYS)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise MongeError(
            f"'{path}' cannot be read ({error}): it must hold {', '.join(_ARRAYS)}"
        ) from error
    train, test = (train_x, train_y), (test_x, test_y)
    for x, y in (train, test):
        if x.dtype != np.uint8 or x.shape[1:] != (32, 32, 3) or y.shape != x.shape[:1]:
            raise MongeError(
                f"'{path}' holds pictures {x.shape} {x.dtype} with labels {y.shape}, not "
                "(n, 32, 32, 3) uint8 with (n,)"
            )
    return train, test
