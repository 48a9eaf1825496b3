"""Pictures and pages: pure functions."""

from .pictures import clouds, curves, grid, grid_png, to_png
from .report import report_page

__all__ = ["clouds", "curves", "grid", "grid_png", "report_page", "to_png"]
