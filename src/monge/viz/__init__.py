"""Pictures and pages: pure functions."""

from .color import color_figure
from .compare import comparison
from .pictures import clouds, curves, grid, grid_png, to_png
from .report import report_page
from .scores import piano_rolls
from .transport import arrows, before_after, displacement_gif, level_sets

__all__ = [
    "arrows",
    "before_after",
    "clouds",
    "color_figure",
    "comparison",
    "curves",
    "displacement_gif",
    "grid",
    "grid_png",
    "level_sets",
    "piano_rolls",
    "report_page",
    "to_png",
]
