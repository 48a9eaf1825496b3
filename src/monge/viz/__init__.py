"""Pictures and pages: pure functions."""

from .cells import assignment, laguerre
from .color import color_figure
from .compare import comparison
from .origins import origin_colors, origins
from .pictures import clouds, curves, grid, grid_png, to_png
from .report import report_page
from .texture import shown_png, texture_page
from .transport import arrows, before_after, displacement_gif, level_sets

__all__ = [
    "arrows",
    "assignment",
    "before_after",
    "clouds",
    "color_figure",
    "comparison",
    "curves",
    "displacement_gif",
    "grid",
    "grid_png",
    "laguerre",
    "level_sets",
    "origin_colors",
    "origins",
    "report_page",
    "shown_png",
    "texture_page",
    "to_png",
]
