"""Dances to songs: a file of music in, a dance out, as a page that plays it, a picture that moves,
or motion for other programs.

The dance is made by a trained generator, see `Dancer`. It is then retimed, within bounds, so that
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
GIF_SECONDS = 20.0  # of a GIF, where nobody says how long

_VIDEO, _GIF = (640, 720), (320, 360)  # pixels

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Wraps pictures while they are drawn, told their number and what for, as ``tqdm`` does."""


@dataclass(frozen=True)
class Performance:
    """A dance to a song: ``positions`` (T, J, 3) in meters, frames at ``rate`` Hz, and the music's
    ``beats`` in frames.

    ``retimed`` tells whether the dance was moved onto the beat, ``cut`` whether it is only the
    beginning of the song.
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
        return (
            motion_beats(self.positions, self.rate) if len(self.positions) > 1 else torch.zeros(0)
        )

    @property
    def tempo(self) -> float | None:
        """Beats a minute, the median; None where no beat was found."""
        return 60 * self.rate / float(self.beats.diff().median()) if len(self.beats) > 1 else None

    @property
    def alignment(self) -> float | None:
        """`monge.dance.metrics.beat_alignment`; None where the music has no beat."""
        return beat_alignment(self.beats, self.motion_beats) if len(self.beats) else None

    def first(self, seconds: float) -> Performance:
        """The beginning."""
        frames = max(1, round(seconds * self.rate))
        if frames >= len(self.positions):
            return self
        return replace(
            self, positions=self.positions[:frames], beats=self.beats[self.beats < frames], cut=True
        )

    def save(self, path: str | Path, *, seconds: float | None = None) -> Path:
        """Write the dance as the file's ending says; warns where that took a compromise.

        Returns the file that was written, see `write`.
        """
        file, notes = write(self, path, seconds=seconds)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return file

    def summary(self) -> str:
        """Seconds, tempo and beat alignment in words.

        >>> from monge.dance.motion import MELODY, rest
        >>> Performance(Path("song.mp3"), rest(MELODY).expand(50, 23, 3), MELODY, torch.zeros(0)).summary()
        '2.0 s of dance, no beat found'
        """
        words = [
            f"{self.seconds:.1f} s of dance",
            "no beat found" if self.tempo is None else f"tempo {self.tempo:.1f} bpm",
        ]
        if self.alignment is not None:
            words.append(
                f"beat alignment {self.alignment:.2f}{' (retimed)' if self.retimed else ''}"
            )
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
    """Dance to a song in a file: wav, flac, mp3 or ogg of any length, rate and number of channels.

    Raises MongeError for a song that cannot be read, no soundfile, numbers out of range, a dance of
    no known skeleton or with NaN.

    Parameters
    ----------
    dancer : Dancer
        From `Dancer.load`.
    song : path
    seed : int
        Another seed, another dance; equal arguments give equal dances.
    style : int, optional
        Keep to one way of moving; see the method.
    retime : bool
        Move the dance onto the beat, where there is one.
    seconds : float, optional
        Dance to the beginning of the song only.
    on_step : callable, optional
        Told in words what is done next.

    Returns
    -------
    Performance
        ``notes`` say what was unusual about the song.

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
    tell = on_step or (lambda _: None)
    tell(f"reading {song}")
    samples = audio.read(song)
    kept = samples if seconds is None else samples[: max(round(seconds * audio.RATE), 1)]
    silent = audio.is_silent(kept)
    music = audio.sound_features(kept, RATE)[: max(1, ceil(len(kept) * RATE / audio.RATE))]
    beats = audio.beats_of(music)
    tell(f"dancing to {len(music) / RATE:.0f} s of music")
    with torch.no_grad():
        positions = dancer.dance(music, seed=seed, style=style).float().cpu()
    skeleton = _skeleton(positions, len(music))
    notes = _notes(silent, beats, len(music))
    made = Performance(
        Path(song), positions, skeleton, beats, cut=len(kept) < len(samples), notes=notes
    )
    if not retime or len(beats) < 2:
        return made
    return replace(
        made, positions=beat_warp(positions, made.motion_beats, beats, skeleton), retimed=True
    )


def write(
    made: Performance,
    path: str | Path,
    *,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> tuple[Path, list[str]]:
    """Write a dance as what the file's name says, one of `FORMATS`; returns the file written and
    notes on it.

    A video needs ffmpeg. Where there is none, a page is written beside the path that was asked for,
    and the note says so. A GIF holds the first 20 seconds unless ``seconds`` names another length;
    pages and videos have the song's sound.

    MongeError for other names, and what ffmpeg complains of.
    """
    path, notes = Path(path), []
    check_name(path)
    kind = path.suffix.lower()
    if kind == ".mp4" and find_ffmpeg() is None:
        path, kind = path.with_suffix(".html"), ".html"
        notes.append(f"there is no ffmpeg, which .mp4 needs: wrote {path} instead")
    if kind == ".gif" and made.seconds > (limit := seconds or GIF_SECONDS):
        made = made.first(limit)
        notes.append(f"{path} shows the first {limit:g} s: --seconds asks for more")
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == ".bvh":
        write_bvh(path, made.positions, made.skeleton, made.rate)
    elif kind == ".glb":
        write_glb(path, made.positions, made.skeleton, made.rate)
    elif kind == ".html":
        write_atomically(path, _page(made).encode())
    else:
        size, rate = (_GIF, GIF_RATE) if kind == ".gif" else (_VIDEO, made.rate)
        frames = _frames(made, path, size, rate, progress or (lambda pictures, _, __: pictures))
        if kind == ".gif":
            write_atomically(path, to_gif(frames))
        else:
            write_video(path, frames, size, rate, made.song, made.seconds)
    return path, notes


def check_name(path: Path) -> None:
    """Refuse a file that `write` cannot write.

    >>> check_name(Path("dance.mp5"))
    Traceback (most recent call last):
        ...
    monge.errors.MongeError: a dance is written as .html, .gif, .mp4, .bvh or .glb, got 'dance.mp5'; did you mean '.mp4'?
    """
    if path.suffix.lower() not in FORMATS:
        hint = nearest(path.suffix, FORMATS) if path.suffix else ""
        meant = hint if "mean" in hint else ""
        raise MongeError(
            f"a dance is written as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got '{path}'{meant}"
        )
    if path.is_dir():
        raise MongeError(f"'{path}' is a folder: give the name of a file")


def _skeleton(positions: Tensor, frames: int) -> Skeleton:
    for skeleton in SKELETONS.values():
        if tuple(positions.shape) == (frames, skeleton.size, 3):
            if not positions.isfinite().all():
                raise MongeError(
                    "the dance is not finite: the run has gone wrong, train it again with --fresh"
                )
            return skeleton
    known = ", ".join(f"{skeleton.name} ({skeleton.size})" for skeleton in SKELETONS.values())
    raise MongeError(
        f"the dance has shape {tuple(positions.shape)}, expected ({frames}, joints, 3) of a known "
        f"skeleton: {known}"
    )


def _notes(silent: bool, beats: Tensor, frames: int) -> tuple[str, ...]:
    found = ["the song is silent"] if silent else []
    if len(beats) < 2:
        found.append("no beat was found: the dance keeps none")
    if frames < FRAMES:
        found.append(
            f"the song is shorter than the {FRAMES / RATE:.1f} s of what was learnt from: expect "
            "little of the dance"
        )
    return tuple(found)


def _page(made: Performance) -> str:
    sound = embedded(made.song, made.seconds if made.cut else None)
    words: dict[str, Any] = {"title": made.song.stem, "note": made.summary()}
    return player_page(
        made.positions, made.skeleton, made.rate, audio=sound, **words, **_beats(made)
    )


def _frames(
    made: Performance, path: Path, size: tuple[int, int], rate: float, progress: Progress
) -> Iterable[Picture]:
    width, height = size
    drawn = dance_frames(
        made.positions,
        made.skeleton,
        made.rate,
        width=width,
        height=height,
        fps=rate,
        **_beats(made),
    )
    return progress(drawn, ceil(made.seconds * rate), path.name)


def _beats(made: Performance) -> dict[str, Any]:
    return {"beats": made.beats, "motion_beats": made.motion_beats}
