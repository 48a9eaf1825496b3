"""`monge texture train | sample`: learn a texture once, then make pictures of it of any size in one pass."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monge.errors import MongeError

from .job import size

_STEPS = 1500  # as `monge.images.texture.generator.STEPS`, which would take torch to read


def arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """The arguments of either command."""
    {"train": _train_arguments, "sample": _sample_arguments}[name](parser)
    parser.add_argument("--seed", type=int, default=0, help="another seed, another result (0)")


def run(name: str, args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from monge.train import Interrupted

    if args.seed < 0:
        raise MongeError(f"--seed must be at least 0, got {args.seed}")
    try:
        return (_train if name == "train" else _sample)(args)
    except Interrupted as stop:
        print(f"monge: {stop}", file=sys.stderr)
        return 128 + stop.signum


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("exemplar", type=Path, help="picture of a texture; what repeats in it should be smaller than 64 pixels")
    add("-o", "--out", type=Path, required=True, metavar="FOLDER", help="where the generator is kept")
    add("--steps", type=int, default=_STEPS, help=f"training steps ({_STEPS})")
    add("--minutes", type=float, help="take the generator as it is after so many minutes")
    add("--patch", type=int, help="side of a patch in pixels (8)")
    add("--scales", type=int, help="sizes at which patches are matched, each twice the last (4)")
    add("--fresh", action="store_true", help="start over, where the same command would continue an interrupted one")


def _train(args: argparse.Namespace) -> int:
    from . import generator as app

    config, begun = _config(args), time.monotonic()
    with tqdm(total=args.steps, desc="texture", delay=0.5, mininterval=0.2 if sys.stderr.isatty() else 30) as bar:
        options = {"steps": args.steps, "seed": args.seed, "minutes": args.minutes, "fresh": args.fresh}
        made = app.train(args.exemplar, args.out, config=config, on_step=_shown(bar), **options)
    for note in made.notes:
        print(f"note: {note}")
    print(f"trained in {time.monotonic() - begun:.0f} s")
    print(f"look at {args.out / 'preview.png'}; 'monge texture sample {args.out} -o OUT.png --size 1024' makes pictures")
    return 0


def _shown(bar: tqdm[Any]) -> Callable[[int, Mapping[str, float]], None]:
    def show(step: int, scalars: Mapping[str, float]) -> None:
        bar.update(step - bar.n)
        bar.set_postfix(loss=f"{scalars['loss']:.3g}", refresh=False)

    return show


def _sample_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=Path, help="folder of a trained generator")
    add("-o", "--out", type=Path, required=True, help=".png, .tif or .webp, or .jpg where loss is allowed; 16-bit as .png")
    add("--size", help="WIDTHxHEIGHT in pixels, or one number for a square (128)")
    add("--tile", action="store_true", help="make a picture that tiles the plane without a seam; sides are multiples of 16")


def _sample(args: argparse.Namespace) -> int:
    from monge.images.io import require_writable, write_picture

    from . import generator as app

    shape = size(args.size) if args.size else None
    made = app.load(args.folder)
    require_writable(args.out, made.kind.dtype.itemsize * 8, made.kind.alpha)
    begun = time.monotonic()
    picture = made.sample(shape, seed=args.seed, tile=args.tile)
    spent = time.monotonic() - begun
    write_picture(picture, args.out)
    for note in picture.notes:
        print(f"note: {note}")
    h, w = picture.colours.shape[:2]
    print(f"{w}×{h} pixels in {spent:.2f} s")
    print(f"look at {args.out}")
    return 0


def _config(args: argparse.Namespace) -> Any:
    from pydantic import ValidationError

    from monge.methods.texture_generator import Config

    given = {name: value for name in ("scales", "patch") if (value := getattr(args, name)) is not None}
    try:
        return Config(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise MongeError(f"--{first['loc'][0]} {first['msg'].replace('Input should', 'must')}, got {first['input']}") from None
