"""The data sets that monge knows by name, and the files that it can open.

The readers of `monge.music` and `monge.dance` are given as strings and imported on first use, so
that the core does not depend on them.
"""

from __future__ import annotations

import importlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from monge.errors import MongeError, nearest

from .datasets import Dataset, from_array, from_images
from .sets.cifar import CIFARS, locate, read_cifar
from .sets.curves import CURVES, curves
from .sets.digits import digits
from .sets.idx import REMOTES, read_idx
from .sets.lines import LINES, lines
from .sets.toy import TOYS, toy
from .sets.unpaired import UNPAIRED, from_pair_of_folders, read_unpaired
from .sets.usps import read_usps
from .sets.w2benchmark import W2BENCHMARK, read_w2benchmark

Loader = Callable[[Path, int | None], Dataset]
Opener = Callable[[Path, int | None], Dataset | None]


@dataclass(frozen=True)
class Entry:
    """A data set of the catalog.

    ``about`` describes it in one line. ``load`` maps the data root and a size (None for the
    original size) to the data set. ``folder`` is the folder below the data root that holds its
    files; None if it has no files. ``find`` maps the data root to the folder or file that was
    found, or None; by default it looks for ``folder``. ``remote`` says whether `monge data get`
    can download it.
    """

    name: str
    about: str
    load: Loader
    folder: str | None = None
    find: Callable[[Path], Path | None] | None = None
    remote: bool = False

    def locate(self, root: Path) -> Path | None:
        """Return the path of its files below the data root, or None if they are missing."""
        if self.find:
            return self.find(root)
        return root / self.folder if self.folder and (root / self.folder).is_dir() else None


def deferred(function: str) -> Loader:
    """Return a loader that imports the function ``"module:name"`` at its first call."""
    module, name = function.split(":")

    def call(path: Path, size: int | None) -> Dataset:
        return getattr(importlib.import_module(module), name)(path, size)

    return call


def _named(
    read: Callable[..., Dataset], name: str, *, sized: bool = False, rooted: bool = True
) -> Loader:
    """Return the loader of one data set from a function that reads several by name."""
    return lambda root, size: read(name, *([root] if rooted else []), *([size] if sized else []))


def _find_complete(name: str, root: Path) -> Path | None:
    folder = root / name
    complete = all((folder / file).is_file() for file in REMOTES[name].files)
    return folder if complete else None


_DIGITS = "1,797 handwritten digits of 8×8 pixels, shipped with scikit-learn"
_NESMDB = "4,905 songs of the NES in four voices"
_DANCES = "36 dances and their music, motion capture of 23 joints"
_W2BENCHMARK = "a pair with a known optimal map"

CATALOG = (
    *(Entry(name, "generated", _named(toy, name, rooted=False)) for name in TOYS),
    *(Entry(name, "generated", _named(lines, name, rooted=False)) for name in LINES),
    Entry(CURVES, "generated", lambda _, __: curves()),
    Entry("digits", _DIGITS, lambda _, __: digits()),
    *(
        Entry(name, "", _named(read_idx, name), name, partial(_find_complete, name), remote=True)
        for name in REMOTES
    ),
    *(
        Entry(name, about, _named(read_cifar, name), name, partial(locate, name))
        for name, about in CIFARS.items()
    ),
    *(
        Entry(name, about, _named(read_unpaired, name, sized=True), name)
        for name, about in UNPAIRED.items()
    ),
    Entry("nesmdb", _NESMDB, deferred("monge.music.nesmdb:read_nesmdb"), "nesmdb"),
    Entry("dance_melody", _DANCES, deferred("monge.dance.data:read_dance_melody"), "dance_melody"),
    Entry("usps", "9,298 handwritten digits of 16×16 pixels", read_usps, "usps"),
    *(
        Entry(name, _W2BENCHMARK, _named(read_w2benchmark, name), "w2benchmark")
        for name in W2BENCHMARK
    ),
)


# tried in order: an opener returns None for a file or folder of another kind
OPENERS: tuple[Opener, ...] = (
    lambda path, size: from_pair_of_folders(path, size) if (path / "trainA").is_dir() else None,
    deferred("monge.dance.data:open_dances"),
    deferred("monge.music.midi:open_midi"),
    lambda path, size: from_images(path, size) if path.is_dir() else None,
    lambda path, _: from_array(read_array(path), path.stem) if path.is_file() else None,
)


def data_root(root: str | Path | None = None) -> Path:
    """Return the data root: the argument, ``$MONGE_DATA``, or ``~/.cache/monge/data``."""
    root = root or os.environ.get("MONGE_DATA") or Path.home() / ".cache" / "monge" / "data"
    return Path(root).expanduser()


def load(name: str, root: str | Path | None = None, size: int | None = None) -> Dataset:
    """Load a data set by name, or from a file or a folder.

    Files are .npy, .npz and .mid; folders hold pictures, MIDI files or dances. ``size`` is the
    size to read the samples at, where the data set has one to choose. MongeError for a name or
    path that does not exist, or a file that cannot be read.

    >>> load("8gaussians").shape
    (2,)
    """
    for entry in CATALOG:
        if entry.name == name:
            return entry.load(data_root(root), size)
    path = Path(name).expanduser()
    if path.exists():
        for opened in (opener(path, size) for opener in OPENERS):
            if opened is not None:
                return opened
    raise MongeError(
        f"no data set, file or folder '{name}'{nearest(name, [entry.name for entry in CATALOG])}"
    )


def read_array(path: Path) -> np.ndarray:
    """Return the array of a .npy file, or the array ``x`` (or the only one) of a .npz file."""
    if path.suffix not in (".npy", ".npz"):
        raise MongeError(f"'{path}' is not a .npy or .npz file nor a folder of pictures")
    try:
        content = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise MongeError(f"'{path}' cannot be read as a numeric array ({error})") from error
    if isinstance(content, np.ndarray):
        return content
    keys = list(content.keys())
    key = next(
        (k for k in ("x", "x_train", "samples", "data", "arr_0") if k in keys),
        keys[0] if len(keys) == 1 else None,
    )
    if key is None:
        raise MongeError(f"'{path}' holds the arrays {', '.join(keys)}: name the one to use 'x'")
    return content[key]
