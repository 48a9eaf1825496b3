"""One texture from arguments to files: options, names of what is written, errors before work begins, figures at its end."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monge.errors import MongeError

if TYPE_CHECKING:
    from monge.images.io import Picture
    from monge.metrics import WithFloor

    from .show import Show

_UNSEEN = ("report", "preview", "fresh")  # they say nothing about the picture
_LOSSY = (".jpg", ".jpeg")


def size(text: str) -> tuple[int, int]:
    """Height and width from ``WIDTHxHEIGHT`` or one number.

    >>> size("640x480"), size("512")
    ((480, 640), (512, 512))
    """
    found = re.fullmatch(r"(\d+)(?:[x×X](\d+))?", text.strip())
    if not found:
        raise MongeError(f"--size must be like 1024x768 (width, height) or 512, got '{text}'")
    width, height = int(found[1]), int(found[2] or found[1])
    return height, width


def common(parser: argparse.ArgumentParser) -> None:
    """Arguments that synth, inpaint and mix share."""
    add = parser.add_argument
    add("-o", "--out", type=Path, required=True, help=".png, .tif or .webp, or .jpg where loss is allowed; 16-bit as .png")
    add("--seed", type=int, default=0, help="another seed, another picture (0)")
    add("--scales", type=int, help="sizes at which patches are matched, each twice the last; default: by the picture")
    add("--patch", type=int, help="side of a patch in pixels (8)")
    add("--targets", type=int, help="patches of the exemplar, at most, that are matched at a scale (2000)")
    add("--time-budget", type=float, metavar="SECONDS", help="take the picture as it is after so many seconds")
    add("--features", default="none", help="match features in place of patches: none, random or vgg19 (none)")
    add("--vgg-weights", type=Path, metavar="FILE", help="weights of --features vgg19: a state dict, as torch saves it")
    add("--report", action="store_true", help="write OUT.html beside the picture, which shows how it is made")
    add("--preview", action=argparse.BooleanOptionalAction, default=True, help="show OUT.preview.png while it is made (on)")
    add("--fresh", action="store_true", help="start over, where the same command would continue an interrupted one")


class Job:
    """What the three commands do alike with their arguments."""

    def __init__(self, args: argparse.Namespace, name: str, inputs: Sequence[Path], further: Sequence[Path] = ()) -> None:
        self.args, self.name, self.out = args, name, args.out
        self.preview: Path | None = args.out.with_suffix(".preview.png") if args.preview else None
        self.page: Path | None = args.out.with_suffix(".html") if args.report else None
        self.state = args.out.with_name(args.out.name + ".state")
        if args.seed < 0:
            raise MongeError(f"--seed must be at least 0, got {args.seed}")
        given = [path.resolve() for path in (*inputs, *([args.vgg_weights] if args.vgg_weights else []))]
        for flag, path in (
            ("--out", args.out),
            ("--preview", self.preview),
            ("--report", self.page),
            *(("--out", p) for p in further),
        ):
            if path and path.resolve() in given:
                raise MongeError(f"{flag} '{path}' would overwrite an input: give another name")

    def read(self, path: Path, *, srgb: bool = False) -> Picture:
        """A picture in its own colours, or for mixing in sRGB, with what was unusual about it printed."""
        from .pictures import as_texture, in_srgb

        picture = in_srgb(path, str(path)) if srgb else as_texture(path, str(path))
        for note in picture.notes:
            print(f"note: {path}: {note}")
        return picture

    def check_out(self, pictures: Sequence[Picture], *, lossless: bool = False) -> None:
        """Refuse a format that cannot hold the result before the work begins, and make its folder."""
        from monge.images.io import require_writable

        from .pictures import without_opaque_alpha

        if lossless and self.out.suffix.lower() in _LOSSY:
            raise MongeError(
                f"JPEG would change pixels that are to stay: write '{self.out.with_suffix('.png')}' instead of '{self.out}'"
            )
        depth = max(picture.colours.dtype.itemsize * 8 for picture in pictures)
        seen = [picture if lossless else without_opaque_alpha(picture) for picture in pictures]
        require_writable(self.out, depth, any(picture.alpha is not None for picture in seen))
        self.out.parent.mkdir(parents=True, exist_ok=True)

    def options(
        self, pictures: Sequence[Picture], show: Show, shape: tuple[int, int] | None, *, tile: bool = False
    ) -> dict[str, Any]:
        """Keyword arguments of `monge.images.texture.synthesis`'s functions."""
        from .pictures import alike, kind_of, without_opaque_alpha
        from .synthesis import load_extractor

        kind = kind_of([without_opaque_alpha(picture) for picture in alike(pictures)])
        side = min(*(shape or pictures[0].colours.shape[:2]), *(min(p.colours.shape[:2]) for p in pictures))
        args = self.args
        features = load_extractor(args.features, kind.channels, side, tile=tile, seed=args.seed, weights=args.vgg_weights)
        run = {"time_budget": args.time_budget, "on_progress": show, "state": self.state, "fresh": args.fresh}
        return {"seed": args.seed, "config": self.config(), "extractor": features, **run}

    def config(self) -> Any:
        from pydantic import ValidationError

        from .synthesis import Config

        given = {name: value for name in ("scales", "patch", "targets") if (value := getattr(self.args, name)) is not None}
        try:
            return Config(**given)
        except ValidationError as error:
            first = error.errors()[0]
            flag = f"--{first['loc'][0]} " if first["loc"] else ""
            raise MongeError(f"{flag}{first['msg'].replace('Input should', 'must')}, got {first['input']}") from None

    def show(self, sources: Mapping[str, Picture]) -> Show:
        from .show import Show

        given = {k: v for k, v in vars(self.args).items() if k not in _UNSEEN and v is not None and v is not False}
        words = {k.replace("_", " "): v for k, v in (self.config().model_dump(exclude={"name"}) | given).items() if v is not None}
        return Show(f"texture {self.name}", sources, words, self.preview, self.page)

    def finish(
        self,
        show: Show,
        made: Picture,
        distances: Mapping[str, Sequence[WithFloor]],
        copies: Mapping[str, Picture],
        *,
        tile: bool = False,
    ) -> int:
        """Delete the state, write the page, and print size, seconds and figures; ``copies`` name exemplars to compare with."""
        from .measures import copied_share
        from .synthesis import forget

        forget(self.state)
        lines = {f"patch-W2²{name} over floor": _ratios(found) for name, found in distances.items() if found}
        figures = dict(lines)
        for name, exemplar in copies.items() if self.page else ():
            if (share := copied_share(made, exemplar)) is not None:
                figures[f"copied from {name}"] = f"{share:.1%}"
        show.finish(made, figures, tile)
        for note in made.notes:
            if note not in show.notes:
                print(f"note: {note}")
        h, w = made.colours.shape[:2]
        print(f"{w}×{h} pixels in {show.seconds:.1f} s")
        for name, text in lines.items():
            print(f"{name}: {text}")
        print(f"look at {self.out}{f' and {self.page}' if self.page else ''}")
        return 0


def _ratios(found: Sequence[WithFloor]) -> str:
    return ", ".join(f"{f.ratio:.2f} at scale {k} ({f.value:.4g} over {f.floor:.4g})" for k, f in enumerate(found))
