"""Read songs from files as mono samples at one rate.

The formats are those of libsndfile, among them wav, flac, mp3 and ogg.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly
from torch import Tensor

from monge.errors import MongeError

from .spectral import RATE, WINDOW

_BLOCK = 1 << 20  # samples read at once
_SILENT = 1e-4  # 80 dB below full scale
_FORMATS = "wav, flac, mp3 or ogg"


def read(path: str | Path, rate: int = RATE) -> Tensor:
    """Read samples (n,) of a song, float32: the mean of its channels at ``rate`` Hz.

    The song is resampled by a windowed-sinc polyphase filter.

    Raises MongeError if soundfile is not installed, and for a file that is missing, unreadable,
    empty, shorter than a tenth of a second, or holds values that are not finite. A silent song is
    valid; `is_silent` detects it.

    >>> read("no such song.mp3")
    Traceback (most recent call last):
        ...
    monge.errors.MongeError: song 'no such song.mp3' does not exist: check the path
    """
    if rate < 1:
        raise MongeError(f"rate must be at least 1 Hz, got {rate}: leave it out for {RATE}")
    samples, own = _decode(Path(path))
    if not np.isfinite(samples).all():
        raise MongeError(
            f"song '{path}' holds samples that are not finite: export it again as {_FORMATS}"
        )
    if len(samples) * RATE < WINDOW * own:
        raise MongeError(
            f"song '{path}' has {len(samples)} samples at {own} Hz, {len(samples) / own:.3f} "
            f"seconds: choose one of at least {WINDOW / RATE:.3f} seconds"
        )
    common = math.gcd(rate, own)
    if rate != own:
        samples = resample_poly(samples, rate // common, own // common)
    return torch.from_numpy(np.ascontiguousarray(samples, np.float32))


def is_silent(x: Tensor) -> bool:
    """Return True if all samples (n,) are at least 80 dB below full scale.

    >>> is_silent(torch.zeros(100)), is_silent(torch.ones(100))
    (True, False)
    """
    return not bool((x.abs() > _SILENT).any())


def _decode(path: Path) -> tuple[NDArray[np.float32], int]:
    """Return the mean of a file's channels, and its rate.

    The file is read in blocks, so that an hour of stereo need not fit in memory twice.
    """
    if path.is_dir():
        raise MongeError(f"song '{path}' is a folder: choose one file in it")
    if not path.exists():
        raise MongeError(f"song '{path}' does not exist: check the path")
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(str(path)) as file:
            stereo = file.blocks(_BLOCK, dtype="float32", always_2d=True)
            blocks = [block.mean(1) for block in stereo]
            rate = int(file.samplerate)
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
        raise MongeError(
            f"song '{path}' cannot be read ({str(error).rstrip('.')}): choose {_FORMATS}; convert "
            "a video or another format with: ffmpeg -i FILE song.wav"
        ) from error
    if not blocks or not sum(map(len, blocks)):
        raise MongeError(f"song '{path}' holds no samples: choose {_FORMATS} with sound in it")
    return np.concatenate(blocks), rate


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the system has no libsndfile
        raise MongeError(
            f'reading songs needs soundfile ({error}): pip install "monge[audio]"'
        ) from error
    return soundfile
