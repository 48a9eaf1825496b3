"""Texture generators trained on exemplars of 256² pixels.

    python -m benchmarks texture-generator                               # three exemplars, then the
                                                                         # table
    python -m benchmarks texture-generator --only godot_rock,godot_wood  # others
    python -m benchmarks texture-generator --table                       # only print the table
    python -m benchmarks texture-generator --sheet sheet.png             # exemplars beside samples

Writes benchmarks/results/texture-generator.json. Exemplars are averaged down to 256 pixels on the
shorter side and cropped in the center. Each is learned in a process of its own, on one thread.
Metrics are of a sample of 256² pixels as it is written, with 8 bits; ``diversity`` is the mean
squared difference of two such samples over twice the variance of the exemplar's pixels: 1 for
samples that have nothing in common.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.common.command import make_parser, run_child, words
from benchmarks.common.cost import peak_memory_mib, timed
from benchmarks.common.markdown import header, row
from benchmarks.common.paths import RUNS
from benchmarks.common.provenance import provenance
from benchmarks.common.results import Result, add_row, read_result, results_file
from benchmarks.textures.pictures import SEED, SIDE, measure_texture, read_exemplar, read_picture
from monge.images.io import Picture, write_picture
from monge.images.texture import generator
from monge.images.texture.pictures import Kind, to_picture

LARGE = 1024
EXEMPLARS = ("demo_texture_1", "godot_stone_bricks", "skimage_gravel_gray")


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("texture-generator", __doc__)
    parser.add_argument(
        "--only", type=words, default=list(EXEMPLARS), help="exemplars, comma-separated"
    )
    parser.add_argument("--again", action="store_true", help="also what has been measured")
    parser.add_argument("--steps", type=int, default=generator.STEPS)
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--sheet", type=Path, help="only draw samples to this file")
    parser.add_argument("--results", type=Path, default=results_file("texture-generator"))
    parser.add_argument("--folder", type=Path, default=RUNS / "texture-generator")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.child:
        print(json.dumps(train_exemplar(args.child, args.folder, args.steps)))
        return
    if not args.table and not args.sheet:
        measure_all(args.only, args.folder, args.steps, args.results, args.again)
    if args.sheet:
        draw_sheet(args.folder, args.only).save(args.sheet)
    print(table(read_result(args.results, None)))


def measure_all(names: list[str], folder: Path, steps: int, path: Path, again: bool) -> None:
    """Train exemplar by exemplar; each is stored, so that the next call continues."""
    result = read_result(path, {"exemplars": {}})
    for name in names:
        if name in result["exemplars"] and not again:
            continue
        origin = provenance()
        flags = ["--child", name, "--folder", str(folder), "--steps", str(steps)]
        metrics = json.loads(run_child("texture-generator", *flags))
        result |= {"side": SIDE, "seed": SEED, "steps": steps}
        add_row(result["exemplars"], name, metrics, result, origin, path)
        print(name, json.dumps(result["exemplars"][name]), flush=True)


def train_exemplar(name: str, folder: Path, steps: int) -> dict[str, Any]:
    """Train one generator, write samples, and measure both."""
    exemplar = read_exemplar(name)

    def train() -> generator.Generator:
        options: dict[str, Any] = {"steps": steps, "seed": SEED, "fresh": True}
        return generator.train(_as_picture(exemplar), folder / name, **options)

    held = peak_memory_mib()
    trained, seconds = timed(train)
    cost: dict[str, Any] = {**seconds, "peak_mib": round(peak_memory_mib() - held)}
    for seed, size in ((0, SIDE), (1, SIDE), (0, LARGE)):
        write_picture(trained.sample(size, seed=seed), _sample(folder, name, seed, size))
    cost["sample_seconds"] = {str(threads): _time_sample(trained, threads) for threads in (1, 2)}
    samples = [read_picture(_sample(folder, name, seed, SIDE)) for seed in (0, 1)]
    difference = (samples[0] - samples[1]).square().mean()
    diversity = (difference / (2 * exemplar.var((1, 2)).mean())).item()
    return {**measure_texture(samples[0], exemplar), "diversity": diversity, **cost}


def _time_sample(trained: generator.Generator, threads: int) -> float:
    """Return the seconds for a picture of 1024², the shortest of three."""
    torch.set_num_threads(threads)
    times = [timed(trained.sample, LARGE)[1]["wall_seconds"] for _ in range(3)]
    torch.set_num_threads(1)
    return min(times)


def _as_picture(x: Tensor) -> Picture:
    pixels = (x * 255).round().byte().numpy()
    return to_picture(x, Kind(len(x), alpha=False, dtype=pixels.dtype))


def _sample(folder: Path, name: str, seed: int, size: int) -> Path:
    return folder / f"{name}-{seed}-{size}.png"


def draw_sheet(folder: Path, names: list[str]) -> Image.Image:
    """Draw a row for each exemplar: itself, two samples, and a part of a large one."""
    page = Image.new("RGB", (4 * SIDE, len(names) * SIDE))
    for line, name in enumerate(names):
        exemplar = folder / f"{name}-exemplar.png"
        write_picture(_as_picture(read_exemplar(name)), exemplar)
        sizes = ((0, SIDE), (1, SIDE), (0, LARGE))
        samples = [_sample(folder, name, seed, size) for seed, size in sizes]
        for column, path in enumerate([exemplar, *samples]):
            with Image.open(path) as image:
                crop = image.convert("RGB").crop((0, 0, SIDE, SIDE))
            page.paste(crop, (column * SIDE, line * SIDE))
    return page


def table(result: Result) -> str:
    """A row for each exemplar."""
    head = ["exemplar", "patch W2² / floor at scales 0, 1, 2", "copying", "Gram", "diversity"]
    lines = header([*head, "training CPU", "1024² on 1 thread, 2"])
    for name, metrics in result["exemplars"].items():
        cells = [
            name,
            ", ".join(f"{ratio:.2f}" for ratio in metrics["ratio"]),
            f"{metrics['copying']:.1%}",
            f"{metrics['gram']:.3f}",
            f"{metrics['diversity']:.2f}",
            f"{metrics['cpu_seconds']:.0f} s",
            ", ".join(f"{seconds:.2f} s" for seconds in metrics["sample_seconds"].values()),
        ]
        lines.append(row(cells))
    return "\n".join(lines)
