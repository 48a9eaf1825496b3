"""Figures and report pages; functions without side effects."""

from .cells import assignment, laguerre
from .compare import comparison
from .pictures import clouds, curves, grid, grid_png, to_png
from .report import report_page
from .transport import arrows, before_after, displacement_gif, level_sets

# fmt: off
__all__ = [
    "arrows", "assignment", "before_after", "clouds", "comparison", "curves", "displacement_gif",
    "grid", "grid_png", "laguerre", "level_sets", "report_page", "to_png",
]
# fmt: on
