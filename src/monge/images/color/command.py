"""`monge color SOURCE --palette TARGET -o OUT`: give a picture the colors of other pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monge.errors import MongeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from monge.images.io import Picture

_FIGURES = (".png", ".jpg", ".pdf", ".svg")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="monge color", description="Give a picture the colors of others."
    )
    add = parser.add_argument
    add("source", type=Path, help="picture to recolor")
    add(
        "--palette",
        type=Path,
        action="append",
        required=True,
        help="picture to take the colors from; repeatable",
    )
    add("--weights", type=float, nargs="+", help="one for each palette; default: equal")
    add(
        "-o",
        "--out",
        type=Path,
        required=True,
        help=".png, .jpg, .tif or .webp; 16-bit color as .png",
    )
    add(
        "--figure",
        type=Path,
        help="also draw the three methods side by side: .png, .jpg, .pdf or .svg",
    )
    add(
        "--strength",
        type=float,
        default=1.0,
        help="0 leaves the picture, 1 maps it all the way (1)",
    )
    add(
        "--smooth",
        type=float,
        default=8.0,
        help="levels of noise that method w2 is fitted with: fewer bands, less exact (8)",
    )
    add(
        "--inverse",
        action="store_true",
        help="apply the inverse of the map from the palette to the source",
    )
    add("--space", choices=("rgb", "lab"), default="rgb", help="where the map is fitted (rgb)")
    add("--method", choices=("w2", "gaussian", "exact"), default="w2", help="the map (w2)")
    add("--steps", type=int, default=1000, help="training steps of method w2 (1000)")
    add("--seed", type=int, default=0, help="seed of the sampled pixels and of the training (0)")
    args = parser.parse_args(argv)
    if args.figure and args.figure.suffix.lower() not in _FIGURES:
        raise MongeError(
            f"figures are written as {', '.join(_FIGURES)}, got '{args.figure}': give it one of "
            "these endings"
        )
    inputs = [path.resolve() for path in (args.source, *args.palette)]
    for flag, path in (("--out", args.out), ("--figure", args.figure)):
        if path and path.resolve() in inputs:
            raise MongeError(f"{flag} '{path}' would overwrite an input: give another name")
    from monge.images.io import read_picture, require_writable, write_picture

    from .transfer import ColorTransfer, agreement

    names = ("space", "strength", "smooth", "inverse", "steps", "seed")
    settings = {name: getattr(args, name) for name in names}
    settings["progress"] = sys.stderr.isatty()
    transfer = ColorTransfer(method=args.method, **settings)
    source = read_picture(args.source)
    require_writable(args.out, source.colors.dtype.itemsize * 8, source.alpha is not None)
    palettes = [read_picture(path) for path in args.palette]
    result = transfer.fit(source, palettes, args.weights).transform(source)
    write_picture(result, args.out)
    for path, picture in zip([args.source, *args.palette], [source, *palettes], strict=True):
        for note in picture.notes:
            print(f"note: {path}: {note}")
    for note in transfer.notes_:
        print(f"note: {note}")
    before, after = (_distances(picture, palettes) for picture in (source, result))
    for path, first, last in zip(args.palette, before, after, strict=True):
        share = f", {last / first:.1%} of it" if first else ""
        print(f"sliced W2 to {path}: {first:.4f} before, {last:.4f} after{share}")
    kept = agreement(source, result)
    print(
        f"gradients kept: {kept.share:.2%}; steepness {kept.steepness:g}; "
        f"colors {kept.colors_in:,} to {kept.colors_out:,}"
    )
    print(f"clipped: {result.clipped:.2%} of the pixels\nlook at {args.out}")
    if args.figure:
        args.figure.parent.mkdir(parents=True, exist_ok=True)
        figure = _figure(source, palettes, args.weights, {args.method: result}, settings)
        figure.savefig(args.figure, dpi=110, bbox_inches="tight")
        print(f"look at {args.figure}")
    return 0


def _distances(picture: Picture, palettes: list[Picture]) -> list[float]:
    from .transfer import palette_distance

    return [
        palette_distance(picture, palette, samples=20_000, n_projections=128)
        for palette in palettes
    ]


def _figure(
    source: Picture,
    palettes: list[Picture],
    weights: list[float] | None,
    computed: dict[str, Picture],
    settings: dict[str, Any],
) -> Figure:
    """Draw the results of all three methods under the same settings.

    Results that are already ``computed`` are reused. An exact plan has no inverse: its map from
    the source to the palette is drawn instead.
    """
    from .measures import caption
    from .plots import color_figure
    from .transfer import ColorTransfer, agreement

    before = _distances(source, palettes)
    results, captions = {}, {}
    for method, title in (("w2", "W2 map"), ("gaussian", "Gaussian"), ("exact", "exact plan")):
        result = computed.get(method)
        if result is None:
            inverse = settings["inverse"] and method != "exact"
            transfer = ColorTransfer(**settings | {"method": method, "inverse": inverse})
            result = transfer.fit(source, palettes, weights).transform(source)
        after = _distances(result, palettes)
        shares = [last / first if first else 0.0 for first, last in zip(before, after, strict=True)]
        results[title] = result.colors
        captions[title] = caption(shares, agreement(source, result))
    return color_figure(source.colors, [palette.colors for palette in palettes], results, captions)
