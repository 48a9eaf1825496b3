"""`monge interpolate RUN --from A --to B -o grid.png`: what an autoencoder puts between two
samples.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from monge.errors import MongeError
from monge.music import paths as _music

from ._inputs import PICTURES, numbered, picture

if TYPE_CHECKING:
    from torch import Tensor

    from monge.data import Dataset
    from monge.interpolate import Interpolator, Mode
    from monge.methods.protocols import Autoencoding

_MODES: tuple[Mode, ...] = ("linear", "slerp", "transport")
_SIZE = 64  # pixels, about, of a picture in the grid
_CODES = 20_000  # training samples, at most, that the map of --steps is learned from
_EXAMPLE = "'12' for a held-out sample, 'train:12' for one of the training data, or a file"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge interpolate", description="Show what an autoencoder puts between two samples."
    )
    parser.add_argument(
        "run",
        help="run folder of a method with an autoencoder: acai, rae, wae, wwae or sinkhorn_wae",
    )
    parser.add_argument("--from", dest="start", metavar="A", help=f"where to begin: {_EXAMPLE}")
    parser.add_argument("--to", dest="end", metavar="B", help="where to end, likewise")
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
        help="grid.png, a path a row; of piano rolls also .wav or .mid",
    )
    args = parser.parse_args(argv)
    _check(args)
    from monge.interpolate import Interpolator
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
    pairs = (
        _random(dataset, args.pairs, args.seed)
        if args.pairs
        else [(_item(args.start, dataset), _item(args.end, dataset))]
    )
    modes: tuple[Mode, ...] = _MODES if args.mode == "all" else (args.mode,)
    learned = args.steps > 0 and "transport" in modes
    codes = _codes(method, dataset) if learned else None
    between = Interpolator(method, codes, steps=args.steps if learned else 0, seed=args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    files = [args.out]
    if rate is None:
        args.out.write_bytes(_grid(between, pairs, modes, args.n))
    else:
        if args.pairs:
            files = [
                args.out.with_name(f"{args.out.stem}-{k}{args.out.suffix}")
                for k in range(1, len(pairs) + 1)
            ]
        written = [
            _music.write(between, a, b, modes, args.n, rate, out)
            for (a, b), out in zip(pairs, files, strict=True)
        ]
        files = [file for some in written for file in some]
    print(*files, sep="\n")
    print(
        f"{len(pairs)} pair{'s' * (len(pairs) > 1)}, {args.n} samples on each path: "
        f"{', '.join(modes)}"
    )
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be refused before anything is loaded."""
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
    """Frames a second of music; None of other data."""
    from monge.data import kind_of
    from monge.music.kind import PianoRoll

    kind = kind_of(dataset)
    return kind.rate if isinstance(kind, PianoRoll) else None


def _codes(method: Autoencoding, dataset: Dataset) -> Tensor:
    """Codes of training samples, spread evenly over the data."""
    from monge.data import FiniteDataset
    from monge.training.codes import encoded_part

    if not isinstance(dataset, FiniteDataset):
        return method.autoencoder.encode_all(dataset.train(_CODES))
    every = -(-len(dataset.train_indices) // _CODES)
    return encoded_part(method.autoencoder, dataset, dataset.train_indices[::every])


def _random(dataset: Dataset, n: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    x = dataset.held_out(2 * n, seed)
    if len(x) < 2 * n:
        raise MongeError(
            f"--pairs {n} needs {2 * n} held-out samples, data '{dataset.name}' has {len(x)}: at "
            f"most {len(x) // 2}"
        )
    return list(zip(x[:n], x[n:], strict=True))


def _item(text: str, dataset: Dataset) -> Tensor:
    """The sample that ``text`` names: a number, or a file that is fitted to the data."""
    if (sample := numbered(text, dataset)) is not None:
        return sample
    path = Path(text)
    if not path.is_file():
        raise MongeError(f"'{text}' is neither a sample nor a file: give {_EXAMPLE}")
    rate = _rate(dataset)
    suffixes, kind = (PICTURES, "picture") if rate is None else (_music.MIDI, "MIDI file")
    if path.suffix.lower() not in suffixes:
        raise MongeError(
            f"'{text}' is no {kind} ({', '.join(suffixes)}), which data '{dataset.name}' ask for"
        )
    return (
        picture(path, dataset.shape)[0]
        if rate is None
        else _music.window(path, dataset.shape[2], rate)
    )


def _grid(
    between: Interpolator, pairs: list[tuple[Tensor, Tensor]], modes: tuple[Mode, ...], n: int
) -> bytes:
    import torch

    from monge import plots

    rows = [
        torch.cat([a[None], between.interpolate(a, b, n, mode), b[None]])
        for a, b in pairs
        for mode in modes
    ]
    return plots.grid_png(torch.cat(rows), columns=n + 2, size=_SIZE)
