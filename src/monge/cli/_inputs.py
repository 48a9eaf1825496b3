"""Inputs and outputs of commands: samples of a data set by number, pictures, and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monge.errors import MongeError

ARRAYS = (".npy", ".npz")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def read_picture(path: Path, shape: tuple[int, ...]) -> Any:
    """Read a picture, crop it to the shape (c, h, w) of a run, and return it (1, c, h, w)."""
    import numpy as np
    import torch
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(shape) != 3:
        raise MongeError(f"the run was trained on points of shape {shape}: give it an array")
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("L" if shape[0] == 1 else "RGB")
            square = ImageOps.fit(upright, shape[1:][::-1], Image.Resampling.LANCZOS)
    except (UnidentifiedImageError, OSError) as error:
        raise MongeError(f"'{path}' is not a readable picture ({error})") from error
    pixels = np.asarray(square, np.float32).reshape(*shape[1:], -1)
    return torch.from_numpy(pixels / 127.5 - 1).movedim(2, 0)[None]


def numbered_sample(text: str, dataset: Any) -> Any | None:
    """Return held-out sample 12 for ``"12"``, training sample 12 for ``"train:12"``.

    None if ``text`` has another form. For an infinite data set, the number is a seed.
    """
    from monge.data import FiniteDataset

    split, _, number = text.rpartition(":")
    split = split or "held_out"
    if split not in ("held_out", "train") or not number.isdecimal():
        return None
    i, train = int(number), split == "train"
    if not isinstance(dataset, FiniteDataset):
        return (dataset.train if train else dataset.held_out)(1, i)[0]
    indices = dataset.train_indices if train else dataset.held_out_indices
    if i >= len(indices):
        raise MongeError(
            f"no {'training' if train else 'held-out'} sample {i}: data '{dataset.name}' has "
            f"{len(indices)}, choose from 0 to {len(indices) - 1}"
        )
    return dataset.fetch(indices[i : i + 1])[0]


def write_array(path: Path, array: Any) -> None:
    """Save an array as .npy, or as .npz under the name x; creates the folder."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        np.savez_compressed(path, x=array)
