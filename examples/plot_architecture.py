"""The plan of the house
=====================

Which part of `monge` may import which, and how large each part is. A box is a folder or a file, as wide as it has lines; what
stands higher may import what stands below it. The test of the imports reads the floors from here.

    python examples/plot_architecture.py docs/architecture.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

STUDIOS = ("images", "music", "dance")
FLOORS = (  # each may import what stands before it, and itself
    ("errors", "config", "rng", "__init__", "methods.protocols"),  # the last one names types only
    ("parallel", "optim"),
    ("ot",),
    ("nets",),
    ("metrics", "plots"),
    ("data",),
    ("methods",),
    ("train",),
    ("maps",),
    ("adapt", "interpolate"),
    STUDIOS,
    ("cli",),
    ("__main__",),
)
ABOUT = {
    "errors": "one-line errors",
    "rng": "noise from integers",
    "parallel": "processes",
    "optim": "optimizer settings",
    "ot": "solvers, divergences, barycenters, semi-discrete",
    "nets": "networks",
    "metrics": "metrics with their floors",
    "plots": "figures",
    "data": "data sets and the kinds of their samples",
    "methods": "one file a paper",
    "train": "runner, recipes, checkpoints, evaluation, comparison",
    "maps": "optimal maps",
    "adapt": "domains",
    "interpolate": "paths of codes",
    "images": "color, textures",
    "music": "NES, MIDI",
    "dance": "motion, audio, dances",
    "cli": "commands",
}
_CORE, _STUDIO, _INK, _QUIET = "#dbe7f3", "#f6dfc8", "#22303c", "#5c6b78"
_GAP, _HEIGHT, _LEAST = 250, 0.72, 900  # lines of code between boxes; of a floor; that a small box is drawn as


def lines(source: Path) -> dict[str, int]:
    """Lines of Python of each part."""
    found: dict[str, int] = {}
    for path in source.rglob("*.py"):
        part = path.relative_to(source).parts[0].removesuffix(".py")
        found[part] = found.get(part, 0) + len(path.read_text().splitlines())
    return found


def draw(source: Path) -> Figure:
    """The floors, the ground below."""
    size = lines(source)
    floors = [[part for part in floor if part in ABOUT and part in size] for floor in FLOORS]
    floors = [floor for floor in floors if floor]
    widest = max(sum(max(size[part], _LEAST) + _GAP for part in floor) for floor in floors)
    figure = Figure(figsize=(9.5, 0.74 * len(floors) + 0.5), layout="constrained")
    axis = figure.subplots()
    for level, floor in enumerate(floors):
        width = sum(max(size[part], _LEAST) + _GAP for part in floor) - _GAP
        left = (widest - width) / 2
        for part in floor:
            box = max(size[part], _LEAST)
            color = _STUDIO if part in STUDIOS else _CORE
            axis.add_patch(
                FancyBboxPatch(
                    (left, level),
                    box,
                    _HEIGHT,
                    boxstyle="round,pad=0,rounding_size=90",
                    mutation_aspect=1 / 900,
                    fc=color,
                    ec="none",
                )
            )
            middle = left + box / 2
            axis.text(middle, level + 0.47, part, ha="center", va="center", fontsize=10, fontweight="bold", color=_INK)
            about = ABOUT[part] if len(ABOUT[part]) < box / 52 else ""
            axis.text(
                middle, level + 0.2, f"{about}  {size[part]:,}".strip(), ha="center", va="center", fontsize=7.5, color=_QUIET
            )
            left += box + _GAP
    axis.set(xlim=(-100, widest + 100), ylim=(-0.15, len(floors)))
    axis.axis("off")
    return figure


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "architecture.png")
    draw(Path(__file__).parent.parent / "src" / "monge").savefig(target, dpi=150)
    print(f"look at {target}")
