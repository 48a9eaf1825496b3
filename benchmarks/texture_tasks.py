"""What `monge texture` does beside the table of textures.py: seeds, tiles, holes, mixtures; writes
texture-tasks.json.

    python benchmarks/texture_tasks.py                         # every part
    python benchmarks/texture_tasks.py --parts seeds,large     # some
    python benchmarks/texture_tasks.py --sheet                 # docs/texture-*.jpg from the
                                                               pictures made

Parts: ``seeds`` (demo_texture_1, three seeds), ``large`` (1024², a tile), ``holes`` (the pictures
of inpainting_masks, and discs cut out of other exemplars), ``mix`` (weights from 0 to 1). Each
picture is made in a process of its own on one thread; peak memory is that of the whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from color import most_resident_mib
from PIL import Image
from reproduce import RESULTS, ROOT, surroundings
from textures import path_of, picture
from torch import Tensor

from monge.images.texture.copying import copying_score
from monge.images.texture.metrics import patch_w2, seam_score, sliced_patch_w2
from monge.images.texture.synthesis import inpaint
from monge.methods.texture import Texture

RESULT, PICTURES = RESULTS / "texture-tasks.json", ROOT / "runs" / "texture-tasks"
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(JOBS))
    parser.add_argument("--again", action="store_true", help="also what has been measured")
    parser.add_argument("--sheet", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    PICTURES.mkdir(parents=True, exist_ok=True)
    if args.child:
        print(json.dumps(TASKS[args.child[0]](args.child[1])))
    elif args.sheet:
        draw()
    else:
        for part in args.parts.split(","):
            fill(part, args.again)


def fill(part: str, again: bool) -> None:
    found = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    rows = found.setdefault(part, {})
    for kind, what in JOBS[part]:
        if what in rows and not again:
            continue
        around = surroundings()
        command = [sys.executable, __file__, "--child", kind, what]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        rows[what] = {**json.loads(said.splitlines()[-1]), "commit": around.pop("commit")}
        found |= around
        RESULT.write_text(json.dumps(found, indent=2) + "\n")
        print(part, what, json.dumps(rows[what]), flush=True)


def made(texture: Texture) -> tuple[Tensor, dict[str, float]]:
    """The finished picture as it would be written, with 8 bits, and what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    while not texture.done:
        texture.step()
    cost = {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": most_resident_mib(),
    }
    return (texture.image.clamp(0, 1) * 255).round() / 255, cost


def ratios(image: Tensor, exemplar: Tensor, **settings: Any) -> dict[str, list[float]]:
    found = patch_w2(image, exemplar, **settings)
    return {
        "patch_w2": [f.value for f in found],
        "floor": [f.floor for f in found],
        "ratio": [f.ratio for f in found],
    }


def seed(number: str) -> dict[str, Any]:
    exemplar = picture(path_of("demo_texture_1"))
    image, cost = made(Texture([exemplar], (256, 256), seed=int(number)))
    save(image, f"seed-{number}")
    return {**ratios(image, exemplar), "copying": copying_score(image, exemplar), **cost}


def large(name: str) -> dict[str, Any]:
    exemplar = picture(path_of(name))
    image, cost = made(Texture([exemplar], (1024, 1024), tile=True))
    save(image, f"large-{name}")
    seam = seam_score(image)
    return {
        **ratios(image, exemplar, torus=True),
        "seam": seam.seam,
        "interior": seam.interior,
        "seam_rank": seam.rank,
        **cost,
    }


def hole(name: str) -> dict[str, Any]:
    """The application, as `monge texture inpaint` calls it."""
    before, mask = broken(name)
    wall, cpu = time.perf_counter(), time.process_time()
    after = inpaint(before, mask).colors
    cost = {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": most_resident_mib(),
    }
    Image.fromarray(
        np.concatenate([np.where(mask[..., None], 255, before), after], 1).astype(np.uint8)
    ).save(PICTURES / f"hole-{name}.png")
    image = torch.from_numpy(after.astype(np.float32) / 255).permute(2, 0, 1)
    missing = torch.from_numpy(mask)
    same = bool((after == before)[~mask].all())
    inside = ratios(image, image, scales=2, mask=missing, region=~missing)
    return {
        "size": list(mask.shape),
        "hole": float(mask.mean()),
        "outside_identical": same,
        **inside,
        **cost,
    }


def broken(name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A picture (h, w, 3) and its hole (h, w)."""
    if name == "bark":
        dark = np.asarray(Image.open(MASKS / "mask_3_inpaint.jpg").convert("L")) < 128
        return np.array(Image.open(MASKS / "image_3_bark_with_red_z.jpg").convert("RGB")), dark
    if name == "bricks":
        pixels = np.array(Image.open(MASKS / "image_bricks_with_hole_rgba.png").convert("RGBA"))
        return pixels[..., :3].copy(), pixels[..., 3] < 255
    if name == "water":
        pixels = np.array(Image.open(path_of("embark_water")).convert("RGB"))
        return pixels, np.asarray(Image.open(MASKS / "mask_1_tile.jpg").convert("L")) < 128
    pixels = (picture(path_of(name)) * 255).round().byte().permute(1, 2, 0).numpy()
    y, x = np.mgrid[:256, :256]
    return np.repeat(pixels, 4 - pixels.shape[2], 2)[..., :3].copy(), (y - 120) ** 2 + (
        x - 136
    ) ** 2 < 44**2


def mix(what: str) -> dict[str, Any]:
    pair, weight = what.split("@")
    first, second = (picture(path_of(name)) for name in pair.split("+"))
    image, cost = made(
        Texture([first, second], (256, 256), weights=[1 - float(weight), float(weight)])
    )
    save(image, f"mix-{what}")
    sides = {"to_first": ratios(image, first), "to_second": ratios(image, second)}
    sliced = {
        f"sliced_{k}": sliced_patch_w2(image, e) for k, e in (("first", first), ("second", second))
    }
    return {**sides, **sliced, **cost}


TASKS = {"seed": seed, "large": large, "hole": hole, "mix": mix}


def save(image: Tensor, name: str) -> None:
    pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(
        PICTURES / f"{name}.png"
    )


def draw() -> None:
    holes = [
        Image.open(PICTURES / f"hole-{name}.png").resize((512, 256)) for _, name in JOBS["holes"]
    ]
    rows([holes[i : i + 2] for i in range(0, len(holes), 2)], "texture-holes")
    strips = [[Image.open(PICTURES / f"mix-{a}+{b}@{w:g}.png") for w in WEIGHTS] for a, b in MIXED]
    rows(strips, "texture-mix")


def rows(pictures: list[list[Image.Image]], name: str) -> None:
    gap = 6
    wide = max(sum(p.width + gap for p in row) for row in pictures) - gap
    sheet = Image.new("RGB", (wide, sum(row[0].height + gap for row in pictures) - gap), "white")
    top = 0
    for row in pictures:
        left = 0
        for p in row:
            sheet.paste(p.convert("RGB"), (left, top))
            left += p.width + gap
        top += row[0].height + gap
    sheet.save(ROOT / "docs" / f"{name}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
