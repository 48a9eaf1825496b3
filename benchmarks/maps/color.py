"""Color transfer on five pairs of photographs: distance to the palette, gradients kept, cost.

    python -m benchmarks color                 # all: results/color.json and docs/color.jpg
    python -m benchmarks color --memory        # only the memory again
    python -m benchmarks color --keep FOLDER   # also keep the pictures

One thread. Peak memory is that of a child process above what it held when the source had been
decoded.
"""

from __future__ import annotations

import argparse
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image

from benchmarks.common.command import make_parser, run_child
from benchmarks.common.cost import peak_memory_mib, timed
from benchmarks.common.images import save_jpeg
from benchmarks.common.paths import DOCS
from benchmarks.common.provenance import provenance
from benchmarks.common.results import read_result, results_file, write_result
from benchmarks.maps.tables import COLOR_METHODS
from monge.images.color.measures import caption
from monge.images.color.plots import color_figure
from monge.images.color.transfer import Agreement, ColorTransfer, agreement, palette_distance
from monge.images.io import Picture, read_picture, write_picture

PAIRS = {
    "ocean_day": "ocean_sunset",
    "woods": "autumn",
    "country_house": "forest_road",
    "canyon_6mp": "water_dock_4mp",
    "pier_sunset_20mp": "snowcapped_mountain_12mp",
}
UNSMOOTHED = "w2, smooth=0"
METHODS: dict[str, tuple[Literal["w2", "gaussian", "exact"], dict[str, Any]]] = {
    "w2": ("w2", {}),
    UNSMOOTHED: ("w2", {"smooth": 0}),
    "gaussian": ("gaussian", {}),
    "exact": ("exact", {}),
}
SHOWN = "ocean_day"  # drawn in docs/color.jpg, and also mapped without smoothing
FIGURE, MAX_BYTES = DOCS / "color.jpg", 400_000


def main(argv: Sequence[str] | None = None) -> None:
    parser = make_parser("color", __doc__)
    parser.add_argument("--memory", action="store_true", help="measure only the memory again")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the pictures there")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    path = results_file("color")
    if args.child:
        print(measure_memory(*args.child))
    elif args.memory:
        result = read_result(path, None)
        for source, palette in reversed(PAIRS.items()):  # the largest first
            result["pairs"][f"{source} → {palette}"]["peak_mib"] = child_memory(source, palette)
            write_result(path, result)
    else:
        origin = provenance()
        pairs = {
            f"{source} → {palette}": measure_pair(source, palette, args.keep)
            for source, palette in PAIRS.items()
        }
        write_result(path, {"pairs": pairs, **origin})


def read_photograph(name: str) -> Picture:
    return read_picture(Path(os.environ["MONGE_DATA"]) / "color_transfer" / f"{name}.jpg")


def measure_pair(source_name: str, palette_name: str, keep: Path | None) -> dict[str, Any]:
    """Transfer the colors by every method, and measure the results."""
    source, palette = read_photograph(source_name), read_photograph(palette_name)
    before = palette_distance(source, palette)
    rows, pictures = {}, {}
    for name, (method, settings) in METHODS.items():
        if name == UNSMOOTHED and source_name != SHOWN:
            continue
        transfer = ColorTransfer(method=method, **settings)
        fitted, fit = timed(transfer.fit, source, palette)
        picture, transform = timed(fitted.transform, source)
        kept = agreement(source, picture)
        after = palette_distance(picture, palette)
        rows[name] = {
            "sliced_w2_percent_of_before": 100 * after / before,
            "gradients_kept": kept.share,
            "steepness": kept.steepness,
            "clipped": picture.clipped,
            "fit": fit,
            "transform": transform,
        }
        pictures[name] = picture
        print(source_name, name, json.dumps(rows[name]), flush=True)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            write_picture(picture, keep / f"{source_name}-{name.replace(', ', '-')}.png")
    if source_name == SHOWN:
        draw(source, palette, rows, pictures)
    return {
        "megapixels": source.colors.shape[0] * source.colors.shape[1] / 1e6,
        "sliced_w2_before": before,
        "peak_mib": child_memory(source_name, palette_name),
        "methods": rows,
    }


def measure_memory(source_name: str, palette_name: str) -> float:
    """Return the peak MiB while fitting and mapping, above that after decoding the source."""
    source = read_photograph(source_name)
    held = peak_memory_mib()
    ColorTransfer().fit(source, read_photograph(palette_name)).transform(source)
    return peak_memory_mib() - held


def child_memory(source_name: str, palette_name: str) -> int:
    """`measure_memory` in a process of its own."""
    return round(float(run_child("color", "--child", source_name, palette_name)))


def draw(
    source: Picture, palette: Picture, rows: dict[str, Any], pictures: dict[str, Picture]
) -> None:
    """Draw docs/color.jpg."""
    captions, shown = {}, {}
    for name, title in COLOR_METHODS.items():
        kept = Agreement(rows[name]["gradients_kept"], rows[name]["steepness"], 0, 0)
        captions[title] = caption([rows[name]["sliced_w2_percent_of_before"] / 100], kept)
        if name != UNSMOOTHED:
            shown[title] = pictures[name].colors
    figure, png = color_figure(source.colors, [palette.colors], shown, captions), io.BytesIO()
    figure.savefig(png, format="png", dpi=100, bbox_inches="tight")
    save_jpeg(Image.open(png).convert("RGB"), FIGURE, MAX_BYTES)
