"""The data sets monge knows by name, and how to read them."""

from __future__ import annotations

import gzip
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from monge.dance.data import DANCE_MELODY, dance_files, from_dance_folder, read_dance_melody
from monge.data.sets.cifar import CIFARS, read_cifar
from monge.data.sets.curves import CURVES, curves
from monge.data.sets.lines import LINES, lines
from monge.data.sets.toy import TOYS
from monge.data.sets.unpaired import UNPAIRED, from_pair_of_folders, read_unpaired
from monge.data.sets.usps import USPS, read_usps
from monge.data.sets.w2benchmark import W2BENCHMARK, read_w2benchmark
from monge.errors import MongeError, nearest
from monge.music.midi import from_midi, midi_files
from monge.music.nesmdb import NESMDB, read_nesmdb

from .sources import FiniteSource, Source, from_array, from_images, toy


@dataclass(frozen=True)
class Remote:
    """Files to download: name → sha256, tried from each mirror in turn."""

    files: dict[str, str]
    mirrors: tuple[str, ...]


_IDX = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")

REMOTES = {
    "mnist": Remote(
        dict(
            zip(
                _IDX,
                (
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
                strict=True,
            )
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
    ),
    "fashion_mnist": Remote(
        dict(
            zip(
                _IDX,
                (
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ),
                strict=True,
            )
        ),
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
    ),
}

BUNDLED = {"digits": "1,797 handwritten digits of 8×8 pixels, shipped with scikit-learn"}


def data_root(root: str | Path | None = None) -> Path:
    """Return where data sets lie: the argument, ``$MONGE_DATA``, or ``~/.cache/monge/data``."""
    chosen = root or os.environ.get("MONGE_DATA") or Path.home() / ".cache" / "monge" / "data"
    return Path(chosen).expanduser()


def load(name: str, root: str | Path | None = None, size: int | None = None) -> Source:
    """Return a source by name, or of a file (.npy, .npz, .mid) or a folder of pictures, of MIDI files or of dances.

    >>> load("8gaussians").shape
    (2,)
    """
    if name in TOYS:
        return toy(name)
    if name in LINES:
        return lines(name)
    if name == CURVES:
        return curves()
    if name == "digits":
        return _digits()
    if name in REMOTES:
        return _idx(name, data_root(root) / name)
    if name in CIFARS:
        return read_cifar(name, data_root(root))
    if name in W2BENCHMARK:
        return read_w2benchmark(name, data_root(root))
    if name == NESMDB:
        return read_nesmdb(data_root(root), size)
    if name == DANCE_MELODY:
        return read_dance_melody(data_root(root), size)
    if name == USPS:
        return read_usps(data_root(root), size)
    if name in UNPAIRED:
        return read_unpaired(name, data_root(root), size)
    path = Path(name).expanduser()
    if (path / "trainA").is_dir():
        return from_pair_of_folders(path, size)
    if path.is_dir() and dance_files(path):
        return from_dance_folder(path, size)
    if path.exists() and midi_files(path):
        return from_midi(path, size)
    if path.is_dir():
        return from_images(path, size)
    if path.is_file():
        return _file(path)
    known = [*TOYS, *LINES, CURVES, *BUNDLED, *REMOTES, *CIFARS, *W2BENCHMARK, *UNPAIRED, NESMDB, USPS, DANCE_MELODY]
    raise MongeError(f"no data set, file or folder '{name}'{nearest(name, known)}")


def _digits() -> FiniteSource:
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = torch.from_numpy(digits.target).long()
    return from_array(digits.images.astype(np.float32) / 16, "digits", n_held_out=797, labels=labels)


def _idx(name: str, folder: Path) -> FiniteSource:
    missing = [f for f in REMOTES[name].files if not (folder / f).is_file()]
    if missing:
        raise MongeError(f"data set '{name}' is not at {folder} ({missing[0]} is missing): run 'monge data get {name}'")
    train_x, train_y, test_x, test_y = (_read_idx(folder / f) for f in REMOTES[name].files)
    labels = torch.from_numpy(np.concatenate([train_y, test_y])).long()
    return from_array(np.concatenate([train_x, test_x]), name, n_held_out=len(test_x), labels=labels, ordered_split=True)


def _read_idx(path: Path) -> np.ndarray:
    try:
        raw = gzip.decompress(path.read_bytes())
        shape = np.frombuffer(raw, ">i4", raw[3], 4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise MongeError(f"'{path}' is corrupt ({error}): delete it and run 'monge data get {path.parent.name}'") from error


def _file(path: Path) -> FiniteSource:
    return from_array(read_array(path), path.stem)


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
    key = next((k for k in ("x", "x_train", "samples", "data", "arr_0") if k in keys), keys[0] if len(keys) == 1 else None)
    if key is None:
        raise MongeError(f"'{path}' holds the arrays {', '.join(keys)}: name the one to use 'x'")
    return content[key]
