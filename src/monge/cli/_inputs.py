"""What commands take and write: items of a data set by number, files of the user's that are fitted
to a run, arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monge.errors import MongeError

ARRAYS = (".npy", ".npz")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def picture(path: Path, shape: tuple[int, ...]) -> Any:
    """The middle square, at the run's size, (1, c, s, s) in [−1, 1]."""
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


def numbered(text: str, dataset: Any) -> Any | None:
    """Sample 12 that was held out for ``"12"``, training sample 12 for ``"train:12"``; None if
    ``text`` does not look like that.

    Of an endless stream every number names one sample.
    """
    from monge.data import FiniteDataset

    part, _, number = text.rpartition(":")
    part = part or "held_out"
    if part not in ("held_out", "train") or not number.isdecimal():
        return None
    i = int(number)
    if not isinstance(dataset, FiniteDataset):
        return (dataset.train if part == "train" else dataset.held_out)(1, i)[0]
    indices = dataset.train_indices if part == "train" else dataset.held_out_indices
    if i >= len(indices):
        missing = f"there is no {'training' if part == 'train' else 'held-out'} sample {i}"
        raise MongeError(
            f"{missing}: data '{dataset.name}' has {len(indices)}, choose from 0 to "
            f"{len(indices) - 1}"
        )
    return dataset.fetch(indices[i : i + 1])[0]


def write_array(path: Path, array: Any) -> None:
    """Save an array: .npy, or .npz under the name x; makes the folder."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        np.savez_compressed(path, x=array)
