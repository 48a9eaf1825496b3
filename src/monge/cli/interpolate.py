"""`monge interpolate RUN --from A --to B -o grid.png`: interpolations of an autoencoder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from monge.errors import MongeError
from monge.music import paths as _music

from ._inputs import PICTURES, numbered_sample, read_picture

if TYPE_CHECKING:
    from torch import Tensor

    from monge.data import Dataset
    from monge.interpolate import Interpolator, Mode

_MODES: tuple[Mode, ...] = ("linear", "slerp", "transport")
_SIZE = 64  # approximate size in pixels of a picture in the grid
_EXAMPLE = "'12' for a held-out sample, 'train:12' for a training sample, or a file"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge interpolate", description="Interpolate between two samples by an autoencoder."
    )
    parser.add_argument(
        "run",
        help="run folder of a method with an autoencoder: acai, rae, wae, wwae or sinkhorn_wae",
    )
    parser.add_argument("--from", dest="start", metavar="A", help=f"first sample: {_EXAMPLE}")
    parser.add_argument("--to", dest="end", metavar="B", help="last sample, in the same form")
    parser.add_argument(
        "--pairs", type=int, metavar="K", help="instead of --from and --to: K random held-out pairs"
    )
    parser.add_argument(
        "--n", type=int, default=9, help="decoded samples on a path, both ends included (9)"
    )
    parser.add_argument(
        "--mode", choices=(*_MODES, "all"), default="linear", help="path between the codes (linear)"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=0,
        help="training steps of the map for transport; 0: Gaussian codes (0)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the pairs and of the map (0)")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        help="grid.png with one path per row; for piano rolls also .wav or .mid",
    )
    args = parser.parse_args(argv)
    _check(args)
    from monge.interpolate import Interpolator, training_codes
    from monge.methods.protocols import Autoencoding
    from monge.training import RunFolder, load_run

    method, dataset = load_run(RunFolder(args.run))
    if not isinstance(method, Autoencoding):
        raise MongeError(
            f"the method of '{args.run}' has no autoencoder: train acai, rae, wae, wwae or "
            "sinkhorn_wae"
        )
    if len(dataset.shape) != 3:
        raise MongeError(
            f"'{args.run}' was trained on points of shape {dataset.shape}: see "
            "monge.interpolate.Interpolator"
        )
    rate = _rate(dataset)
    if rate is None and args.out.suffix != ".png":
        raise MongeError(
            f"--out must end in .png for data '{dataset.name}', which are pictures, got "
            f"'{args.out}'"
        )
    if args.pairs:
        pairs = _random_pairs(dataset, args.pairs, args.seed)
    else:
        pairs = [(_read_sample(args.start, dataset), _read_sample(args.end, dataset))]
    modes: tuple[Mode, ...] = _MODES if args.mode == "all" else (args.mode,)
    learned = args.steps > 0 and "transport" in modes
    codes = training_codes(method, dataset) if learned else None
    steps = args.steps if learned else 0
    interpolator = Interpolator(method, codes, steps=steps, seed=args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    files: list[Path] = [args.out]
    if rate is None:
        args.out.write_bytes(_grid(interpolator, pairs, modes, args.n))
    else:
        if args.pairs:
            names = [f"{args.out.stem}-{k}{args.out.suffix}" for k in range(1, len(pairs) + 1)]
            files = [args.out.with_name(name) for name in names]
        written: list[Path] = []
        for (a, b), out in zip(pairs, files, strict=True):
            written += _music.write(interpolator, a, b, modes, args.n, rate, out)
        files = written
    print(*files, sep="\n")
    print(
        f"{len(pairs)} pair{'s' * (len(pairs) > 1)}, {args.n} samples on each path: "
        f"{', '.join(modes)}"
    )
    return 0


def _check(args: argparse.Namespace) -> None:
    """Check the arguments that can be checked without loading the run."""
    if args.pairs is None and None in (args.start, args.end):
        raise MongeError(f"give --from and --to ({_EXAMPLE}), or --pairs")
    if args.pairs is not None and (args.start or args.end):
        raise MongeError(
            "--pairs chooses held-out samples at random: leave out --from and --to, or --pairs"
        )
    for name, least in (("pairs", 1), ("n", 2), ("steps", 0), ("seed", 0)):
        if (value := getattr(args, name)) is not None and value < least:
            raise MongeError(f"--{name} must be at least {least}, got {value}")
    if args.out.suffix not in _music.SUFFIXES:
        raise MongeError(
            f"--out must end in .png, or for piano rolls .wav or .mid, got '{args.out}'"
        )


def _rate(dataset: Dataset) -> float | None:
    """Return the frames per second of music; None for other data."""
    from monge.data import kind_of
    from monge.music.kind import PianoRoll

    kind = kind_of(dataset)
    return kind.rate if isinstance(kind, PianoRoll) else None


def _random_pairs(dataset: Dataset, n: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    x = dataset.held_out(2 * n, seed)
    if len(x) < 2 * n:
        raise MongeError(
            f"--pairs {n} needs {2 * n} held-out samples, data '{dataset.name}' has {len(x)}: at "
            f"most {len(x) // 2}"
        )
    return list(zip(x[:n], x[n:], strict=True))


def _read_sample(text: str, dataset: Dataset) -> Tensor:
    """Return the sample that ``text`` names by number, or read it from a file."""
    if (sample := numbered_sample(text, dataset)) is not None:
        return sample
    path = Path(text)
    if not path.is_file():
        raise MongeError(f"'{text}' is neither a sample nor a file: give {_EXAMPLE}")
    rate = _rate(dataset)
    suffixes, kind = (PICTURES, "picture") if rate is None else (_music.MIDI, "MIDI file")
    if path.suffix.lower() not in suffixes:
        raise MongeError(
            f"'{text}' is not a {kind} ({', '.join(suffixes)}), which data '{dataset.name}' need"
        )
    if rate is None:
        return read_picture(path, dataset.shape)[0]
    return _music.window(path, dataset.shape[2], rate)


def _grid(
    interpolator: Interpolator, pairs: list[tuple[Tensor, Tensor]], modes: tuple[Mode, ...], n: int
) -> bytes:
    """Return a PNG with one row for each pair and mode, between the two samples themselves."""
    import torch

    from monge import plots

    rows = [
        torch.cat([a[None], interpolator.interpolate(a, b, n, mode), b[None]])
        for a, b in pairs
        for mode in modes
    ]
    return plots.grid_png(torch.cat(rows), columns=n + 2, size=_SIZE)
