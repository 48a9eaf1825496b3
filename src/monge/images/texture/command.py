"""`monge texture synth | inpaint | mix | train | sample`: make textures from the command line."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monge.errors import MongeError, nearest

if TYPE_CHECKING:
    from monge.images.io import Picture

    from .pictures import Mask
    from .show import Show

PARTS = {
    "synth": "make a picture of any size that looks like an exemplar",
    "inpaint": "fill a hole of a picture with the texture around it",
    "mix": "make a texture between several, or a strip from one to another",
    "train": "train a generator that makes an exemplar's texture in one pass",
    "sample": "make pictures of any size with a trained generator",
}
_COMMANDS = "\n".join(f"  {name:11} {text}" for name, text in PARTS.items())
_USAGE = f"""usage: monge texture COMMAND ...

Textures by optimal transport of patches.

commands:
{_COMMANDS}

'monge texture COMMAND --help' tells more."""
FLAGS = {"weights": "--vgg-weights"}  # of parameters with another name
_STEPS = 1500  # equals `monge.images.texture.generator.STEPS`, whose module imports torch
_OUT = ".png, .tif or .webp, or .jpg where loss is allowed; 16-bit as .png"


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(_USAGE)
        return 0
    name, rest = argv[0], argv[1:]
    if name not in PARTS:
        print(f"monge: unknown command 'texture {name}'{nearest(name, PARTS)}", file=sys.stderr)
        return 2
    args = _parser(name).parse_args(rest)
    if args.seed < 0:
        raise MongeError(f"--seed must be at least 0, got {args.seed}")
    from monge.training import Interrupted

    try:
        if name in _MAKES:
            _make(args, name)
        elif name == "train":
            _train(args)
        else:
            _sample(args)
    except Interrupted as stop:
        print(f"monge: {stop}", file=sys.stderr)
        return 128 + stop.signum
    return 0


def size(text: str) -> tuple[int, int]:
    """Parse ``WIDTHxHEIGHT`` or one number to height and width.

    >>> size("640x480"), size("512")
    ((480, 640), (512, 512))
    """
    match = re.fullmatch(r"(\d+)(?:[x×X](\d+))?", text.strip())
    if not match:
        raise MongeError(f"--size must be like 1024x768 (width, height) or 512, got '{text}'")
    width, height = int(match[1]), int(match[2] or match[1])
    return height, width


def _parser(name: str) -> argparse.ArgumentParser:
    """Build the parser of a command; its arguments are in the order of the help."""
    parser = argparse.ArgumentParser(
        prog=f"monge texture {name}", description=f"{PARTS[name].capitalize()}."
    )
    add = parser.add_argument
    if name == "synth":
        add("exemplar", type=Path, help="picture of a texture")
        _add_size(parser, "the exemplar's")
    elif name == "inpaint":
        add(
            "image",
            type=Path,
            help="picture with a hole; pixels outside it stay as they are, to the bit",
        )
        add(
            "--mask",
            type=Path,
            help="picture of the same size, white where to fill; default: where the picture is not "
            "opaque",
        )
        add("--invert", action="store_true", help="the mask is black where to fill")
        add(
            "--exemplar-region",
            type=Path,
            metavar="MASK2",
            help="white where to learn the texture; default: outside the mask",
        )
    elif name == "mix":
        add(
            "exemplars",
            type=Path,
            nargs="+",
            metavar="EXEMPLAR",
            help="pictures of textures, two or more",
        )
        _add_size(parser, "the exemplar's")
        add("--weights", type=float, nargs="+", help="one for each exemplar; default: equal")
        add(
            "--steps",
            type=int,
            help="a strip of so many pictures from the first exemplar to the second",
        )
        add(
            "--singles",
            action="store_true",
            help="also write the pictures of the strip one by one: OUT-1.png, …",
        )
    elif name == "train":
        add(
            "exemplar",
            type=Path,
            help="picture of a texture; what repeats in it should be smaller than 64 pixels",
        )
        add(
            "-o",
            "--out",
            type=Path,
            required=True,
            metavar="FOLDER",
            help="where the generator is kept",
        )
        add("--steps", type=int, default=_STEPS, help=f"training steps ({_STEPS})")
        add("--minutes", type=float, help="take the generator as it is after so many minutes")
        _add_patches(parser, "4")
    else:
        add("folder", type=Path, help="folder of a trained generator")
        add("-o", "--out", type=Path, required=True, help=_OUT)
        _add_size(parser, "128", "; sides are multiples of 16")
    if name in _MAKES:
        add("-o", "--out", type=Path, required=True, help=_OUT)
        _add_patches(parser, "by the picture")
        add(
            "--targets",
            type=int,
            help="patches of the exemplar, at most, that are matched at a scale (2000)",
        )
        add(
            "--time-budget",
            type=float,
            metavar="SECONDS",
            help="take the picture as it is after so many seconds",
        )
        add(
            "--features",
            default="none",
            help="match features in place of patches: none, random or vgg19 (none)",
        )
        add(
            "--vgg-weights",
            type=Path,
            metavar="FILE",
            help="weights of --features vgg19: a state dict, as torch saves it",
        )
        add(
            "--report",
            action="store_true",
            help="write OUT.html beside the picture, which shows how it is made",
        )
        add(
            "--preview",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="show OUT.preview.png while it is made (on)",
        )
    add("--seed", type=int, default=0, help="another seed, another result (0)")
    return parser


def _add_size(parser: argparse.ArgumentParser, default: str, condition: str = "") -> None:
    add = parser.add_argument
    add(
        "--size",
        type=size,
        help=f"WIDTHxHEIGHT in pixels, or one number for a square; default: {default}",
    )
    add(
        "--tile",
        action="store_true",
        help=f"make a picture that tiles the plane without a seam{condition}",
    )


def _add_patches(parser: argparse.ArgumentParser, scales: str) -> None:
    add = parser.add_argument
    add(
        "--scales",
        type=int,
        help=f"sizes at which patches are matched, each twice the last; default: {scales}",
    )
    add("--patch", type=int, help="side of a patch in pixels (8)")
    add(
        "--fresh",
        action="store_true",
        help="start over, where the same command would continue an interrupted one",
    )


@dataclass(frozen=True)
class Made:
    """The result of synth, inpaint or mix."""

    picture: Picture
    pairs: dict[str, tuple[Picture, Picture]]  # pictures and the exemplars to compare them with
    tile: bool = False
    hole: Mask | None = None
    readable: Mask | None = None
    copied_from: Picture | None = None  # the exemplar for the share of copied pixels
    singles: Sequence[Picture] = ()  # the pictures of a strip


def _synth(args: argparse.Namespace, show: Show) -> Made:
    from .synthesis import synthesize

    picture = _read(args.exemplar)
    show.sources["exemplar"] = picture
    made = synthesize(picture, args.size, tile=args.tile, **_options(args, [picture], show))
    return Made(made, {"": (made, picture)}, args.tile, copied_from=picture)


def _inpaint(args: argparse.Namespace, show: Show) -> Made:
    from .pictures import marked, read_mask
    from .synthesis import hole, inpaint

    picture = _read(args.image)
    known = picture if args.mask else replace(picture, alpha=None)
    options = _options(args, [known], show, lossless=True)
    mask = _read(args.mask) if args.mask else None
    region = None
    if args.exemplar_region:
        region = read_mask(_read(args.exemplar_region), "--exemplar-region", picture)
    where = hole(picture, mask, invert=args.invert)
    show.sources["picture"] = marked(picture, where)
    made = inpaint(picture, mask, region=region, invert=args.invert, **options)
    readable = ~where if region is None else region & ~where
    return Made(made, {"": (made, made)}, hole=where, readable=readable)


def _mix(args: argparse.Namespace, show: Show) -> Made:
    from .synthesis import joined, mix, strip

    if args.steps is not None and args.weights is not None:
        raise MongeError("--steps makes a strip over all weights: leave out --weights, or --steps")
    if args.singles and args.steps is None:
        raise MongeError("--singles are the pictures of a strip: give --steps")
    pictures = [_read(path, srgb=True) for path in args.exemplars]
    options = _options(args, pictures, show)
    names = [path.stem for path in args.exemplars]
    for k, (name, picture) in enumerate(zip(names, pictures, strict=True), 1):
        show.sources[f"{k}: {name}"] = picture
    if args.steps is None:
        made = [mix(pictures, args.weights, args.size, tile=args.tile, **options)]
    else:
        made = strip(pictures, args.steps, args.size, tile=args.tile, **options)
    # the ends of a strip are each compared with their own exemplar
    ends = [made[0], made[-1]] if args.steps else made * len(pictures)
    titles = [f" to {name}" for name in names]
    pairs = dict(zip(titles, zip(ends, pictures, strict=True), strict=True))
    return Made(joined(made), pairs, args.tile, singles=made)


_MAKES: dict[str, Callable[[argparse.Namespace, Show], Made]] = {
    "synth": _synth,
    "inpaint": _inpaint,
    "mix": _mix,
}


def _make(args: argparse.Namespace, name: str) -> None:
    """Run synth, inpaint or mix, write the result, and print its size, seconds and metrics."""
    from .show import Show, copied_share, over_floor
    from .synthesis import forget, write_picture

    preview = args.out.with_suffix(".preview.png") if args.preview else None
    page = args.out.with_suffix(".html") if args.report else None
    steps = (args.steps or 0) if vars(args).get("singles") else 0
    singles = [args.out.with_stem(f"{args.out.stem}-{k + 1}") for k in range(steps)]
    written = [("--out", args.out), ("--preview", preview), ("--report", page)]
    _check_names(args, [*written, *(("--out", path) for path in singles)])
    with Show(f"texture {name}", _settings(args), preview, page) as show:
        made = _MAKES[name](args, show)
    for path, picture in zip(singles, made.singles, strict=False):
        write_picture(picture, path)
    write_picture(made.picture, args.out)
    metrics = {}
    for title, pair in made.pairs.items():
        ratios = over_floor(*pair, tile=made.tile, mask=made.hole, region=made.readable)
        if ratios:
            metrics[f"patch-W2²{title} over floor"] = ratios
    copied = copied_share(made.picture, made.copied_from) if page and made.copied_from else None
    extra = {} if copied is None else {"copied from the exemplar": f"{copied:.1%}"}
    forget(_state(args))
    show.finish(made.picture, metrics | extra, tile=made.tile and len(made.singles) <= 1)
    _print_notes([note for note in made.picture.notes if note not in show.notes])
    h, w = made.picture.colors.shape[:2]
    print(f"{w}×{h} pixels in {show.seconds:.1f} s")
    for title, text in metrics.items():
        print(f"{title}: {text}")
    print(f"look at {args.out}{f' and {page}' if page else ''}")


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the method and the given arguments, for the page."""
    unrelated = ("report", "preview", "fresh")  # to the picture
    given = {
        name: value
        for name, value in vars(args).items()
        if name not in unrelated and value is not None and value is not False
    }
    settings = _config(args).model_dump(exclude={"name"}) | given
    return {name.replace("_", " "): v for name, v in settings.items() if v is not None}


def _check_names(args: argparse.Namespace, written: Sequence[tuple[str, Path | None]]) -> None:
    """Refuse to overwrite an input."""
    inputs = set()
    for name, value in vars(args).items():
        paths = value if isinstance(value, list) else [value]
        inputs |= {path.resolve() for path in paths if isinstance(path, Path) and name != "out"}
    for flag, path in written:
        if path and path.resolve() in inputs:
            raise MongeError(f"{flag} '{path}' would overwrite an input: give another name")


def _read(path: Path, *, srgb: bool = False) -> Picture:
    """Read a picture in its own color space or, for mixing, in sRGB, and print its notes."""
    from .pictures import as_texture, in_srgb

    picture = in_srgb(path, str(path)) if srgb else as_texture(path, str(path))
    _print_notes([f"{path}: {note}" for note in picture.notes])
    return picture


def _options(
    args: argparse.Namespace, pictures: Sequence[Picture], show: Show, *, lossless: bool = False
) -> dict[str, Any]:
    """Return the `Options` of a command, and make the folder of its result.

    A format that cannot hold the result is refused here, before the work begins.
    """
    from monge.images.io import require_writable

    from .pictures import common_kind
    from .synthesis import load_extractor

    kind, out = common_kind(pictures), args.out
    if lossless and out.suffix.lower() in (".jpg", ".jpeg"):
        instead = f"write '{out.with_suffix('.png')}' instead of '{out}'"
        raise MongeError(f"JPEG would change pixels that are to stay: {instead}")
    require_writable(out, kind.dtype.itemsize * 8, kind.alpha)
    out.parent.mkdir(parents=True, exist_ok=True)
    shape = vars(args).get("size") or pictures[0].colors.shape[:2]
    side = min(*shape, *(min(p.colors.shape[:2]) for p in pictures))
    tile = vars(args).get("tile", False)
    features = load_extractor(
        args.features, kind.channels, side, tile=tile, seed=args.seed, weights=args.vgg_weights
    )
    run = {
        "time_budget": args.time_budget,
        "on_progress": show,
        "state": _state(args),
        "fresh": args.fresh,
    }
    return {"seed": args.seed, "config": _config(args), "extractor": features, **run}


def _state(args: argparse.Namespace) -> Path:
    return Path(f"{args.out}.state")


def _config(args: argparse.Namespace) -> Any:
    """Return the settings of the method from the arguments that are given."""
    from pydantic import ValidationError

    if hasattr(args, "minutes"):
        from monge.methods.texture_generator import Config
    else:
        from .synthesis import Config  # type: ignore[assignment]

    names = ("scales", "patch", "targets")
    given = {name: vars(args)[name] for name in names if vars(args).get(name) is not None}
    try:
        return Config(**given)
    except ValidationError as error:
        first = error.errors()[0]
        flag = f"--{first['loc'][0]} " if first["loc"] else ""
        message = first["msg"].replace("Input should", "must")
        raise MongeError(f"{flag}{message}, got {first['input']}") from None


def _train(args: argparse.Namespace) -> None:
    from monge.training import Bar

    from . import generator

    settings = {name: getattr(args, name) for name in ("steps", "seed", "minutes", "fresh")}
    settings["config"] = _config(args)
    begun = time.monotonic()
    with closing(Bar("texture")) as bar:
        trained = generator.train(
            args.exemplar,
            args.out,
            on_step=lambda step, scalars: bar.show(step / args.steps, step, scalars),
            **settings,
        )
    _print_notes(trained.notes)
    print(f"trained in {time.monotonic() - begun:.0f} s")
    command = f"monge texture sample {args.out} -o OUT.png --size 1024"
    print(f"look at {args.out / 'preview.png'}; '{command}' makes pictures")


def _sample(args: argparse.Namespace) -> None:
    from monge.images.io import require_writable, write_picture

    from . import generator

    trained = generator.load(args.folder)
    require_writable(args.out, trained.kind.dtype.itemsize * 8, trained.kind.alpha)
    begun = time.monotonic()
    picture = trained.sample(args.size, seed=args.seed, tile=args.tile)
    seconds = time.monotonic() - begun
    write_picture(picture, args.out)
    _print_notes(picture.notes)
    h, w = picture.colors.shape[:2]
    print(f"{w}×{h} pixels in {seconds:.2f} s\nlook at {args.out}")


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}")
