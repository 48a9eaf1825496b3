"""`monge interpolate RUN --from A --to B -o grid.png`: what an autoencoder puts between two samples."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monge.errors import MongeError

from ._inputs import PICTURES, numbered, picture

if TYPE_CHECKING:
    from torch import Tensor

    from monge.apps.interpolate import Interpolator

_MODES = ("linear", "slerp", "transport")
_SIZE = 64  # pixels, about, of a picture in the grid
_CODES = 60_000  # training samples, at most, that the map of --steps is learned from
_EXAMPLE = "'12' for a held-out sample, 'train:12' for one of the training data, or a file"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="monge interpolate", description="Show what an autoencoder puts between two samples.")
    parser.add_argument("run", help="run folder of a method with an autoencoder: acai, rae, wae, wwae or sinkhorn_wae")
    parser.add_argument("--from", dest="start", metavar="A", help=f"where to begin: {_EXAMPLE}")
    parser.add_argument("--to", dest="end", metavar="B", help="where to end, likewise")
    parser.add_argument("--pairs", type=int, metavar="K", help="instead of --from and --to: K random held-out pairs")
    parser.add_argument("--n", type=int, default=9, help="decoded samples on a path, both ends included (9)")
    parser.add_argument("--mode", choices=(*_MODES, "all"), default="linear", help="path between the codes (linear)")
    parser.add_argument("--steps", type=int, default=0, help="training steps of the map for transport; 0: Gaussian codes (0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the pairs and of the map (0)")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, help="grid.png; a path a row, the samples themselves at its ends"
    )
    args = parser.parse_args(argv)
    _check(args)
    import torch

    from monge.apps.interpolate import Interpolator
    from monge.engine import RunFolder, load_run
    from monge.engine.codes import encoded
    from monge.engine.contract import Coding

    method, source = load_run(RunFolder(args.run))
    if not isinstance(method, Coding):
        raise MongeError(f"the method of '{args.run}' has no autoencoder: train acai, rae, wae, wwae or sinkhorn_wae")
    if len(source.shape) != 3:
        raise MongeError(f"'{args.run}' was trained on points of shape {source.shape}: see monge.apps.interpolate.Interpolator")
    pairs = _random(source, args.pairs, args.seed) if args.pairs else [(_item(args.start, source), _item(args.end, source))]
    modes = _MODES if args.mode == "all" else (args.mode,)
    with torch.no_grad():
        learned = args.steps and "transport" in modes
        codes = encoded(method.autoencoder, source.train(_CODES)) if learned else None
    between = Interpolator(method, codes, steps=args.steps if learned else 0, seed=args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(_grid(between, pairs, modes, args.n))
    print(f"{args.out}: {_count(len(pairs), 'pair')}, {args.n} samples each, {', '.join(modes)}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be refused before anything is loaded."""
    if args.pairs is None and None in (args.start, args.end):
        raise MongeError(f"give --from and --to ({_EXAMPLE}), or --pairs")
    if args.pairs is not None and (args.start or args.end):
        raise MongeError("--pairs chooses held-out samples at random: leave out --from and --to, or --pairs")
    for name, least in (("pairs", 1), ("n", 2), ("steps", 0), ("seed", 0)):
        if (value := getattr(args, name)) is not None and value < least:
            raise MongeError(f"--{name} must be at least {least}, got {value}")
    if args.out.suffix != ".png":
        raise MongeError(f"--out must end in .png, got '{args.out}'")


def _random(source: Any, n: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    x = source.held_out(2 * n, seed)
    if len(x) < 2 * n:
        raise MongeError(f"--pairs {n} needs {2 * n} held-out samples, data '{source.name}' has {len(x)}: at most {len(x) // 2}")
    return list(zip(x[:n], x[n:], strict=True))


def _item(text: str, source: Any) -> Tensor:
    """The sample that ``text`` names: a number, or a file that is fitted to the data."""
    if (sample := numbered(text, source)) is not None:
        return sample
    path = Path(text)
    if not path.is_file():
        raise MongeError(f"'{text}' is neither a sample nor a file: give {_EXAMPLE}")
    if path.suffix.lower() not in PICTURES:
        raise MongeError(f"'{text}' is no picture ({', '.join(PICTURES)}), and data '{source.name}' are pictures")
    return picture(path, source.shape)[0]


def _grid(between: Interpolator, pairs: list[tuple[Tensor, Tensor]], modes: tuple[Any, ...], n: int) -> bytes:
    import torch

    from monge import viz

    rows = [torch.cat([a[None], between.interpolate(a, b, n, mode), b[None]]) for a, b in pairs for mode in modes]
    return viz.grid_png(torch.cat(rows), columns=n + 2, size=_SIZE)


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'s' if n > 1 else ''}"
