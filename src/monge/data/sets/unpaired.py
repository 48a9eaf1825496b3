"""Two unpaired collections of pictures, to learn a map from one to the other.

The files are not downloaded: the user provides them.

    Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks",
        ICCV 2017   [zhu2017]

A zip file, or a folder, holds four folders of pictures: trainA, trainB, testA and testB. A is the
source measure P, and B is the target measure Q.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from monge.data.datasets import FiniteDataset, SourceTarget, from_array, mixed_sizes_error
from monge.errors import MongeError

UNPAIRED = {
    "summer2winter": "500 + 500 photographs of Yosemite in summer and in winter, 128×128",
    "monet2photo": "500 + 500 paintings of Monet and photographs of landscapes, 128×128",
}
_FILES = {"summer2winter": "summer2winter_yosemite_128.zip", "monet2photo": "monet2photo_128.zip"}
_SUFFIXES = (".jpg", ".jpeg", ".png")

Pictures = dict[str, np.ndarray]  # path in the zip or folder → (h, w, 3) uint8
Read = Callable[[], bytes]


def read_unpaired(name: str, root: Path, size: int | None = None) -> SourceTarget:
    """Read one of `UNPAIRED` from its zip file; the test pictures are held out.

    Pictures are resized to ``size`` if it is given.
    """
    path = root / name / _FILES[name]
    if not path.is_file():
        raise MongeError(
            f"data set '{name}' is not at {path}: set MONGE_DATA to the folder that holds {name}/"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            files = {member: partial(archive.read, member) for member in archive.namelist()}
            return _read_collections(name, files, str(path), size)
    except zipfile.BadZipFile as error:
        raise MongeError(f"'{path}' is corrupt ({error}): copy it again") from error


def from_pair_of_folders(folder: Path, size: int | None = None) -> SourceTarget:
    """Read a folder that holds pictures in trainA, trainB, testA and testB."""
    paths = [path for path in folder.glob("*/*") if path.is_file()]
    files = {path.relative_to(folder).as_posix(): path.read_bytes for path in paths}
    return _read_collections(folder.name, files, str(folder), size)


def _read_collections(
    name: str, files: Mapping[str, Read], where: str, size: int | None
) -> SourceTarget:
    """Make the data set from the files of a zip or a folder; ``where`` names it in errors."""
    pictures = {
        folder: _read_pictures(files, folder, where, size)
        for folder in ("trainA", "testA", "trainB", "testB")
    }
    (first, one), *others = (item for folder in pictures.values() for item in folder.items())
    for member, other in others:
        if other.shape != one.shape:
            raise mixed_sizes_error(first, one, member, other)
    source, target = (
        _make_dataset(f"{name}-{x}", pictures[f"train{x}"], pictures[f"test{x}"]) for x in "AB"
    )
    return SourceTarget(name, source, target)


def _make_dataset(name: str, train: Pictures, test: Pictures) -> FiniteDataset:
    array = np.stack([*train.values(), *test.values()])
    return from_array(np.moveaxis(array, 3, 1), name, n_held_out=len(test), ordered_split=True)


def _read_pictures(
    files: Mapping[str, Read], folder: str, where: str, size: int | None
) -> Pictures:
    members = sorted(
        m for m in files if m.startswith(f"{folder}/") and m.lower().endswith(_SUFFIXES)
    )
    if not members:
        raise MongeError(
            f"'{where}' holds no pictures in {folder}/: it must have trainA, trainB, testA and "
            "testB"
        )
    return {member: _read_picture(files[member], member, where, size) for member in members}


def _read_picture(read: Read, member: str, where: str, size: int | None) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(read())) as image:
            picture = image.convert("RGB")
    except (UnidentifiedImageError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise MongeError(
            f"'{member}' in '{where}' is not a readable picture ({error}): copy it again"
        ) from error
    if size and picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(picture)
