"""USPS: handwritten digits from envelopes, 16×16, from one HDF5 file.

The file is not downloaded: the user provides it.

    Hull, "A database for handwritten text recognition research", IEEE TPAMI 1994

The file holds train/data (7291, 256) and test/data (2007, 256) in [0, 1], and train/target and
test/target. The digits touch the frame, while those of MNIST fill 20 of 28 pixels and have their
center of mass in the middle. Enlarged digits are laid out like those of MNIST.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from monge.data.datasets import FiniteDataset, from_parts
from monge.errors import MongeError

USPS = "usps"
_SIDE = 16
_FILLED = 20 / 28  # share of MNIST's frame that its digits fill

Array = NDArray[np.float32]


def read_usps(root: Path, size: int | None = None) -> FiniteDataset:
    """Read USPS with labels; the published test pictures are held out.

    ``size`` is the side of the pictures, 16 if None. At a larger size, each digit fills 20/28 of
    the frame and has its center of mass in the middle, as in MNIST.
    """
    path = root / "usps" / "usps.h5"
    if not path.is_file():
        raise MongeError(
            f"data set 'usps' is not at {path}: set MONGE_DATA to the folder that holds "
            "usps/usps.h5"
        )
    parts = [(x.reshape(-1, _SIDE, _SIDE), y) for x, y in _read(path)]
    if size is not None and size != _SIDE:
        if size < _SIDE:
            raise MongeError(
                f"size must be at least {_SIDE} for data set 'usps', got {size}: its pictures can "
                "only be enlarged"
            )
        parts = [(np.stack([like_mnist(picture, size) for picture in x]), y) for x, y in parts]
    return from_parts(USPS, *parts)


def like_mnist(picture: Array, size: int) -> Array:
    """Enlarge a digit in [0, 1] to 20/28 of a frame, with its center of mass in the middle.

    The center of mass is placed to the nearest pixel.

    >>> digit = np.zeros((16, 16), np.float32)
    >>> digit[:, 3:9] = 1
    >>> large = like_mnist(digit, 28)
    >>> large.shape, round(float((large.sum(0) * np.arange(28)).sum() / large.sum()))
    ((28, 28), 14)
    """
    side = round(size * _FILLED)
    enlarged = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    digit = np.asarray(enlarged).clip(0, 1)
    mass = digit.sum()
    top = left = (size - side) // 2
    if mass > 0:
        centers = ((digit.sum(axis) * (np.arange(side) + 0.5)).sum() / mass for axis in (1, 0))
        top, left = (int(np.clip(round(size / 2 - float(c)), 0, size - side)) for c in centers)
    frame = np.zeros((size, size), np.float32)
    frame[top : top + side, left : left + side] = digit
    return frame


def _read(path: Path) -> list[tuple[Array, NDArray[np.int64]]]:
    try:
        h5py: Any = importlib.import_module("h5py")
    except ImportError as error:
        raise MongeError(
            "data set 'usps' is an HDF5 file: pip install monge[hdf5] to read it"
        ) from error
    try:
        with h5py.File(path) as content:
            parts = [
                (content[f"{split}/data"][:], content[f"{split}/target"][:])
                for split in ("train", "test")
            ]
    except (OSError, KeyError) as error:
        raise MongeError(f"'{path}' is corrupt ({error}): replace it") from error
    for x, y in parts:
        if x.ndim != 2 or x.shape[1] != _SIDE**2 or y.shape != x.shape[:1]:
            raise MongeError(
                f"'{path}' holds pictures {x.shape} with labels {y.shape}, not (n, {_SIDE**2}) "
                "with (n,)"
            )
    return parts
