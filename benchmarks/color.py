"""Color transfer on five pairs of photographs: how near the palette, what of the picture is kept,
what it costs.

    python benchmarks/color.py                 # measure all, write results/color.json,
                                               docs/color.md's table and docs/color.jpg
    python benchmarks/color.py --page          # only write the table from the results
    python benchmarks/color.py --memory        # measure only the memory again
    python benchmarks/color.py --keep FOLDER   # also keep the pictures

One thread. Peak memory is that of a child process above what it held when the source had been
decoded.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from reproduce import RESULTS, ROOT, surroundings

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
METHODS = {
    "w2": "W2 map",
    "w2, smooth=0": "W2 map, smooth=0",
    "gaussian": "Gaussian",
    "exact": "exact plan",
}
SHOWN = "ocean_day"  # drawn in docs/color.jpg, and also mapped without smoothing
PAGE, PICTURE = ROOT / "docs" / "color.md", ROOT / "docs" / "color.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.child:
        print(peak_mib(*args.child))
        return
    if args.memory:
        found = json.loads((RESULTS / "color.json").read_text())
        for source, palette in reversed(PAIRS.items()):  # the largest first
            found["pairs"][f"{source} → {palette}"]["peak_mib"] = memory(source, palette)
            save(found)
    elif not args.page:
        around = surroundings()
        pairs = {
            f"{source} → {palette}": measured(source, palette, args.keep)
            for source, palette in PAIRS.items()
        }
        save({"pairs": pairs, **around})
    write_page()


def save(found: dict[str, Any]) -> None:
    (RESULTS / "color.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def picture(name: str) -> Picture:
    return read_picture(Path(os.environ["MONGE_DATA"]) / "color_transfer" / f"{name}.jpg")


def transfer(method: str) -> ColorTransfer:
    return (
        ColorTransfer(method="w2", smooth=0)
        if method == "w2, smooth=0"
        else ColorTransfer(method=method)
    )  # type: ignore[arg-type]


def measured(source_name: str, palette_name: str, keep: Path | None) -> dict[str, Any]:
    source, palette = picture(source_name), picture(palette_name)
    before, rows, results = palette_distance(source, palette), {}, {}
    for method in METHODS:
        if method == "w2, smooth=0" and source_name != SHOWN:
            continue
        fitted, fit = timed(transfer(method).fit, source, palette)
        results[method], transform = timed(fitted.transform, source)
        kept = agreement(source, results[method])
        rows[method] = {
            "sliced_w2_percent_of_before": 100
            * palette_distance(results[method], palette)
            / before,
            "gradients_kept": kept.share,
            "steepness": kept.steepness,
            "clipped": results[method].clipped,
            "fit": fit,
            "transform": transform,
        }
        print(source_name, method, json.dumps(rows[method]), flush=True)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        for method, result in results.items():
            write_picture(result, keep / f"{source_name}-{method.replace(', ', '-')}.png")
    if source_name == SHOWN:
        draw(source, palette, rows, results)
    megapixels = source.colors.shape[0] * source.colors.shape[1] / 1e6
    return {
        "megapixels": megapixels,
        "sliced_w2_before": before,
        "peak_mib": memory(source_name, palette_name),
        "methods": rows,
    }


def timed(run: Callable[..., Any], *given: Any) -> tuple[Any, dict[str, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = run(*given)
    return found, {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
    }


def peak_mib(source_name: str, palette_name: str) -> float:
    """MiB of the largest resident set while fitting and mapping, above that after decoding the
    source.
    """
    source = picture(source_name)
    held = most_resident_mib()
    ColorTransfer().fit(source, picture(palette_name)).transform(source)
    return most_resident_mib() - held


def most_resident_mib() -> float:
    """Of this program; Linux' ru_maxrss begins with that of the parent, so that is asked only where
    there is no /proc.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )


def memory(source_name: str, palette_name: str) -> int:
    """`peak_mib` in a process of its own."""
    command = [sys.executable, __file__, "--child", source_name, palette_name]
    return round(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def draw(
    source: Picture, palette: Picture, rows: dict[str, Any], results: dict[str, Picture]
) -> None:
    """The largest JPEG of at most 400 KB."""
    captions = {}
    for method, title in METHODS.items():
        row = rows[method]
        kept = Agreement(row["gradients_kept"], row["steepness"], 0, 0)
        captions[title] = caption([row["sliced_w2_percent_of_before"] / 100], kept)
    shown = {
        title: results[method].colors
        for method, title in METHODS.items()
        if method != "w2, smooth=0"
    }
    figure, raw = color_figure(source.colors, [palette.colors], shown, captions), io.BytesIO()
    figure.savefig(raw, format="png", dpi=100, bbox_inches="tight")
    for quality in range(92, 40, -4):
        made = io.BytesIO()
        Image.open(raw).convert("RGB").save(made, "JPEG", quality=quality, optimize=True)
        if made.tell() <= 400_000:
            break
    PICTURE.write_bytes(made.getvalue())


def write_page() -> None:
    """Put the table between its marks."""
    begin, end = "<!-- color: written by `python benchmarks/color.py` -->", "<!-- end of color -->"
    before, rest = PAGE.read_text().split(begin)
    PAGE.write_text(f"{before}{begin}\n{table()}\n{end}{rest.split(end)[1]}")


def table() -> str:
    found = json.loads((RESULTS / "color.json").read_text())
    head = [
        "pair",
        "method",
        "sliced W2",
        "gradients kept",
        "steepness",
        "clipped",
        "fit",
        "transform",
        "memory",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for pair, result in found["pairs"].items():
        for method, row in result["methods"].items():
            first = method == "w2"
            seconds = [
                f"{row[part]['cpu_seconds']:.1f} s ({row[part]['wall_seconds']:.1f})"
                for part in ("fit", "transform")
            ]
            cells = [
                f"{pair}, {result['megapixels']:.1f} MP" if first else "",
                METHODS[method],
                f"{row['sliced_w2_percent_of_before']:.1f} %",
                f"{row['gradients_kept']:.2%}",
                f"{row['steepness']:.1f}",
                f"{row['clipped']:.2%}",
                *seconds,
                f"{result['peak_mib']:,} MiB" if first and result["peak_mib"] else "",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    machine = found["machine"]
    return "\n".join(
        [
            *lines,
            "",
            f"{machine['processor']}, {machine['threads']} thread, commit {found['commit']}.",
        ]
    )


if __name__ == "__main__":
    main()
