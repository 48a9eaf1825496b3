"""Seeds, tiles, holes and mixtures of textures: what `monge texture` does beside plain synthesis.

    python -m benchmarks texture-tasks                       # every part
    python -m benchmarks texture-tasks --parts seeds,large   # some
    python -m benchmarks texture-tasks --sheet               # draw docs/texture-*.jpg from the
                                                             # pictures made

Writes benchmarks/results/texture-tasks.json. Parts: ``seeds`` (demo_texture_1, three seeds),
``large`` (1024², a tile), ``holes`` (the pictures of inpainting_masks, and discs cut out of other
exemplars), ``mix`` (weights from 0 to 1). Each picture is made in a process of its own on one
thread; peak memory is that of the whole process.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.common.command import make_parser, run_child, words
from benchmarks.common.cost import peak_memory_mib, timed
from benchmarks.common.images import to_image
from benchmarks.common.paths import DOCS, RUNS
from benchmarks.common.provenance import provenance
from benchmarks.common.results import add_row, read_result, results_file
from benchmarks.textures.pictures import (
    SIDE,
    exemplar_path,
    measure_patches,
    read_exemplar,
)
from monge.images.texture.copying import copying_score
from monge.images.texture.metrics import seam_score, sliced_patch_w2
from monge.images.texture.synthesis import inpaint
from monge.methods.texture import Texture

RESULT, PICTURES = results_file("texture-tasks"), RUNS / "texture-tasks"
MASKS = Path(os.environ.get("MONGE_DATA", ".")) / "inpainting_masks"
LARGE = "skimage_gravel_gray", "godot_stone_bricks"
DISCS = "skimage_gravel_gray", "materialx_cloth_weave", "demo_texture_3"
MIXED = (("demo_texture_1", "embark_water"),)
WEIGHTS = 0.0, 0.5, 1.0
JOBS = {
    "seeds": [("seed", str(seed)) for seed in range(3)],
    "large": [("large", name) for name in LARGE],
    "holes": [("hole", name) for name in ("bark", "bricks", "water", *DISCS)],
    "mix": [("mix", f"{a}+{b}@{w:g}") for a, b in MIXED for w in WEIGHTS],
}

Pixels = np.ndarray[Any, np.dtype[Any]]


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("texture-tasks", __doc__)
    parser.add_argument("--parts", type=words, default=list(JOBS), help="comma-separated")
    parser.add_argument("--again", action="store_true", help="also what has been measured")
    parser.add_argument("--sheet", action="store_true", help="only draw the sheets")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    PICTURES.mkdir(parents=True, exist_ok=True)
    if args.child:
        task, name = args.child
        print(json.dumps(TASKS[task](name)))
    elif args.sheet:
        draw()
    else:
        for part in args.parts:
            measure_part(part, args.again)


def measure_part(part: str, again: bool) -> None:
    """Run the jobs of a part; each is stored, so that the next call continues."""
    result = read_result(RESULT, {})
    rows = result.setdefault(part, {})
    for task, name in JOBS[part]:
        if name in rows and not again:
            continue
        origin = provenance()
        output = run_child("texture-tasks", "--child", task, name)
        add_row(rows, name, json.loads(output.splitlines()[-1]), result, origin, RESULT)
        print(part, name, json.dumps(rows[name]), flush=True)


def finish(texture: Texture) -> tuple[Tensor, dict[str, float]]:
    """Return the finished picture as it is written, with 8 bits, and its cost."""

    def run() -> None:
        while not texture.done:
            texture.step()

    _, cost = timed(run)
    cost["peak_mib"] = peak_memory_mib()
    return (texture.image.clamp(0, 1) * 255).round() / 255, cost


def make_seed(number: str) -> dict[str, Any]:
    exemplar = read_exemplar("demo_texture_1")
    image, cost = finish(Texture([exemplar], (SIDE, SIDE), seed=int(number)))
    save(image, f"seed-{number}")
    copied = {"copying": copying_score(image, exemplar)}
    return {**measure_patches(image, exemplar), **copied, **cost}


def make_large(name: str) -> dict[str, Any]:
    exemplar = read_exemplar(name)
    image, cost = finish(Texture([exemplar], (1024, 1024), tile=True))
    save(image, f"large-{name}")
    score = seam_score(image)
    seam = {"seam": score.seam, "interior": score.interior, "seam_rank": score.rank}
    return {**measure_patches(image, exemplar, torus=True), **seam, **cost}


def fill_hole(name: str) -> dict[str, Any]:
    """The application, as `monge texture inpaint` calls it."""
    before, mask = read_hole(name)
    picture, cost = timed(inpaint, before, mask)
    cost["peak_mib"] = peak_memory_mib()
    after = picture.colors
    pair = np.concatenate([np.where(mask[..., None], 255, before), after], 1)
    Image.fromarray(pair.astype(np.uint8)).save(PICTURES / f"hole-{name}.png")
    image = torch.from_numpy(after.astype(np.float32) / 255).permute(2, 0, 1)
    missing = torch.from_numpy(mask)
    return {
        "size": list(mask.shape),
        "hole": float(mask.mean()),
        "outside_identical": bool((after == before)[~mask].all()),
        **measure_patches(image, image, scales=2, mask=missing, region=~missing),
        **cost,
    }


def read_hole(name: str) -> tuple[Pixels, Pixels]:
    """Return a picture (h, w, 3) and its hole (h, w)."""
    if name == "bark":
        dark = np.asarray(Image.open(MASKS / "mask_3_inpaint.jpg").convert("L")) < 128
        return np.array(Image.open(MASKS / "image_3_bark_with_red_z.jpg").convert("RGB")), dark
    if name == "bricks":
        pixels = np.array(Image.open(MASKS / "image_bricks_with_hole_rgba.png").convert("RGBA"))
        return pixels[..., :3].copy(), pixels[..., 3] < 255
    if name == "water":
        pixels = np.array(Image.open(exemplar_path("embark_water")).convert("RGB"))
        return pixels, np.asarray(Image.open(MASKS / "mask_1_tile.jpg").convert("L")) < 128
    pixels = (read_exemplar(name) * 255).round().byte().permute(1, 2, 0).numpy()
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = (y - 120) ** 2 + (x - 136) ** 2 < 44**2
    return np.repeat(pixels, 4 - pixels.shape[2], 2)[..., :3].copy(), disc


def make_mixture(name: str) -> dict[str, Any]:
    pair, weight = name.split("@")
    first, second = (read_exemplar(exemplar) for exemplar in pair.split("+"))
    weights = [1 - float(weight), float(weight)]
    image, cost = finish(Texture([first, second], (SIDE, SIDE), weights=weights))
    save(image, f"mix-{name}")
    return {
        "to_first": measure_patches(image, first),
        "to_second": measure_patches(image, second),
        "sliced_first": sliced_patch_w2(image, first),
        "sliced_second": sliced_patch_w2(image, second),
        **cost,
    }


TASKS: dict[str, Callable[[str], dict[str, Any]]] = {
    "seed": make_seed,
    "large": make_large,
    "hole": fill_hole,
    "mix": make_mixture,
}


def save(image: Tensor, name: str) -> None:
    to_image(image).save(PICTURES / f"{name}.png")


def draw() -> None:
    """Draw docs/texture-holes.jpg and docs/texture-mix.jpg."""
    holes = [
        Image.open(PICTURES / f"hole-{name}.png").resize((512, 256)) for _, name in JOBS["holes"]
    ]
    draw_rows([holes[i : i + 2] for i in range(0, len(holes), 2)], "texture-holes")
    strips = [
        [Image.open(PICTURES / f"mix-{a}+{b}@{weight:g}.png") for weight in WEIGHTS]
        for a, b in MIXED
    ]
    draw_rows(strips, "texture-mix")


def draw_rows(pictures: Sequence[Sequence[Image.Image]], name: str) -> None:
    gap = 6
    wide = max(sum(p.width + gap for p in line) for line in pictures) - gap
    high = sum(line[0].height + gap for line in pictures) - gap
    sheet = Image.new("RGB", (wide, high), "white")
    top = 0
    for line in pictures:
        left = 0
        for p in line:
            sheet.paste(p.convert("RGB"), (left, top))
            left += p.width + gap
        top += line[0].height + gap
    sheet.save(DOCS / f"{name}.jpg", quality=88, optimize=True)
