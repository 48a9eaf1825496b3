"""USPS: handwritten digits from envelopes, 16×16, from one HDF5 file.

You put the file there; nothing is downloaded.

    Hull, "A database for handwritten text recognition research", IEEE TPAMI 1994

The file holds train/data (7291, 256) and test/data (2007, 256) in [0, 1], and train/target and
test/target. The digits touch the frame, while MNIST's fill 20 of 28 pixels and have their center of
mass in the middle: enlarged, these are laid out like those.
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
    """Return USPS with labels; the published test pictures are the ones held out.

    ``size`` is the side of the pictures, 16 when None. At a larger one each digit fills 20/28 of
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
                f"size must be at least {_SIDE} for data set 'usps', got {size}: its pictures are "
                "not reduced"
            )
        parts = [(np.stack([like_mnist(picture, size) for picture in x]), y) for x, y in parts]
    return from_parts(USPS, *parts)


def like_mnist(picture: Array, size: int) -> Array:
    """Enlarge a digit in [0, 1] to 20/28 of a frame and put its center of mass in the middle, to
    the nearest pixel.

    >>> digit = np.zeros((16, 16), np.float32)
    >>> digit[:, 3:9] = 1
    >>> found = like_mnist(digit, 28)
    >>> found.shape, round(float((found.sum(0) * np.arange(28)).sum() / found.sum()))
    ((28, 28), 14)
    """
    side = round(size * _FILLED)
    small = np.asarray(
        Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    ).clip(0, 1)
    weight = small.sum()
    top = left = (size - side) // 2
    if weight > 0:
        middles = ((small.sum(axis) * (np.arange(side) + 0.5)).sum() / weight for axis in (1, 0))
        top, left = (
            int(np.clip(round(size / 2 - float(middle)), 0, size - side)) for middle in middles
        )
    frame = np.zeros((size, size), np.float32)
    frame[top : top + side, left : left + side] = small
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
