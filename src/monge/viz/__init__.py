"""Pictures and pages: pure functions."""

from .compare import comparison
from .pictures import clouds, curves, grid, grid_png, to_png
from .report import report_page

__all__ = ["clouds", "comparison", "curves", "grid", "grid_png", "report_page", "to_png"]
