"""Convert MIDI files to piano rolls of four voices and back, with symusic.

Reading maps drums (channel 10) to the noise voice, and all other tracks to P1, P2 and TR. Up to
three melodic tracks that play one note at a time become a voice each: three in the order of their
pitch, the highest first, two as P1 and P2. More tracks, or chords, are reduced frame by frame: the
highest note goes to P1, the next one to P2, the lowest to TR, and other notes are left out; a
warning says how many. Drums have the noise types 1…16 in the order of their keys from 35 on; the
last of several drums struck in one frame is kept. Writing is the inverse: a written piano roll is
read unchanged.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.data.datasets import FiniteDataset
from monge.errors import MongeError

from .nesmdb import from_songs
from .rolls import LOWEST, NOISES, RATE, VOICES, Song, runs, to_classes

SUFFIXES = (".mid", ".midi")
_TICKS = 480  # per quarter note
_TICKS_PER_FRAME = 40
_FIRST_DRUM = 35  # key of noise type 1, the acoustic bass drum
_PROGRAMS = (80, 80, 38, 0)  # square leads, a synthetic bass, drums
_LONGEST = 3600  # seconds

Notes = NDArray[np.float64]  # (n, 3): start and end in seconds, pitch


def read_midi(path: str | Path, rate: float = RATE) -> Song:
    """Read the song of a MIDI file, uint8 classes (frames, 4) at ``rate`` frames per second.

    A note sounds from the frame nearest to its start to the frame nearest to its end, at least for
    one frame. Repeated notes without a frame between them become one. A `UserWarning` says how a
    file with more than three melodic voices was reduced. MongeError if the file is missing or
    corrupt, has no notes, or is longer than an hour, and if symusic is not installed.
    """
    if rate <= 0:
        raise MongeError(f"rate must be positive, got {rate} frames per second")
    path = Path(path)
    tracks = _tracks(path)
    melodic = [(name, notes) for name, drum, notes in tracks if not drum and len(notes)]
    drums = [notes for _, drum, notes in tracks if drum and len(notes)]
    if not melodic and not drums:
        raise MongeError(f"'{path}' is a MIDI file without notes: choose another")
    end = max(notes[:, 1].max() for notes in [*drums, *(notes for _, notes in melodic)])
    frames = round(end * rate) + 1
    if frames > _LONGEST * rate:
        raise MongeError(
            f"'{path}' lasts {frames / rate / 60:.0f} minutes: cut it to at most {_LONGEST // 60}"
        )
    piano_roll = np.zeros((frames, len(VOICES)), np.int64)
    for notes in drums:
        _write_notes(piano_roll[:, 3], notes, rate, offset=_FIRST_DRUM)
    _reduce(piano_roll, melodic, rate, path.name)
    length = int(np.flatnonzero(piano_roll.any(1))[-1]) + 1
    return to_classes(piano_roll[:length])


def write_midi(song: Song, path: str | Path, rate: float = RATE) -> None:
    """Write a song (frames, 4) as a MIDI file of four tracks, P1, P2, TR and drums for NO.

    Silence at the end is lost: a MIDI file ends with its last note.
    """
    symusic = _symusic()
    song = np.asarray(song)
    if song.ndim != 2 or song.shape[1] != len(VOICES):
        raise MongeError(f"song must be (frames, {len(VOICES)}), got {song.shape}")
    midi = symusic.Score(_TICKS)
    midi.tempos.append(symusic.Tempo(time=0, qpm=60 * rate * _TICKS_PER_FRAME / _TICKS))
    for voice, (name, program) in enumerate(zip(VOICES, _PROGRAMS, strict=True)):
        drum = name == "NO"
        track = symusic.Track(name=name, program=program, is_drum=drum)
        for start, end, key in runs(song[:, voice]):
            pitch = key + (_FIRST_DRUM if drum else LOWEST) - 1
            time, duration = start * _TICKS_PER_FRAME, (end - start) * _TICKS_PER_FRAME
            track.notes.append(symusic.Note(time=time, duration=duration, pitch=pitch, velocity=96))
        midi.tracks.append(track)
    midi.dump_midi(str(path))


def open_midi(path: Path, size: int | None = None) -> FiniteDataset | None:
    """Make a data set of a MIDI file, or of all files below a folder; None if there are none.

    A fifth of the songs, or the last fifth of a single song, is held out.
    """
    files = midi_files(path)
    return from_songs([read_midi(file) for file in files], path.stem, size=size) if files else None


def midi_files(path: Path) -> list[Path]:
    """List the MIDI files below a folder, or the file itself.

    >>> midi_files(Path("song.mid")), midi_files(Path("picture.png"))
    ([PosixPath('song.mid')], [])
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in files if file.suffix.lower() in SUFFIXES]


def _symusic() -> Any:
    try:
        return importlib.import_module("symusic")
    except ImportError as error:
        raise MongeError(
            "MIDI files are read and written by symusic: pip install monge[midi]"
        ) from error


def _tracks(path: Path) -> list[tuple[str, bool, Notes]]:
    """Read name, whether it is drums, and notes of each track."""
    symusic = _symusic()
    if not path.is_file():
        raise MongeError(f"no MIDI file '{path}'")
    try:
        midi = symusic.Score(str(path), ttype="second")
        tracks = [(track.name, track.is_drum, track.notes.numpy()) for track in midi.tracks]
    # symusic raises RuntimeError and ValueError, and UnicodeDecodeError for names of tracks
    except Exception as error:
        raise MongeError(f"'{path}' is not a readable MIDI file ({error})") from error
    return [(name, drum, _as_array(notes)) for name, drum, notes in tracks]


def _as_array(notes: dict[str, NDArray[Any]]) -> Notes:
    start, pitch = notes["time"], notes["pitch"]
    return np.stack([start, start + notes["duration"], pitch], 1).astype(float)


def _write_notes(
    voice: NDArray[np.int64], notes: Notes, rate: float, offset: int | None = None
) -> None:
    """Write notes into a voice, later ones over earlier ones; drums as noise types."""
    for start, end, pitch in notes[np.argsort(notes[:, 0], kind="stable")]:
        first, last = _frames(start, end, rate)
        voice[first:last] = pitch if offset is None else (int(pitch) - offset) % NOISES + 1


def _frames(start: float, end: float, rate: float) -> tuple[int, int]:
    first = round(start * rate)
    return first, max(first + 1, round(end * rate))


def _reduce(
    piano_roll: NDArray[np.int64], tracks: Sequence[tuple[str, Notes]], rate: float, name: str
) -> None:
    """Write the melodic tracks into P1, P2 and TR."""
    names = [name for name, _ in tracks]
    if sorted(names) == sorted(set(names) & set(VOICES[:3])):  # a file of `write_midi`
        for track, notes in tracks:
            _write_notes(piano_roll[:, VOICES.index(track)], notes, rate)
        return
    if len(tracks) <= 3 and all(_is_monophonic(notes, rate) for _, notes in tracks):
        melodies = [notes for _, notes in tracks]
        if len(melodies) == 3:
            melodies = sorted(melodies, key=lambda notes: -np.median(notes[:, 2]))
        for voice, notes in enumerate(melodies):
            _write_notes(piano_roll[:, voice], notes, rate)
        return
    roll = np.zeros((len(piano_roll), 128), bool)
    for _, notes in tracks:
        for start, end, pitch in notes:
            roll[slice(*_frames(start, end, rate)), int(pitch)] = True
    count = roll.sum(1)
    for frame in np.flatnonzero(count):
        pitches = np.flatnonzero(roll[frame])
        piano_roll[frame, 0] = pitches[-1]
        piano_roll[frame, 1] = pitches[-2] if len(pitches) > 2 else 0
        piano_roll[frame, 2] = pitches[0] if len(pitches) > 1 else 0
    kept = 100 * np.minimum(count, 3).sum() / count.sum()
    warnings.warn(
        f"'{name}' has {len(tracks)} melodic track{'s' * (len(tracks) > 1)} with up to "
        f"{count.max()} notes at once: the highest went to P1, the next to P2, the lowest to TR, "
        f"and {kept:.0f} % of what sounds was kept",
        stacklevel=3,
    )


def _is_monophonic(notes: Notes, rate: float) -> bool:
    """Return whether no two notes sound in one frame."""
    spans = sorted(_frames(start, end, rate) for start, end, _ in notes)
    return all(here[1] <= following[0] for here, following in pairwise(spans))
