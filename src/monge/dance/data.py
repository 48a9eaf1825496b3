"""Dances with their music: sequences of poses and the features of the music in each frame.

    Tang, Jia & Mao, "Dance with melody: an LSTM-autoencoder approach to music-oriented dance
        synthesis", ACM MM 2018   [tang2018]

The motion capture is cleaned while it is read. Two markers on the head, which change places, are
replaced by the middle of the head. The floor, which drifts by tens of centimeters, is moved to
height 0. The bones, which vary in length by a fifth, get the lengths of one skeleton.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from monge.data.datasets import FiniteDataset, Indices, SourceTarget
from monge.errors import MongeError
from monge.rng import rng

from . import audio
from .domains import DanceDomains
from .kind import DanceKind
from .motion import MELODY, Skeleton, channels, encode, facing, mirror, retarget
from .network import CONTEXT as CONTEXT

DANCE_MELODY = "dance_melody"
STYLES = {"C": "cha-cha", "R": "rumba", "T": "tango", "W": "waltz"}
FRAMES = 96  # of a window: 3.84 seconds
STRIDE = 4  # frames from one window to the next

_SPLIT, _CHOICE = 4, 7  # random streams: the choice of held-out songs, and of windows from them
_LEVEL = 2.0  # seconds in which a foot is on the floor at least once
_UNREADABLE = (
    *(ValueError, TypeError, OSError, EOFError, KeyError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class Dance:
    """One song and its dance.

    ``positions`` (T, J, 3) are in meters; they and ``music`` (T, 80) are at ``rate`` Hz.
    """

    name: str
    style: str
    positions: Tensor
    music: Tensor
    rate: float = 25.0
    skeleton: Skeleton = MELODY


def read_dances(root: Path) -> list[Dance]:
    """Return the dances of `DANCE_MELODY`, in the order of their names.

    ``root`` is the folder of the data sets.
    """
    folder = root / DANCE_MELODY
    files = sorted(folder.glob("DANCE_*.npz"))
    if not files:
        raise MongeError(
            f"data set '{DANCE_MELODY}' is not at {folder}: set MONGE_DATA to the folder that "
            f"holds {DANCE_MELODY}/"
        )
    return [_read(file) for file in files]


def split(dances: Sequence[Dance]) -> tuple[list[Dance], list[Dance]]:
    """Split dances into those for training and those held out.

    One in five of each style is held out, and none of a style with fewer than four.

    >>> still = torch.zeros(4, 23, 3), torch.zeros(4, 80)
    >>> styles = ["waltz"] * 10 + ["tango"]
    >>> dances = [Dance(f"song {k}", style, *still) for k, style in enumerate(styles)]
    >>> kept, held = split(dances)
    >>> len(kept), len(held), {dance.style for dance in held}
    (9, 2, {'waltz'})
    """
    held: set[str] = set()
    for style in sorted({dance.style for dance in dances}):
        names = [dance.name for dance in dances if dance.style == style]
        order = torch.randperm(len(names), generator=rng(0, _SPLIT)).tolist()
        held |= {names[k] for k in order[: (len(names) + 1) // 5]} if len(names) >= 4 else set()
    kept = [dance for dance in dances if dance.name not in held]
    return kept, [dance for dance in dances if dance.name in held]


def read_dance_melody(root: Path, size: int | None = None) -> SourceTarget:
    """Return windows of music as the source and windows of dance as the target.

    ``size`` is the number of frames of a window of dance, 96 by default. Windows of music are
    (size + 96, 80): they have 48 frames of context on either side. Windows of dance are (size, 70),
    encoded by `monge.dance.motion.encode`, each once as it is and once mirrored. All windows of a
    song are either for training or held out.
    """
    return from_dances(read_dances(root), DANCE_MELODY, size)


def dance_files(folder: Path) -> list[Path]:
    """Return the .npz files of a folder if one of them has an array ``pose``, otherwise none."""
    files = sorted(folder.glob("*.npz"))
    return files if any("pose.npy" in _members(file) for file in files) else []


def open_dances(path: Path, size: int | None = None) -> SourceTarget | None:
    """Return `from_dance_folder`, or None if the path is not a folder of dances."""
    return from_dance_folder(path, size) if path.is_dir() and dance_files(path) else None


def from_dance_folder(folder: Path, size: int | None = None) -> SourceTarget:
    """Return windows of the music and of the poses of the dances in a folder.

    ``size`` is as in `read_dance_melody`. Each .npz file is one song: ``pose`` (T, 23, 3) relative
    to ``center`` (T, 3), in centimeters, ``mel`` (T, 64), ``chroma`` (T, 12), ``onset`` (T,) and
    ``fps``, as in the files of `DANCE_MELODY`.
    """
    return from_dances([_read(file) for file in dance_files(folder)], folder.name, size)


def from_dances(
    dances: Sequence[Dance], name: str = "dances", size: int | None = None
) -> SourceTarget:
    """Return windows of the music and of the poses of dances; see `read_dance_melody`."""
    frames = FRAMES if size is None else size
    if frames % 8:
        raise MongeError(
            f"data.size must be a multiple of 8 frames for dances, got {frames}: choose "
            f"{max(8, frames // 8 * 8)}"
        )
    long = [dance for dance in dances if len(dance.positions) >= frames]
    kept, held = split(long)
    if not held:
        raise MongeError(
            f"data '{name}' has {len(long)} dances of {frames} frames or more: it needs at least "
            "four of one style"
        )
    ordered = [*kept, *held]
    song, start = _windows([len(dance.positions) for dance in ordered], frames)
    is_held = song >= len(kept)
    music = torch.cat([context(dance.music) for dance in ordered])
    encoded = []
    for dance in ordered:
        encoded.append(encode(dance.positions, dance.skeleton))
        encoded.append(encode(mirror(dance.positions, dance.skeleton), dance.skeleton))
    poses = torch.cat(encoded)
    length = np.array([len(dance.positions) for dance in ordered])
    begin = np.concatenate([[0], np.cumsum(length)])[:-1]
    music_begin = begin + 2 * CONTEXT * np.arange(len(ordered))

    def music_windows(indices: Indices) -> Tensor:
        return _cut(music, music_begin[song[indices]] + start[indices], frames + 2 * CONTEXT)

    def dance_windows(indices: Indices) -> Tensor:
        window, mirrored = indices // 2, indices % 2
        at = song[window]
        return _cut(poses, 2 * begin[at] + mirrored * length[at] + start[window], frames)

    train, test = np.flatnonzero(~is_held), np.flatnonzero(is_held)
    both = np.sort(np.concatenate([2 * train, 2 * train + 1]))
    kind, skeleton = DanceKind(dances[0].rate), dances[0].skeleton
    shape = frames + 2 * CONTEXT, audio.MUSIC
    source = FiniteDataset(f"{name}-music", shape, music_windows, train, test)
    shape = frames, channels(skeleton)
    target = FiniteDataset(name, shape, dance_windows, both, 2 * test, kind=kind)

    def examples(n: int, seed: int) -> tuple[Tensor, Tensor]:
        at = torch.randperm(len(test), generator=rng(seed, _CHOICE))[:n].numpy()
        return music_windows(test[at]), dance_windows(2 * test[at])

    return SourceTarget(name, source, target, domains=DanceDomains(skeleton), examples=examples)


def context(music: Tensor, frames: int = CONTEXT) -> Tensor:
    """Repeat the first and the last frame of music (T, k), to (T + 2 frames, k)."""
    return torch.cat([music[:1].expand(frames, -1), music, music[-1:].expand(frames, -1)])


def level(positions: Tensor, skeleton: Skeleton, rate: float, seconds: float = _LEVEL) -> Tensor:
    """Move the floor of a dance (T, J, 3) to height 0.

    The floor is the height of the lowest foot within ``seconds``, smoothed over as long.

    >>> from monge.dance.motion import rest
    >>> level(rest(MELODY).expand(60, 23, 3) + 0.3, MELODY, 25.0)[..., 1].min().abs().item() < 1e-6
    True
    """
    lowest = positions[:, list(skeleton.feet), 1].min(1).values.numpy()
    frames = max(1, round(seconds * rate))
    floor = ndimage.minimum_filter1d(lowest, frames, mode="nearest")
    floor = ndimage.gaussian_filter1d(floor, frames / 2, mode="nearest")
    up = positions.new_tensor([0.0, 1.0, 0.0])
    return positions - torch.from_numpy(floor)[:, None, None] * up


def _members(path: Path) -> list[str]:
    """Return the names in a zip archive; none if the file is not one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return []


def _windows(lengths: list[int], frames: int) -> tuple[Indices, Indices]:
    """Return the song and the first frame of each window."""
    starts = [np.arange(0, length - frames + 1, STRIDE) for length in lengths]
    songs = [np.full(len(start), k) for k, start in enumerate(starts)]
    return np.concatenate(songs), np.concatenate(starts)


def _cut(rows: Tensor, start: Indices, frames: int) -> Tensor:
    return rows[torch.from_numpy(start)[:, None] + torch.arange(frames)]


def _with_head(positions: Tensor) -> Tensor:
    """Replace markers 0 and 1 by the right side and the middle of the head.

    The markers change places, so the head then faces the way the body faces.
    """
    yaw = facing(positions, MELODY)
    right = torch.stack([-yaw.cos(), torch.zeros_like(yaw), yaw.sin()], -1)
    middle = positions[:, :2].mean(1)
    return torch.cat([(middle + right)[:, None], middle[:, None], positions[:, 2:]], 1)


def _read(path: Path) -> Dance:
    try:
        with np.load(path, allow_pickle=False) as content:
            pose, center, mel, chroma, onset = (
                torch.from_numpy(content[key].astype(np.float32))
                for key in ("pose", "center", "mel", "chroma", "onset")
            )
            rate = float(content["fps"])
        music = audio.music_features(mel, chroma, onset, rate)
    except _UNREADABLE as error:
        raise MongeError(f"'{path}' is corrupt ({error}): copy it again") from error
    if pose.shape != (len(music), MELODY.size, 3) or center.shape != (len(music), 3):
        raise MongeError(
            f"'{path}' holds poses {tuple(pose.shape)} from {tuple(center.shape)} and {len(music)} "
            f"frames of music, not (T, {MELODY.size}, 3), (T, 3) and T"
        )
    if not (pose.isfinite().all() and center.isfinite().all()):
        raise MongeError(f"'{path}' holds positions that are not finite: leave those frames out")
    name = path.stem.removeprefix("DANCE_")
    positions = level(retarget(_with_head((pose + center[:, None]) / 100), MELODY), MELODY, rate)
    return Dance(name, STYLES.get(name.split("_")[0], "dance"), positions, music, rate)
