"""Dances to songs: from a file of music to a page, a GIF, a video, or motion for other programs.

A trained generator makes the dance, see `Dancer`. The dance is then retimed, within bounds, so that
the moments where the body slows down fall on beats of the music (`monge.dance.motion.beat_warp`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monge.errors import MongeError, nearest
from monge.training.checkpoint import write_atomically

from . import audio
from .dancer import RATE, Dancer
from .data import FRAMES
from .metrics import beat_alignment, motion_beats
from .motion import SKELETONS, Skeleton, beat_warp, write_bvh, write_glb
from .plots import GIF_RATE, Picture, dance_frames, player_page, to_gif
from .song import embedded
from .video import find_ffmpeg, write_video

FORMATS = (".html", ".gif", ".mp4", ".bvh", ".glb")
GIF_SECONDS = 20.0  # length of a GIF by default

_VIDEO, _GIF = (640, 720), (320, 360)  # pixels

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Wraps an iterator of pictures, given their number and the file's name, as ``tqdm`` does."""


@dataclass(frozen=True)
class Performance:
    """A dance to a song.

    ``positions`` (T, J, 3) are in meters at ``rate`` Hz, and ``beats`` are those of the music, in
    frames. ``retimed`` is True if the dance was moved onto the beat, ``cut`` if it covers only the
    beginning of the song. ``notes`` are messages about the song.
    """

    song: Path
    positions: Tensor
    skeleton: Skeleton
    beats: Tensor
    rate: float = float(RATE)
    retimed: bool = False
    cut: bool = False
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.positions) / self.rate

    @cached_property
    def motion_beats(self) -> Tensor:
        """Frames at which the body slows down."""
        if len(self.positions) < 2:
            return torch.zeros(0)
        return motion_beats(self.positions, self.rate)

    @property
    def tempo(self) -> float | None:
        """Median number of beats per minute; None if no beat was found."""
        return 60 * self.rate / float(self.beats.diff().median()) if len(self.beats) > 1 else None

    @property
    def alignment(self) -> float | None:
        """`monge.dance.metrics.beat_alignment`; None if the music has no beat."""
        return beat_alignment(self.beats, self.motion_beats) if len(self.beats) else None

    def first(self, seconds: float) -> Performance:
        """Return the first ``seconds`` of the dance."""
        frames = max(1, round(seconds * self.rate))
        if frames >= len(self.positions):
            return self
        return replace(
            self, positions=self.positions[:frames], beats=self.beats[self.beats < frames], cut=True
        )

    def save(self, path: str | Path, *, seconds: float | None = None) -> Path:
        """Write the dance in the format of the file's suffix and return the file written.

        Warns if the file differs from the requested one, see `write`.
        """
        file, notes = write(self, path, seconds=seconds)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return file

    def summary(self) -> str:
        """Return the length, the tempo and the beat alignment in words.

        >>> from monge.dance.motion import MELODY, rest
        >>> still = rest(MELODY).expand(50, 23, 3)
        >>> Performance(Path("song.mp3"), still, MELODY, torch.zeros(0)).summary()
        '2.0 s of dance, no beat found'
        """
        tempo = "no beat found" if self.tempo is None else f"tempo {self.tempo:.1f} bpm"
        words = [f"{self.seconds:.1f} s of dance", tempo]
        if self.alignment is not None:
            retimed = " (retimed)" if self.retimed else ""
            words.append(f"beat alignment {self.alignment:.2f}{retimed}")
        return ", ".join(words)


def perform(
    dancer: Dancer,
    song: str | Path,
    *,
    seed: int = 0,
    style: int | None = None,
    retime: bool = True,
    seconds: float | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Performance:
    """Generate a dance to a song in a file: wav, flac, mp3 or ogg of any length and rate.

    Raises MongeError if the song cannot be read, soundfile is not installed, a number is out of
    range, or the dance has an unknown skeleton or values that are not finite.

    Parameters
    ----------
    dancer : Dancer
        From `Dancer.load`.
    song : path
        A file with any number of channels.
    seed : int
        Seed of the noise and the styles; equal arguments give equal dances.
    style : int, optional
        The number of one style for the whole dance; see `Dancer.dance`.
    retime : bool
        Move the dance onto the beat, if there is one.
    seconds : float, optional
        Dance to the beginning of the song only.
    on_step : callable, optional
        Called before each step with a text that describes it.

    Returns
    -------
    Performance
        Its ``notes`` name what is unusual about the song.

    Examples
    --------
    >>> perform(Dancer.load("runs/mdot-dance-melody"), "song.mp3", seed=3).tempo  # doctest: +SKIP
    120.1
    """
    for name, value in (("seed", seed), ("style", style)):
        if value is not None and value < 0:
            raise MongeError(f"{name} must be at least 0, got {value}")
    if seconds is not None and not 1 / RATE <= seconds < float("inf"):
        raise MongeError(f"seconds must be at least {1 / RATE:g}, got {seconds:g}")
    report = on_step or (lambda _: None)
    report(f"reading {song}")
    samples = audio.read(song)
    kept = samples if seconds is None else samples[: max(round(seconds * audio.RATE), 1)]
    silent = audio.is_silent(kept)
    music = audio.sound_features(kept, RATE)[: max(1, ceil(len(kept) * RATE / audio.RATE))]
    beats = audio.beats_of(music)
    report(f"dancing to {len(music) / RATE:.0f} s of music")
    with torch.no_grad():
        positions = dancer.dance(music, seed=seed, style=style).float().cpu()
    skeleton = _skeleton(positions, len(music))
    notes = _notes(silent, beats, len(music))
    cut = len(kept) < len(samples)
    dance = Performance(Path(song), positions, skeleton, beats, cut=cut, notes=notes)
    if not retime or len(beats) < 2:
        return dance
    retimed = beat_warp(positions, dance.motion_beats, beats, skeleton)
    return replace(dance, positions=retimed, retimed=True)


def write(
    performance: Performance,
    path: str | Path,
    *,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> tuple[Path, list[str]]:
    """Write a dance in the format of the file's suffix, one of `FORMATS`.

    Returns the file written and notes on it. A video needs ffmpeg; without ffmpeg, a page is
    written beside the requested path, and a note says so. A GIF holds the first 20 seconds unless
    ``seconds`` sets another length. Pages and videos have the song's sound.

    Raises MongeError for another suffix, and with ffmpeg's message if it fails.
    """
    path, notes = Path(path), []
    check_name(path)
    kind = path.suffix.lower()
    if kind == ".mp4" and find_ffmpeg() is None:
        path, kind = path.with_suffix(".html"), ".html"
        notes.append(f".mp4 needs ffmpeg, which is not installed: wrote {path} instead")
    if kind == ".gif" and performance.seconds > (limit := seconds or GIF_SECONDS):
        performance = performance.first(limit)
        notes.append(f"{path} shows the first {limit:g} s: set `seconds` for more")
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == ".bvh":
        write_bvh(path, performance.positions, performance.skeleton, performance.rate)
    elif kind == ".glb":
        write_glb(path, performance.positions, performance.skeleton, performance.rate)
    elif kind == ".html":
        write_atomically(path, _page(performance).encode())
    else:
        size, rate = (_GIF, GIF_RATE) if kind == ".gif" else (_VIDEO, performance.rate)
        progress = progress or (lambda pictures, _, __: pictures)
        frames = _frames(performance, path, size, rate, progress)
        if kind == ".gif":
            write_atomically(path, to_gif(frames))
        else:
            write_video(path, frames, size, rate, performance.song, performance.seconds)
    return path, notes


def check_name(path: Path) -> None:
    """Raise MongeError for a file that `write` cannot write.

    >>> check_name(Path("dance.mp5"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    monge.errors.MongeError: a dance is written as .html, ... got 'dance.mp5'; did you mean '.mp4'?
    """
    if path.suffix.lower() not in FORMATS:
        hint = nearest(path.suffix, FORMATS) if path.suffix else ""
        meant = hint if "mean" in hint else ""
        raise MongeError(
            f"a dance is written as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got '{path}'{meant}"
        )
    if path.is_dir():
        raise MongeError(f"'{path}' is a folder: pass the name of a file")


def _skeleton(positions: Tensor, frames: int) -> Skeleton:
    for skeleton in SKELETONS.values():
        if tuple(positions.shape) == (frames, skeleton.size, 3):
            if not positions.isfinite().all():
                raise MongeError(
                    "the dance is not finite: its training diverged, train it again with "
                    "`fresh=True`"
                )
            return skeleton
    known = ", ".join(f"{skeleton.name} ({skeleton.size})" for skeleton in SKELETONS.values())
    raise MongeError(
        f"the dance has shape {tuple(positions.shape)}, expected ({frames}, joints, 3) of a known "
        f"skeleton: {known}"
    )


def _notes(silent: bool, beats: Tensor, frames: int) -> tuple[str, ...]:
    notes = ["the song is silent"] if silent else []
    if len(beats) < 2:
        notes.append("no beat was found: the dance keeps none")
    if frames < FRAMES:
        notes.append(
            f"the song is shorter than the {FRAMES / RATE:.1f} s of the training windows: the "
            "dance may be poor"
        )
    return tuple(notes)


def _page(performance: Performance) -> str:
    return player_page(
        performance.positions,
        performance.skeleton,
        performance.rate,
        title=performance.song.stem,
        note=performance.summary(),
        audio=embedded(performance.song, performance.seconds if performance.cut else None),
        **_beats(performance),
    )


def _frames(
    performance: Performance, path: Path, size: tuple[int, int], rate: float, progress: Progress
) -> Iterable[Picture]:
    width, height = size
    pictures = dance_frames(
        performance.positions,
        performance.skeleton,
        performance.rate,
        width=width,
        height=height,
        fps=rate,
        **_beats(performance),
    )
    return progress(pictures, ceil(performance.seconds * rate), path.name)


def _beats(performance: Performance) -> dict[str, Any]:
    return {"beats": performance.beats, "motion_beats": performance.motion_beats}
