"""Textures of 256² pixels after seventeen exemplars, ours beside three plain methods; writes
benchmarks/results/textures.json.

    python benchmarks/textures.py                                   # all that is not there yet,
                                                                    then the table
    python benchmarks/textures.py --only godot_rock,godot_wood      # some exemplars
    python benchmarks/textures.py --makers ours --again             # measure one maker anew
    python benchmarks/textures.py --table                           # only print the table
    python benchmarks/textures.py --sheet                           # draw docs/textures.jpg from
                                                                    the pictures made

Exemplars are averaged down to 256 pixels on the shorter side and cropped in the center. Every
picture is made in a process of its own, on one thread; its peak memory is that above what the
process held when the exemplar had been read. What is measured are the pictures as they are written,
with 8 bits.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _texture_peers import gram, nearest_neighbor, quilting
from color import most_resident_mib
from PIL import Image, ImageDraw
from reproduce import RESULTS, ROOT, surroundings
from torch import Tensor

from monge.images.texture.copying import copying_score
from monge.images.texture.metrics import gram_distance, patch_w2, sliced_patch_w2

SIDE, SCALES, SEED = 256, 3, 0
SHEET = ROOT / "docs" / "textures.jpg"
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="exemplars, comma-separated")
    parser.add_argument("--makers", default=",".join(MAKERS), help="comma-separated")
    parser.add_argument("--again", action="store_true", help="also what has been measured")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--sheet", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS / "textures.json")
    parser.add_argument("--pictures", type=Path, default=ROOT / "runs" / "textures")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.child:
        print(json.dumps(make(*args.child)))
        return
    if not args.table and not args.sheet:
        names = args.only.split(",") if args.only else exemplars()
        fill(names, args.makers.split(","), args.results, args.pictures, args.again)
    if args.sheet:
        draw(args.pictures)
    print(table(json.loads(args.results.read_text())))


def fill(names: list[str], makers: list[str], results: Path, pictures: Path, again: bool) -> None:
    """Measure and write down, picture by picture, so that an interrupted call goes on where it
    stopped.
    """
    found = json.loads(results.read_text()) if results.is_file() else {"exemplars": {}}
    pictures.mkdir(parents=True, exist_ok=True)
    for name in names:
        exemplar = picture(path_of(name))
        about = found["exemplars"].setdefault(name, {"makers": {}})
        if "copying_of_halves" not in about:
            about["copying_of_halves"] = copying_score(
                exemplar[:, :, : SIDE // 2], exemplar[:, :, SIDE // 2 :]
            )
        for maker in makers:
            if maker in about["makers"] and not again:
                continue
            around, target = surroundings(), pictures / f"{name}-{maker}.png"
            command = [sys.executable, __file__, "--child", name, maker, str(target)]
            cost = json.loads(
                subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            )
            about["makers"][maker] = {
                **measured(picture(target), exemplar),
                **cost,
                "commit": around.pop("commit"),
            }
            found |= {"side": SIDE, "seed": SEED, **around}
            results.write_text(json.dumps(found, indent=2) + "\n")
            print(name, maker, json.dumps(about["makers"][maker]), flush=True)


def make(name: str, maker: str, target: str) -> dict[str, float]:
    """Make one picture and write it; what that took."""
    exemplar = picture(path_of(name))
    held, wall, cpu = most_resident_mib(), time.perf_counter(), time.process_time()
    made = MAKERS[maker](exemplar, SEED)
    cost = {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    cost["peak_mib"] = round(most_resident_mib() - held)
    pixels = (made * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(target)
    return cost


def measured(image: Tensor, exemplar: Tensor) -> dict[str, Any]:
    found = patch_w2(image, exemplar, scales=SCALES)
    return {
        "patch_w2": [f.value for f in found],
        "floor": [f.floor for f in found],
        "ratio": [f.ratio for f in found],
        "sliced_patch_w2": sliced_patch_w2(image, exemplar, scales=SCALES),
        "copying": copying_score(image, exemplar),
        "gram": gram_distance(image, exemplar),
    }


def exemplars() -> list[str]:
    return sorted(path.stem for path in (Path(os.environ["MONGE_DATA"]) / "textures").iterdir())


def path_of(name: str) -> Path:
    return next((Path(os.environ["MONGE_DATA"]) / "textures").glob(f"{name}.*"))


def picture(path: Path) -> Tensor:
    """(c, 256, 256) in [0, 1]; alpha is dropped where all is opaque."""
    with Image.open(path) as image:
        image.load()
    if image.mode == "RGBA" and image.getextrema()[3] == (255, 255):
        image = image.convert("RGB")
    times = SIDE / min(image.size)
    if times < 1:
        image = image.resize(
            (round(image.width * times), round(image.height * times)), Image.Resampling.BOX
        )
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    pixels = np.array(image.crop((left, top, left + SIDE, top + SIDE)), dtype=np.float32) / 255
    return torch.from_numpy(pixels.reshape(SIDE, SIDE, -1)).permute(2, 0, 1).contiguous()


def table(found: dict[str, Any]) -> str:
    head = [
        "exemplar",
        "made by",
        "patch W2² / floor at scales 0, 1, 2",
        "sliced · 10³",
        "copying",
        "Gram",
        "CPU",
        "memory",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, about in found["exemplars"].items():
        for maker in (maker for maker in MAKERS if maker in about["makers"]):
            row = about["makers"][maker]
            cells = [
                name,
                maker,
                ", ".join(f"{ratio:.2f}" for ratio in row["ratio"]),
                ", ".join(f"{1000 * value:.2f}" for value in row["sliced_patch_w2"]),
                f"{row['copying']:.0%}",
                f"{row['gram']:.4f}",
                f"{row['cpu_seconds']:.0f} s",
                f"{row['peak_mib']:,} MiB",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(pictures: Path) -> None:
    """A row for each exemplar: itself, and what each maker made; JPEG of at most 900 KB."""
    names, columns = exemplars(), ["exemplar", *MAKERS]
    sheet = Image.new("RGB", (len(columns) * (_SHOWN + 4), len(names) * (_SHOWN + 4) + 16), "white")
    pen = ImageDraw.Draw(sheet)
    for j, column in enumerate(columns):
        pen.text((j * (_SHOWN + 4) + 4, 2), column, fill="black")
        for i, name in enumerate(names):
            path = pictures / f"{name}-{column}.png" if j else path_of(name)
            if path.is_file():
                sheet.paste(shown(picture(path)), (j * (_SHOWN + 4), i * (_SHOWN + 4) + 16))
    for quality in range(92, 40, -4):
        sheet.save(SHEET, quality=quality, optimize=True)
        if SHEET.stat().st_size <= 900_000:
            break


def shown(x: Tensor) -> Image.Image:
    """The middle of a picture, pixel for pixel."""
    left = (SIDE - _SHOWN) // 2
    pixels = (
        (x * 255)
        .round()
        .byte()
        .permute(1, 2, 0)
        .numpy()[left : left + _SHOWN, left : left + _SHOWN]
    )
    return Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).convert("RGB")


if __name__ == "__main__":
    main()
