"""The sound embedded in a page: the song's file if browsers play it, otherwise encoded again."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType
from typing import Any

_PLAYED = {
    "WAV": ("audio/wav", ("PCM_16", "PCM_24", "PCM_U8", "FLOAT")),
    "FLAC": ("audio/flac", ("PCM_16", "PCM_24", "PCM_S8")),
    "MP3": ("audio/mpeg", ("MPEG_LAYER_III",)),
    "OGG": ("audio/ogg", ("VORBIS", "OPUS")),
}
_LARGE = 20 * 2**20  # bytes of losslessly encoded sound
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_BLOCK = 1 << 16  # frames in a block: the Vorbis encoder fails on long blocks


def embedded(song: Path, seconds: float | None = None) -> tuple[str, bytes]:
    """Return the media type and the content of a song, or of its first ``seconds``.

    Formats that browsers do not play, large lossless files, and beginnings are encoded as mp3, or
    as Ogg Vorbis at rates that mp3 does not support.
    """
    import soundfile  # `monge.dance.audio.read` raises a MongeError where it is missing

    info = soundfile.info(str(song))
    kind, encodings = _PLAYED.get(info.format, ("", ()))
    small = kind in ("audio/mpeg", "audio/ogg") or song.stat().st_size <= _LARGE
    if seconds is None and info.subtype in encodings and info.channels <= 2 and small:
        return kind, song.read_bytes()
    return _encoded(soundfile, song, info, seconds)


def _encoded(
    soundfile: ModuleType, song: Path, info: Any, seconds: float | None
) -> tuple[str, bytes]:
    mp3 = info.samplerate in _MP3_RATES and "MP3" in soundfile.available_formats()
    form, kind = ("MP3", "audio/mpeg") if mp3 else ("OGG", "audio/ogg")
    channels = min(info.channels, 2)
    frames = info.frames if seconds is None else round(seconds * info.samplerate)
    frames = min(frames, info.frames)
    buffer = io.BytesIO()
    with (
        soundfile.SoundFile(buffer, "w", info.samplerate, channels, format=form) as out,
        soundfile.SoundFile(str(song)) as file,
    ):
        for block in file.blocks(_BLOCK, frames=frames, dtype="float32", always_2d=True):
            out.write(block if info.channels <= 2 else block.mean(1, keepdims=True).repeat(2, 1))
    return kind, buffer.getvalue()
