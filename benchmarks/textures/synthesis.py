"""Textures of 256² pixels after seventeen exemplars, ours and three other methods.

    python -m benchmarks textures                                # what is missing, then the table
    python -m benchmarks textures --only godot_rock,godot_wood   # some exemplars
    python -m benchmarks textures --makers ours --again          # measure one method again
    python -m benchmarks textures --table                        # only print the table
    python -m benchmarks textures --sheet                        # draw docs/textures.jpg from the
                                                                 # pictures made

Writes benchmarks/results/textures.json. Exemplars are averaged down to 256 pixels on the shorter
side and cropped in the center. Every picture is made in a process of its own, on one thread; its
peak memory is that above what the process held when the exemplar had been read. Pictures are
measured as they are written, with 8 bits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from benchmarks.common.command import make_parser, run_child, words
from benchmarks.common.cost import peak_memory_mib, timed
from benchmarks.common.images import save_jpeg, to_image
from benchmarks.common.markdown import header, row
from benchmarks.common.paths import DOCS, RUNS
from benchmarks.common.provenance import provenance
from benchmarks.common.results import Result, add_row, read_result, results_file
from benchmarks.textures.peers import gram, nearest_neighbor, quilting
from benchmarks.textures.pictures import (
    SEED,
    SIDE,
    exemplar_names,
    exemplar_path,
    measure_texture,
    read_exemplar,
    read_picture,
)
from monge.images.texture.copying import copying_score

SHEET, MAX_BYTES = DOCS / "textures.jpg", 900_000
_SHOWN = 128  # pixels of a picture in the sheet


def ours(exemplar: Tensor, seed: int) -> Tensor:
    from monge.methods.texture import Texture

    texture = Texture([exemplar], (SIDE, SIDE), seed=seed)
    while not texture.done:
        texture.step()
    return texture.image.clamp(0, 1)


MAKERS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "ours": ours,
    "nearest": lambda exemplar, seed: nearest_neighbor(exemplar, SIDE, seed),
    "gram": lambda exemplar, seed: gram(exemplar, SIDE, seed),
    "quilting": lambda exemplar, seed: quilting(exemplar, SIDE, seed),
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("textures", __doc__)
    parser.add_argument("--only", type=words, help="exemplars, comma-separated")
    parser.add_argument("--makers", type=words, default=list(MAKERS), help="comma-separated")
    parser.add_argument("--again", action="store_true", help="also what has been measured")
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--sheet", action="store_true", help="only draw the sheet")
    parser.add_argument("--results", type=Path, default=results_file("textures"))
    parser.add_argument("--pictures", type=Path, default=RUNS / "textures")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.child:
        print(json.dumps(make_picture(*args.child)))
        return
    if not args.table and not args.sheet:
        names = args.only or exemplar_names()
        measure_all(names, args.makers, args.results, args.pictures, args.again)
    if args.sheet:
        draw(args.pictures)
    print(table(read_result(args.results, None)))


def measure_all(
    names: list[str], makers: list[str], path: Path, pictures: Path, again: bool
) -> None:
    """Make and measure picture by picture; each is stored, so that the next call continues."""
    result = read_result(path, {"exemplars": {}})
    pictures.mkdir(parents=True, exist_ok=True)
    for name in names:
        exemplar = read_exemplar(name)
        about = result["exemplars"].setdefault(name, {"makers": {}})
        if "copying_of_halves" not in about:
            left, right = exemplar.split(SIDE // 2, dim=2)
            about["copying_of_halves"] = copying_score(left, right)
        for maker in makers:
            if maker in about["makers"] and not again:
                continue
            origin, target = provenance(), pictures / f"{name}-{maker}.png"
            cost = json.loads(run_child("textures", "--child", name, maker, str(target)))
            metrics = measure_texture(read_picture(target), exemplar) | cost
            result |= {"side": SIDE, "seed": SEED}
            add_row(about["makers"], maker, metrics, result, origin, path)
            print(name, maker, json.dumps(about["makers"][maker]), flush=True)


def make_picture(name: str, maker: str, target: str) -> dict[str, float]:
    """Make one picture and write it; return the cost of making it."""
    exemplar = read_exemplar(name)
    held = peak_memory_mib()
    picture, cost = timed(MAKERS[maker], exemplar, SEED)
    cost["peak_mib"] = round(peak_memory_mib() - held)
    to_image(picture).save(target)
    return cost


def table(result: Result) -> str:
    """A row for each exemplar and method."""
    head = ["exemplar", "made by", "patch W2² / floor at scales 0, 1, 2", "sliced · 10³"]
    lines = header([*head, "copying", "Gram", "CPU", "memory"])
    for name, about in result["exemplars"].items():
        for maker in (maker for maker in MAKERS if maker in about["makers"]):
            metrics = about["makers"][maker]
            cells = [
                name,
                maker,
                ", ".join(f"{ratio:.2f}" for ratio in metrics["ratio"]),
                ", ".join(f"{1000 * value:.2f}" for value in metrics["sliced_patch_w2"]),
                f"{metrics['copying']:.0%}",
                f"{metrics['gram']:.4f}",
                f"{metrics['cpu_seconds']:.0f} s",
                f"{metrics['peak_mib']:,} MiB",
            ]
            lines.append(row(cells))
    return "\n".join(lines)


def draw(pictures: Path) -> None:
    """Draw a row for each exemplar: itself, and what each method made."""
    names, columns = exemplar_names(), ["exemplar", *MAKERS]
    step = _SHOWN + 4
    sheet = Image.new("RGB", (len(columns) * step, len(names) * step + 16), "white")
    pen = ImageDraw.Draw(sheet)
    for j, column in enumerate(columns):
        pen.text((j * step + 4, 2), column, fill="black")
        for i, name in enumerate(names):
            path = pictures / f"{name}-{column}.png" if j else exemplar_path(name)
            if path.is_file():
                sheet.paste(crop_middle(read_picture(path)), (j * step, i * step + 16))
    save_jpeg(sheet, SHEET, MAX_BYTES)


def crop_middle(x: Tensor) -> Image.Image:
    """Return the middle of a picture, pixel for pixel."""
    left = (SIDE - _SHOWN) // 2
    return to_image(x[:, left : left + _SHOWN, left : left + _SHOWN]).convert("RGB")
