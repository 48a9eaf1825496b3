"""Files of piano rolls between two others: heard, as MIDI, or as piano rolls."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from monge.interpolate import Interpolator, Mode

SUFFIXES = (".wav", ".mid", ".png")
MIDI = (".mid", ".midi")


def window(path: Path, frames: int, rate: float) -> Any:
    """The first ``frames`` frames of a MIDI file from where it begins to sound, (4, 89, frames);
    silence after its end.
    """
    import numpy as np
    import torch

    from .midi import read_midi
    from .rolls import one_hot

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        song = read_midi(path, rate)
    for warning in caught:
        print(f"note: {warning.message}")
    begin = int(np.flatnonzero(song.any(1))[0])
    part = song[begin : begin + frames]
    padded = np.pad(part, ((0, frames - len(part)), (0, 0)))
    return one_hot(torch.from_numpy(padded)[None])[0]


def write(
    between: Interpolator,
    a: Tensor,
    b: Tensor,
    modes: Sequence[Mode],
    n: int,
    rate: float,
    out: Path,
) -> list[Path]:
    """Write what lies between two piano rolls (4, 89, frames), and their cross-fade beside it;
    returns the files.

    A piano roll holds all modes and the cross-fade. Sounds and MIDI are files of their own, the n
    windows one after another.
    """
    from .rolls import most_likely

    decoded = {mode: most_likely(between.interpolate(a, b, n, mode)) for mode in modes}
    ends = most_likely(a[None]), most_likely(b[None])
    if out.suffix == ".png":
        out.write_bytes(_rolls(decoded, ends, n, rate))
        return [out]
    files = [out if len(modes) == 1 else _named(out, mode) for mode in decoded]
    for file, piano_rolls in zip(files, decoded.values(), strict=True):
        _play(piano_rolls, rate, file)
    crossfade = _named(out, "crossfade")
    if out.suffix == ".mid":
        _play(_faded(*ends, n), rate, crossfade)
    else:
        _mix(*ends, n, rate, crossfade)
    return [*files, crossfade]


def _named(out: Path, part: str) -> Path:
    return out.with_name(f"{out.stem}-{part}{out.suffix}")


def _positions(n: int) -> list[float]:
    return [k / (n - 1) for k in range(n)]


def _play(piano_rolls: Tensor, rate: float, path: Path) -> None:
    """One piano roll (n, 4, frames) after another."""
    song = piano_rolls.transpose(1, 2).flatten(0, 1).numpy()
    if path.suffix == ".mid":
        from .midi import write_midi

        write_midi(song, path, rate)
        return
    from .chip import render, write_wav

    write_wav(path, render(song, rate))


def _mix(a: Tensor, b: Tensor, n: int, rate: float, path: Path) -> None:
    """Both piano rolls (1, 4, frames) played at once, n times, while the one gives way to the
    other.
    """
    import numpy as np

    from .chip import render, write_wav

    first, last = (render(piano_roll[0].T.numpy(), rate) for piano_roll in (a, b))
    write_wav(path, np.concatenate([(1 - t) * first + t * last for t in _positions(n)]))


def _faded(a: Tensor, b: Tensor, n: int) -> Tensor:
    """Cross-fade of two piano rolls (1, 4, frames) without loudness: every cell is that of one or
    the other, by chance.
    """
    import torch

    from .metrics import coin_fade

    return torch.cat([coin_fade(a, b, seed, t) for seed, t in enumerate(_positions(n))])


def _rolls(decoded: dict[Mode, Tensor], ends: tuple[Tensor, Tensor], n: int, rate: float) -> bytes:
    import torch

    from monge import plots

    from .plots import plot_piano_rolls

    rows = [*decoded.items(), ("crossfade", _faded(*ends, n))]
    shown = torch.cat([torch.cat([ends[0], piano_rolls, ends[1]]) for _, piano_rolls in rows])
    titles = [
        title
        for name, _ in rows
        for title in ("A", *(f"{name}, {t:.3g}" for t in _positions(n)), "B")
    ]
    return plots.to_png(plot_piano_rolls(shown.numpy(), rate, titles, columns=n + 2))
