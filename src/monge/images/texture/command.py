"""`monge texture synth | inpaint | mix`: make more of a texture, fill holes with it, mix several."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from monge.errors import MongeError, nearest

from . import train_command as _texture_train
from .job import Job, common, size

if TYPE_CHECKING:
    from monge.images.io import Picture

    from .pictures import Mask

PARTS = {
    "synth": "make a picture of any size that looks like an exemplar",
    "inpaint": "fill a hole of a picture with the texture around it",
    "mix": "make a texture between several, or a strip from one to another",
    "train": "train a generator that makes an exemplar's texture in one pass",
    "sample": "make pictures of any size with a trained generator",
}
_USAGE = "usage: monge texture COMMAND ...\n\nTextures by optimal transport of patches.\n\ncommands:\n" + "\n".join(
    f"  {name:11} {text}" for name, text in PARTS.items()
)
_END = "\n\n'monge texture COMMAND --help' tells more."


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(_USAGE + _END)
        return 0
    name, rest = argv[0], argv[1:]
    if name not in PARTS:
        print(f"monge: unknown command 'texture {name}'{nearest(name, PARTS)}", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(prog=f"monge texture {name}", description=f"{PARTS[name].capitalize()}.")
    if name not in _RUNS:
        _texture_train.arguments(name, parser)
        return _texture_train.run(name, parser.parse_args(rest))
    _ARGUMENTS[name](parser)
    common(parser)
    args = parser.parse_args(rest)
    from monge.train import Interrupted

    try:
        return _RUNS[name](args)
    except Interrupted as stop:
        print(f"monge: {stop}", file=sys.stderr)
        return 128 + stop.signum


def _synth_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exemplar", type=Path, help="picture of a texture")
    _sized(parser)


def _synth(args: argparse.Namespace) -> int:
    job = Job(args, "synth", [args.exemplar])
    shape = size(args.size) if args.size else None
    from . import synthesis as texture
    from .measures import patch_distances

    picture = job.read(args.exemplar)
    job.check_out([picture])
    with job.show({"exemplar": picture}) as show:
        options = job.options([picture], show, shape, tile=args.tile)
        made = texture.synthesize(picture, shape, tile=args.tile, **options)
    texture.write_picture(made, args.out)
    distances = {"": patch_distances(made, picture, tile=args.tile)}
    return job.finish(show, made, distances, {"the exemplar": picture}, tile=args.tile)


def _inpaint_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, help="picture with a hole; pixels outside it stay as they are, to the bit")
    parser.add_argument(
        "--mask", type=Path, help="picture of the same size, white where to fill; default: where the picture is not opaque"
    )
    parser.add_argument("--invert", action="store_true", help="the mask is black where to fill")
    parser.add_argument(
        "--exemplar-region",
        type=Path,
        metavar="MASK2",
        help="white where to learn the texture; default: outside the mask",
    )


def _inpaint(args: argparse.Namespace) -> int:
    job = Job(args, "inpaint", [path for path in (args.image, args.mask, args.exemplar_region) if path])
    from . import synthesis as texture
    from .measures import patch_distances
    from .pictures import read_mask

    picture = job.read(args.image)
    job.check_out([picture], lossless=True)
    mask = job.read(args.mask) if args.mask else None
    region = read_mask(job.read(args.exemplar_region), "--exemplar-region", picture) if args.exemplar_region else None
    hole = texture.hole(picture, mask, invert=args.invert)
    with job.show({"picture": _marked(picture, hole)}) as show:
        options = job.options([picture if mask else replace(picture, alpha=None)], show, None)
        made = texture.inpaint(picture, mask, region=region, invert=args.invert, **options)
    texture.write_picture(made, args.out)
    readable = ~hole if region is None else region & ~hole
    return job.finish(show, made, {"": patch_distances(made, made, mask=hole, region=readable)}, {})


def _mix_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exemplars", type=Path, nargs="+", metavar="EXEMPLAR", help="pictures of textures, two or more")
    _sized(parser)
    parser.add_argument("--weights", type=float, nargs="+", help="one for each exemplar; default: equal")
    parser.add_argument("--steps", type=int, help="a strip of so many pictures from the first exemplar to the second")
    parser.add_argument("--singles", action="store_true", help="also write the pictures of the strip one by one: OUT-1.png, …")


def _mix(args: argparse.Namespace) -> int:
    if args.steps is not None and args.weights is not None:
        raise MongeError("--steps makes a strip over all weights: leave out --weights, or --steps")
    if args.singles and args.steps is None:
        raise MongeError("--singles are the pictures of a strip: give --steps")
    singles = [args.out.with_stem(f"{args.out.stem}-{k + 1}") for k in range((args.steps or 0) if args.singles else 0)]
    job = Job(args, "mix", args.exemplars, singles)
    shape = size(args.size) if args.size else None
    from . import synthesis as texture
    from .measures import patch_distances

    pictures = [job.read(path, srgb=True) for path in args.exemplars]
    job.check_out(pictures)
    names = [path.stem for path in args.exemplars]
    with job.show(dict(zip((f"{k + 1}: {name}" for k, name in enumerate(names)), pictures, strict=True))) as show:
        options = job.options(pictures, show, shape, tile=args.tile)
        if args.steps is None:
            made = [texture.mix(pictures, args.weights, shape, tile=args.tile, **options)]
        else:
            made = texture.strip(pictures, args.steps, shape, tile=args.tile, **options)
    sheet = texture.joined(made)
    for path, picture in zip(singles, made, strict=False):
        texture.write_picture(picture, path)
    texture.write_picture(sheet, args.out)
    ends = [made[0], made[-1]] if args.steps else made * len(pictures)  # of a strip each end is compared with its own exemplar
    distances = {
        f" to {name}": patch_distances(picture, exemplar, tile=args.tile)
        for name, picture, exemplar in zip(names, ends, pictures, strict=True)
    }
    return job.finish(show, sheet, distances, {}, tile=args.tile and len(made) == 1)


def _sized(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", help="WIDTHxHEIGHT in pixels, or one number for a square; default: the exemplar's")
    parser.add_argument("--tile", action="store_true", help="make a picture that tiles the plane without a seam")


def _marked(picture: Picture, hole: Mask) -> Picture:
    """The picture with its hole transparent, for the page."""
    import numpy as np

    from monge.images.pixels import top_value

    alpha = np.where(hole, 0, top_value(picture.colours) if picture.alpha is None else picture.alpha)
    return replace(picture, alpha=alpha.astype(picture.colours.dtype))


_ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "synth": _synth_arguments,
    "inpaint": _inpaint_arguments,
    "mix": _mix_arguments,
}
_RUNS: dict[str, Callable[[argparse.Namespace], int]] = {"synth": _synth, "inpaint": _inpaint, "mix": _mix}
