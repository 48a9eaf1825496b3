"""Texture generators trained on exemplars of 256² pixels; writes
benchmarks/results/texture-generator.json.

    python benchmarks/texture_generator.py                                   # three exemplars, then
                                                                             the table
    python benchmarks/texture_generator.py --only godot_rock,godot_wood      # others
    python benchmarks/texture_generator.py --table                           # only print the table
    python benchmarks/texture_generator.py --sheet sheet.png                 # exemplars beside
                                                                             samples

Exemplars are averaged down to 256 pixels on the shorter side and cropped in the center. Each is
learned in a process of its own, on one thread. Figures are of a sample of 256² pixels as it is
written, with 8 bits; ``diversity`` is the mean squared difference of two such samples over twice
the variance of the exemplar's pixels: 1 for samples that have nothing in common.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from color import most_resident_mib
from PIL import Image
from reproduce import RESULTS, ROOT, surroundings
from textures import SIDE, measured, path_of, picture
from torch import Tensor

from monge.images.io import Picture, write_picture
from monge.images.texture import generator as app
from monge.images.texture.pictures import Kind, to_picture

SEED, LARGE = 0, 1024
EXEMPLARS = ("demo_texture_1", "godot_stone_bricks", "skimage_gravel_gray")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(EXEMPLARS), help="exemplars, comma-separated")
    parser.add_argument("--again", action="store_true", help="also what has been measured")
    parser.add_argument("--steps", type=int, default=app.STEPS)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS / "texture-generator.json")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "texture-generator")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.child:
        print(json.dumps(learn(args.child, args.folder, args.steps)))
        return
    if not args.table and not args.sheet:
        fill(args)
    if args.sheet:
        sheet(args.folder, args.only.split(",")).save(args.sheet)
    print(table(json.loads(args.results.read_text())))


def fill(args: argparse.Namespace) -> None:
    """Learn and write down, exemplar by exemplar."""
    found: dict[str, Any] = (
        json.loads(args.results.read_text()) if args.results.is_file() else {"exemplars": {}}
    )
    for name in args.only.split(","):
        if name in found["exemplars"] and not args.again:
            continue
        around = surroundings()
        command = [
            sys.executable,
            __file__,
            "--child",
            name,
            "--folder",
            str(args.folder),
            "--steps",
            str(args.steps),
        ]
        about = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        )
        found["exemplars"][name] = {**about, "commit": around.pop("commit")}
        found |= {"side": SIDE, "seed": SEED, "steps": args.steps, **around}
        args.results.write_text(json.dumps(found, indent=2) + "\n")
        print(name, json.dumps(found["exemplars"][name]), flush=True)


def learn(name: str, folder: Path, steps: int) -> dict[str, Any]:
    exemplar = picture(path_of(name))
    held, wall, cpu = most_resident_mib(), time.perf_counter(), time.process_time()
    made = app.train(_as_picture(exemplar), folder / name, steps=steps, seed=SEED, fresh=True)
    cost: dict[str, Any] = {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
    }
    cost["peak_mib"] = round(most_resident_mib() - held)
    for seed, size in ((0, SIDE), (1, SIDE), (0, LARGE)):
        write_picture(made.sample(size, seed=seed), _sample(folder, name, seed, size))
    cost["sample_seconds"] = {str(threads): _seconds(made, threads) for threads in (1, 2)}
    samples = [picture(_sample(folder, name, seed, SIDE)) for seed in (0, 1)]
    apart = (samples[0] - samples[1]).square().mean() / (2 * exemplar.var((1, 2)).mean())
    return {**measured(samples[0], exemplar), "diversity": apart.item(), **cost}


def _seconds(made: app.Generator, threads: int) -> float:
    """For a picture of 1024², the shortest of three."""
    torch.set_num_threads(threads)
    spent = []
    for _ in range(3):
        since = time.perf_counter()
        made.sample(LARGE)
        spent.append(time.perf_counter() - since)
    torch.set_num_threads(1)
    return min(spent)


def _as_picture(x: Tensor) -> Picture:
    pixels = (x * 255).round().byte().numpy()
    return to_picture(x, Kind(len(x), alpha=False, dtype=pixels.dtype))


def _sample(folder: Path, name: str, seed: int, size: int) -> Path:
    return folder / f"{name}-{seed}-{size}.png"


def sheet(folder: Path, names: list[str]) -> Image.Image:
    """A row for each exemplar: itself, two samples, and a part of a large one."""
    page = Image.new("RGB", (4 * SIDE, len(names) * SIDE))
    for row, name in enumerate(names):
        exemplar = picture(path_of(name))
        write_picture(_as_picture(exemplar), folder / f"{name}-exemplar.png")
        files = [
            folder / f"{name}-exemplar.png",
            *(_sample(folder, name, seed, SIDE) for seed in (0, 1)),
        ]
        for column, path in enumerate([*files, _sample(folder, name, 0, LARGE)]):
            with Image.open(path) as image:
                page.paste(
                    image.convert("RGB").crop((0, 0, SIDE, SIDE)), (column * SIDE, row * SIDE)
                )
    return page


def table(found: dict[str, Any]) -> str:
    head = [
        "exemplar",
        "patch W2² / floor at scales 0, 1, 2",
        "copying",
        "Gram",
        "diversity",
        "training CPU",
        "1024² on 1 thread, 2",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, about in found["exemplars"].items():
        ratios, seconds = ", ".join(f"{x:.2f}" for x in about["ratio"]), about["sample_seconds"]
        cells = [
            name,
            ratios,
            f"{about['copying']:.1%}",
            f"{about['gram']:.3f}",
            f"{about['diversity']:.2f}",
        ]
        cells += [
            f"{about['cpu_seconds']:.0f} s",
            ", ".join(f"{s:.2f} s" for s in seconds.values()),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
