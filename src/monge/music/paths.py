"""Write the piano rolls between two others as sound, MIDI or a plot."""

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
    """Read the first ``frames`` frames of a MIDI file after its initial silence, (4, 89, frames).

    A shorter file is followed by silence.
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
    """Write the interpolations of two piano rolls (4, 89, frames) and their cross-fade.

    A plot shows all modes and the cross-fade. Sound and MIDI have a file for each mode and one for
    the cross-fade, with the n windows one after another. Returns the files.
    """
    from .rolls import most_likely

    decoded = {mode: most_likely(between.interpolate(a, b, n, mode)) for mode in modes}
    ends = most_likely(a[None]), most_likely(b[None])
    if out.suffix == ".png":
        out.write_bytes(_plot(decoded, ends, n, rate))
        return [out]
    files = [out if len(modes) == 1 else _named(out, mode) for mode in decoded]
    for file, piano_rolls in zip(files, decoded.values(), strict=True):
        _write_rolls(piano_rolls, rate, file)
    crossfade = _named(out, "crossfade")
    if out.suffix == ".mid":
        _write_rolls(_crossfade(*ends, n), rate, crossfade)
    else:
        _write_mix(*ends, n, rate, crossfade)
    return [*files, crossfade]


def _named(out: Path, part: str) -> Path:
    return out.with_name(f"{out.stem}-{part}{out.suffix}")


def _positions(n: int) -> list[float]:
    return [k / (n - 1) for k in range(n)]


def _write_rolls(piano_rolls: Tensor, rate: float, path: Path) -> None:
    """Write piano rolls (n, 4, frames), one after another, as MIDI or sound."""
    song = piano_rolls.transpose(1, 2).flatten(0, 1).numpy()
    if path.suffix == ".mid":
        from .midi import write_midi

        write_midi(song, path, rate)
        return
    from .chip import render, write_wav

    write_wav(path, render(song, rate))


def _write_mix(a: Tensor, b: Tensor, n: int, rate: float, path: Path) -> None:
    """Write two piano rolls (1, 4, frames) played at once n times, one fading into the other."""
    import numpy as np

    from .chip import render, write_wav

    first, last = (render(piano_roll[0].T.numpy(), rate) for piano_roll in (a, b))
    write_wav(path, np.concatenate([(1 - t) * first + t * last for t in _positions(n)]))


def _crossfade(a: Tensor, b: Tensor, n: int) -> Tensor:
    """Return the cross-fade (n, 4, frames) of two piano rolls (1, 4, frames).

    Without loudness, each cell is a random choice between the two.
    """
    import torch

    from .metrics import coin_fade

    return torch.cat([coin_fade(a, b, seed, t) for seed, t in enumerate(_positions(n))])


def _plot(decoded: dict[Mode, Tensor], ends: tuple[Tensor, Tensor], n: int, rate: float) -> bytes:
    """Plot a row of n piano rolls between the ends for each mode, and one for the cross-fade."""
    import torch

    from monge import plots

    from .plots import plot_piano_rolls

    rows, titles = [], []
    for name, piano_rolls in [*decoded.items(), ("crossfade", _crossfade(*ends, n))]:
        rows += [ends[0], piano_rolls, ends[1]]
        titles += ["A", *(f"{name}, {t:.3g}" for t in _positions(n)), "B"]
    return plots.to_png(plot_piano_rolls(torch.cat(rows).numpy(), rate, titles, columns=n + 2))
