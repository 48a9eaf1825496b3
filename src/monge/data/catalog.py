"""The data sets that monge knows by name, and the files that it can open: two tuples.

What a studio brings is named by its module and imported when it is asked for; nothing here knows
what is in it.
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

Load = Callable[[Path, int | None], Dataset]
Open = Callable[[Path, int | None], Dataset | None]


@dataclass(frozen=True)
class Entry:
    """A data set: ``about`` says in a line what it is, ``remote`` whether `monge data get`
    downloads it.

    ``load`` takes the folder of all data sets and a size (None for its own) to the source.
    ``folder`` is where its files are to be put, below that folder; None where there are none.
    ``place`` is where they are, or None; by default ``folder``, if that is there.
    """

    name: str
    about: str
    load: Load
    folder: str | None = None
    place: Callable[[Path], Path | None] | None = None
    remote: bool = False

    def found(self, root: Path) -> Path | None:
        """Where its files are, or None."""
        if self.place:
            return self.place(root)
        return root / self.folder if self.folder and (root / self.folder).is_dir() else None


def studio(function: str) -> Load:
    """A function of a studio, ``"module:name"``, imported at its first call."""
    module, name = function.split(":")

    def call(path: Path, size: int | None) -> Dataset:
        return getattr(importlib.import_module(module), name)(path, size)

    return call


def _named(
    read: Callable[..., Dataset], name: str, *, sized: bool = False, rooted: bool = True
) -> Load:
    """A `Load` of a function that reads several data sets by name."""
    return lambda root, size: read(name, *([root] if rooted else []), *([size] if sized else []))


def _whole(name: str, root: Path) -> Path | None:
    return (
        root / name if all((root / name / file).is_file() for file in REMOTES[name].files) else None
    )


_DANCES = "36 dances and their music, motion capture of 23 joints"

CATALOG = (
    *(Entry(name, "generated", _named(toy, name, rooted=False)) for name in TOYS),
    *(Entry(name, "generated", _named(lines, name, rooted=False)) for name in LINES),
    Entry(CURVES, "generated", lambda _, __: curves()),
    Entry(
        "digits",
        "1,797 handwritten digits of 8×8 pixels, shipped with scikit-learn",
        lambda _, __: digits(),
    ),
    *(
        Entry(name, "", _named(read_idx, name), name, partial(_whole, name), remote=True)
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
    Entry(
        "nesmdb",
        "4,905 songs of the NES in four voices",
        studio("monge.music.nesmdb:read_nesmdb"),
        "nesmdb",
    ),
    Entry("dance_melody", _DANCES, studio("monge.dance.data:read_dance_melody"), "dance_melody"),
    Entry("usps", "9,298 handwritten digits of 16×16 pixels", read_usps, "usps"),
    *(
        Entry(
            name, "a pair with a known optimal map", _named(read_w2benchmark, name), "w2benchmark"
        )
        for name in W2BENCHMARK
    ),
)


OPENERS: tuple[Open, ...] = (  # the first that does not return None has opened the file or folder
    lambda path, size: from_pair_of_folders(path, size) if (path / "trainA").is_dir() else None,
    studio("monge.dance.data:open_dances"),
    studio("monge.music.midi:open_midi"),
    lambda path, size: from_images(path, size) if path.is_dir() else None,
    lambda path, _: from_array(read_array(path), path.stem) if path.is_file() else None,
)


def data_root(root: str | Path | None = None) -> Path:
    """Return where data sets lie: the argument, ``$MONGE_DATA``, or ``~/.cache/monge/data``."""
    chosen = root or os.environ.get("MONGE_DATA") or Path.home() / ".cache" / "monge" / "data"
    return Path(chosen).expanduser()


def load(name: str, root: str | Path | None = None, size: int | None = None) -> Dataset:
    """Return a source by name, or of a file (.npy, .npz, .mid) or a folder of pictures, of MIDI
    files or of dances.

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
    """The array of a .npy file, or the one named ``x`` (or the only one) of a .npz file."""
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
