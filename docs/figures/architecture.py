"""The plan of the house
=====================

Which part of `monge` may import which, and how large each part is. A box is a folder or a file, as
wide as it has lines (small ones are drawn wider); a floor imports from those below it. Blue is the
core, orange the studios; the numbers are the walk through a training run in `docs/architecture.md`.
The test of the imports reads the floors from here.

    python docs/figures/architecture.py docs/architecture.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

# above it the studios, which are all other folders
CORE = (  # each may import what stands before it, and itself
    ("errors", "config", "rng", "__init__", "methods.protocols"),  # the last one names types only
    ("parallel", "optim"),
    ("ot",),
    ("nets",),
    ("metrics", "plots"),
    ("data",),
    ("methods",),
    ("training",),
    ("maps",),
    ("adapt", "interpolate", "runs"),
)
ROOF = (("cli",), ("__main__",))
ABOUT = {
    "errors": "one-line errors",
    "config": "closed settings",
    "rng": "noise of integers",
    "parallel": "processes",
    "optim": "Adam, RMSprop",
    "ot": "solvers, divergences, barycenters, semi-discrete",
    "nets": "networks",
    "metrics": "metrics, their floors",
    "plots": "figures, reports",
    "data": "data sets, kinds of samples",
    "methods": "one file a paper",
    "training": "runner, recipes",
    "maps": "optimal maps",
    "adapt": "domain adaptation",
    "interpolate": "paths of codes",
    "runs": "train, load",
    "images": "color, textures",
    "music": "NES, MIDI",
    "dance": "motion, audio, dances",
    "cli": "commands",
}
# what the page follows, in its order
WALK = (
    "cli",
    "training",
    "data",
    "methods",
    "nets",
    "ot",
    "training",
    "metrics",
    "plots",
)
_CORE, _STUDIO, _INK, _QUIET = "#dbe7f3", "#f6dfc8", "#22303c", "#5c6b78"
_STOP = {"boxstyle": "circle,pad=0.25", "fc": _INK, "ec": "none"}
_GAP = 180
_HEIGHT = 0.74
_LEAST = 1750


def lines(source: Path) -> dict[str, int]:
    """Lines of Python of each part."""
    found: dict[str, int] = {}
    for path in source.rglob("*.py"):
        part = path.relative_to(source).parts[0].removesuffix(".py")
        found[part] = found.get(part, 0) + len(path.read_text().splitlines())
    return found


def studios(source: Path) -> tuple[str, ...]:
    """Folders with Python that are no part of the core and not the command line."""
    named = {part for floor in (*CORE, *ROOF) for part in floor}
    return tuple(sorted({path.parent.name for path in source.glob("*/*.py")} - named))


def floors_of(source: Path) -> tuple[tuple[str, ...], ...]:
    """From the ground up."""
    return (*CORE, studios(source), *ROOF)


def draw(source: Path) -> Figure:
    """The floors, the ground below."""
    size = lines(source)
    unseen = {"__init__", "__main__", "methods.protocols"}
    floors = [
        shown
        for floor in floors_of(source)
        if (shown := [part for part in floor if part not in unseen])
    ]
    width = {part: max(size[part], _LEAST) for floor in floors for part in floor}
    widest = max(sum(width[part] + _GAP for part in floor) - _GAP for floor in floors)
    figure = Figure(figsize=(10, 0.62 * len(floors)), layout="constrained")
    axis = figure.subplots()
    for level, floor in enumerate(floors):
        left = (widest - sum(width[part] + _GAP for part in floor) + _GAP) / 2
        for part in floor:
            _box(
                axis,
                part,
                size[part],
                (left, level, width[part]),
                _STUDIO if part in studios(source) else _CORE,
            )
            left += width[part] + _GAP
    axis.set(xlim=(-50, widest + 50), ylim=(-0.1, len(floors) - 0.15))
    axis.axis("off")
    return figure


def _box(axis: Axes, part: str, size: int, place: tuple[float, float, float], color: str) -> None:
    left, level, width = place
    shape = "round,pad=0,rounding_size=70"
    axis.add_patch(
        FancyBboxPatch(
            (left, level),
            width,
            _HEIGHT,
            boxstyle=shape,
            mutation_aspect=1 / 900,
            fc=color,
            ec="none",
        )
    )
    middle, text = left + width / 2, {"ha": "center", "va": "center"}
    axis.text(middle, level + 0.5, part, fontsize=10, fontweight="bold", color=_INK, **text)
    axis.text(
        middle, level + 0.21, f"{ABOUT.get(part, '')}  {size:,}", fontsize=7, color=_QUIET, **text
    )
    for nth, stop in enumerate(stop for stop, name in enumerate(WALK, 1) if name == part):
        axis.text(
            left + 110 + 200 * nth,
            level + 0.53,
            str(stop),
            fontsize=7.5,
            color="white",
            **text,
            bbox=_STOP,
        )


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "architecture.png")
    draw(Path(__file__).parents[2] / "src" / "monge").savefig(target, dpi=130)
    print(f"wrote {target}")
