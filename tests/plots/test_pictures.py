"""Figures of samples and of training curves."""

from __future__ import annotations

from typing import Any

import torch

from monge import plots


def test_clouds_are_drawn_over_a_single_point() -> None:
    assert plots.to_png(plots.clouds(torch.randn(4, 5), torch.randn(1, 5)))


def test_curves_draw_the_numbers_of_the_last_line_and_pair_estimates() -> None:
    common = {"warning": "x"}
    estimates = [{"w1_estimate": 0.1, "w1_exact": 0.4}, {"w1_exact": 0.3}]
    estimates.append({"w1_estimate": 0.2, "w1_exact": 0.3})
    others: list[dict[str, Any]] = [
        {"step": 1, "loss": "text", "gone": 2.0, "cpu_seconds": 1.0},
        {"step": 2, "loss": 1.0, "gone": 2.0, "note": 3.0, "gpu_seconds": 1.0},
        {"step": 3, "loss": 0.5, "note": "text", "gpu_seconds": 1.0},
    ]
    history = [common | a | b for a, b in zip(estimates, others, strict=True)]
    figure = plots.curves(history)
    panels = {axis.get_title(loc="left"): axis for axis in figure.axes if axis.get_visible()}
    assert set(panels) == {"loss", "w1 estimate"}
    assert [list(line.get_xdata()) for line in panels["w1 estimate"].lines] == [[1, 2, 3], [1, 3]]
    assert list(panels["loss"].lines[0].get_ydata()) == [1.0, 0.5]
    assert plots.to_png(plots.curves([{"step": 1, "warning": "x"}]))
